import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { compareTimes } from "../../../src/filesystem/Attributes.ts"
import * as Clock from "../../../src/filesystem/memory/Clock.ts"

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** A machine's clocks, `microseconds` into its time: one ticks every millisecond, the other runs with a small error. */
const machine = (start: number, drift: number) => {
  const state = { microseconds: 0, set: 0 }
  const wall = () => start + Math.floor(state.microseconds / 1000) + state.set
  return { state, wall, clock: Clock.make(wall, () => (state.microseconds / 1000) * (1 + drift)) }
}

const milliseconds = ({ nanoseconds, seconds }: { seconds: number; nanoseconds: number }): number =>
  seconds * 1000 + Math.floor(nanoseconds / 1_000_000)

describe("Clock", () => {
  it.prop(
    "stays within the wall clock's tick and never goes back",
    [Arbitrary.array(Arbitrary.schema(integer(0, 3000)), { minLength: 5 }), Arbitrary.schema(integer(-500, 500))],
    ([steps, ppm]) => {
      const { clock, state, wall } = machine(1_763_872_496_999, ppm / 1e6)
      state.microseconds = 300
      let last = clock()
      for (const step of steps) {
        state.microseconds += step
        const time = clock()
        assert.strictEqual(milliseconds(time), wall())
        assert.isTrue(Number.isInteger(time.nanoseconds) && time.nanoseconds >= 0 && time.nanoseconds < 1e9)
        assert.isAtLeast(compareTimes(time, last), 0)
        last = time
      }
    },
    { arbitrary: { runs: 300, size: 100 } }
  )

  it("tells apart what happens within a tick", () => {
    // Also after clocks that differ a little have run for long.
    for (const drift of [0, 5e-4, -5e-4]) {
      const { clock, state } = machine(5000, drift)
      for (let i = 0; i < 100_000; i++) {
        state.microseconds += 97
        clock()
      }
      state.microseconds = 10_000_000
      const times = Array.from({ length: 900 }, () => {
        state.microseconds += 1
        return clock().nanoseconds
      })
      // Where ticks begin is known as well as the calls were close to it.
      assert.isAbove(new Set(times).size, 800)
      assert.isBelow(Math.abs(times[500]! - 501_000), 300_000)
    }
  })

  it("stays at the last nanosecond of a tick that its fractions say is over", () => {
    // Found by the property above: the same instant was a nanosecond earlier when asked again.
    const { clock, state } = machine(1_763_872_496_999, 201e-6)
    state.microseconds = 300
    for (const step of [2463, 1168, 1263, 2913, 1030, 2990, 2317, 2876, 1683, 993]) {
      state.microseconds += step
      clock()
    }
    assert.strictEqual(clock().nanoseconds % 1_000_000, 999_999)
    assert.strictEqual(clock().nanoseconds % 1_000_000, 999_999)
  })

  it("follows the wall clock, wherever it is set", () => {
    const { clock, state, wall } = machine(1e12, 0)
    for (const set of [3_600_000, -3_600_000, 1, -1, 0]) {
      state.set = set
      for (let i = 0; i < 10; i++) {
        state.microseconds += 700
        assert.strictEqual(milliseconds(clock()), wall())
      }
    }
  })

  it("goes before 1970", () => {
    const { clock } = machine(-1, 0)
    assert.deepStrictEqual(clock(), { seconds: -1, nanoseconds: 999_000_000 })
  })
})

describe("later", () => {
  it("is the time itself, or the next one after what was", () => {
    const later = Clock.later
    const time = (seconds: number, nanoseconds: number) => ({ seconds, nanoseconds })
    assert.deepStrictEqual(later(time(5, 5), time(5, 6)), time(5, 6))
    assert.deepStrictEqual(later(time(5, 5), time(6, 0)), time(6, 0))
    assert.deepStrictEqual(later(time(5, 5), time(5, 5)), time(5, 6))
    assert.deepStrictEqual(later(time(5, 5), time(4, 9)), time(5, 6))
    assert.deepStrictEqual(later(time(5, 999_999_999), time(5, 0)), time(6, 0))
  })
})
