/**
 * Latencies, counted in buckets that are as wide as a hundredth of what they hold: millions of them cost some kilobytes,
 * one increment each, and no garbage while the clock runs.
 */

/** Buckets for each doubling: an error of 1/128 at most. */
const STEPS = 128

/** The unit of the first buckets: 1/8 of a microsecond. */
const PER_MILLISECOND = 8000

const LONGEST = 2 ** 31 - 1

export class Histogram {
  private readonly counts = new Uint32Array(26 * STEPS)
  private total = 0
  private longest = 0

  get count(): number {
    return this.total
  }

  /** The longest that was recorded, in milliseconds. */
  get max(): number {
    return this.longest
  }

  record(milliseconds: number): void {
    const value = Math.min(Math.max(milliseconds * PER_MILLISECOND, 0), LONGEST) | 0
    const bucket = bucketOf(value)
    this.counts[bucket] = this.counts[bucket]! + 1
    this.total++
    if (milliseconds > this.longest) this.longest = milliseconds
  }

  reset(): void {
    this.counts.fill(0)
    this.total = 0
    this.longest = 0
  }

  /** What so large a part (0 to 1) of all latencies does not exceed, in milliseconds. */
  percentile(part: number): number {
    const rank = Math.max(1, Math.ceil(this.total * part))
    let seen = 0
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      seen += this.counts[bucket]!
      if (seen >= rank) return Math.min(middleOf(bucket) / PER_MILLISECOND, this.longest)
    }
    return this.longest
  }
}

/** Up to 255 each value has a bucket of its own; from there on each doubling has `STEPS` of them. */
const bucketOf = (value: number): number => {
  const doublings = Math.max(0, 24 - Math.clz32(value))
  return doublings * STEPS + (value >>> doublings)
}

const middleOf = (bucket: number): number => {
  const doublings = Math.max(0, Math.floor(bucket / STEPS) - 1)
  return (bucket - doublings * STEPS + 0.5) * 2 ** doublings
}
