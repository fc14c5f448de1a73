/** Who runs first: classes by weight, a worker that is kept for short tasks, and clients that take turns. */

import { setImmediate, setTimeout } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { MemoryUsed } from "../../src/pool/MemoryPressure.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { checkCounters, makeGate, type Pool, submitAll, TestTask, turns } from "../support/pool.ts"
import { property } from "../support/runs.ts"

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Computes for so many milliseconds. */
const compute = (millis: number) =>
  Effect.sync(() => {
    const end = performance.now() + millis
    while (performance.now() < end) {
      /* that is it */
    }
  })

/** Keeps `waiting` tasks of a class in the pool's queue, as long as the surrounding scope lives. */
const saturate = Effect.fnUntraced(function* (
  pool: Pool,
  task: Effect.Effect<unknown>,
  waiting: number,
  options: WorkerPool.TaskOptions
) {
  let ended = 0
  const again = Effect.forever(
    Effect.andThen(
      pool.execute(task, options),
      Effect.sync(() => ended++)
    )
  )
  yield* Effect.forEach(Array.from({ length: waiting }), () => Effect.forkScoped(again, { startImmediately: true }))
  return { ended: () => ended }
})

describe("the reserved worker", () => {
  it.effect("is kept free of classes that are not reserved", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4 })
      const bulk = yield* makeGate
      const metadata = yield* makeGate
      yield* submitAll(pool, bulk.task, 10, { priority: "bulk" })
      assert.strictEqual(bulk.running, 3)
      assert.strictEqual(yield* pool.execute(Effect.succeed("at once"), { priority: "metadata" }), "at once")
      yield* submitAll(pool, metadata.task, 2, { priority: "metadata" })
      assert.deepStrictEqual([bulk.running, metadata.running], [3, 1])
      // What is reserved may take all.
      yield* bulk.open
      yield* turns()
      assert.deepStrictEqual([bulk.done, metadata.running], [10, 2])
      yield* submitAll(pool, metadata.task, 5, { priority: "control" })
      assert.strictEqual(metadata.running, 4)
      yield* metadata.open
      yield* turns()
      assert.strictEqual((yield* checkCounters(pool)).completed, 18)
    })
  )

  it.effect("is given away when no class wants it", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({
        maxWorkers: 3,
        priorities: { first: { weight: 2 }, second: { weight: 1 } }
      })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 5, { priority: "second" })
      assert.strictEqual(gate.running, 3)
      yield* gate.open
    })
  )

  it.effect("is none in a pool of one, before and after a resize", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 1 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 5, { priority: "bulk" })
      assert.strictEqual(gate.running, 1)
      yield* pool.resize(2)
      assert.strictEqual(gate.running, 1)
      yield* pool.resize(3)
      assert.strictEqual(gate.running, 2)
      yield* gate.open
      yield* turns()
      assert.strictEqual(gate.done, 5)
    })
  )

  it.effect("takes what a cancelled task made room for", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 2, queueCapacity: 1 })
      const gate = yield* makeGate
      yield* pool.submit(gate.task, { priority: "bulk" })
      const waiting = yield* pool.submit(gate.task, { priority: "bulk" })
      const metadata = yield* Effect.forkChild(pool.execute(Effect.succeed("done")), { startImmediately: true })
      assert.isUndefined(metadata.pollUnsafe())
      yield* waiting.cancel
      yield* turns()
      assert.deepStrictEqual(metadata.pollUnsafe(), Exit.succeed("done"))
      yield* gate.open
    })
  )

  it.effect("makes metadata wait for nobody's bulk, which has its share all the same", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4 })
      const clock = yield* Clock.Clock
      const bulk = yield* saturate(pool, Effect.sleep(100), 50, { priority: "bulk", lane: "bulk" })
      const waits: Array<number> = []
      for (let i = 0; i < 100; i++) {
        yield* TestClock.adjust(17)
        const asked = clock.currentTimeMillisUnsafe()
        const task = Effect.andThen(
          Effect.sync(() => waits.push(clock.currentTimeMillisUnsafe() - asked)),
          Effect.sleep(5)
        )
        yield* Effect.forkChild(pool.execute(task), { startImmediately: true })
      }
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([waits.length, Math.max(...waits)], [100, 0])
      // Three of four workers have run nothing else, all the time.
      assert.closeTo(bulk.ended(), (1800 / 100) * 3, 3)
    })
  )

  it.effect("lets a flood of metadata not starve bulk", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4 })
      const metadata = yield* saturate(pool, Effect.sleep(10), 50, { priority: "metadata" })
      const bulk = yield* saturate(pool, Effect.sleep(10), 50, { priority: "bulk" })
      yield* TestClock.adjust("9 seconds")
      const all = metadata.ended() + bulk.ended()
      assert.closeTo(all, 3600, 10)
      // As their weights are: 16 to 2.
      assert.closeTo(bulk.ended() / all, 1 / 9, 0.01)
    })
  )

  it.live("adds one computing bulk task to the median wait of metadata at most", () =>
    Effect.gen(function* () {
      const BULK = 4
      const pool = yield* WorkerPool.make({ maxWorkers: 8 })
      const bulk = yield* saturate(pool, compute(BULK), 200, { priority: "bulk", lane: "bulk" })
      const waits: Array<number> = []
      const started = performance.now()
      for (let i = 0; i < 60; i++) {
        yield* Effect.promise(() => setTimeout(3))
        const asked = performance.now()
        yield* pool.execute(Effect.sync(() => waits.push(performance.now() - asked)))
      }
      // The timer itself waits for the bulk task that computes, too; both together are less than three of them.
      const elapsed = performance.now() - started
      assert.isBelow(median(waits), BULK * 1.5)
      assert.isBelow(elapsed / 60, 3 + BULK * 4)
      assert.isAbove(bulk.ended(), elapsed / BULK / 4)
    }).pipe(Effect.scoped)
  )
})

describe("room in a full queue", () => {
  it.effect("is kept for reserved classes, which do not stand in line behind others", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 2, queueCapacity: 16, submitTimeout: "1 hour" })
      const gate = yield* makeGate
      const bulk = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.forkChild(pool.execute(gate.task, { priority: "bulk" }), { startImmediately: true })
      )
      assert.strictEqual((yield* pool.stats).queued.bulk, 14)
      assert.strictEqual(yield* pool.execute(Effect.succeed("at once")), "at once")
      // Two may wait, the third stands in line, and comes in before any of the bulk.
      const metadata = yield* makeGate
      yield* pool.submit(metadata.task)
      const waiting = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(pool.submit(metadata.task), { startImmediately: true })
      )
      yield* turns()
      assert.deepInclude((yield* pool.stats).queued, { bulk: 14, metadata: 2 })
      assert.deepStrictEqual(
        waiting.map((fiber) => fiber.pollUnsafe() === undefined),
        [false, false, true]
      )
      yield* metadata.open
      yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
      yield* turns()
      assert.deepInclude((yield* pool.stats).queued, { bulk: 14, metadata: 0 })
      yield* gate.open
      yield* Effect.forEach(bulk, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual([gate.done, metadata.done], [40, 4])
      yield* checkCounters(pool)
    })
  )

  it.effect("as is what tasks may cost", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 20, memory: { maxCost: 800 }, submitTimeout: "1 hour" })
      const gate = yield* makeGate
      const bulk = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.forkChild(pool.execute(gate.task, { priority: "bulk", cost: 100 }), { startImmediately: true })
      )
      assert.deepStrictEqual([gate.running, (yield* pool.stats).cost], [7, 700])
      assert.strictEqual(yield* pool.execute(Effect.succeed("at once"), { cost: 100 }), "at once")
      yield* gate.open
      yield* Effect.forEach(bulk, (fiber) => Fiber.join(fiber))
    })
  )
})

describe("the line for room in a full queue", () => {
  /** `count` fibers that each repeat `task`, for as long as the test lasts; gives how often they did. */
  const repeatedly = Effect.fnUntraced(function* (
    pool: Pool,
    count: number,
    task: Effect.Effect<void>,
    options: WorkerPool.TaskOptions
  ) {
    const times = { done: 0 }
    const once = Effect.map(pool.execute(task, options), () => void times.done++)
    yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkScoped(Effect.forever(once), { startImmediately: true }),
      { discard: true }
    )
    return times
  })

  it.effect("is served by weight: no flood of one class keeps another out", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 8, submitTimeout: "1 hour" })
      const metadata = yield* repeatedly(pool, 1_500, Effect.sleep(2), { priority: "metadata" })
      const bulk = yield* repeatedly(pool, 20, Effect.sleep(2), { priority: "bulk" })
      for (let i = 0; i < 900; i++) yield* TestClock.adjust(2)
      assert.strictEqual(metadata.done + bulk.done, 7_200)
      // 16 to 2; at first what was there before.
      assert.isAbove(bulk.done, (7_200 - 1_500) / 9 - 50)
      assert.isBelow(bulk.done, 7_200 / 9 + 50)
    }).pipe(Effect.scoped)
  )

  it.effect("goes on when memory is scarce, for all classes", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4, submitTimeout: "1 hour" })
      const options = { cost: 10 }
      const metadata = yield* repeatedly(pool, 3, Effect.sleep(1), { priority: "metadata", ...options })
      const bulk = yield* repeatedly(pool, 2, Effect.sleep(1), { priority: "bulk", ...options })
      for (let i = 0; i < 400; i++) yield* TestClock.adjust(1)
      assert.isAbove(metadata.done, 150)
      assert.isAbove(bulk.done, 50)
    }).pipe(
      Effect.scoped,
      Effect.provideService(MemoryUsed, () => 0.95)
    )
  )

  it.effect.each(["metadata", "data", "bulk"] as const)(
    "is fair between lanes: 1,500 of one lane in %s delay a single of another by a few",
    (priority) =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4, submitTimeout: "1 hour" })
        const order: Array<string> = []
        const note = (name: string) =>
          Effect.andThen(
            Effect.sync(() => order.push(name)),
            Effect.sleep(1)
          )
        yield* Effect.forEach(
          Array.from({ length: 1_500 }),
          () => Effect.forkScoped(pool.execute(note("busy"), { priority, lane: "busy" }), { startImmediately: true }),
          { discard: true }
        )
        const before = order.length
        const single = yield* Effect.forkScoped(pool.execute(note("single"), { priority, lane: "single" }), {
          startImmediately: true
        })
        for (let i = 0; i < 20; i++) yield* TestClock.adjust(1)
        yield* Fiber.join(single)
        assert.isAtMost(order.indexOf("single") - before, 8)
      }).pipe(Effect.scoped)
  )

  it.effect("lets a task in that costs more than there is, beside a steady flow of reserved ones", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4, submitTimeout: "1 hour", memory: { maxCost: 1_000 } })
      yield* repeatedly(pool, 2, Effect.sleep(2), { priority: "metadata", cost: 1 })
      const large = yield* Effect.forkScoped(pool.execute(Effect.void, { priority: "bulk", cost: 900 }), {
        startImmediately: true
      })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(large.pollUnsafe(), Exit.void)
    }).pipe(Effect.scoped)
  )

  it.effect("survives a waiter that throws", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 2)
      const rude = () => {
        throw new Error("rude")
      }
      pool.awaitRoomUnsafe({ onRoom: rude, onStopped: rude })
      yield* gate.open
      yield* turns()
      assert.strictEqual(yield* pool.execute(Effect.succeed("alive")), "alive")
      assert.strictEqual((yield* checkCounters(pool)).active, 0)
    })
  )
})

describe("classes", () => {
  it.live("share a busy processor by weight", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 8 })
      const counts = [0, 0, 0, 0]
      let left = 20_000
      class Again extends TestTask {
        override onExit(): void {
          counts[this.priority]!++
          if (left-- > 0) assert.isTrue(pool.offerUnsafe(new Again(Effect.void, { priority: this.priority })))
        }
      }
      for (let i = 0; i < 256; i++) pool.offerUnsafe(new Again(Effect.void, { priority: i % 4 }))
      pool.flushUnsafe()
      while (left > 0) yield* Effect.promise(() => setImmediate())
      for (const [priority, weight] of [32, 16, 8, 2].entries()) {
        assert.closeTo(counts[priority]! / 20_000, weight / 58, 0.02)
      }
    })
  )

  it.effect("are those that the pool was given", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({
        maxWorkers: 1,
        priorities: { gold: { weight: 3 }, iron: { weight: 1, timeLimit: "1 second" } }
      })
      const gate = yield* makeGate
      yield* pool.submit(gate.task)
      const order: Array<string> = []
      for (const priority of ["iron", "gold"]) {
        yield* submitAll(
          pool,
          Effect.sync(() => order.push(priority)),
          8,
          { priority }
        )
      }
      const stats = yield* pool.stats
      assert.deepStrictEqual(stats.queued, { gold: 8, iron: 8 })
      assert.deepStrictEqual(Object.keys(stats.classes), ["gold", "iron"])
      // Without a word it is the first of them.
      assert.strictEqual(stats.classes["gold"]!.started, 1)
      assert.deepStrictEqual(["gold", "iron", "metadata"].map(pool.priorityIndex), [0, 1, undefined])
      yield* gate.open
      yield* turns()
      assert.closeTo(order.slice(0, 8).filter((name) => name === "gold").length, 6, 1)
      assert.lengthOf(order, 16)
    })
  )

  it.effect.each(["execute", "submit"] as const)("%s dies of one that the pool does not have", (entry) =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 1 })
      const exit = yield* Effect.exit(pool[entry](Effect.void, { priority: "urgent" }))
      assert.isTrue(Exit.hasDies(exit))
      assert.include(String(exit), "no priority class urgent: it has control, metadata, data, bulk")
      assert.strictEqual((yield* checkCounters(pool)).submitted, 0)
    })
  )

  it.effect.each([
    ["none", {}, "needs a priority class"],
    ["no weight", { idle: { weight: 0 } }, "the weight of the priority class idle must be a number above 0, not 0"],
    ["a weight that is no number", { odd: { weight: NaN } }, "odd must be a number above 0, not NaN"],
    ["all the weight there is", { all: { weight: Infinity } }, "all must be a number above 0, not Infinity"]
  ] as const)("cannot be %s", ([, priorities, message]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(WorkerPool.make({ maxWorkers: 1, priorities }))
      assert.isTrue(Exit.hasDies(exit))
      assert.include(String(exit), message)
    })
  )
})

describe("lanes", () => {
  it.effect("1,000 requests of a client delay another's single one by a task's time at most", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4 })
      const clock = yield* Clock.Clock
      yield* submitAll(pool, Effect.sleep(10), 1_000, { lane: "busy" })
      yield* TestClock.adjust(25)
      const asked = clock.currentTimeMillisUnsafe()
      const single = yield* Effect.forkChild(
        pool.execute(
          Effect.sync(() => clock.currentTimeMillisUnsafe() - asked),
          { lane: "single" }
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(yield* Fiber.join(single), 10)
    })
  )

  it.live("1,000 requests of a client that only compute delay another's single one by one batch at most", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4, batchSize: 32 })
      const order: Array<string> = []
      const offer = (lane: string) =>
        assert.isTrue(
          pool.offerUnsafe(
            new TestTask(
              Effect.sync(() => order.push(lane)),
              { lane }
            )
          )
        )
      for (let i = 0; i < 1_000; i++) offer("busy")
      pool.flushUnsafe()
      yield* Effect.promise(() => setImmediate())
      const before = order.length
      assert.isAbove(before, 0)
      offer("single")
      pool.flushUnsafe()
      while (order.length < 1_001) yield* Effect.promise(() => setImmediate())
      const position = order.indexOf("single")
      assert.isAtMost(position - before, 32)
    })
  )

  it.effect("any number of them leave nothing behind", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 2 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 2)
      const results = yield* Effect.forEach(Array.from({ length: 500 }), (_, i) =>
        pool.submit(Effect.succeed(i), { lane: { client: i } })
      )
      yield* gate.open
      const numbers = yield* Effect.forEach(results, (handle) => handle.await)
      assert.deepStrictEqual(
        numbers,
        Array.from({ length: 500 }, (_, i) => i)
      )
    })
  )
})

describe("batches", () => {
  const Batch = Schema.Struct({
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
    sleeper: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 39 })),
    lanes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  })

  it.effect.prop(
    "one task of each batch sleeps, and delays no other while a worker is free",
    [Arbitrary.array(Arbitrary.schema(Batch), { minLength: 1, maxLength: 7 })],
    ([batches]) =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 8, batchSize: 16 })
        let ran = 0
        const quick: Array<Effect.Effect<unknown>> = [
          Effect.sync(() => ran++),
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => ran++)
          )
        ]
        let expected = 0
        for (const { lanes, size, sleeper } of batches) {
          for (let i = 0; i < size; i++) {
            const sleeps = i === sleeper % size
            const task = new TestTask(sleeps ? Effect.sleep("1 hour") : quick[i % 2]!, { lane: i % lanes })
            if (!sleeps) expected++
            assert.isTrue(pool.offerUnsafe(task))
          }
          pool.flushUnsafe()
          // No time passes on the pool's clock.
          for (let i = 0; i < 500 && ran < expected; i++) yield* turns(1)
          assert.strictEqual(ran, expected)
        }
        assert.strictEqual((yield* checkCounters(pool)).active, batches.length)
        yield* pool.stop({ timeout: 0 }).pipe(Effect.forkChild)
        yield* TestClock.adjust(1)
      }).pipe(Effect.scoped),
    property(100, 60)
  )
})
