/**
 * Holds back those who share a rate while something is owed there: they wait in a line, and go on one after the other as
 * soon as the debt is paid.
 */

import type { Rate } from "./Rate.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** Who is held back. */
export interface Throttled {
  /** Goes on; called once for each time that it was held back. */
  readonly goOn: () => void
}

/** Milliseconds between two that go on: so that what the first does is taken into account. */
const STEP = 1

/** Milliseconds that a timer of Node.js can run. */
const LONGEST = 2 ** 31 - 1

export class Throttle {
  private readonly calls: TokenBucket
  private readonly bytes: TokenBucket
  private readonly now: () => number
  private readonly waiting = new Set<Throttled>()
  private timer: NodeJS.Timeout | undefined

  /** `now`: milliseconds. */
  constructor(rate: Rate, now: () => number = () => performance.now()) {
    const { burst, bytes, calls } = perSecond(rate)
    this.now = now
    this.calls = new TokenBucket(calls, calls * burst, now())
    this.bytes = new TokenBucket(bytes, bytes * burst, now())
  }

  charge(calls: number, bytes: number): void {
    const now = this.now()
    this.calls.take(calls, now)
    this.bytes.take(bytes, now)
  }

  /** Whether something is owed. */
  get owing(): boolean {
    return this.delay > 0
  }

  /** Whether nothing was done for so long that it could as well be a new one. */
  get rested(): boolean {
    const now = this.now()
    return this.waiting.size === 0 && this.calls.isFull(now) && this.bytes.isFull(now)
  }

  /** Whether somebody has to wait, who then stands in the line. */
  holdsBack(throttled: Throttled): boolean {
    if (this.waiting.has(throttled)) return true
    if (!this.owing) return false
    this.waiting.add(throttled)
    this.schedule()
    return true
  }

  /** Takes somebody out of the line. */
  forget(throttled: Throttled): void {
    this.waiting.delete(throttled)
  }

  /** Another rate, which is in force at once. */
  change(rate: Rate): void {
    const { burst, bytes, calls } = perSecond(rate)
    const now = this.now()
    this.calls.change(calls, calls * burst, now)
    this.bytes.change(bytes, bytes * burst, now)
    clearTimeout(this.timer)
    this.timer = undefined
    this.schedule()
  }

  private get delay(): number {
    const now = this.now()
    return Math.max(this.calls.owing(now), this.bytes.owing(now))
  }

  private schedule(): void {
    if (this.timer !== undefined || this.waiting.size === 0) return
    const delay = Math.min(LONGEST, Math.max(STEP, Math.ceil(this.delay)))
    this.timer = setTimeout(() => {
      this.timer = undefined
      const [next] = this.waiting
      if (next !== undefined && !this.owing) {
        this.waiting.delete(next)
        next.goOn()
      }
      this.schedule()
    }, delay).unref()
  }
}

/** A rate without gaps. What is not limited is so fast that nothing is ever owed. */
const perSecond = ({ burst = 1, bytesPerSecond = UNLIMITED, callsPerSecond = UNLIMITED }: Rate) => ({
  burst,
  bytes: bytesPerSecond,
  calls: callsPerSecond
})

const UNLIMITED = Number.MAX_SAFE_INTEGER
