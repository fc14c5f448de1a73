import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Histogram } from "../../src/pool/Histogram.ts"
import { property } from "../support/runs.ts"

const of = (durations: ReadonlyArray<number>): Histogram => {
  const histogram = new Histogram()
  for (const duration of durations) histogram.record(duration)
  return histogram
}

/** Durations of all magnitudes: each bit length is as likely as the others. */
const durations = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all([
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31 }))),
      Arbitrary.schema(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
    ]),
    ([bits, fraction]) => (fraction / 2 + 0.5) * 2 ** bits
  ),
  { minLength: 1, maxLength: 300 }
)

describe("Histogram", () => {
  it("has nothing to say of nothing", () => {
    assert.deepStrictEqual(new Histogram().summary, { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 })
    assert.deepStrictEqual(new Histogram().cumulative([1, 1000]), [0, 0])
  })

  it("tells percentiles of what it counted", () => {
    const summary = of(Array.from({ length: 1000 }, (_, i) => i + 1)).summary
    assert.deepStrictEqual([summary.count, summary.mean, summary.max], [1000, 500.5, 1000])
    for (const [told, truth] of [
      [summary.p50, 500],
      [summary.p90, 900],
      [summary.p99, 990]
    ] as const) {
      assert.isAtLeast(told, truth)
      assert.isAtMost(told, truth * 1.125)
    }
  })

  it("is not misled by one that is far from the others", () => {
    const summary = of([...Array.from({ length: 99 }, () => 10), 5_000_000]).summary
    assert.closeTo(summary.p50, 10, 1.25)
    assert.closeTo(summary.p99, 10, 1.25)
    assert.strictEqual(summary.max, 5_000_000)
  })

  it("counts what is longer than it can tell apart as that", () => {
    const histogram = of([1, 2 ** 32, 2 ** 40])
    assert.strictEqual(histogram.summary.max, 2 ** 40)
    assert.isAtLeast(histogram.percentile(0.99), 2 ** 32)
  })

  it.prop(
    "is within an eighth of the truth",
    [durations],
    ([durations]) => {
      const histogram = of(durations)
      const sorted = durations.toSorted((a, b) => a - b)
      for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 1]) {
        const truth = sorted[Math.ceil(share * sorted.length) - 1]!
        const told = histogram.percentile(share)
        assert.isAtLeast(told, truth)
        // Fractions of a microsecond are not told apart.
        assert.isAtMost(told, Math.max(truth * 1.125, truth + 1))
      }
      assert.strictEqual(histogram.summary.max, sorted.at(-1))
      assert.closeTo(
        histogram.summary.mean,
        durations.reduce((a, b) => a + b) / durations.length,
        1e-3 * sorted.at(-1)!
      )
    },
    property(300, 300)
  )

  it.prop(
    "tells how many were at most so long, give or take a bucket",
    [durations],
    ([durations]) => {
      const histogram = of(durations)
      const bounds = [1, 10, 64, 1_000, 12_345, 1_000_000, 2 ** 31]
      const counts = histogram.cumulative(bounds)
      for (const [i, bound] of bounds.entries()) {
        assert.isAtMost(counts[i]!, durations.filter((d) => d < bound).length)
        // The bucket that the bound is in begins at most an eighth, and a microsecond, below it.
        assert.isAtLeast(counts[i]!, durations.filter((d) => d < (bound * 8) / 9 - 1).length)
      }
    },
    property(300, 300)
  )
})
