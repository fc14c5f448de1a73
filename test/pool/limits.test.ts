/** What a task may take: time, and memory. */

import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { checkCounters, failure, makeGate, type Pool, submitAll, TestTask, turns } from "../support/pool.ts"
import { property } from "../support/runs.ts"

/** Classes with limits: a second for what is short, a minute for what is long. */
const priorities = {
  short: { weight: 2, timeLimit: "1 second" },
  long: { weight: 1, timeLimit: "1 minute" },
  endless: { weight: 1 }
} as const

const make = (options: WorkerPool.Options = {}) => WorkerPool.make({ maxWorkers: 1, priorities, ...options })

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(Effect.exit(effect), { startImmediately: true })

/** When a fiber ends, on the test's clock, and how. */
const timed = <A, E>(effect: Effect.Effect<A, E>) =>
  start(
    Effect.andThen(
      Effect.flip(effect),
      Effect.map(Clock.currentTimeMillis, (now) => now)
    ).pipe(Effect.orDie)
  )

describe("time limits", () => {
  it.effect("a waiting task ends at its limit, and never runs", () =>
    Effect.gen(function* () {
      const pool = yield* make()
      const gate = yield* makeGate
      yield* pool.submit(gate.task, { priority: "endless" })
      let ran = 0
      const count = Effect.sync(() => ran++)
      const executing = yield* start(pool.execute(count))
      const submitted = yield* pool.submit(count)
      const uninterruptible = yield* start(pool.execute(count, { uninterruptible: true }))
      yield* TestClock.adjust(999)
      assert.isUndefined(executing.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.instanceOf(failure(yield* Fiber.join(executing)), WorkerPool.TaskTimeout)
      assert.instanceOf(failure(yield* Fiber.join(uninterruptible)), WorkerPool.TaskTimeout)
      assert.instanceOf(yield* Effect.flip(submitted.await), WorkerPool.TaskTimeout)
      const { queued, timedOut } = yield* checkCounters(pool)
      assert.deepStrictEqual([queued["short"], timedOut], [0, 3])
      yield* gate.open
      yield* turns()
      assert.deepStrictEqual([ran, (yield* checkCounters(pool)).started], [0, 1])
    })
  )

  it.effect("a running one is interrupted: its finalizers are waited for, its worker is free again", () =>
    Effect.gen(function* () {
      const pool = yield* make()
      let finalized = false
      const task = Effect.ensuring(
        Effect.never,
        Effect.andThen(
          Effect.sleep(300),
          Effect.sync(() => (finalized = true))
        )
      )
      const hanging = yield* start(pool.execute(task))
      const next = yield* start(pool.execute(Effect.succeed("next"), { priority: "long" }))
      yield* TestClock.adjust(1_299)
      assert.deepStrictEqual([hanging.pollUnsafe(), next.pollUnsafe(), finalized], [undefined, undefined, false])
      yield* TestClock.adjust(1)
      assert.instanceOf(failure(yield* Fiber.join(hanging)), WorkerPool.TaskTimeout)
      assert.isTrue(finalized)
      assert.deepStrictEqual(yield* Fiber.join(next), Exit.succeed("next"))
      const { classes, timedOut } = yield* checkCounters(pool)
      assert.deepStrictEqual([timedOut, classes["short"]!.timedOut, classes["long"]!.completed], [1, 1, 1])
    })
  )

  it.effect("an uninterruptible one that has started completes", () =>
    Effect.gen(function* () {
      const pool = yield* make()
      const task = Effect.as(Effect.sleep("5 seconds"), "complete")
      const mutation = yield* start(pool.execute(task, { uninterruptible: true }))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(mutation), Exit.succeed("complete"))
      const context = yield* Effect.context<never>()
      const lowLevel = new TestTask(task, { context, priority: 0, uninterruptible: true })
      pool.offerUnsafe(lowLevel)
      pool.flushUnsafe()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([lowLevel.expired, lowLevel.exits], [false, [Exit.succeed("complete")]])
      const { completed, timedOut } = yield* checkCounters(pool)
      assert.deepStrictEqual([completed, timedOut], [2, 0])
    })
  )

  it.effect("count from the moment when a task came into the queue, waiting and running together", () =>
    Effect.gen(function* () {
      const pool = yield* make({ queueCapacity: 1, submitTimeout: "1 hour" })
      const gate = yield* makeGate
      yield* pool.submit(gate.task, { priority: "endless" })
      const inQueue = yield* timed(pool.execute(Effect.never))
      const outside = yield* timed(pool.execute(Effect.never))
      yield* TestClock.adjust(700)
      // The first runs, the second comes into the queue.
      yield* gate.open
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(inQueue), Exit.succeed(1_000))
      assert.deepStrictEqual(yield* Fiber.join(outside), Exit.succeed(1_700))
    })
  )

  it.effect("a task's own limit beats that of its class, shorter or longer or none", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 10 })
      const ended = (options: WorkerPool.TaskOptions) => timed(pool.execute(Effect.never, options))
      const fibers = yield* Effect.all([
        ended({}),
        ended({ timeout: 10 }),
        ended({ timeout: "3 seconds" }),
        ended({ priority: "long" }),
        ended({ priority: "endless", timeout: "2 minutes" })
      ])
      const never = [yield* ended({ timeout: Infinity }), yield* ended({ priority: "endless" })]
      yield* TestClock.adjust("1 hour")
      const times = yield* Effect.forEach(fibers, (fiber) => Effect.flatten(Fiber.join(fiber)))
      assert.deepStrictEqual(times, [1_000, 10, 3_000, 60_000, 120_000])
      assert.deepStrictEqual(
        never.map((fiber) => fiber.pollUnsafe()),
        [undefined, undefined]
      )
    })
  )

  it.effect("leave a task alone that ends before", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 20 })
      const results = yield* Effect.forEach(Array.from({ length: 20 }), (_, i) =>
        start(pool.execute(Effect.as(Effect.sleep(i * 52), i)))
      )
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(results, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(
        exits,
        results.map((_, i) => Exit.succeed(i))
      )
      assert.strictEqual((yield* checkCounters(pool)).timedOut, 0)
    })
  )

  it.effect("do not hide a defect in a finalizer", () =>
    Effect.gen(function* () {
      const pool = yield* make()
      const task = yield* start(pool.execute(Effect.onInterrupt(Effect.never, () => Effect.die("broken finalizer"))))
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(task)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.include(String(exit), "broken finalizer")
    })
  )

  it.effect("tell the low-level entry, too", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 2, priorities: { only: { weight: 1, timeLimit: "1 second" } } })
      const tasks = [0, 1].map(() => new TestTask(Effect.never, { priority: 0 }))
      const own = new TestTask(Effect.void, { priority: 0, timeLimit: 10 })
      for (const task of [...tasks, own]) assert.isTrue(pool.offerUnsafe(task))
      pool.flushUnsafe()
      yield* TestClock.adjust(10)
      assert.deepStrictEqual([own.expired, own.exits.length, tasks[0]!.exits.length], [true, 1, 0])
      yield* TestClock.adjust(990)
      for (const task of tasks) {
        assert.isTrue(task.expired)
        assert.deepStrictEqual(
          task.exits.map((exit) => failure(exit)?.constructor),
          [WorkerPool.TaskTimeout]
        )
      }
    })
  )

  it.effect("count from now for a task that comes in long after the last one", () =>
    Effect.gen(function* () {
      const pool = yield* make({ queueCapacity: 1 })
      const gate = yield* makeGate
      yield* pool.submit(gate.task)
      // One waits, one waits for room: that one comes in while another task starts.
      const others = yield* Effect.forEach([1, 2], () => start(pool.execute(Effect.void)))
      yield* gate.open
      yield* Effect.forEach(others, (fiber) => Fiber.join(fiber))
      yield* TestClock.adjust("10 seconds")
      const late = yield* start(pool.execute(Effect.sleep(500)))
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(yield* Fiber.join(late), Exit.void)
      assert.isBelow((yield* pool.stats).classes["short"]!.wait.max, 5_000_000)
    })
  )

  it.effect("hold while the pool stops, and while its scope ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(make(), scope)
      const hanging = yield* start(pool.execute(Effect.never))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.instanceOf(failure(yield* Fiber.join(hanging)), WorkerPool.TaskTimeout)
    })
  )

  it.live("leave no timers behind where tasks have ended, however many limits there were", () =>
    Effect.gen(function* () {
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const pool = yield* make({ maxWorkers: 50 })
      yield* turns()
      const before = timers()
      const quick = Array.from({ length: 500 }, (_, i) => pool.execute(Effect.void, { timeout: 10_000 + i }))
      yield* Effect.all(quick, { concurrency: "unbounded" })
      yield* turns()
      assert.isAtMost(timers() - before, 1)
      const slow = Array.from({ length: 500 }, (_, i) => pool.execute(Effect.sleep(1), { timeout: 20_000 + i }))
      yield* Effect.all(slow, { concurrency: 50 })
      // Some limits are thought to come again.
      assert.isAtMost(timers() - before, 65)
      assert.strictEqual((yield* checkCounters(pool)).completed, 1_000)
    })
  )
})

describe("stop with a timeout", () => {
  it.effect("then drops what waits and interrupts what runs, but for what is uninterruptible", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 2 })
      const gate = yield* makeGate
      const mutation = yield* makeGate
      const running = yield* start(pool.execute(gate.task, { priority: "endless" }))
      const uninterruptible = yield* start(pool.execute(mutation.task, { priority: "endless", uninterruptible: true }))
      const waiting = yield* start(pool.execute(gate.task, { priority: "endless" }))
      const stopping = yield* start(pool.stop({ timeout: "2 seconds" }))
      yield* TestClock.adjust(1_999)
      assert.deepStrictEqual(
        [running, waiting, stopping].map((f) => f.pollUnsafe()),
        [undefined, undefined, undefined]
      )
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(running)))
      assert.instanceOf(failure(yield* Fiber.join(waiting)), WorkerPool.PoolStopped)
      assert.deepStrictEqual([gate.interrupted, gate.done], [1, 0])
      assert.isUndefined(stopping.pollUnsafe())
      yield* mutation.open
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(yield* Fiber.join(uninterruptible), Exit.void)
      assert.strictEqual((yield* checkCounters(pool)).state, "stopped")
      yield* pool.start
      assert.strictEqual(yield* pool.execute(Effect.succeed("again")), "again")
    })
  )

  it.effect("ends before it when everything has", () =>
    Effect.gen(function* () {
      const pool = yield* make()
      const handles = yield* submitAll(pool, Effect.sleep(100), 5)
      const stopping = yield* start(Effect.andThen(pool.stop({ timeout: "2 seconds" }), Clock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(stopping), Exit.succeed(500))
      yield* Effect.forEach(handles, (handle) => handle.await)
    })
  )
})

describe("cost", () => {
  const costly = (pool: Pool, effect: Effect.Effect<unknown>, cost: number, options: WorkerPool.TaskOptions = {}) =>
    start(pool.execute(effect, { cost, priority: "endless", ...options }))

  it.effect("bounds what waiting and running tasks pin together", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 10, submitTimeout: "1 hour", memory: { maxCost: 100 } })
      let pinned = 0
      let most = 0
      const task = (cost: number) =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, (pinned += cost)))),
          () => Effect.sleep(10),
          () => Effect.sync(() => (pinned -= cost))
        )
      const fibers = yield* Effect.forEach(Array.from({ length: 60 }), (_, i) =>
        costly(pool, task((i % 7) * 9), (i % 7) * 9)
      )
      assert.isAtMost((yield* pool.stats).cost, 100)
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust(10)
        assert.isAtMost((yield* pool.stats).cost, 100)
      }
      const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      assert.isTrue(exits.every(Exit.isSuccess))
      assert.isAtMost(most, 100)
      assert.isAbove(most, 46)
      assert.strictEqual((yield* checkCounters(pool)).cost, 0)
    })
  )

  it.effect("is free again however a task ends", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 2, queueCapacity: 10, memory: { maxCost: 100 } })
      const options = { cost: 10, priority: "endless" }
      yield* pool.execute(Effect.void, options)
      yield* Effect.exit(pool.execute(Effect.die("dead"), options))
      const handles = [yield* pool.submit(Effect.never, options), yield* pool.submit(Effect.never, options)]
      const waiting = yield* pool.submit(Effect.never, options)
      const late = yield* start(pool.execute(Effect.never, { ...options, timeout: 10 }))
      assert.strictEqual((yield* pool.stats).cost, 40)
      yield* TestClock.adjust(10)
      assert.instanceOf(failure(yield* Fiber.join(late)), WorkerPool.TaskTimeout)
      yield* waiting.cancel
      yield* handles[0]!.cancel
      assert.strictEqual((yield* pool.stats).cost, 10)
      yield* pool.submit(Effect.never, options)
      yield* pool.submit(Effect.never, options)
      const stopping = yield* start(pool.stop({ drain: false, timeout: 10 }))
      assert.strictEqual((yield* pool.stats).cost, 20)
      yield* TestClock.adjust(10)
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* checkCounters(pool)).cost, 0)
    })
  )

  it.effect("of a single task may be above all that there is", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 2, memory: { maxCost: 100 } })
      const gate = yield* makeGate
      const huge = yield* costly(pool, gate.task, 1_000)
      assert.deepStrictEqual([gate.running, (yield* pool.stats).cost], [1, 1_000])
      const small = yield* costly(pool, Effect.succeed("small"), 1)
      yield* turns()
      assert.isUndefined(small.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(huge)
      assert.deepStrictEqual(yield* Fiber.join(small), Exit.succeed("small"))
    })
  )

  it.effect("saturates a pool like the number of tasks does", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 2, memory: { maxCost: 100 } })
      const gate = yield* makeGate
      yield* costly(pool, gate.task, 60)
      const refused = yield* costly(pool, gate.task, 60)
      yield* TestClock.adjust(50)
      assert.instanceOf(failure(yield* Fiber.join(refused)), WorkerPool.PoolSaturated)
      assert.strictEqual((yield* pool.stats).rejected, 1)
    })
  )

  it.effect("small tasks do not pass a large one that waits for room", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 4, submitTimeout: "1 hour", memory: { maxCost: 100 } })
      const order: Array<string> = []
      const task = (name: string) =>
        Effect.andThen(
          Effect.sync(() => order.push(name)),
          Effect.sleep(10)
        )
      const fibers = [yield* costly(pool, task("first"), 60)]
      fibers.push(yield* costly(pool, task("large"), 90))
      for (let i = 0; i < 5; i++) fibers.push(yield* costly(pool, task(`small ${i}`), 1))
      assert.deepStrictEqual(order, ["first"])
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(order, ["first", "large", "small 0", "small 1", "small 2", "small 3", "small 4"])
    })
  )

  it.effect("a large task does not starve, whatever comes through the low-level entry", () =>
    Effect.gen(function* () {
      const pool = yield* make({ maxWorkers: 10, submitTimeout: "1 hour", memory: { maxCost: 100 } })
      const clock = yield* Clock.Clock
      const context = yield* Effect.context<never>()
      let offered = 0
      let over = false
      // As connections do it: one call after the other, and when there is no room, in line for it.
      const client = (): void => {
        class Small extends TestTask {
          override onExit(): void {
            if (!over) next()
          }
        }
        const next = (): void => {
          offered++
          const task = new Small(Effect.sleep(10), { context, priority: 2, cost: 10 })
          if (pool.offerUnsafe(task)) return
          pool.awaitRoomUnsafe({ cost: 10, onRoom: () => assert.isTrue(pool.offerUnsafe(task)), onStopped: () => {} })
        }
        next()
      }
      for (let i = 0; i < 20; i++) client()
      pool.flushUnsafe()
      yield* TestClock.adjust(1_005)
      const large = yield* costly(pool, Clock.currentTimeMillis, 100)
      yield* TestClock.adjust(100)
      over = true
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(large)
      // All that run end, those that waited before it run and end, then it is its turn.
      assert.isAtMost(Exit.isSuccess(exit) ? Number(exit.value) : Infinity, 1_040)
      assert.isAbove(offered, 900)
      assert.isAtLeast(clock.currentTimeMillisUnsafe(), 2_105)
    })
  )

  it.effect.prop(
    "keeps those who wait for room in their order, whatever they cost",
    [
      Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 150 }))), {
        minLength: 1,
        maxLength: 30
      })
    ],
    ([costs]) =>
      Effect.gen(function* () {
        const pool = yield* make({ maxWorkers: 4, queueCapacity: 3, submitTimeout: "1 hour", memory: { maxCost: 100 } })
        const order: Array<number> = []
        const fibers = yield* Effect.forEach(costs, (cost, i) =>
          costly(
            pool,
            Effect.andThen(
              Effect.sync(() => order.push(i)),
              Effect.sleep(1 + (i % 3))
            ),
            cost
          )
        )
        for (let i = 0; i < 3 * costs.length; i++) {
          yield* TestClock.adjust(1)
          const { cost } = yield* pool.stats
          assert.isTrue(cost <= 100 || costs.includes(cost))
        }
        yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(
          order,
          costs.map((_, i) => i)
        )
        assert.strictEqual((yield* checkCounters(pool)).cost, 0)
      }).pipe(Effect.scoped),
    property(100, 60)
  )
})
