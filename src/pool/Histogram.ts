/** How long things took: counts by duration, each bucket an eighth wider than the one before it at most. */

/** Buckets for each doubling. */
const STEPS = 8
const STEP_BITS = 3

/** Durations from 2^32 microseconds (71 minutes) on are counted as that. */
const BUCKETS = (32 - STEP_BITS + 1) * STEPS

/** What a {@link Histogram} has seen. Durations are in microseconds. */
export interface Summary {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export class Histogram {
  private readonly counts = new Float64Array(BUCKETS)
  private count = 0
  private sum = 0
  private max = 0

  /** Counts a duration in microseconds, 0 or more. */
  record(microseconds: number): void {
    this.count++
    this.sum += microseconds
    if (microseconds > this.max) this.max = microseconds
    this.counts[bucketOf(microseconds)]!++
  }

  get summary(): Summary {
    return {
      count: this.count,
      mean: this.count === 0 ? 0 : this.sum / this.count,
      p50: this.percentile(0.5),
      p90: this.percentile(0.9),
      p99: this.percentile(0.99),
      max: this.max
    }
  }

  /** The duration that a share of all does not exceed: the upper end of its bucket, or the longest there was. */
  percentile(share: number): number {
    const rank = Math.ceil(share * this.count)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.counts[bucket]!
      if (seen >= rank && seen > 0) return Math.min(upperEnd(bucket), this.max)
    }
    return 0
  }

  /** How many were at most so long, for each of some ascending bounds in microseconds. */
  cumulative(bounds: ReadonlyArray<number>): ReadonlyArray<number> {
    let bucket = 0
    let seen = 0
    return bounds.map((bound) => {
      while (bucket < BUCKETS && upperEnd(bucket) <= bound) seen += this.counts[bucket++]!
      return seen
    })
  }
}

/** Below `STEPS` a bucket for each microsecond, then `STEPS` for each power of two: the leading bits of the number. */
const bucketOf = (microseconds: number): number => {
  const n = microseconds >= 0xffff_ffff ? 0xffff_ffff : microseconds >>> 0
  if (n < STEPS) return n
  const exponent = 31 - Math.clz32(n)
  return (exponent - STEP_BITS + 1) * STEPS + ((n >>> (exponent - STEP_BITS)) & (STEPS - 1))
}

/** The first number beyond the bucket. */
const upperEnd = (bucket: number): number => {
  if (bucket < STEPS) return bucket + 1
  const exponent = Math.floor(bucket / STEPS) + STEP_BITS - 1
  return (STEPS + (bucket % STEPS) + 1) * 2 ** (exponent - STEP_BITS)
}
