/** What a pool is told and tells: its configuration, its stats as they change, its metrics. */

import { availableParallelism } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as MemoryPressure from "../../src/pool/MemoryPressure.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { makeGate, submitAll } from "../support/pool.ts"

describe("metrics", () => {
  /** The values of the pool's metrics by name and attributes. */
  const values = Effect.map(Metric.snapshot, (snapshots) => {
    const found: Record<string, unknown> = {}
    for (const { attributes, id, state } of snapshots) {
      if (!id.startsWith("worker_pool_")) continue
      const labels = Object.values(attributes ?? {})
        .filter((value) => value !== "microseconds")
        .join(" ")
      found[`${id.slice("worker_pool_".length)} ${labels}`.trim()] =
        "count" in state ? state.count : (state as { value: unknown }).value
    }
    return found
  })

  it.effect("have the pool's numbers, a second old at most", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 4, memory: { maxCost: 1_000 } })
      const gate = yield* makeGate
      yield* submitAll(pool, gate.task, 5, { priority: "bulk", cost: 7 })
      yield* Effect.exit(pool.execute(Effect.fail("no")))
      yield* pool.execute(Effect.void)
      yield* TestClock.adjust("1 second")
      const found = yield* values
      assert.strictEqual(found["workers"], 4)
      assert.strictEqual(found["active"], 3)
      assert.strictEqual(found["utilisation"], 0.75)
      assert.strictEqual(found["cost_bytes"], 35)
      assert.strictEqual(found["admission"], 1)
      assert.strictEqual(found["queued bulk"], 2)
      assert.strictEqual(found["queued metadata"], 0)
      assert.strictEqual(found["tasks bulk submitted"], 5)
      assert.strictEqual(found["tasks bulk started"], 3)
      assert.strictEqual(found["tasks metadata completed"], 1)
      assert.strictEqual(found["tasks metadata failed"], 1)
      const { metadata } = (yield* pool.stats).classes
      assert.strictEqual(found["wait_microseconds metadata p99"], metadata!.wait.p99)
      assert.strictEqual(found["run_microseconds metadata p50"], metadata!.run.p50)
      assert.isAbove(metadata!.run.p50, 0)

      yield* gate.open
      yield* TestClock.adjust("3 seconds")
      const later = yield* values
      // Counters count on, nothing twice.
      assert.strictEqual(later["tasks bulk submitted"], 5)
      assert.strictEqual(later["tasks bulk completed"], 5)
      assert.deepStrictEqual([later["active"], later["queued bulk"], later["cost_bytes"]], [0, 0, 0])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("metrics of several pools", () => {
  const named = (name: string | undefined) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* WorkerPool.make({ maxWorkers: 3, name })
        yield* pool.execute(Effect.void)
      })
    )

  it.effect("are told apart by their names, and have the last numbers of a pool that has ended", () =>
    Effect.gen(function* () {
      yield* named("a")
      yield* named("b")
      yield* named(undefined)
      const completed = (yield* Metric.snapshot).filter(
        ({ attributes, id }) =>
          id === "worker_pool_tasks" && attributes?.["outcome"] === "completed" && attributes["class"] === "metadata"
      )
      assert.sameDeepMembers(
        completed.map(({ attributes, state }) => [attributes?.["pool"], "count" in state && state.count]),
        [
          ["a", 1],
          ["b", 1],
          [undefined, 1]
        ]
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("changes", () => {
  it.effect("gives the stats now, and once a second when they have changed", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 2 })
      const seen: Array<WorkerPool.Stats> = []
      const watching = yield* Effect.forkChild(
        Stream.runForEach(pool.changes, (stats) => Effect.sync(() => seen.push(stats)))
      )
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(seen, 1)
      assert.deepStrictEqual([seen[0]!.completed, seen[0]!.workers], [0, 2])
      yield* pool.execute(Effect.void)
      yield* TestClock.adjust("999 millis")
      assert.lengthOf(seen, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        seen.map((stats) => stats.completed),
        [0, 1]
      )
      yield* pool.resize(3)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        seen.map((stats) => stats.workers),
        [2, 2, 3]
      )
      assert.deepStrictEqual(seen[2]!.sizeEvents, [{ at: 11_000, from: 2, to: 3, reason: "resize" }])
      yield* Fiber.interrupt(watching)
    })
  )
})

describe("the layer", () => {
  const statsOf = <E>(layer: Layer.Layer<WorkerPool.WorkerPool, E>) =>
    Effect.provide(
      Effect.flatMap(WorkerPool.WorkerPool, (pool) => pool.stats),
      layer
    )

  it.effect("has its settings", () =>
    Effect.gen(function* () {
      const stats = yield* statsOf(
        WorkerPool.layer({
          maxWorkers: 9,
          minWorkers: 3,
          queueCapacity: 77,
          priorities: { only: { weight: 1 } },
          memory: { maxCost: 5_000 }
        })
      )
      assert.deepStrictEqual([stats.workers, stats.minWorkers, stats.maxWorkers], [3, 3, 9])
      assert.deepStrictEqual([stats.queueCapacity, stats.maxCost, stats.queued], [77, 5_000, { only: 0 }])
    })
  )

  it.effect("has defaults: an eighth of the memory, at least one worker where the load decides", () =>
    Effect.gen(function* () {
      const stats = yield* statsOf(WorkerPool.layer({ autoscale: true }))
      assert.deepStrictEqual([stats.minWorkers, stats.maxWorkers], [1, availableParallelism() * 4])
      assert.strictEqual(stats.maxCost, MemoryPressure.available() / 8)
      assert.isAbove(stats.maxCost, 2 ** 20)
    })
  )

  it.each([
    ["a machine without a limit", 0, 1_000],
    ["one that tells a limit beyond all machines", 2 ** 64 - 4_096, 1_000],
    ["a container with less than the machine", 300, 300],
    ["one that may take more than there is", 5_000, 1_000]
  ] as const)("takes as the memory there is: %s", (_, told, expected) => {
    assert.strictEqual(MemoryPressure.available(1_000, told), expected)
  })

  const refused = [
    [{ maxWorkers: 0 }, "maxWorkers", 0],
    [{ minWorkers: 5, maxWorkers: 4 }, "minWorkers", 5],
    [{ minWorkers: 0, maxWorkers: 4 }, "minWorkers", 0],
    [{ minWorkers: 1.5, maxWorkers: 4 }, "minWorkers", 1.5],
    [{ queueCapacity: 0 }, "queueCapacity", 0],
    [{ queueCapacity: NaN }, "queueCapacity", NaN],
    [{ batchSize: 0 }, "batchSize", 0],
    [{ batchSize: -1 }, "batchSize", -1],
    [{ memory: { maxCost: 0 } }, "maxCost", 0],
    [{ memory: { maxCost: NaN } }, "maxCost", NaN],
    [{ memory: { low: 0.9, high: 0.8 } }, "low", 0.9],
    [{ memory: { low: 0.9 } }, "low", 0.9],
    [{ memory: { high: NaN } }, "low", 0.7]
  ] as const satisfies ReadonlyArray<readonly [WorkerPool.Options, string, number]>

  it.effect.each(refused)("refuses %j", ([options, option, value]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(statsOf(WorkerPool.layer(options)))
      assert.strictEqual(error._tag, "PoolSizeInvalid")
      assert.deepStrictEqual([error.option, error.value], [option, value])
      assert.include(error.message, option)
      assert.include(error.message, String(value))
    })
  )
})

describe("layerConfig", () => {
  const configured = (env: Readonly<Record<string, string>>, options?: WorkerPool.Options) =>
    Effect.flatMap(WorkerPool.WorkerPool, (pool) => Effect.map(pool.stats, (stats) => ({ pool, stats }))).pipe(
      Effect.provide(
        WorkerPool.layerConfig(options).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
      )
    )

  it.effect.each([
    [{ EFFECT_NFS_MAX_WORKERS: "7" }, { workers: 7, maxWorkers: 7, minWorkers: 7 }],
    [
      { EFFECT_NFS_MAX_WORKERS: "7", EFFECT_NFS_MIN_WORKERS: "2" },
      { workers: 2, maxWorkers: 7, minWorkers: 2 }
    ],
    [
      { EFFECT_NFS_MAX_WORKERS: "7", EFFECT_NFS_AUTOSCALE: "true" },
      { workers: 1, maxWorkers: 7, minWorkers: 1 }
    ],
    [
      { EFFECT_NFS_MAX_WORKERS: "7", EFFECT_NFS_MIN_WORKERS: "2", EFFECT_NFS_AUTOSCALE: "false" },
      { workers: 7, maxWorkers: 7, minWorkers: 7 }
    ],
    [{ EFFECT_NFS_QUEUE_CAPACITY: "12" }, { queueCapacity: 12 }],
    [{ EFFECT_NFS_MEMORY_MAX_COST: "64MiB" }, { maxCost: 64 * 2 ** 20 }],
    [{ EFFECT_NFS_MEMORY_MAX_COST: "4KiB" }, { maxCost: 4096 }],
    [{ EFFECT_NFS_MEMORY_MAX_COST: "5000" }, { maxCost: 5000 }]
  ] as const)("takes %j", ([env, expected]) =>
    Effect.gen(function* () {
      assert.deepInclude((yield* configured(env)).stats, expected)
    })
  )

  it.effect("takes EFFECT_NFS_SUBMIT_TIMEOUT and EFFECT_NFS_BATCH_SIZE", () =>
    Effect.gen(function* () {
      const env = {
        EFFECT_NFS_MAX_WORKERS: "1",
        EFFECT_NFS_QUEUE_CAPACITY: "1",
        EFFECT_NFS_SUBMIT_TIMEOUT: "3 seconds",
        EFFECT_NFS_BATCH_SIZE: "5"
      }
      yield* Effect.gen(function* () {
        const pool = yield* WorkerPool.WorkerPool
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        const refused = yield* Effect.forkChild(Effect.flip(pool.execute(Effect.void)), { startImmediately: true })
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(refused.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(refused))._tag, "PoolSaturated")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          WorkerPool.layerConfig().pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
        )
      )
      const error = yield* Effect.flip(configured({ EFFECT_NFS_BATCH_SIZE: "0" }))
      assert.include(error.message, "batchSize")
    })
  )

  it.effect("takes EFFECT_NFS_MEMORY_LOW and EFFECT_NFS_MEMORY_HIGH", () =>
    Effect.gen(function* () {
      const env = {
        EFFECT_NFS_MAX_WORKERS: "1",
        EFFECT_NFS_MEMORY_LOW: "0.2",
        EFFECT_NFS_MEMORY_HIGH: "0.6"
      }
      yield* Effect.gen(function* () {
        const pool = yield* WorkerPool.WorkerPool
        const gate = yield* makeGate
        yield* submitAll(pool, gate.task, 2)
        assert.closeTo((yield* pool.stats).admission, 0.75 ** 3, 1e-9)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          WorkerPool.layerConfig().pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
        ),
        Effect.provideService(MemoryPressure.MemoryUsed, () => 0.3)
      )
    })
  )

  it.effect("lets options go before, where they say something", () =>
    Effect.gen(function* () {
      const env = {
        EFFECT_NFS_MAX_WORKERS: "7",
        EFFECT_NFS_QUEUE_CAPACITY: "12",
        EFFECT_NFS_MEMORY_MAX_COST: "4KiB",
        EFFECT_NFS_MEMORY_LOW: "0.2"
      }
      const { stats } = yield* configured(env, {
        maxWorkers: 3,
        queueCapacity: undefined,
        memory: { maxCost: undefined }
      })
      assert.deepInclude(stats, { maxWorkers: 3, queueCapacity: 12, maxCost: 4096 })
    })
  )

  it.effect.each([
    [{ EFFECT_NFS_MAX_WORKERS: "many" }, "MAX_WORKERS"],
    [{ EFFECT_NFS_AUTOSCALE: "perhaps" }, "AUTOSCALE"],
    [{ EFFECT_NFS_MEMORY_HIGH: "high" }, "HIGH"],
    [{ EFFECT_NFS_MEMORY_MAX_COST: "much" }, "MAX_COST"],
    [{ EFFECT_NFS_MEMORY_MAX_COST: "-1" }, "maxCost"],
    [{ EFFECT_NFS_MAX_WORKERS: "2", EFFECT_NFS_MIN_WORKERS: "3" }, "minWorkers"]
  ] as const)("refuses %j", ([env, named]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(configured(env))
      assert.include(["ConfigError", "PoolSizeInvalid"], error._tag)
      assert.include(error.message, named)
    })
  )
})
