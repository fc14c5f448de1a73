/** Who waits for room in a full queue. They wait in the same order as tasks do: by class, and by lane within it. */

import { QueueItem } from "./RunQueue.ts"

/** Somebody who waits for room in the queue. */
export interface RoomWaiter {
  /** Bytes that what it will offer first costs; default 0. */
  readonly cost?: number | undefined
  /** The class of that; default: the first that is not reserved. */
  readonly priority?: number | undefined
  /** There is room: offer, and ask again if there is more to offer than the queue takes. Must not throw. */
  readonly onRoom: () => void
  /** The pool stopped. Must not throw. */
  readonly onStopped: () => void
}

/** A place in the line for room. */
export interface Place extends QueueItem {
  readonly cost: number
  onRoom(): void
  onStopped(): void
}

/** The place of somebody who cannot be linked. */
export class Ticket extends QueueItem implements Place {
  readonly priority: number
  readonly lane: RoomWaiter
  private readonly leave: () => void

  constructor(waiter: RoomWaiter, priority: number, leave: () => void) {
    super()
    this.lane = waiter
    this.priority = priority
    this.leave = leave
  }

  get cost(): number {
    return this.lane.cost ?? 0
  }

  onRoom(): void {
    this.leave()
    this.lane.onRoom()
  }

  onStopped(): void {
    this.leave()
    this.lane.onStopped()
  }
}
