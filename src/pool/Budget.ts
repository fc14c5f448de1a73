/**
 * How much may wait in a pool, and how much of it may be pinned in memory: what stands between a flood of tasks and the end
 * of the process.
 *
 * Both bounds shrink together when memory becomes scarce (see `MemoryPressure`). However scarce it is, one task is always
 * let in: progress frees more memory than refusal.
 */

/** The share of both bounds that is kept for the reserved classes: whoever has a short question need not wait for room. */
const KEPT = 1 / 8

export class Budget {
  /** Tasks. */
  readonly capacity: number
  /** Bytes. */
  readonly maxCost: number
  /** Bytes of all tasks that wait or run. */
  cost = 0
  private share = 1

  constructor(capacity: number, maxCost: number) {
    this.capacity = capacity
    this.maxCost = maxCost
  }

  /** The share of both bounds that is open now, 0 to 1. */
  get admission(): number {
    return this.share
  }

  set admission(share: number) {
    this.share = Math.min(1, Math.max(0, share))
  }

  /** Whether one more task of this cost may join `waiting` others; with `keep`, only if it leaves what is kept. */
  admits(cost: number, waiting: number, keep: boolean): boolean {
    const tasks = this.capacity * this.share
    if (waiting >= Math.max(1, keep ? tasks - Math.floor(tasks * KEPT) : tasks)) return false
    return this.cost === 0 || this.cost + cost <= this.maxCost * this.share * (keep ? 1 - KEPT : 1)
  }
}
