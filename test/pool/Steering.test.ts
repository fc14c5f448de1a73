/** What changes a pool while it runs, end to end: the load, the memory that is left, its owner. */

import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as MemoryPressure from "../../src/pool/MemoryPressure.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { checkCounters, makeGate, type Pool, submitAll, turns } from "../support/pool.ts"

/** A pool whose event loop and memory are as the test says. */
const make = Effect.fnUntraced(function* (options: WorkerPool.Options) {
  const world = { utilisation: 0.2, memory: 0.5, looks: 0 }
  const pool = yield* WorkerPool.make(options).pipe(
    Effect.provideService(WorkerPool.EventLoopUtilisation, () => world.utilisation),
    Effect.provideService(MemoryPressure.MemoryUsed, () => {
      world.looks++
      return world.memory
    })
  )
  return { pool, world }
})

const sizes = Effect.fnUntraced(function* (pool: Pool) {
  const { maxWorkers, minWorkers, target, workers } = yield* pool.stats
  return { workers, target, minWorkers, maxWorkers }
})

describe("autoscale", () => {
  it.effect("reaches the size that a load step needs within a second, and shrinks to the minimum when idle", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 2, maxWorkers: 200 })
      const gate = yield* makeGate
      const handles = yield* submitAll(pool, gate.task, 100)
      assert.strictEqual(gate.running, 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(gate.running, 100)
      assert.deepStrictEqual(yield* sizes(pool), { workers: 100, target: 100, minWorkers: 2, maxWorkers: 200 })
      yield* gate.open
      yield* Effect.forEach(handles, (handle) => handle.await)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* pool.stats).workers, 100)
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* sizes(pool), { workers: 2, target: 2, minWorkers: 2, maxWorkers: 200 })

      // Each decision is told, and they lead from one to the next.
      const { sizeEvents } = yield* pool.stats
      let workers = 2
      for (const [i, { at, from, reason, to }] of sizeEvents.entries()) {
        assert.strictEqual(from, workers)
        assert.strictEqual(reason, to > from ? "tasks wait for suspended workers" : "workers are idle")
        assert.isAtLeast(at, sizeEvents[i - 1]?.at ?? 1)
        workers = to
      }
      assert.strictEqual(workers, 2)
      assert.isAtLeast(sizeEvents.length, 8)
    })
  )

  it.effect("grows for classes without a reserved worker, too", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 1, maxWorkers: 64 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 20, { priority: "bulk" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(gate.running, 20)
      // One is kept for others, and stays.
      yield* TestClock.adjust("1 minute")
      const { sizeEvents, workers } = yield* pool.stats
      assert.isAtLeast(workers, 21)
      assert.isTrue(sizeEvents.every(({ from, to }) => to > from))
      yield* gate.open
    })
  )

  it.effect("counts who waits for room, too: a small queue does not hide how much waits", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({
        maxWorkers: 64,
        minWorkers: 1,
        queueCapacity: 4,
        submitTimeout: "1 hour"
      })
      const gate = yield* makeGate
      for (let i = 0; i < 64; i++) yield* Effect.forkChild(pool.execute(gate.task), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* pool.stats).workers, 64)
      yield* gate.open
    }).pipe(Effect.provideService(WorkerPool.EventLoopUtilisation, () => 0))
  )

  it.effect("does not grow while the event loop is busy", () =>
    Effect.gen(function* () {
      const { pool, world } = yield* make({ minWorkers: 1, maxWorkers: 64 })
      world.utilisation = 0.95
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 20)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([(yield* pool.stats).workers, (yield* pool.stats).sizeEvents], [1, []])
      world.utilisation = 0.5
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* pool.stats).workers, 20)
      yield* gate.open
    })
  )

  it.effect("does not grow while nothing waits", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 4, maxWorkers: 64 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 4)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* pool.stats).workers, 4)
      yield* gate.open
    })
  )

  it.effect("does not look after a pool that has no need of it", () =>
    Effect.gen(function* () {
      const { pool, world } = yield* make({ minWorkers: 1, maxWorkers: 64 })
      yield* pool.execute(Effect.yieldNow)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.looks, 0)
      const gate = yield* makeGate
      const handles = yield* submitAll(pool, gate.task, 10)
      yield* TestClock.adjust("1 second")
      assert.isAbove(world.looks, 0)
      yield* gate.open
      yield* Effect.forEach(handles, (handle) => handle.await)
      yield* TestClock.adjust("1 minute")
      const { looks } = world
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.looks, looks)
    })
  )

  it.effect("does not flap with a load that comes and goes", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 1, maxWorkers: 64 })
      for (let i = 0; i < 40; i++) {
        const gate = yield* makeGate
        const handles = yield* submitAll(pool, gate.task, 32)
        yield* TestClock.adjust("800 millis")
        yield* gate.open
        yield* Effect.forEach(handles, (handle) => handle.await)
        yield* TestClock.adjust("700 millis")
      }
      const { sizeEvents, workers } = yield* pool.stats
      assert.strictEqual(workers, 32)
      assert.isTrue(sizeEvents.every(({ from, to }) => to > from))
    })
  )

  it.effect("resize changes the maximum, and the minimum as far as it must", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 4, maxWorkers: 8 })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 100)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* sizes(pool), { workers: 8, target: 8, minWorkers: 4, maxWorkers: 8 })
      yield* pool.resize(50)
      assert.deepStrictEqual(yield* sizes(pool), { workers: 8, target: 8, minWorkers: 4, maxWorkers: 50 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(gate.running, 50)
      yield* pool.resize(2)
      // The tasks that run are let be.
      assert.deepStrictEqual(yield* sizes(pool), { workers: 50, target: 2, minWorkers: 2, maxWorkers: 2 })
      yield* pool.resize(10)
      assert.deepStrictEqual(yield* sizes(pool), { workers: 50, target: 4, minWorkers: 4, maxWorkers: 10 })
      yield* gate.open
      yield* turns()
      // It still is the load that decides.
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* pool.stats).workers, 4)
      const again = yield* makeGate
      yield* submitAll(pool, again.task, 100)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(again.running, 10)
      yield* again.open
      const resizes = (yield* pool.stats).sizeEvents.filter(({ reason }) => reason === "resize")
      assert.deepStrictEqual(
        resizes.map(({ from, to }) => [from, to]),
        [
          [50, 2],
          [2, 4]
        ]
      )
    })
  )

  it.effect("a pool that may be of one size only, may scale after a resize", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ maxWorkers: 1, autoscale: true })
      yield* pool.resize(5)
      assert.deepStrictEqual(yield* sizes(pool), { workers: 1, target: 1, minWorkers: 1, maxWorkers: 5 })
    })
  )

  it.effect("resize says whether the load decides, when it is told how few there may be", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4 })
      const size = Effect.map(pool.stats, ({ maxWorkers, minWorkers, target }) => ({ maxWorkers, minWorkers, target }))
      yield* pool.resize(8, 2)
      assert.deepStrictEqual(yield* size, { maxWorkers: 8, minWorkers: 2, target: 4 })
      yield* pool.resize(6, 6)
      assert.deepStrictEqual(yield* size, { maxWorkers: 6, minWorkers: 6, target: 6 })
      assert.strictEqual((yield* Effect.flip(pool.resize(6, 7))).option, "minWorkers")
      assert.deepStrictEqual(yield* size, { maxWorkers: 6, minWorkers: 6, target: 6 })
    })
  )

  it.effect("without it, minWorkers means nothing and resize is the size", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ minWorkers: 2, maxWorkers: 6, autoscale: false })
      assert.deepStrictEqual(yield* sizes(pool), { workers: 6, target: 6, minWorkers: 6, maxWorkers: 6 })
      yield* pool.resize(3)
      assert.deepStrictEqual(yield* sizes(pool), { workers: 3, target: 3, minWorkers: 3, maxWorkers: 3 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* pool.stats).workers, 3)
    })
  )

  it.effect("remembers the last changes of its size, and no more", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ maxWorkers: 1 })
      for (let i = 0; i < 100; i++) {
        yield* TestClock.adjust(1)
        yield* pool.resize(1 + ((i + 1) % 2))
      }
      const { sizeEvents } = yield* pool.stats
      assert.lengthOf(sizeEvents, 64)
      assert.deepStrictEqual(sizeEvents.at(-1), { at: 100, from: 2, to: 1, reason: "resize" })
    })
  )
})

describe("memory pressure", () => {
  it.each([
    [0, 1],
    [0.5, 1],
    [0.6, 1],
    [0.65, 0.125],
    [0.675, 0.25 ** 3],
    [0.7, 0],
    [0.9, 0],
    [1, 0]
  ])("of the memory %d is in use: %d is open", (used, open) => {
    assert.closeTo(MemoryPressure.admission(used, { low: 0.6, high: 0.7 }), open, 1e-9)
  })

  it("watches from 70 to 90 per cent", () => {
    assert.deepStrictEqual(MemoryPressure.watermarks({}), { low: 0.7, high: 0.9 })
    assert.deepStrictEqual(MemoryPressure.watermarks({ high: 0.8 }), { low: 0.7, high: 0.8 })
  })

  /** Submitters that wait for room while one task runs. */
  const pressed = Effect.gen(function* () {
    const { pool, world } = yield* make({ maxWorkers: 1, queueCapacity: 10, submitTimeout: "1 hour" })
    const gate = yield* makeGate
    yield* pool.submit(gate.task)
    const submit = (count: number) =>
      Effect.forEach(Array.from({ length: count }), () =>
        Effect.forkChild(pool.submit(gate.task), { startImmediately: true })
      )
    const state = Effect.map(pool.stats, ({ admission, queued }) => [Math.round(admission * 100), queued.metadata])
    return { gate, pool, state, submit, world }
  })

  it.effect("admits less when memory is scarce, and lets in who waits when it recovers", () =>
    Effect.gen(function* () {
      const { gate, pool, state, submit, world } = yield* pressed
      yield* submit(4)
      world.memory = 0.9 - 0.2 * Math.cbrt(0.5)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* state, [50, 4])
      const waiting = yield* submit(20)
      assert.deepStrictEqual(yield* state, [50, 5])
      world.memory = 0.95
      yield* TestClock.adjust("1 second")
      // What is in the queue stays there.
      assert.deepStrictEqual(yield* state, [0, 5])
      world.memory = 0.9 - 0.2 * Math.cbrt(0.8)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* state, [80, 8])
      world.memory = 0.3
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* state, [100, 10])
      yield* gate.open
      yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
      yield* turns()
      assert.strictEqual((yield* checkCounters(pool)).completed, 25)
      // It has looked long enough.
      yield* TestClock.adjust("1 second")
      const { looks } = world
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.looks, looks)
    })
  )

  it.effect("however scarce it is, one task after the other is let in, and ends", () =>
    Effect.gen(function* () {
      const { gate, pool, state, submit, world } = yield* pressed
      world.memory = 1
      yield* submit(1)
      yield* TestClock.adjust("1 second")
      const waiting = yield* submit(50)
      assert.deepStrictEqual(yield* state, [0, 1])
      let cost = 0
      const expensive = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.forkChild(
          pool.execute(
            Effect.map(pool.stats, (stats) => (cost = Math.max(cost, stats.cost))),
            { cost: 1_000 }
          ),
          { startImmediately: true }
        )
      )
      yield* gate.open
      yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
      yield* Effect.forEach(expensive, (fiber) => Fiber.join(fiber))
      assert.strictEqual(gate.most, 1)
      assert.strictEqual(cost, 1_000)
      assert.strictEqual((yield* checkCounters(pool)).completed, 62)
    })
  )

  it.effect("is looked after while somebody waits for room, also when no task waits for a worker", () =>
    Effect.gen(function* () {
      const { pool, world } = yield* make({ maxWorkers: 100, memory: { maxCost: 100 }, submitTimeout: "1 hour" })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 10, { cost: 10 })
      yield* Effect.forkChild(pool.submit(gate.task, { cost: 10 }), { startImmediately: true })
      world.memory = 0.8
      yield* TestClock.adjust("1 second")
      assert.closeTo((yield* pool.stats).admission, 0.125, 1e-9)
      yield* gate.open
    })
  )
})
