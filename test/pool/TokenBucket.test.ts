import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { TokenBucket } from "../../src/pool/TokenBucket.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What somebody wants, so many milliseconds after the last time. */
const Arrivals = Schema.Array(Schema.Struct({ after: int(0, 3000), amount: int(0, 500) }))

/** Lets each through as soon as nothing is owed, one after the other, and says when. */
const letThrough = (bucket: TokenBucket, arrivals: typeof Arrivals.Type) => {
  let now = 0
  let arrived = 0
  return arrivals.map(({ after, amount }) => {
    arrived += after
    now = Math.max(now, arrived)
    now += bucket.owing(now)
    assert.isBelow(bucket.owing(now), 1e-6)
    bucket.take(amount, now)
    return { arrived, at: now, amount }
  })
}

const sum = (amounts: ReadonlyArray<{ readonly amount: number }>): number =>
  amounts.reduce((sum, { amount }) => sum + amount, 0)

describe("TokenBucket", () => {
  it.prop(
    "in any time lets through what came in then and a burst, and one thing more",
    { rate: int(1, 1000), burst: int(1, 1000), arrivals: Arrivals },
    ({ arrivals, burst, rate }) => {
      const through = letThrough(new TokenBucket(rate, burst, 0), arrivals)
      for (let from = 0; from < through.length; from++) {
        for (let to = from; to < through.length; to++) {
          const seconds = (through[to]!.at - through[from]!.at) / 1000
          assert.isAtMost(sum(through.slice(from, to)), rate * seconds + burst + 1e-6)
        }
      }
    },
    { arbitrary: { runs: 300, size: 40 } }
  )

  it.prop(
    "delays nobody for longer than what was asked before takes",
    { rate: int(1, 1000), burst: int(1, 1000), arrivals: Arrivals },
    ({ arrivals, burst, rate }) => {
      const through = letThrough(new TokenBucket(rate, burst, 0), arrivals)
      through.forEach(({ arrived, at }, i) => {
        assert.isAtMost(at - arrived, (sum(through.slice(0, i)) / rate) * 1000 + 1e-6)
      })
    },
    { arbitrary: { runs: 300, size: 40 } }
  )

  it("pays debts at its rate", () => {
    const bucket = new TokenBucket(10, 20, 0)
    bucket.take(20, 0)
    assert.strictEqual(bucket.owing(0), 0)
    bucket.take(5, 0)
    assert.deepStrictEqual([0, 250, 499, 500].map((now) => bucket.owing(now)).map(Math.round), [500, 250, 1, 0])
    assert.isFalse(bucket.isFull(2499))
    assert.isTrue(bucket.isFull(2500))
  })

  it("pays them at another rate after a change, and keeps no more than the new burst", () => {
    const bucket = new TokenBucket(10, 20, 0)
    bucket.take(30, 0)
    bucket.change(100, 1, 0)
    assert.strictEqual(bucket.owing(0), 100)
    bucket.take(2, 10_000)
    assert.strictEqual(bucket.owing(10_000), 10)
  })
})
