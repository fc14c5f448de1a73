/**
 * Whether a connection may be read from, as far as it is not its own affair: there must be room in the memory that all share,
 * and nothing owed where a rate holds back who asks for too much.
 */

import type { Throttle, Throttled } from "../pool/Throttle.ts"
import { type ByteBudget, Holding } from "./ByteBudget.ts"
import type { Client } from "./Clients.ts"
import type { RecordDecoder } from "./RecordMarking.ts"

export class Gate {
  private readonly visitor: Throttled
  private readonly client: Client
  private readonly budget: ByteBudget
  private readonly holding: Holding
  /** Rates of what was called, where something may be owed. */
  private heeded: ReadonlyArray<Throttle> = []

  /** `visitor` is told when the gate may be open again. */
  constructor(visitor: Throttled, client: Client, budget: ByteBudget) {
    this.visitor = visitor
    this.client = client
    this.budget = budget
    this.holding = new Holding(budget, client, () => visitor.goOn())
  }

  /** Whether the client may hold no more of what all connections share. */
  get crowded(): boolean {
    return !this.budget.hasRoom(this.client, 0)
  }

  /** So many calls came with so many bytes. */
  onRead(calls: number, bytes: number): void {
    this.holding.onRead()
    this.client.throttle?.charge(calls, bytes)
  }

  /** So many bytes of replies are on their way. */
  onWritten(bytes: number): void {
    this.client.throttle?.charge(0, bytes)
  }

  /** Stays closed while something is owed there. */
  heed(throttle: Throttle): void {
    if (!this.heeded.includes(throttle)) this.heeded = [...this.heeded, throttle]
  }

  /** Whether it is open for a connection that holds so many bytes besides the record that it receives. */
  isOpen(held: number, records: RecordDecoder): boolean {
    const hasRoom = this.holding.mayRead(held, records)
    return hasRoom && !this.isThrottled()
  }

  /** Nothing more is read; so many bytes are still held. */
  close(held: number): void {
    this.holding.close(held)
    this.client.throttle?.forget(this.visitor)
    for (const throttle of this.heeded) throttle.forget(this.visitor)
  }

  private isThrottled(): boolean {
    if (this.client.throttle?.holdsBack(this.visitor) === true) return true
    if (this.heeded.length === 0) return false
    this.heeded = this.heeded.filter((throttle) => throttle.holdsBack(this.visitor))
    return this.heeded.length > 0
  }
}
