/**
 * How many workers a pool shall have, from what it does.
 *
 * Workers are fibers of one JavaScript thread: they bound how much waits for disks and networks at once, they add no
 * computing. So there are more of them only while tasks wait although every worker is suspended in waiting and the event loop
 * has room; a busy processor is no reason. Fewer there are when most had nothing to do for a while.
 */

/** What the pool did since the last look. */
export interface Observation {
  readonly workers: number
  /**
   * Workers with a task, which at the time of looking means that it waits for something, and the one that is kept for
   * others than what waits.
   */
  readonly active: number
  /** Tasks in the queue, and who waits for room in it. */
  readonly waiting: number
  /** Share of the time that the event loop was busy, 0 to 1. */
  readonly utilisation: number
}

/** A change of the number of workers, and why. */
export interface Decision {
  readonly from: number
  readonly to: number
  readonly reason: "tasks wait for suspended workers" | "workers are idle"
}

/** Milliseconds between two looks: doubling in each, a pool has a thousand workers within a second. */
export const INTERVAL = 100

/** From here on the event loop has no room. */
const BUSY = 0.9

/** Looks in a row that must find workers idle before there are fewer. */
const PATIENCE = 20

export class Autoscaler {
  /** Looks since the last growth or busy moment. */
  private quiet = 0
  /** The most workers that were needed at once in these looks. */
  private needed = 0

  /** What to do at this look; `undefined` for nothing. */
  decide(
    { active, utilisation, waiting, workers }: Observation,
    minimum: number,
    maximum: number
  ): Decision | undefined {
    if (waiting > 0 && active >= workers) {
      this.calm()
      const to = Math.min(maximum, Math.max(workers * 2, 2), workers + waiting)
      return utilisation < BUSY && to > workers
        ? { from: workers, to, reason: "tasks wait for suspended workers" }
        : undefined
    }
    this.needed = Math.max(this.needed, active + waiting)
    if (++this.quiet < PATIENCE) return undefined
    const to = Math.max(minimum, this.needed, Math.floor(workers / 2))
    this.calm()
    // Half of them idle, or it is not worth the while.
    return to < workers && (to === minimum || to <= workers / 2)
      ? { from: workers, to, reason: "workers are idle" }
      : undefined
  }

  private calm(): void {
    this.quiet = this.needed = 0
  }
}
