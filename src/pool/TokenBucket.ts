/**
 * A rate as an account of tokens: they come in steadily, are kept up to a burst, and are taken for what is done. What is
 * done is known only afterwards here, so more may be taken than there are; until that debt is paid nothing more may be done.
 *
 * Of what begins while nothing is owed, all but the last thing in any length of time is at most the burst and what came in
 * within it.
 */

export class TokenBucket {
  private perSecond: number
  private burst: number
  private tokens: number
  /** When `tokens` was true, in milliseconds. */
  private at: number

  /** `burst`: tokens that are kept at most, and there at first. */
  constructor(perSecond: number, burst: number, now: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = burst
    this.at = now
  }

  take(tokens: number, now: number): void {
    this.refill(now)
    this.tokens -= tokens
  }

  /** Milliseconds until nothing is owed, 0 when nothing is. */
  owing(now: number): number {
    this.refill(now)
    return this.tokens >= 0 ? 0 : (-this.tokens / this.perSecond) * 1000
  }

  /** Whether it is as it was in the beginning. */
  isFull(now: number): boolean {
    this.refill(now)
    return this.tokens >= this.burst
  }

  /** Changes the rate; what there is, or is owed, stays as far as it fits. */
  change(perSecond: number, burst: number, now: number): void {
    this.refill(now)
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = Math.min(this.tokens, burst)
  }

  private refill(now: number): void {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) / 1000) * this.perSecond)
    this.at = now
  }
}
