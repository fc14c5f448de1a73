import { availableParallelism } from "node:os"
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import * as Logs from "../support/logs.ts"
import { checkCounters, failure, makeGate, type Pool, submitAll, TestTask, turns } from "../support/pool.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly code: number }> {}

class Greeting extends Context.Service<Greeting, { readonly text: string }>()("test/Greeting") {}

const Level = Context.Reference<number>("test/Level", { defaultValue: () => 0 })

describe("WorkerPool", () => {
  describe("creation", () => {
    it.effect("makes the pool that was asked for", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.WorkerPool
        const stats = yield* pool.stats
        assert.strictEqual(stats.workers, 3)
        assert.strictEqual(stats.state, "running")
      }).pipe(Effect.provide(WorkerPool.layer({ maxWorkers: 3 })))
    )

    it.effect("works with a batch and a queue of one", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1, batchSize: 1 })
        const results = yield* Effect.forEach([1, 2, 3], (n) => pool.execute(Effect.succeed(n)), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(results, [1, 2, 3])
      })
    )

    it.effect.each([0, -1, 1.5, NaN, Infinity, WorkerPool.MAX_WORKERS + 1])("refuses %d workers", (maxWorkers) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(WorkerPool.make({ maxWorkers }))
        assert.strictEqual(error._tag, "PoolSizeInvalid")
        assert.deepStrictEqual([error.option, error.value], ["maxWorkers", maxWorkers])
        assert.include(error.message, String(maxWorkers))
      })
    )
  })

  it.effect("defaults: 4 workers for each core, room for 1,024 tasks, 50 ms to wait for it", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make()
      const workers = availableParallelism() * 4
      assert.strictEqual((yield* pool.stats).workers, workers)
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, workers + 1024)
      assert.strictEqual((yield* pool.stats).active, workers)
      assert.strictEqual((yield* pool.stats).queued.metadata, 1024)
      const late = yield* Effect.forkChild(Effect.flip(pool.execute(Effect.void)), { startImmediately: true })
      yield* TestClock.adjust("49 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(late))._tag, "PoolSaturated")
      yield* gate.open
    })
  )

  describe("execute", () => {
    it.effect("gives the result", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        assert.strictEqual(yield* pool.execute(Effect.succeed(1)), 1)
        assert.strictEqual(yield* pool.execute(Effect.as(Effect.yieldNow, 2)), 2)
        const slow = yield* Effect.forkChild(pool.execute(Effect.as(Effect.sleep("1 minute"), 3)))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(slow), 3)
        assert.strictEqual((yield* checkCounters(pool)).completed, 3)
      })
    )

    it.effect("completes a lone task without a turn of the event loop", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const fiber = yield* Effect.forkChild(pool.execute(Effect.succeed("at once")), { startImmediately: true })
        assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed("at once"))
      })
    )

    it.effect("keeps typed errors", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const broken: Effect.Effect<never, Broken | WorkerPool.PoolSaturated | WorkerPool.Refused> = pool.execute(
          new Broken({ code: 7 })
        )
        const code = yield* Effect.catchTag(broken, "Broken", (error) => Effect.succeed(error.code))
        assert.strictEqual(code, 7)
        const later = yield* Effect.flip(pool.execute(Effect.andThen(Effect.yieldNow, new Broken({ code: 8 }))))
        assert.deepStrictEqual(later, new Broken({ code: 8 }))
        assert.strictEqual((yield* checkCounters(pool)).failed, 2)
      })
    )

    it.effect("fails the submitter with a task's defect and leaves the worker alive", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const deaths = [
          Effect.die("boom"),
          Effect.andThen(Effect.yieldNow, Effect.die("boom")),
          Effect.sync(() => {
            throw "boom"
          }),
          Effect.onExit(Effect.void, () => Effect.die("boom"))
        ]
        for (const death of deaths) {
          const exit = yield* Effect.exit(pool.execute(death))
          assert.deepStrictEqual(Exit.isFailure(exit) && Cause.squash(exit.cause), "boom")
        }
        assert.strictEqual(yield* pool.execute(Effect.succeed("alive")), "alive")
        const stats = yield* checkCounters(pool)
        assert.strictEqual(stats.failed, deaths.length)
        assert.strictEqual(stats.workers, 1)
      })
    )

    it.effect("runs a task with the services and references of its submitter", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const task = Effect.gen(function* () {
          const before = `${(yield* Greeting).text} ${yield* Level}`
          yield* Effect.yieldNow
          return `${before} ${(yield* Greeting).text} ${yield* Level}`
        })
        const asked = (text: string, level: number) =>
          pool.execute(task).pipe(Effect.provideService(Greeting, { text }), Effect.provideService(Level, level))
        const answers = yield* Effect.all([asked("hello", 1), asked("moin", 2)], { concurrency: "unbounded" })
        assert.deepStrictEqual(answers, ["hello 1 hello 1", "moin 2 moin 2"])
        // Nothing of one task stays for the next.
        assert.strictEqual(yield* pool.execute(Level), 0)
      })
    )

    it.effect("ends a task's children with it", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        let ended = 0
        const child = Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++))
        yield* pool.execute(Effect.forkChild(child, { startImmediately: true }))
        assert.strictEqual(ended, 1)
        yield* pool.execute(Effect.andThen(Effect.forkChild(child, { startImmediately: true }), Effect.yieldNow))
        assert.strictEqual(ended, 2)
      })
    )

    it.effect.each([NaN, Infinity, -5, 0.1])("dies of a cost of %d, and goes on", (cost) =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const exit = yield* Effect.exit(pool.execute(Effect.void, { cost }))
        assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), `not ${cost}`)
        assert.strictEqual(yield* pool.execute(Effect.succeed("on"), { cost: 1 }), "on")
      })
    )

    it.effect("keeps the interruption of a task that interrupts itself", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const exit = yield* Effect.exit(pool.execute(Effect.interrupt))
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.strictEqual((yield* checkCounters(pool)).interrupted, 1)
        assert.strictEqual(yield* pool.execute(Effect.succeed("alive")), "alive")
      })
    )

    it.effect("runs tasks that a task submits", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const nested = pool.execute(Effect.andThen(pool.execute(Effect.succeed("inner")), Effect.succeed("outer")))
        assert.strictEqual(yield* nested, "outer")
        assert.strictEqual(yield* Effect.andThen(Effect.yieldNow, nested), "outer")
      })
    )

    it.effect("survives many tasks of one submitter one after the other, waiting or not", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        let sum = 0
        const step = Effect.sync(() => {
          sum++
        })
        for (let i = 0; i < 20_000; i++) yield* pool.execute(step)
        for (let i = 0; i < 500; i++) yield* pool.execute(Effect.andThen(Effect.yieldNow, step))
        assert.strictEqual(sum, 20_500)
        assert.strictEqual((yield* checkCounters(pool)).completed, 20_500)
      })
    )
  })

  describe("concurrent tasks", () => {
    it.effect("runs as many as there are workers and keeps the others waiting", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3, queueCapacity: 100 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 20)
        assert.strictEqual(gate.running, 3)
        assert.strictEqual((yield* checkCounters(pool)).active, 3)
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.strictEqual(gate.most, 3)
        assert.strictEqual(gate.done, 20)
        assert.strictEqual((yield* checkCounters(pool)).completed, 20)
      })
    )

    it.effect("never runs more than there are workers, whatever tasks do", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4, queueCapacity: 10 })
        let running = 0
        let most = 0
        const task = (i: number) =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              most = Math.max(most, ++running)
            }),
            () => (i % 3 === 0 ? Effect.void : i % 3 === 1 ? Effect.yieldNow : Effect.sleep("1 second")),
            () => Effect.sync(() => running--)
          )
        const all = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 300 }), (_, i) => Effect.exit(pool.execute(task(i))), {
            concurrency: 12
          })
        )
        while (all.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
        assert.strictEqual(most, 4)
        assert.isTrue((yield* Fiber.join(all)).every(Exit.isSuccess))
      })
    )

    it.effect("does not let a task that waits delay another while a worker is free", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3, batchSize: 100 })
        const order: Array<string> = []
        const note = (name: string) => Effect.sync(() => order.push(name))
        // One chunk of tasks, as a connection offers them: two of them wait, the others need not.
        const gate = yield* makeGate
        const tasks = [gate.task, note("a"), note("b"), gate.task, note("c"), note("d")].map((e) => new TestTask(e))
        for (const task of tasks) assert.isTrue(pool.offerUnsafe(task))
        pool.flushUnsafe()
        assert.deepStrictEqual(order, ["a", "b", "c", "d"])
        assert.strictEqual(gate.running, 2)
        yield* gate.open
        yield* turns()
        assert.isTrue(tasks.every((task) => task.exits.length === 1))
      })
    )

    it.effect("needs no fiber for what has ended already", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const done = new TestTask(Effect.succeed(1))
        const failed = new TestTask(Effect.fail("no"))
        let count = 1
        const ran = new TestTask(Effect.sync(() => ++count))
        for (const task of [done, failed, ran]) pool.offerUnsafe(task)
        pool.flushUnsafe()
        assert.deepStrictEqual(done.exits, [Exit.succeed(1)])
        assert.deepStrictEqual(failed.exits, [Exit.fail("no")])
        assert.deepStrictEqual(ran.exits, [Exit.succeed(2)])
        assert.deepStrictEqual(
          [done, failed, ran].map(({ fiber }) => fiber !== undefined),
          [false, false, true]
        )
        yield* checkCounters(pool)
      })
    )

    it.effect("lets a task die that cannot say what it does", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const defect = new Error("nothing to do")
        const task = new TestTask(Effect.never)
        Object.defineProperty(task, "effect", {
          get: () => {
            throw defect
          }
        })
        pool.offerUnsafe(task)
        pool.flushUnsafe()
        assert.deepStrictEqual(task.exits, [Exit.die(defect)])
        assert.strictEqual(yield* pool.execute(Effect.succeed("next")), "next")
      })
    )

    it.effect("nor one that was offered as another ended", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const first = yield* makeGate
        const second = yield* makeGate
        let ran = false
        // As a connection does it: calls that had to wait for their turn are offered when one before them ends.
        class Successful extends TestTask {
          override onExit(): void {
            pool.offerUnsafe(new TestTask(second.task))
            pool.offerUnsafe(new TestTask(Effect.sync(() => (ran = true))))
          }
        }
        pool.offerUnsafe(new Successful(first.task))
        pool.flushUnsafe()
        yield* first.open
        yield* turns()
        assert.deepStrictEqual([second.running, ran], [1, true])
      })
    )

    it.effect("goes on with waiting tasks as soon as a worker is free again", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const gates = [yield* makeGate, yield* makeGate]
        for (const gate of gates) yield* pool.submit(gate.task)
        const waiting = yield* Effect.forkChild(pool.execute(Effect.succeed("done")), { startImmediately: true })
        yield* turns()
        assert.isUndefined(waiting.pollUnsafe())
        yield* gates[1]!.open
        assert.strictEqual(yield* Fiber.join(waiting), "done")
        yield* gates[0]!.open
      })
    )

    it.live("gives the event loop its turn after a batch", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4, batchSize: 10, queueCapacity: 10_000 })
        let ran = 0
        const tasks = Array.from({ length: 1_000 }, () => new TestTask(Effect.sync(() => ran++)))
        for (const task of tasks) pool.offerUnsafe(task)
        pool.flushUnsafe()
        assert.strictEqual(ran, 10)
        const perTurn: Array<number> = []
        while (ran < 1_000) {
          const before = ran
          yield* Effect.promise(() => setImmediate())
          perTurn.push(ran - before)
          assert.isAtMost(perTurn.length, 1_000)
        }
        assert.isAtMost(Math.max(...perTurn), 10)
        assert.isTrue(tasks.every((task) => task.exits.length === 1))
      })
    )
  })

  describe("order", () => {
    const record = () => {
      const order: Array<string> = []
      return { order, note: (name: string) => Effect.sync(() => order.push(name)) }
    }

    it.effect("runs the tasks of one lane and class as they came", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const { note, order } = record()
        const handles = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) => pool.submit(note(String(i))))
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.deepStrictEqual(
          order,
          Array.from({ length: 50 }, (_, i) => String(i))
        )
      })
    )

    it.effect("prefers classes by weight and lets none starve", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task, { priority: "control" })
        const { note, order } = record()
        const handles: Array<WorkerPool.TaskHandle<number, never>> = []
        for (const priority of ["bulk", "data", "metadata", "control"] as const) {
          for (let i = 0; i < 64; i++) handles.push(yield* pool.submit(note(priority), { priority }))
        }
        assert.deepStrictEqual((yield* pool.stats).queued, { control: 64, metadata: 64, data: 64, bulk: 64 })
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        const round = order.slice(0, 58)
        for (const [priority, { weight }] of Object.entries(WorkerPool.standardPriorities)) {
          assert.closeTo(round.filter((name) => name === priority).length, weight, 1)
        }
      })
    )

    it.effect("lets lanes take turns", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task, { lane: "busy" })
        const { note, order } = record()
        yield* Effect.forEach(Array.from({ length: 1_000 }), () => pool.submit(note("busy"), { lane: "busy" }))
        const single = yield* pool.submit(note("single"), { lane: "single" })
        yield* gate.open
        yield* single.await
        assert.include(order.slice(0, 2), "single")
      })
    )
  })

  describe("interruption of the submitter", () => {
    it.effect("takes a waiting task out of the queue", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        let ran = false
        const fiber = yield* Effect.forkChild(pool.execute(Effect.sync(() => (ran = true))), { startImmediately: true })
        assert.strictEqual((yield* pool.stats).queued.metadata, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* checkCounters(pool)).queued.metadata, 0)
        yield* gate.open
        yield* turns()
        assert.isFalse(ran)
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.started, stats.completed, stats.interrupted], [1, 1, 1])
      })
    )

    it.effect("interrupts a running task and waits for its finalizers", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const finalizing = Latch.makeUnsafe()
        let finalized = false
        const task = Effect.onInterrupt(Effect.never, () =>
          Effect.andThen(
            finalizing.await,
            Effect.sync(() => (finalized = true))
          )
        )
        const fiber = yield* Effect.forkChild(pool.execute(task), { startImmediately: true })
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* turns()
        assert.isUndefined(interrupting.pollUnsafe())
        assert.strictEqual((yield* checkCounters(pool)).active, 1)
        yield* finalizing.open
        yield* Fiber.join(interrupting)
        assert.isTrue(finalized)
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.active, stats.interrupted], [0, 1])
        assert.strictEqual(yield* pool.execute(Effect.succeed("free")), "free")
      })
    )

    it.effect("lets an uninterruptible task complete once it has started", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const fiber = yield* Effect.forkChild(pool.execute(gate.task, { uninterruptible: true }), {
          startImmediately: true
        })
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* turns()
        assert.strictEqual(gate.running, 1)
        yield* gate.open
        yield* Fiber.join(interrupting)
        assert.strictEqual(gate.done, 1)
        assert.strictEqual((yield* checkCounters(pool)).completed, 1)
      })
    )

    it.effect("reaches no part of such a task, not even an interruptible one", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const handle = yield* pool.submit(Effect.interruptible(gate.task), { uninterruptible: true })
        const cancelling = yield* Effect.forkChild(handle.cancel, { startImmediately: true })
        yield* turns()
        assert.deepStrictEqual([gate.running, gate.interrupted], [1, 0])
        yield* gate.open
        yield* Fiber.join(cancelling)
        yield* handle.await
      })
    )

    it.effect("takes an uninterruptible task out while it waits", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        let ran = false
        const fiber = yield* Effect.forkChild(
          pool.execute(
            Effect.sync(() => (ran = true)),
            { uninterruptible: true }
          ),
          {
            startImmediately: true
          }
        )
        yield* Fiber.interrupt(fiber)
        yield* gate.open
        yield* turns()
        assert.isFalse(ran)
      })
    )

    it.effect("reaches a task in the middle of its first step", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const started = yield* Deferred.make<void>()
        let interrupted = 0
        // Whoever waits for `started` goes on inside the task's own step.
        const task = Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => interrupted++))
        )
        const fiber = yield* Effect.forkChild(pool.execute(task), { startImmediately: true })
        const interrupting = yield* Effect.forkChild(Effect.andThen(Deferred.await(started), Fiber.interrupt(fiber)), {
          startImmediately: true
        })
        yield* gate.open
        yield* Fiber.join(interrupting)
        assert.strictEqual(interrupted, 1)
        yield* turns()
        assert.strictEqual((yield* checkCounters(pool)).active, 0)
      })
    )

    it.effect("reaches a task that a freed worker is about to start", () =>
      Effect.gen(function* () {
        // The queue is full, so that a third submitter waits for room; what it does next happens just when the second
        // task leaves the queue.
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const second = yield* pool.submit(Effect.never)
        const third = yield* Effect.forkChild(Effect.andThen(pool.submit(Effect.void), second.cancel), {
          startImmediately: true
        })
        yield* gate.open
        yield* Fiber.join(third)
        assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(second.await)))
        yield* turns()
        assert.strictEqual((yield* checkCounters(pool)).active, 0)
      })
    )

    it.effect("forgets a task that still waits for room", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        let ran = 0
        const count = Effect.sync(() => ran++)
        const executing = yield* Effect.forkChild(pool.execute(count), { startImmediately: true })
        const submitting = yield* Effect.forkChild(pool.submit(count), { startImmediately: true })
        yield* Fiber.interrupt(executing)
        yield* Fiber.interrupt(submitting)
        yield* gate.open
        yield* turns()
        yield* TestClock.adjust("1 second")
        assert.strictEqual(ran, 0)
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.submitted, stats.rejected], [2, 0])
      })
    )
  })

  describe("a full queue", () => {
    it.effect("saturates after submitTimeout, for execute and submit", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 2, submitTimeout: "3 seconds" })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 3)
        const first = yield* Effect.forkChild(Effect.exit(pool.execute(Effect.void)), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        const second = yield* Effect.forkChild(Effect.exit(pool.submit(Effect.void)), { startImmediately: true })
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(first.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.instanceOf(failure(yield* Fiber.join(first)), WorkerPool.PoolSaturated)
        assert.isUndefined(second.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.instanceOf(failure(yield* Fiber.join(second)), WorkerPool.PoolSaturated)
        assert.strictEqual((yield* checkCounters(pool)).rejected, 2)
        yield* gate.open
        assert.strictEqual(yield* pool.execute(Effect.succeed("room again")), "room again")
      })
    )

    it.effect("lets who waits in as room comes, in the order of arrival", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        const order: Array<number> = []
        const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (i) =>
          Effect.forkChild(pool.execute(Effect.sync(() => order.push(i))), { startImmediately: true })
        )
        yield* TestClock.adjust("49 millis")
        yield* gate.open
        yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
        // Their time limit is gone with their waiting.
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* checkCounters(pool)).rejected, 0)
      })
    )

    it.effect("lets nobody pass those who wait for room", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const order: Array<string> = []
        const note = (name: string) => Effect.sync(() => order.push(name))
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        // It leaves the queue, and before anybody is let in, submits another.
        yield* pool.submit(
          Effect.andThen(note("first"), Effect.forkDetach(pool.execute(note("late")), { startImmediately: true }))
        )
        const waiting = yield* Effect.forkChild(pool.execute(note("waiting")), { startImmediately: true })
        yield* gate.open
        yield* Fiber.join(waiting)
        yield* turns()
        assert.deepStrictEqual(order, ["first", "waiting", "late"])
      })
    )

    it.effect("lets who waits in when a task is taken out of the queue", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        const [, queued] = yield* submitAll(pool, gate.task, 2)
        const waiting = yield* Effect.forkChild(pool.submit(gate.task), { startImmediately: true })
        yield* turns()
        assert.isUndefined(waiting.pollUnsafe())
        yield* queued!.cancel
        assert.isDefined(waiting.pollUnsafe())
      })
    )

    it.effect("saturates in time again and again", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        for (let i = 1; i <= 20; i++) {
          const fiber = yield* Effect.forkChild(Effect.exit(pool.execute(Effect.void)), { startImmediately: true })
          if (i % 2 === 0) {
            yield* TestClock.adjust("25 millis")
            yield* Fiber.interrupt(fiber)
          } else {
            yield* TestClock.adjust("50 millis")
            assert.instanceOf(failure(yield* Fiber.join(fiber)), WorkerPool.PoolSaturated)
          }
        }
        assert.strictEqual((yield* pool.stats).rejected, 10)
        yield* gate.open
      })
    )

    it.effect("saturates one after the other for a submitter that never gives up", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        const patient = yield* Effect.forkChild(Effect.retry(pool.execute(Effect.succeed("at last")), { times: 100 }), {
          startImmediately: true
        })
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* pool.stats).rejected, 20)
        yield* gate.open
        assert.strictEqual(yield* Fiber.join(patient), "at last")
      })
    )
  })

  describe("submit", () => {
    it.effect("gives a handle to await, for ever and for everybody", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const waits = yield* pool.submit(Effect.as(gate.task, 42))
        const fails = yield* pool.submit(new Broken({ code: 1 }))
        const both = yield* Effect.forkChild(Effect.all([waits.await, waits.await], { concurrency: 2 }))
        yield* gate.open
        assert.deepStrictEqual(yield* Fiber.join(both), [42, 42])
        assert.strictEqual(yield* waits.await, 42)
        assert.deepStrictEqual(yield* Effect.flip(fails.await), new Broken({ code: 1 }))
      })
    )

    it.effect("does not tie the task to its submitter's life", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const submitter = yield* Effect.forkChild(Effect.andThen(pool.submit(gate.task), Effect.never), {
          startImmediately: true
        })
        yield* Fiber.interrupt(submitter)
        assert.strictEqual(gate.running, 1)
        yield* gate.open
        yield* turns()
        assert.strictEqual(gate.done, 1)
      })
    )

    it.effect("leaves the task alone when who awaits it is interrupted", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const handle = yield* pool.submit(gate.task)
        const waiter = yield* Effect.forkChild(handle.await, { startImmediately: true })
        yield* Fiber.interrupt(waiter)
        yield* gate.open
        yield* handle.await
        assert.strictEqual(gate.done, 1)
      })
    )

    it.effect("cancels a waiting, a running and an ended task", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const running = yield* pool.submit(gate.task)
        const waiting = yield* pool.submit(gate.task)
        yield* waiting.cancel
        assert.strictEqual((yield* checkCounters(pool)).queued.metadata, 0)
        yield* running.cancel
        assert.strictEqual(gate.interrupted, 1)
        for (const { await: result } of [running, waiting]) {
          assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(result)))
        }
        const ended = yield* pool.submit(Effect.succeed("ended"))
        yield* ended.cancel
        assert.strictEqual(yield* ended.await, "ended")
        yield* running.cancel
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.interrupted, stats.completed], [2, 1])
      })
    )
  })

  describe("stats", () => {
    it.effect("tell what happened and what happens", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2, queueCapacity: 3, memory: { maxCost: 1000 } })
        const gate = yield* makeGate
        yield* pool.execute(Effect.void)
        yield* Effect.exit(pool.execute(Effect.fail("no")))
        yield* Effect.exit(pool.execute(Effect.die("dead")))
        yield* submitAll(pool, gate.task, 2)
        yield* pool.submit(gate.task, { priority: "bulk" })
        yield* pool.submit(gate.task, { priority: "control" })
        const cancelled = yield* pool.submit(gate.task, { priority: "control" })
        const refused = yield* Effect.forkChild(Effect.exit(pool.execute(Effect.void)), { startImmediately: true })
        yield* TestClock.adjust("50 millis")
        yield* Fiber.join(refused)
        yield* cancelled.cancel
        const { classes, ...now } = yield* checkCounters(pool)
        assert.deepStrictEqual(now, {
          state: "running",
          workers: 2,
          target: 2,
          minWorkers: 2,
          maxWorkers: 2,
          active: 2,
          utilisation: 1,
          queueCapacity: 3,
          cost: 0,
          maxCost: 1000,
          admission: 1,
          sizeEvents: [],
          timedOut: 0,
          queued: { control: 1, metadata: 0, data: 0, bulk: 1 },
          submitted: 8,
          started: 5,
          completed: 1,
          failed: 2,
          interrupted: 1,
          rejected: 1
        })
        const { run, wait, ...control } = classes.control!
        assert.deepStrictEqual(control, {
          submitted: 2,
          started: 0,
          completed: 0,
          failed: 0,
          interrupted: 1,
          rejected: 0,
          timedOut: 0
        })
        assert.deepStrictEqual([wait.count, run.count], [0, 0])
        assert.deepStrictEqual([classes.metadata!.wait.count, classes.metadata!.run.count], [5, 3])
        yield* gate.open
        yield* turns()
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.active, stats.completed, stats.started], [0, 5, 7])
      })
    )
  })

  describe("what tasks are counted as", () => {
    it.effect("interrupted: dropped by a stop; failed: died, whatever else happened to it", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const death = Effect.onExit(Effect.never, () => Effect.die("boom"))
        const late = yield* Effect.forkChild(Effect.exit(pool.execute(death, { timeout: "1 second" })), {
          startImmediately: true
        })
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.hasDies(yield* Fiber.join(late)))
        assert.deepInclude(yield* pool.stats, { failed: 1, interrupted: 0, timedOut: 0 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 3)
        const stopping = yield* Effect.forkChild(pool.stop({ drain: false }), { startImmediately: true })
        yield* gate.open
        yield* Fiber.join(stopping)
        assert.deepInclude(yield* checkCounters(pool), { completed: 1, failed: 1, interrupted: 2 })
      })
    )
  })

  describe("times in the stats", () => {
    const busy = (ms: number): void => {
      for (const end = performance.now() + ms; performance.now() < end;);
    }

    it.live("are those of a task alone, also where who hears of its end works and offers the next", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        let left = 200
        class Chained extends TestTask {
          override onExit(): void {
            busy(0.2)
            if (left-- > 0) assert.isTrue(pool.offerUnsafe(new Chained(Effect.void)))
          }
        }
        assert.isTrue(pool.offerUnsafe(new Chained(Effect.void)))
        pool.flushUnsafe()
        while ((yield* pool.stats).completed < 201) yield* turns(1)
        const { run, wait } = (yield* pool.stats).classes["metadata"]!
        assert.isAtLeast(wait.mean, 0)
        assert.isBelow(run.p50, 100)
        // They wait for a turn of the event loop each few tasks.
        assert.isBelow(wait.p50, 1_000)
      })
    )

    it.live("tell how long tasks waited and ran", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const handles = yield* Effect.forEach([1, 2, 3, 4, 5], () => pool.submit(Effect.sync(() => busy(4))))
        yield* Effect.forEach(handles, (handle) => handle.await)
        const { run, wait } = (yield* pool.stats).classes["metadata"]!
        assert.isAtLeast(run.mean, 4_000)
        assert.isAtLeast(run.p50, 4_000)
        assert.isAtLeast(wait.max, 3_000)
        // The first waits for nobody.
        assert.isBelow(wait.mean, wait.max)
      })
    )
  })

  describe("stop and restart", () => {
    it.effect("completes what runs and what waits, and accepts nothing more", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 6)
        const stopping = yield* Effect.forkChild(pool.stop(), { startImmediately: true })
        assert.strictEqual((yield* pool.stats).state, "stopping")
        assert.instanceOf(yield* Effect.flip(pool.execute(Effect.void)), WorkerPool.PoolStopped)
        assert.instanceOf(yield* Effect.flip(pool.submit(Effect.void)), WorkerPool.PoolStopped)
        assert.isFalse(pool.offerUnsafe(new TestTask(Effect.void)))
        yield* turns()
        assert.isUndefined(stopping.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(stopping)
        assert.strictEqual(gate.done, 6)
        yield* Effect.forEach(handles, (handle) => handle.await)
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.state, stats.workers, stats.completed], ["stopped", 0, 6])
        assert.instanceOf(yield* Effect.flip(pool.execute(Effect.void)), WorkerPool.PoolStopped)
      })
    )

    it.effect("without drain: completes what runs, refuses what waits", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const running = yield* pool.submit(gate.task)
        const waiting = yield* pool.submit(gate.task)
        const executing = yield* Effect.forkChild(Effect.exit(pool.execute(gate.task)), { startImmediately: true })
        const stopping = yield* Effect.forkChild(pool.stop({ drain: false }), { startImmediately: true })
        assert.instanceOf(yield* Effect.flip(waiting.await), WorkerPool.PoolStopped)
        assert.instanceOf(failure(yield* Fiber.join(executing)), WorkerPool.PoolStopped)
        assert.isUndefined(stopping.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* running.await
        assert.strictEqual(gate.done, 1)
        yield* checkCounters(pool)
      })
    )

    it.effect("refuses who waits for room", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        const executing = yield* Effect.forkChild(Effect.exit(pool.execute(Effect.void)), { startImmediately: true })
        const submitting = yield* Effect.forkChild(Effect.exit(pool.submit(Effect.void)), { startImmediately: true })
        const stopping = yield* Effect.forkChild(pool.stop(), { startImmediately: true })
        assert.instanceOf(failure(yield* Fiber.join(executing)), WorkerPool.PoolStopped)
        assert.instanceOf(failure(yield* Fiber.join(submitting)), WorkerPool.PoolStopped)
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* TestClock.adjust("1 second")
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.completed, stats.rejected], [2, 0])
      })
    )

    it.effect("a stop without drain takes over from one with", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 2)
        const stops = [yield* Effect.forkChild(pool.stop()), yield* Effect.forkChild(pool.stop({ drain: false }))]
        yield* turns()
        assert.instanceOf(yield* Effect.flip(handles[1]!.await), WorkerPool.PoolStopped)
        yield* gate.open
        yield* Effect.forEach(stops, (fiber) => Fiber.join(fiber))
        yield* handles[0]!.await
      })
    )

    it.effect("a second stop, and one of an idle pool, end at once", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        yield* pool.stop()
        assert.deepStrictEqual([(yield* pool.stats).workers, (yield* pool.stats).state], [0, "stopped"])
        yield* pool.stop()
        yield* pool.stop({ drain: false })
      })
    )

    it.effect("starts again, with the workers that it had", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3 })
        for (let i = 1; i <= 5; i++) {
          yield* pool.stop()
          yield* pool.start
          const gate = yield* makeGate
          const handles = yield* submitAll(pool, gate.task, 4)
          assert.strictEqual(gate.running, 3)
          yield* gate.open
          yield* Effect.forEach(handles, (handle) => handle.await)
          assert.strictEqual((yield* checkCounters(pool)).completed, i * 4)
        }
      })
    )

    it.effect("a start while it stops takes place after that", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const stopping = yield* Effect.forkChild(pool.stop(), { startImmediately: true })
        const starting = yield* Effect.forkChild(pool.start, { startImmediately: true })
        yield* turns()
        assert.strictEqual((yield* pool.stats).state, "stopping")
        assert.isUndefined(starting.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* Fiber.join(starting)
        assert.deepStrictEqual([(yield* pool.stats).state, (yield* pool.stats).workers], ["running", 2])
        assert.strictEqual(yield* pool.execute(Effect.succeed("again")), "again")
      })
    )

    it.effect("start of a running pool changes nothing", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        yield* pool.start
        assert.deepStrictEqual([(yield* pool.stats).workers, gate.running], [2, 1])
        yield* gate.open
      })
    )

    it.effect("lets a waiter that asked while it was stopped in after the start", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        yield* pool.stop()
        let rooms = 0
        pool.awaitRoomUnsafe({ onRoom: () => rooms++, onStopped: () => assert.fail("had it been stopped again?") })
        yield* turns()
        assert.strictEqual(rooms, 0)
        yield* pool.start
        assert.strictEqual(rooms, 1)
      })
    )

    it.effect("counts a task that a freed worker is about to start as one that runs", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const first = yield* makeGate
        const second = yield* makeGate
        yield* pool.submit(first.task)
        yield* pool.submit(second.task)
        // Stops the pool just when the second task leaves the queue.
        const stopping = yield* Effect.forkChild(
          Effect.andThen(pool.submit(Effect.void), pool.stop({ drain: false })),
          { startImmediately: true }
        )
        yield* first.open
        yield* turns()
        assert.isUndefined(stopping.pollUnsafe())
        assert.strictEqual(second.running, 1)
        yield* second.open
        yield* Fiber.join(stopping)
        assert.strictEqual(second.done, 1)
      })
    )

    it.effect("ends when its last waiting task is taken out of the queue", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, batchSize: 1 })
        const tasks = [new TestTask(Effect.void), new TestTask(Effect.void)]
        for (const task of tasks) pool.offerUnsafe(task)
        // Starts the first of them; the second waits for the next turn of the event loop.
        pool.flushUnsafe()
        const stopping = yield* Effect.forkChild(pool.stop(), { startImmediately: true })
        pool.cancelUnsafe(tasks[1]!)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(
          tasks.map((task) => Exit.isSuccess(task.exits[0]!)),
          [true, false]
        )
      })
    )

    it.effect("does not let waiters that ask again and again keep a stopping pool busy", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 2 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 3)
        let asked = 0
        const waiter: WorkerPool.RoomWaiter = {
          onRoom: () => {
            if (asked++ > 100) throw new Error("asked for ever")
            if (!pool.offerUnsafe(new TestTask(Effect.void))) pool.awaitRoomUnsafe(waiter)
          },
          onStopped: () => pool.awaitRoomUnsafe(waiter)
        }
        const stopping = yield* Effect.forkChild(
          Effect.andThen(pool.submit(Effect.void), pool.stop({ drain: false })),
          { startImmediately: true }
        )
        pool.awaitRoomUnsafe(waiter)
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* turns()
        assert.strictEqual(asked, 0)
      })
    )

    it.effect("survives stop and start in any turn", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        yield* Effect.all([pool.stop(), pool.start, pool.stop({ drain: false }), pool.start, pool.stop(), pool.start], {
          concurrency: "unbounded"
        })
        yield* pool.start
        assert.strictEqual(yield* pool.execute(Effect.succeed("fine")), "fine")
        assert.strictEqual((yield* pool.stats).workers, 2)
      })
    )
  })

  describe("the last of stop and start", () => {
    const state = (pool: Pool) => Effect.map(pool.stats, (stats) => stats.state)
    const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

    it.effect("holds: stop, start, stop", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const asked = [yield* fork(pool.stop()), yield* fork(pool.start), yield* fork(pool.stop())]
        yield* gate.open
        yield* Effect.forEach(asked, (fiber) => Fiber.join(fiber))
        assert.strictEqual(yield* state(pool), "stopped")
      })
    )

    it.effect("holds: a start while a stop runs out of time", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const asked = [yield* fork(pool.stop({ timeout: "1 second" })), yield* fork(pool.start)]
        yield* TestClock.adjust("1 second")
        yield* Effect.forEach(asked, (fiber) => Fiber.join(fiber))
        assert.strictEqual(yield* pool.execute(Effect.succeed("again")), "again")
        assert.strictEqual(gate.interrupted, 1)
      })
    )

    it.effect("holds: a start by who hears of the stop", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const again = pool.execute(Effect.void).pipe(Effect.catchTag("PoolStopped", () => pool.start))
        const waiting = [yield* fork(again), yield* fork(again)]
        const stopping = yield* fork(pool.stop({ drain: false }))
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
        assert.strictEqual(yield* state(pool), "running")
      })
    )
  })

  describe("resize", () => {
    it.effect("grows at once, under load", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 10)
        assert.strictEqual(gate.running, 1)
        yield* pool.resize(4)
        assert.strictEqual((yield* pool.stats).workers, 4)
        // On a machine that is busy enough, the event loop has its turn between two of them.
        for (let i = 0; i < 4; i++) yield* Effect.promise(() => setImmediate())
        assert.strictEqual(gate.running, 4)
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.strictEqual(gate.most, 4)
      })
    )

    it.effect("shrinks as tasks finish, and ends none of them", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4 })
        const gates = yield* Effect.all(Array.from({ length: 4 }, () => makeGate))
        for (const gate of gates) yield* pool.submit(gate.task)
        const later = yield* makeGate
        const handles = yield* submitAll(pool, later.task, 5)
        yield* pool.resize(2)
        assert.strictEqual((yield* pool.stats).workers, 4)
        assert.strictEqual((yield* pool.stats).active, 4)
        yield* gates[0]!.open
        yield* gates[1]!.open
        yield* turns()
        // Two ended with their tasks; nothing new was started.
        assert.deepStrictEqual([(yield* pool.stats).workers, later.running], [2, 0])
        yield* gates[2]!.open
        yield* gates[3]!.open
        yield* turns()
        assert.deepStrictEqual([(yield* pool.stats).workers, later.running], [2, 2])
        yield* later.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.deepStrictEqual(
          gates.map((gate) => gate.done),
          [1, 1, 1, 1]
        )
        assert.strictEqual(later.most, 2)
        assert.strictEqual((yield* checkCounters(pool)).completed, 9)
      })
    )

    it.effect("ends idle workers at once", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 8 })
        yield* pool.resize(3)
        assert.strictEqual((yield* pool.stats).workers, 3)
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 5)
        assert.strictEqual(gate.running, 3)
        yield* gate.open
      })
    )

    it.effect("keeps workers that shall stay after all", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 8)
        yield* pool.resize(1)
        yield* pool.resize(5)
        assert.deepStrictEqual([(yield* pool.stats).workers, gate.running], [5, 5])
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.strictEqual((yield* pool.stats).workers, 5)
      })
    )

    it.effect.each([0, -3, 2.5, NaN, WorkerPool.MAX_WORKERS + 1])("refuses %d workers", (workers) =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const error = yield* Effect.flip(pool.resize(workers))
        assert.instanceOf(error, WorkerPool.PoolSizeInvalid)
        assert.strictEqual((yield* pool.stats).workers, 2)
      })
    )

    it.effect("ends in the size that was asked for last", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 50)
        yield* Effect.forEach([7, 1, 20, 3, 9, 2, 6], (n) => pool.resize(n), { concurrency: "unbounded" })
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        assert.strictEqual((yield* pool.stats).workers, 6)
        assert.strictEqual(gate.done, 50)
      })
    )

    it.effect("under full load loses nothing, runs nothing twice, and keeps the order of each lane and class", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3, queueCapacity: 64, submitTimeout: "1 hour" })
        const names = Object.keys(WorkerPool.standardPriorities)
        const started = new Map<string, Array<number>>()
        let running = 0
        let ceiling = 3
        const task = (i: number, order: string) =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              assert.isAtMost(++running, ceiling)
              started.set(order, [...(started.get(order) ?? []), i])
            }),
            () => (i % 3 === 0 ? Effect.void : i % 3 === 1 ? Effect.yieldNow : Effect.sleep(1 + (i % 7))),
            () => Effect.sync(() => running--)
          )
        const fibers = yield* Effect.forEach(Array.from({ length: 2_000 }), (_, i) => {
          const [lane, priority] = [i % 5, names[i % 4]!]
          return Effect.forkChild(pool.execute(Effect.as(task(i, `${lane} ${priority}`), i), { lane, priority }), {
            startImmediately: true
          })
        })
        let size = 1
        while (fibers.some((fiber) => fiber.pollUnsafe() === undefined)) {
          size = ((size * 7 + 3) % 40) + 1
          // While it shrinks, those that are too many finish what they run.
          ceiling = Math.max(size, running)
          yield* pool.resize(size)
          yield* TestClock.adjust(1)
          assert.isAtLeast(running, 0)
        }
        const results = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(
          results,
          results.map((_, i) => i)
        )
        for (const order of started.values())
          assert.deepStrictEqual(
            order,
            order.toSorted((a, b) => a - b)
          )
        assert.strictEqual([...started.values()].flat().length, 2_000)
        yield* TestClock.adjust("1 second")
        const stats = yield* checkCounters(pool)
        assert.deepStrictEqual([stats.completed, stats.workers], [2_000, size])
      })
    )

    it.effect("delays no task beyond its turn: what waits goes on in the same moment", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 4 })
        const clock = yield* Clock.Clock
        const ends: Array<number> = []
        const task = Effect.andThen(
          Effect.sleep(100),
          Effect.sync(() => ends.push(clock.currentTimeMillisUnsafe()))
        )
        const handles = yield* submitAll(pool, task, 14)
        yield* TestClock.adjust(50)
        yield* pool.resize(2)
        yield* TestClock.adjust(100)
        yield* pool.resize(6)
        yield* TestClock.adjust("1 second")
        yield* Effect.forEach(handles, (handle) => handle.await)
        // Four from 0 on, two from 100 on, four more from 150 on, and then six at a time.
        assert.deepStrictEqual(ends, [100, 100, 100, 100, 200, 200, 250, 250, 250, 250, 300, 300, 350, 350])
      })
    )

    it.effect("of a stopped pool takes effect with the start, of a stopping one at once", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 3)
        const stopping = yield* Effect.forkChild(pool.stop(), { startImmediately: true })
        yield* pool.resize(3)
        assert.strictEqual(gate.running, 3)
        yield* gate.open
        yield* Fiber.join(stopping)
        yield* pool.resize(5)
        assert.strictEqual((yield* pool.stats).workers, 0)
        yield* pool.start
        assert.strictEqual((yield* pool.stats).workers, 5)
      })
    )
  })

  describe("the end of its scope", () => {
    it.effect("is for good: no start brings it back", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(WorkerPool.make({ maxWorkers: 1 }), scope)
        const gate = yield* makeGate
        yield* pool.submit(gate.task)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        const starting = yield* Effect.forkChild(pool.start, { startImmediately: true })
        yield* gate.open
        yield* Fiber.join(closing)
        yield* Fiber.join(starting)
        yield* pool.start
        assert.strictEqual((yield* pool.stats).state, "stopped")
        assert.instanceOf(yield* Effect.flip(pool.execute(Effect.void)), WorkerPool.PoolStopped)
      })
    )

    it.effect("is bounded by shutdownTimeout, whatever hangs", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(WorkerPool.make({ maxWorkers: 2, shutdownTimeout: "5 seconds" }), scope)
        const gate = yield* makeGate
        const hanging = yield* makeGate
        yield* pool.submit(gate.task)
        yield* pool.submit(hanging.task, { uninterruptible: true })
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust(4_999)
        assert.isUndefined(closing.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(closing)
        assert.deepStrictEqual([gate.interrupted, hanging.interrupted, hanging.running], [1, 0, 1])
      })
    )

    it.effect("completes what runs, refuses what waits and all that comes later", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 }), scope)
        const gate = yield* makeGate
        const running = yield* pool.submit(gate.task)
        const waiting = yield* pool.submit(gate.task)
        const outside = yield* Effect.forkChild(Effect.exit(pool.execute(Effect.void)), { startImmediately: true })
        yield* turns()
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* turns()
        assert.instanceOf(failure(yield* Effect.exit(waiting.await)), WorkerPool.PoolStopped)
        assert.instanceOf(failure(yield* Fiber.join(outside)), WorkerPool.PoolStopped)
        assert.isUndefined(closing.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(closing)
        yield* running.await
        assert.instanceOf(yield* Effect.flip(pool.execute(Effect.void)), WorkerPool.PoolStopped)
        assert.strictEqual((yield* checkCounters(pool)).workers, 0)
      })
    )
  })

  describe("quiesce", () => {
    it.effect("waits for what runs, not for what waits or comes later", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        yield* pool.quiesce
        const [first, second, later] = [yield* makeGate, yield* makeGate, yield* makeGate]
        yield* submitAll(pool, first.task, 1)
        yield* submitAll(pool, second.task, 1)
        yield* submitAll(pool, later.task, 1)
        const quiet = yield* Effect.forkChild(pool.quiesce, { startImmediately: true })
        yield* second.open
        yield* turns()
        assert.strictEqual(later.running, 1)
        assert.isUndefined(quiet.pollUnsafe())
        yield* first.open
        yield* Fiber.join(quiet)
        assert.strictEqual(later.running, 1)
      })
    )

    it.effect("waits for what ends badly, too, and for nobody who asks from within", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3 })
        const gate = yield* makeGate
        yield* submitAll(pool, Effect.andThen(gate.task, Effect.die("broken")), 1)
        const hanging = yield* pool.submit(Effect.never)
        const inside = yield* pool.submit(pool.quiesce)
        yield* turns()
        yield* hanging.cancel
        yield* gate.open
        yield* inside.await
      })
    )
  })

  describe("the low-level entry", () => {
    it.effect("tells each task's end once: of what ran, was cancelled, or was refused by a stop", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 3 })
        const gate = yield* makeGate
        const tasks = [gate.task, Effect.void, Effect.void, Effect.void].map((effect) => new TestTask(effect))
        pool.offerUnsafe(tasks[0]!)
        pool.flushUnsafe()
        for (const task of tasks.slice(1)) assert.isTrue(pool.offerUnsafe(task))
        assert.isFalse(pool.offerUnsafe(new TestTask(Effect.void)))
        pool.cancelUnsafe(tasks[2]!)
        pool.cancelUnsafe(tasks[2]!)
        assert.isTrue(Exit.hasInterrupts(tasks[2]!.exits[0]!))
        const stopping = yield* Effect.forkChild(pool.stop({ drain: false }), { startImmediately: true })
        yield* gate.open
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(
          tasks.map((task) => task.exits.length),
          [1, 1, 1, 1]
        )
        assert.instanceOf(failure(tasks[3]!.exits[0]!), WorkerPool.PoolStopped)
        yield* checkCounters(pool)
      })
    )

    it.effect("calls a waiter once when there is room, and one that was forgotten never", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 1, queueCapacity: 1 })
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        let rooms = 0
        const waiter = { onRoom: () => rooms++, onStopped: () => {} }
        const forgotten = { onRoom: () => assert.fail("was forgotten"), onStopped: () => {} }
        pool.awaitRoomUnsafe(forgotten)
        pool.awaitRoomUnsafe(waiter)
        pool.forgetRoomUnsafe(forgotten)
        yield* gate.open
        yield* turns()
        assert.strictEqual(rooms, 1)
      })
    )

    it.effect("survives a task whose onExit throws", () =>
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 2 })
        const { context, messages } = Logs.make()
        class Rude extends TestTask {
          override readonly context = context
          override onExit(): void {
            throw new Error("rude")
          }
        }
        for (const effect of [Effect.void, Effect.yieldNow, Effect.void]) {
          pool.offerUnsafe(new Rude(effect))
          pool.flushUnsafe()
        }
        yield* turns()
        assert.strictEqual(yield* pool.execute(Effect.succeed("fine")), "fine")
        assert.deepStrictEqual(
          messages,
          Array.from({ length: 3 }, () => "Error: onExit of a task threw Error: rude")
        )
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        assert.strictEqual(gate.running, 2)
        yield* gate.open
        yield* turns()
        assert.strictEqual((yield* checkCounters(pool)).completed, 6)
      })
    )
  })
})
