/**
 * The memory that connections may hold outside of the pool: records that are half received, calls that wait, replies that
 * were not read yet. Whoever needs more than there is, is not read from until there is room.
 *
 * What each connection always has (`FREE`) is not counted, so short calls go through whatever others do. A client may hold
 * as much as it leaves free: half of all when it is alone, and there is always something for one that comes. Room for a
 * whole record is taken before more of it is read than its beginning, once, and by those who wait in their order.
 *
 * So nothing that is held waits for room. A record for which there is room is always read on: it ends, or its client runs
 * out of time (`Watch`). A call that waits needs only the pool, which does not know this budget, and that its own connection's
 * replies are read. And replies are read, or their client runs out of time. Hence all that is held becomes free, and who waits
 * for room gets it: nobody overtakes one whose client holds nothing.
 */

import type { RecordDecoder } from "./RecordMarking.ts"

/** Bytes that a connection may hold besides. */
export const FREE = 16 * 1024

/** A client, as far as it matters here. */
export interface Account {
  /** Bytes that its connections hold. */
  held: number
}

export class ByteBudget {
  /** Bytes. */
  limit: number
  private heldInAll = 0
  private readonly line = new Set<Holding>()
  private passing = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Bytes that all connections hold. */
  get held(): number {
    return this.heldInAll
  }

  /** Adds what a client holds from now on, or takes off (a negative number) what it does not any longer. */
  add(account: Account, bytes: number): void {
    account.held += bytes
    this.heldInAll += bytes
    if (bytes < 0) this.advance()
  }

  /** Whether a client may hold so many bytes more. However little there is, one record fits. */
  hasRoom(account: Account, bytes: number): boolean {
    if (this.heldInAll === 0) return true
    const free = this.limit - this.heldInAll
    return account.held === 0 ? bytes <= free : account.held + bytes <= free - bytes
  }

  /** Whether there is room now; otherwise `holding` stands in the line, and hears when there is. */
  request(holding: Holding): boolean {
    if (this.line.size === 0 && this.hasRoom(holding.account, holding.wanted)) return true
    this.line.add(holding)
    this.advance()
    return false
  }

  waits(holding: Holding): boolean {
    return this.line.has(holding)
  }

  leave(holding: Holding): void {
    if (this.line.delete(holding)) this.advance()
  }

  /** Sees to it that those who wait are asked again, soon. */
  advance(): void {
    if (this.passing || this.line.size === 0) return
    this.passing = true
    setImmediate(() => {
      this.passing = false
      this.pass()
    })
  }

  private pass(): void {
    const refused = new Set<Account>()
    for (const holding of [...this.line]) {
      const { account, wanted } = holding
      if (refused.has(account)) continue
      if (this.hasRoom(account, wanted)) {
        this.line.delete(holding)
        holding.grant()
      } else {
        if (account.held === 0) return
        refused.add(account)
      }
    }
  }
}

/** What one connection holds. */
export class Holding {
  readonly account: Account
  /** Bytes of the record for which it waits. */
  wanted = 0
  private readonly budget: ByteBudget
  private readonly onGrant: () => void
  /** Bytes of the record that is being received, when there is room for it. */
  private reserved = 0
  /** Which record that is. */
  private record = 0
  /** Bytes that the budget knows of. */
  private counted = 0
  /** Whether it may be read from once more, whatever has changed since there was room. */
  private granted = false

  constructor(budget: ByteBudget, account: Account, onGrant: () => void) {
    this.budget = budget
    this.account = account
    this.onGrant = onGrant
  }

  /**
   * Tells the budget what is held now: `bytes` besides the record that is being received. Whether the connection may be
   * read from; if not, `onGrant` is called when it may.
   */
  mayRead(bytes: number, records: RecordDecoder): boolean {
    const { budget } = this
    if (this.record !== records.completed) {
      this.record = records.completed
      this.reserved = 0
    }
    this.count(bytes)
    if (this.granted) return true
    if (budget.waits(this)) return false
    const wanted = records.expected(FREE)
    if (wanted === 0 ? this.counted === 0 : this.reserved > 0) return true
    this.wanted = wanted
    if (!budget.request(this)) return false
    this.reserve(wanted)
    return true
  }

  /** Something was read. */
  onRead(): void {
    this.granted = false
  }

  /** There is room for what was waited for. */
  grant(): void {
    this.granted = true
    this.reserve(this.wanted)
    this.onGrant()
  }

  /** The connection is not read any more; it holds so many bytes. */
  close(bytes: number): void {
    this.reserved = 0
    this.count(bytes)
    this.budget.leave(this)
  }

  private reserve(bytes: number): void {
    this.reserved = bytes
    this.counted += bytes
    this.budget.add(this.account, bytes)
  }

  private count(bytes: number): void {
    const counted = this.reserved + Math.max(0, bytes - FREE)
    if (counted === this.counted) return
    const added = counted - this.counted
    this.counted = counted
    this.budget.add(this.account, added)
  }
}
