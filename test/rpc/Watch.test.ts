import { assert, describe, it } from "@effect/vitest"
import * as Limits from "../../src/rpc/Limits.ts"
import { type Observed, Watch } from "../../src/rpc/Watch.ts"

const quiet: Observed = {
  heardAt: 0,
  listening: true,
  busy: false,
  receiving: false,
  records: 0,
  received: 0,
  unsent: 0,
  sent: 0,
  writing: 0
}

const limits = Limits.settle({ idleTimeout: "20 seconds", stallTimeout: "10 seconds" })

/** Looks once a second for a minute; after how many seconds something was wrong, and what. */
const lookAt = (at: (second: number) => Partial<Observed>, settled = limits) => {
  const watch = new Watch({ ...quiet, ...at(0) })
  for (let second = 1; second <= 60; second++) {
    const wrong = watch.look({ ...quiet, ...at(second) }, 1000, settled)
    if (wrong !== undefined) return [wrong, second] as const
  }
  return undefined
}

const cases: ReadonlyArray<
  readonly [string, (second: number) => Partial<Observed>, ReturnType<typeof lookAt>, Limits.Limits?]
> = [
  ["over which nothing comes", () => ({}), ["idle", 20]],
  ["that never ends for being idle", () => ({}), undefined, { idleTimeout: "off" }],
  ["over which something came once", (second) => ({ heardAt: second < 15 ? 0 : 1 }), ["idle", 35]],
  ["whose call takes long", () => ({ busy: true }), undefined],
  ["that is not read", () => ({ listening: false }), undefined],
  ["with half a record", () => ({ receiving: true, received: 10 }), ["stalled", 11]],
  ["with half a record, a byte a second", (second) => ({ receiving: true, received: second }), ["stalled", 12]],
  ["that is not read, with half a record", () => ({ receiving: true, listening: false }), undefined],
  ["with a slow record", (second) => ({ receiving: true, received: second * 4096 }), undefined],
  [
    "whose record goes fast and then stops",
    (second) => ({ receiving: true, received: Math.min(second, 20) * 1e6 }),
    ["stalled", 30]
  ],
  ["with one half record after the other", (second) => ({ receiving: true, records: second }), undefined],
  ["that never ends for half a record", () => ({ receiving: true }), undefined, { stallTimeout: "off" }],
  ["whose replies are not read", () => ({ unsent: 10, writing: 10 }), ["stalled", 11]],
  ["whose replies are read in writes", (second) => ({ unsent: 10, sent: second * 4096 }), undefined],
  ["whose replies are read in one long write", (s) => ({ unsent: 10, writing: 1e6 - s * 4096 }), undefined],
  ["whose replies are read, a byte a second", (s) => ({ unsent: 10, writing: 1000 - s }), ["stalled", 12]],
  ["whose replies are all read now and then", (second) => ({ unsent: second % 5 }), undefined]
]

describe("Watch", () => {
  for (const [name, at, wrong, other] of cases) {
    it(`a connection ${name}`, () => {
      const settled =
        other === undefined
          ? limits
          : Limits.settle({ idleTimeout: "20 seconds", stallTimeout: "10 seconds", ...other })
      assert.deepStrictEqual(lookAt(at, settled), wrong)
    })
  }

  it("a connection that outlives a change of its limits", () => {
    const watch = new Watch(quiet)
    for (let second = 0; second < 100; second++) watch.look(quiet, 1000, Limits.settle({ idleTimeout: "off" }))
    assert.strictEqual(watch.look(quiet, 1000, limits), "idle")
  })
})
