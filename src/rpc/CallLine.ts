/**
 * The calls of one class of a connection: those that are in the pool, and those that wait for their turn to enter it.
 *
 * Each class has bounds of its own, and stands in the pool's line for room by itself: what a connection copies does not
 * hold back what it asks beside that. Calls of one class enter in the order in which they came.
 */

import type { RoomWaiter } from "../pool/RoomWaiter.ts"
import { FREE } from "./ByteBudget.ts"
import type { CallClass, Shared } from "./Peer.ts"
import type { Request } from "./Request.ts"

/** Bytes of replies that classes of short ones may have besides: so that long ones which are not sent leave room for them. */
const KEPT_FOR_SHORT = 1024 * 1024

/** The connection of a line. */
export interface Host {
  /** Bytes of replies that are written and not sent; 0 when nobody is left to send them to. */
  readonly unsent: number
  /** Whether its client may hold no more of what all connections share. */
  readonly crowded: boolean
  /** A call is in the pool. */
  readonly admitted: (request: Request) => void
  /** Calls have entered the pool, later than they came. */
  readonly movedOn: () => void
  /** Ends it at once. */
  readonly destroy: () => void
}

export class CallLine implements RoomWaiter {
  /** The pool's number of the class. */
  readonly priority: number
  /** Calls that wait for their turn to enter the pool. */
  readonly waiting: Array<Request> = []
  /** Bytes that these pin. */
  pinned = 0
  private readonly host: Host
  private readonly pool: Shared["pool"]
  private readonly shared: Shared
  private readonly kept: number
  /** Calls in the pool. */
  private inFlight = 0
  /** Bytes that these bring or ask for. */
  private costInFlight = 0
  private awaitsRoom = false

  constructor(host: Host, shared: Shared, { priority, short }: CallClass) {
    this.host = host
    this.pool = shared.pool
    this.shared = shared
    this.kept = short ? KEPT_FOR_SHORT : 0
    this.priority = priority
  }

  /** Bytes that the call costs which waits longest for its turn. */
  get cost(): number {
    return this.waiting[0]?.cost ?? 0
  }

  enqueue(request: Request): void {
    this.waiting.push(request)
    this.pinned += request.pinned
    this.admit()
  }

  /** A call that was in the pool has ended. */
  ended(request: Request): void {
    this.inFlight--
    this.costInFlight -= request.cost
  }

  /** Lets waiting calls into the pool as far as there is room. */
  admit(): void {
    const { waiting } = this
    if (waiting.length === 0) return
    const { callsInFlight } = this.shared.limits
    let admitted = 0
    while (admitted < waiting.length && this.inFlight < callsInFlight && !this.awaitsRoom && !this.congested) {
      const request = waiting[admitted]!
      if (this.pool.offerUnsafe(request)) {
        this.inFlight++
        this.costInFlight += request.cost
        this.pinned -= request.pinned
        this.host.admitted(request)
        admitted++
      } else {
        this.awaitsRoom = true
        this.pool.awaitRoomUnsafe(this)
      }
    }
    if (admitted === waiting.length) waiting.length = 0
    else if (admitted > 0) waiting.splice(0, admitted)
  }

  /** Takes out the waiting calls that do not go on, and gives them. */
  leave(goesOn: (request: Request) => boolean): ReadonlyArray<Request> {
    const left: Array<Request> = []
    for (const request of this.waiting.splice(0)) {
      if (goesOn(request)) {
        this.waiting.push(request)
      } else {
        this.pinned -= request.pinned
        left.push(request)
      }
    }
    if (this.awaitsRoom && this.waiting.length === 0) {
      this.awaitsRoom = false
      this.pool.forgetRoomUnsafe(this)
    }
    return left
  }

  onRoom(): void {
    this.awaitsRoom = false
    this.admit()
    this.host.movedOn()
  }

  onStopped(): void {
    this.awaitsRoom = false
    this.host.destroy()
  }

  /** Whether the client does not read its replies. */
  private get congested(): boolean {
    const { unsent } = this.host
    const most = this.shared.limits.bytesPerConnection + this.kept
    if (unsent > most || (unsent > FREE && this.host.crowded)) return true
    // However large, one call at a time is always answered.
    return this.inFlight > 0 && unsent + this.costInFlight > most
  }
}
