/**
 * How much may wait in a pool, and how much of it may be pinned in memory: what stands between a flood of tasks and the end
 * of the process.
 *
 * Both bounds shrink together when memory becomes scarce (see `MemoryPressure`). However scarce it is, one task of each kind
 * of class is always let in: progress frees more memory than refusal.
 */

import type { Kind } from "./RunQueue.ts"

/** What is kept for the reserved classes, if there are some: whoever has a short question need not wait for room. */
const KEPT = 1 / 8

export class Budget {
  /** Tasks. */
  readonly capacity: number
  /** Bytes. */
  readonly maxCost: number
  /** The share of both that is kept for the reserved classes. */
  private readonly kept: number
  /** Bytes of the tasks that wait or run, by the kind of their class. */
  private readonly costs = { reserved: 0, others: 0 }
  private share = 1

  constructor(capacity: number, maxCost: number, { reserves }: { readonly reserves: boolean }) {
    this.capacity = capacity
    this.maxCost = maxCost
    this.kept = reserves ? KEPT : 0
  }

  /** Bytes of all tasks that wait or run. */
  get cost(): number {
    return this.costs.reserved + this.costs.others
  }

  /** The share of both bounds that is open now, 0 to 1. */
  get admission(): number {
    return this.share
  }

  set admission(share: number) {
    this.share = Math.min(1, Math.max(0, share))
  }

  /** Adds what a task costs that is let in, or takes off (a negative cost) that of one that has ended. */
  add(kind: Kind, cost: number): void {
    this.costs[kind] += cost
  }

  /** Whether the queue is full with so many tasks, for everybody. */
  isFull(all: number): boolean {
    return all >= Math.max(1, this.capacity * this.share)
  }

  /** Whether one more task of this cost may join those that wait: so many of its kind, and so many in all. */
  admits(kind: Kind, cost: number, waiting: number, all: number): boolean {
    if (this.isFull(all)) return false
    const tasks = this.capacity * this.share
    const bytes = this.maxCost * this.share
    const ofKind = this.costs[kind]
    if (kind === "others") {
      if (waiting >= Math.max(1, tasks - Math.floor(tasks * this.kept))) return false
      if (ofKind > 0 && ofKind + cost > bytes * (1 - this.kept)) return false
    }
    return ofKind === 0 || this.cost + cost <= bytes
  }
}
