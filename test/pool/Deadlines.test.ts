import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Deadlines, type Expiring } from "../../src/pool/Deadlines.ts"

class Item implements Expiring {
  readonly name: string
  deadline = 0
  deadlines: Deadlines<any> | undefined = undefined
  earlier: Expiring | undefined = undefined
  later: Expiring | undefined = undefined

  constructor(name: string) {
    this.name = name
  }
}

/** Deadlines of 100 ms, what has expired when, and all fibers that watched. */
const make = Effect.fnUntraced(function* (
  options: { readonly onEmpty?: () => void; readonly clock?: Clock.Clock } = {}
) {
  const clock = options.clock ?? (yield* Clock.Clock)
  const context = yield* Effect.context<never>()
  const expired: Array<string> = []
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const deadlines: Deadlines<Item> = new Deadlines<Item>({
    limit: 100,
    clock,
    fork: (effect) => fibers.push(Effect.runForkWith(context)(effect)),
    expire: (item) => {
      assert.isUndefined(item.deadlines)
      expired.push(`${item.name} ${clock.currentTimeMillisUnsafe()}`)
    },
    onEmpty: options.onEmpty
  })
  const add = (name: string): Item => {
    const item = new Item(name)
    deadlines.add(item)
    return item
  }
  return { deadlines, add, expired, fibers, alive: () => fibers.filter((f) => f.pollUnsafe() === undefined).length }
})

const microtask = Effect.promise(() => Promise.resolve())

describe("Deadlines", () => {
  it.effect("expire exactly at the limit, in the order of their adding, watched by one fiber", () =>
    Effect.gen(function* () {
      const { add, alive, expired, fibers } = yield* make()
      add("a")
      yield* TestClock.adjust(30)
      add("b")
      add("c")
      yield* TestClock.adjust(69)
      assert.deepStrictEqual(expired, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(expired, ["a 100"])
      yield* TestClock.adjust(29)
      assert.deepStrictEqual(expired, ["a 100"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(expired, ["a 100", "b 130", "c 130"])
      assert.deepStrictEqual([fibers.length, alive()], [1, 0])
    })
  )

  it.effect("expire each at its own time when much time passes at once", () =>
    Effect.gen(function* () {
      const { add, expired } = yield* make()
      for (const name of ["a", "b", "c"]) {
        add(name)
        yield* TestClock.adjust(7)
      }
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(expired, ["a 100", "b 107", "c 114"])
    })
  )

  it.effect("can be removed anywhere", () =>
    Effect.gen(function* () {
      const { add, alive, deadlines, expired } = yield* make()
      const items = ["a", "b", "c", "d", "e"].map(add)
      for (const i of [2, 0, 4]) deadlines.remove(items[i]!)
      assert.deepStrictEqual(
        items.map((item) => item.deadlines === deadlines),
        [false, true, false, true, false]
      )
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(expired, ["b 100", "d 100"])
      assert.strictEqual(alive(), 0)
    })
  )

  it.effect("begin at the end of the step, all those of it together", () =>
    Effect.gen(function* () {
      let asked = 0
      const clock = yield* Clock.Clock
      const counting = Object.create(clock, {
        currentTimeMillisUnsafe: {
          value: () => {
            asked++
            return clock.currentTimeMillisUnsafe()
          }
        }
      }) as Clock.Clock
      const { add, deadlines, expired } = yield* make({ clock: counting })
      const items = Array.from({ length: 100 }, (_, i) => add(`item ${i}`))
      // The first ones, one from the middle, the last.
      for (const i of [0, 1, 50, 99]) deadlines.remove(items[i]!)
      assert.strictEqual(asked, 0)
      yield* microtask
      // Once for them, and once for the fiber that watches them now.
      assert.strictEqual(asked, 2)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(
        expired,
        items.flatMap(({ name }, i) => ([0, 1, 50, 99].includes(i) ? [] : [`${name} 100`]))
      )
    })
  )

  it.effect("need no fiber for what is removed before anything else happens", () =>
    Effect.gen(function* () {
      const { add, deadlines, expired, fibers } = yield* make()
      for (let i = 0; i < 100; i++) {
        deadlines.remove(add("quick"))
        if (i % 10 === 0) yield* microtask
      }
      yield* microtask
      assert.lengthOf(fibers, 0)
      // And are watched the next time all the same.
      add("slow")
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(expired, ["slow 100"])
    })
  )

  it.effect("leave nothing behind, soon after the last was removed", () =>
    Effect.gen(function* () {
      const { add, alive, deadlines, expired, fibers } = yield* make()
      for (let i = 0; i < 10; i++) {
        const item = add("short")
        yield* TestClock.adjust(10)
        deadlines.remove(item)
      }
      assert.deepStrictEqual([fibers.length, alive()], [1, 1])
      yield* TestClock.adjust(100)
      assert.strictEqual(alive(), 0)
      add("next")
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([expired.length, fibers.length, alive()], [1, 2, 0])
    })
  )

  it.effect("with onEmpty: leave nothing behind at once", () =>
    Effect.gen(function* () {
      let empty = 0
      const { add, alive, deadlines, expired, fibers } = yield* make({ onEmpty: () => empty++ })
      for (let i = 1; i <= 3; i++) {
        const items = [add("a"), add("b")]
        yield* TestClock.adjust(10)
        deadlines.remove(items[0]!)
        assert.deepStrictEqual([alive(), empty], [1, i - 1])
        deadlines.remove(items[1]!)
        assert.deepStrictEqual([alive(), empty, fibers.length], [0, i, i])
      }
      add("late")
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([expired, empty, alive()], [["late 130"], 4, 0])
    })
  )

  it.effect("may be added while one expires", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const context = yield* Effect.context<never>()
      const times: Array<number> = []
      const deadlines: Deadlines<Item> = new Deadlines<Item>({
        limit: 10,
        clock,
        fork: (effect) => void Effect.runForkWith(context)(effect),
        expire: () => {
          times.push(clock.currentTimeMillisUnsafe())
          if (times.length < 5) deadlines.add(new Item("again"))
        }
      })
      deadlines.add(new Item("first"))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(times, [10, 20, 30, 40, 50])
    })
  )
})
