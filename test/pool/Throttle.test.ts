import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { Throttle } from "../../src/pool/Throttle.ts"

/** Runs a test whose time stands still but for what it lets pass. */
const inItsOwnTime = (test: (pass: (milliseconds: number) => void, now: () => number) => void): void => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  try {
    let now = 0
    test(
      (milliseconds) => {
        for (let i = 0; i < milliseconds; i++) {
          now++
          vi.advanceTimersByTime(1)
        }
      },
      () => now
    )
  } finally {
    vi.useRealTimers()
  }
}

describe("Throttle", () => {
  it("holds nobody back while nothing is owed", () => {
    inItsOwnTime((_, now) => {
      const throttle = new Throttle({ callsPerSecond: 10 }, now)
      throttle.charge(10, 1e12)
      assert.isFalse(throttle.holdsBack({ goOn: () => assert.fail() }))
    })
  })

  it("lets one after the other go on, in their order, each when what the last one did is paid", () => {
    inItsOwnTime((pass, now) => {
      const throttle = new Throttle({ bytesPerSecond: 1000, burst: 0.1 }, now)
      const went: Array<readonly [string, number]> = []
      const visitor = (name: string, charge: number) => ({
        goOn: () => {
          went.push([name, now()])
          throttle.charge(1, charge)
        }
      })
      throttle.charge(1, 300)
      for (const one of [visitor("a", 500), visitor("b", 0), visitor("c", 0)]) {
        assert.isTrue(throttle.holdsBack(one))
        // It stands in the line once.
        assert.isTrue(throttle.holdsBack(one))
      }
      pass(2000)
      assert.deepStrictEqual(went, [
        ["a", 200],
        ["b", 700],
        ["c", 701]
      ])
    })
  })

  it("forgets who has gone", () => {
    inItsOwnTime((pass, now) => {
      const throttle = new Throttle({ callsPerSecond: 1 }, now)
      const gone = { goOn: () => assert.fail() }
      throttle.charge(2, 0)
      assert.isTrue(throttle.holdsBack(gone))
      throttle.forget(gone)
      pass(3000)
      assert.isTrue(throttle.rested)
    })
  })

  it("lets go at once when the rate is taken away, and after a change as the new one says", () => {
    inItsOwnTime((pass, now) => {
      const throttle = new Throttle({ callsPerSecond: 1 }, now)
      let went = 0
      const visitor = { goOn: () => went++ }
      throttle.charge(1001, 0)
      assert.isTrue(throttle.holdsBack(visitor))
      pass(100)
      throttle.change({ callsPerSecond: 10_000 })
      pass(99)
      assert.strictEqual(went, 0)
      pass(2)
      assert.strictEqual(went, 1)
      throttle.change({ callsPerSecond: 1 })
      throttle.charge(1_000_000, 0)
      assert.isTrue(throttle.holdsBack(visitor))
      throttle.change({})
      pass(1)
      assert.strictEqual(went, 2)
    })
  })
})
