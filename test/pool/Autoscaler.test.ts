import { assert, describe, it } from "@effect/vitest"
import { Autoscaler, type Decision, INTERVAL, type Observation } from "../../src/pool/Autoscaler.ts"

/** A second's worth of looks. */
const SECOND = 1000 / INTERVAL

const observe = (options: Partial<Observation>): Observation => ({
  workers: 4,
  active: 4,
  waiting: 0,
  utilisation: 0.1,
  ...options
})

describe("Autoscaler", () => {
  describe("grows only while tasks wait, all workers are suspended and the event loop has room", () => {
    it.each<[string, Partial<Observation>, number | undefined]>([
      ["nothing waits", {}, undefined],
      ["one waits", { waiting: 1 }, 5],
      ["many wait", { waiting: 100 }, 8],
      ["a worker is free", { waiting: 100, active: 3 }, undefined],
      ["the event loop is nearly busy", { waiting: 100, utilisation: 0.89 }, 8],
      ["the event loop is busy", { waiting: 100, utilisation: 0.9 }, undefined],
      ["one worker becomes two", { workers: 1, active: 1, waiting: 1 }, 2],
      ["no more than would have something to do", { workers: 10, active: 10, waiting: 3 }, 13],
      ["no more than the maximum", { workers: 40, active: 40, waiting: 100 }, 64],
      ["there are all already", { workers: 64, active: 64, waiting: 100 }, undefined],
      ["more are at work than there shall be", { workers: 4, active: 9, waiting: 100 }, 8]
    ])("%s", (_, observation, to) => {
      const seen = observe(observation)
      assert.deepStrictEqual(
        new Autoscaler().decide(seen, 1, 64),
        to === undefined ? undefined : { from: seen.workers, to, reason: "tasks wait for suspended workers" }
      )
    })
  })

  /** Tasks that wait for something all the time: as many as `load` says at a time. */
  const simulate = (
    load: (look: number) => number,
    options: { readonly looks: number; readonly minimum?: number; readonly maximum?: number; readonly workers?: number }
  ) => {
    const { looks, maximum = 1024, minimum = 1, workers: initial = minimum } = options
    const autoscaler = new Autoscaler()
    let workers = initial
    const sizes: Array<number> = []
    const decisions: Array<Decision> = []
    for (let look = 0; look < looks; look++) {
      const tasks = load(look)
      const active = Math.min(tasks, workers)
      const decision = autoscaler.decide(
        { workers, active, waiting: tasks - active, utilisation: 0.2 },
        minimum,
        maximum
      )
      if (decision !== undefined) {
        assert.strictEqual(decision.from, workers)
        workers = decision.to
        decisions.push(decision)
      }
      sizes.push(workers)
    }
    return { decisions, sizes, workers }
  }

  it.each([2, 7, 100, 1000])("has the %d workers that a load step needs within a second, and no more", (needed) => {
    const { sizes } = simulate(() => needed, { looks: 10 * SECOND })
    assert.isAtLeast(sizes[SECOND - 1]!, needed)
    assert.isAtMost(Math.max(...sizes), needed)
  })

  it("stays at the maximum, however much waits", () => {
    const { decisions, sizes } = simulate(() => 5_000, { looks: 30 * SECOND, maximum: 48 })
    assert.strictEqual(Math.max(...sizes), 48)
    assert.strictEqual(sizes.at(-1), 48)
    assert.isAtMost(decisions.length, 7)
  })

  it("shrinks to the minimum when idle, step by step", () => {
    const { decisions, sizes } = simulate((look) => (look < 20 ? 500 : 0), { looks: 60 * SECOND, minimum: 3 })
    assert.strictEqual(Math.max(...sizes), 500)
    assert.strictEqual(sizes.at(-1), 3)
    for (const { from, reason, to } of decisions.filter(({ from, to }) => to < from)) {
      assert.strictEqual(reason, "workers are idle")
      assert.isAtLeast(to, Math.min(3, from))
      assert.isAtLeast(to, Math.floor(from / 2))
    }
    // Not before a while without need.
    assert.strictEqual(sizes[20 + 15], 500)
  })

  it("does not shrink below what was needed in the meantime", () => {
    const { sizes } = simulate((look) => (look < 5 ? 100 : look % 10 === 0 ? 30 : 0), { looks: 60 * SECOND })
    assert.isAtLeast(Math.min(...sizes.slice(SECOND)), 30)
    assert.isBelow(sizes.at(-1)!, 100)
  })

  it.each([
    ["a second on, a second off", 10],
    ["half a second on, half a second off", 5],
    ["on and off with each look", 1]
  ])("does not flap: %s", (_, looks) => {
    const { decisions, sizes } = simulate((look) => (Math.floor(look / looks) % 2 === 0 ? 64 : 0), {
      looks: 120 * SECOND
    })
    assert.strictEqual(sizes.at(-1), 64)
    // It has grown once, in steps, and that was all.
    assert.isTrue(decisions.every(({ from, to }) => to > from))
    assert.isAtMost(decisions.length, 7)
  })

  it("does not flap around a load that hardly changes", () => {
    const { decisions } = simulate((look) => 40 + ((look * 7) % 5), { looks: 300 * SECOND, minimum: 38 })
    assert.isAtMost(decisions.length, 4)
    assert.isTrue(decisions.every(({ from, to }) => to > from))
  })

  it("does not shrink while the processor is what tasks wait for", () => {
    const autoscaler = new Autoscaler()
    for (let look = 0; look < 100; look++) {
      const decision = autoscaler.decide(observe({ workers: 16, active: 16, waiting: 100, utilisation: 1 }), 1, 64)
      assert.isUndefined(decision)
    }
  })
})
