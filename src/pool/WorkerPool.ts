/**
 * A bounded pool of workers: at most so many effects run at once, so many more wait, and all else is told to come
 * back. Waiting effects are ranked by priority class and shared fairly between lanes.
 *
 * ```ts
 * const program = Effect.gen(function*() {
 *   const pool = yield* WorkerPool.WorkerPool
 *   return yield* pool.execute(Effect.sleep("1 second"), { priority: "bulk", lane: "somebody" })
 * }).pipe(Effect.provide(WorkerPool.layer({ maxWorkers: 8 })))
 * ```
 */

import { availableParallelism } from "node:os"
import { performance } from "node:perf_hooks"
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Budget } from "./Budget.ts"
import * as MemoryPressure from "./MemoryPressure.ts"
import type { Watermarks } from "./MemoryPressure.ts"
import * as PoolError from "./PoolError.ts"
import * as PoolMetrics from "./PoolMetrics.ts"
import { type ClassStats, type Stats, summary, total } from "./PoolStats.ts"
import * as Priorities from "./Priorities.ts"
import type { RoomWaiter } from "./RoomWaiter.ts"
import { Scheduler } from "./Scheduler.ts"
import { Steering } from "./Steering.ts"
import { type Refused, Submissions, type TaskHandle, type TaskOptions } from "./Submission.ts"
import type { Task } from "./Task.ts"

export type { Watermarks }
export { PoolSaturated, PoolSizeInvalid, PoolStopped, TaskTimeout } from "./PoolError.ts"
export type { ClassSummary, Counters, SizeEvent, Stats } from "./PoolStats.ts"
export { type PriorityOptions, standard as standardPriorities } from "./Priorities.ts"
export type { RoomWaiter } from "./RoomWaiter.ts"
export type { Refused, TaskHandle, TaskOptions } from "./Submission.ts"
export { Task } from "./Task.ts"

/** Most workers that a pool may have. */
export const MAX_WORKERS = 65_536

/** How often `changes` looks at the pool, and the metrics are brought up to date. */
const REPORT_INTERVAL = "1 second"

export interface MemoryOptions extends Watermarks {
  /** Bytes that waiting and running tasks may pin together (their `cost`s); default: an eighth of the memory there is. */
  readonly maxCost?: number | undefined
}

export interface Options {
  /** Effects that run at once, at most; default: 4 for each available core. */
  readonly maxWorkers?: number | undefined
  /** With fewer than `maxWorkers`, the load decides how many there are; default `maxWorkers`, or 1 with `autoscale`. */
  readonly minWorkers?: number | undefined
  /** Whether the load decides how many workers there are; default: if `minWorkers` is less than `maxWorkers`. */
  readonly autoscale?: boolean | undefined
  /** Effects that wait; default 1,024. */
  readonly queueCapacity?: number | undefined
  /** How long `execute` and `submit` wait for room in a full queue; default 50 ms. */
  readonly submitTimeout?: Duration.Input | undefined
  /** The classes, by name; default {@link standardPriorities}. */
  readonly priorities?: Readonly<Record<string, Priorities.PriorityOptions>> | undefined
  /** Tasks that are started before the event loop gets its turn, fewer when they take long; default 64. */
  readonly batchSize?: number | undefined
  readonly memory?: MemoryOptions | undefined
  /**
   * How long the end of its scope waits for what runs. What can be interrupted then is, and nothing is waited for any more,
   * not even for what is uninterruptible. Default: as long as it takes.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Tells its metrics from those of other pools in the process: their attribute `pool`. Default: they have none. */
  readonly name?: string | undefined
}

export interface StopOptions {
  /** Whether what waits is run, too; otherwise it ends with `PoolStopped`. Default `true`. */
  readonly drain?: boolean | undefined
  /** After this time what waits is dropped and what runs is interrupted, but for what is uninterruptible. Default: never. */
  readonly timeout?: Duration.Input | undefined
}

export class WorkerPool extends Context.Service<
  WorkerPool,
  {
    /**
     * Runs an effect in the pool and gives its result. Interrupting the caller takes the effect out of the queue or
     * interrupts it where it runs. An effect that itself waits for the pool can exhaust it.
     */
    readonly execute: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options?: TaskOptions
    ) => Effect.Effect<A, E | PoolError.PoolSaturated | Refused, R>
    /** Puts an effect into the queue and gives a handle to await or cancel it. */
    readonly submit: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options?: TaskOptions
    ) => Effect.Effect<TaskHandle<A, E>, PoolError.PoolSaturated | PoolError.PoolStopped, R>
    /**
     * Changes the number of workers, live: more start at once, surplus ones end with the task that they run. From 1 to
     * {@link MAX_WORKERS}. Where the load decides, it changes the most that there may be. With `minWorkers` the load decides
     * between both, or nothing does when they are the same.
     */
    readonly resize: (workers: number, minWorkers?: number) => Effect.Effect<void, PoolError.PoolSizeInvalid>
    /**
     * Accepts tasks again after `stop` (and when that is still at work, after its end). Of `start` and `stop` the one that was
     * asked for last holds. After the end of the pool's scope it does nothing.
     */
    readonly start: Effect.Effect<void>
    /** Accepts nothing more and waits until what runs has completed. */
    readonly stop: (options?: StopOptions) => Effect.Effect<void>
    /**
     * Waits until all that runs at this moment has ended, but for the effect that waits. What starts later is not waited
     * for: who changes something knows then that nobody uses any more what was there before.
     */
    readonly quiesce: Effect.Effect<void>
    readonly stats: Effect.Effect<Stats>
    /** The stats now, and once a second when they have changed. */
    readonly changes: Stream.Stream<Stats>

    /** The number of a class for {@link Task}; `undefined` when there is none of this name. */
    readonly priorityIndex: (name: string) => number | undefined
    /**
     * Low-level entry, for callers that have many tasks at once and their own way to learn of results: puts a task into
     * the queue, without waiting for room and without waking a worker. `false` when there is no room or the pool is
     * stopped.
     */
    readonly offerUnsafe: (task: Task) => boolean
    /** Lets workers run what was offered, in this call as far as it does not wait. */
    readonly flushUnsafe: () => void
    /** Takes a task out of the queue or interrupts it (unless it is uninterruptible and has started). */
    readonly cancelUnsafe: (task: Task) => void
    /** Calls the waiter once, when a full queue has room again. */
    readonly awaitRoomUnsafe: (waiter: RoomWaiter) => void
    readonly forgetRoomUnsafe: (waiter: RoomWaiter) => void
  }
>()("effect-nfs/WorkerPool") {
  /** A pool that lives as long as its scope, whose end stops it: what runs completes, what waits ends with `PoolStopped`. */
  static readonly layer = (options: Options = {}): Layer.Layer<WorkerPool, PoolError.PoolSizeInvalid> =>
    Layer.effect(WorkerPool, make(options))

  /**
   * A pool with what the environment says, such as `EFFECT_NFS_MAX_WORKERS`, where `options` say nothing: MAX_WORKERS,
   * MIN_WORKERS, AUTOSCALE, QUEUE_CAPACITY, SUBMIT_TIMEOUT, BATCH_SIZE, SHUTDOWN_TIMEOUT, MEMORY_MAX_COST (bytes, or such as
   * 64MiB), MEMORY_LOW, MEMORY_HIGH.
   */
  static readonly layerConfig = (
    options: Options = {}
  ): Layer.Layer<WorkerPool, PoolError.PoolSizeInvalid | Config.ConfigError> =>
    Layer.effect(
      WorkerPool,
      Effect.flatMap(config, (configured) =>
        make({ ...configured, ...said(options), memory: { ...configured.memory, ...said(options.memory ?? {}) } })
      )
    )
}

/** The same as the layers of {@link WorkerPool}. */
export const { layer, layerConfig } = WorkerPool

/** Options without those that are `undefined`. */
const said = <A extends object>(options: A): Partial<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<A>

const optional = Config.withDefault(undefined)

const config: Config.Config<Options> = Config.all({
  maxWorkers: optional(Config.Int("MAX_WORKERS")),
  minWorkers: optional(Config.Int("MIN_WORKERS")),
  autoscale: optional(Config.Boolean("AUTOSCALE")),
  queueCapacity: optional(Config.Int("QUEUE_CAPACITY")),
  submitTimeout: optional(Config.Duration("SUBMIT_TIMEOUT")),
  batchSize: optional(Config.Int("BATCH_SIZE")),
  shutdownTimeout: optional(Config.Duration("SHUTDOWN_TIMEOUT")),
  memory: Config.all({
    maxCost: optional(
      Config.map(
        Config.schema(Schema.Union([Schema.FiniteFromString, Schema.ByteSizeFromString]), "MAX_COST"),
        (size) => (typeof size === "number" ? size : ByteSize.toNumberUnsafe(size))
      )
    ),
    low: optional(Config.Finite("LOW")),
    high: optional(Config.Finite("HIGH"))
  }).pipe(Config.nested("MEMORY"))
}).pipe(Config.nested("EFFECT_NFS"))

/** A pool in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<WorkerPool["Service"], PoolError.PoolSizeInvalid, Scope.Scope> {
  const maxWorkers = options.maxWorkers ?? availableParallelism() * 4
  const minWorkers =
    options.autoscale === false ? maxWorkers : (options.minWorkers ?? (options.autoscale ? 1 : maxWorkers))
  const { batchSize = 64, memory = {}, queueCapacity = 1024 } = options
  const maxCost = memory.maxCost ?? MemoryPressure.available() / 8
  yield* checkSize("maxWorkers", maxWorkers, MAX_WORKERS)
  yield* checkSize("minWorkers", minWorkers, maxWorkers)
  yield* checkSize("queueCapacity", queueCapacity)
  yield* checkSize("batchSize", batchSize)
  yield* checkSize("maxCost", Math.floor(maxCost))
  yield* checkWatermarks(memory)
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  // Ends after the last task: until then somebody has to look after time limits.
  const scope = yield* Scope.make()
  const fork = (effect: Effect.Effect<void>) =>
    void Effect.runForkWith(context)(Effect.forkIn(effect, scope, { startImmediately: true }))
  const classes = Priorities.classes(options.priorities ?? Priorities.standard)
  const scheduler = new Scheduler({
    workers: minWorkers,
    budget: new Budget(queueCapacity, maxCost, { reserves: classes.some(({ reserved }) => reserved) }),
    batchSize,
    classes,
    clock,
    fork
  })
  const steering = new Steering({
    scheduler,
    clock,
    minWorkers,
    maxWorkers,
    autoscale: options.autoscale ?? minWorkers < maxWorkers,
    fork,
    utilisation: yield* EventLoopUtilisation,
    memoryUsed: yield* MemoryPressure.MemoryUsed,
    watermarks: MemoryPressure.watermarks(memory)
  })
  const submissions = new Submissions({
    scheduler,
    clock,
    timeout: Duration.toMillis(Duration.fromInputUnsafe(options.submitTimeout ?? "50 millis")),
    fork
  })
  scheduler.start()
  /** Waits for the end of a stop, for a limited time; then what can be interrupted is, and it `insists` on the end or not. */
  const ending = (ended: Deferred.Deferred<void>, timeout: Duration.Input | undefined, insists: boolean) => {
    const end = Deferred.await(ended)
    if (timeout === undefined) return end
    return Effect.timeoutOrElse(end, {
      duration: timeout,
      orElse: () => {
        // The pool may have been started again in the same moment.
        if (scheduler.stopping === ended) scheduler.abort()
        return insists ? end : Effect.void
      }
    })
  }

  const byClass = <A>(f: (stats: ClassStats, index: number) => A): Readonly<Record<string, A>> =>
    Object.fromEntries(scheduler.classes.map((stats, i) => [stats.class.name, f(stats, i)]))
  const stats = Effect.sync((): Stats => {
    const { budget, queue } = scheduler
    return {
      ...total(scheduler.classes),
      state: scheduler.state,
      workers: scheduler.workers,
      target: scheduler.target,
      minWorkers: steering.minWorkers,
      maxWorkers: steering.maxWorkers,
      active: scheduler.running.length,
      utilisation: scheduler.workers === 0 ? 0 : scheduler.running.length / scheduler.workers,
      queued: byClass((_, i) => queue.sizeOf(i)),
      queueCapacity: budget.capacity,
      cost: budget.cost,
      maxCost: budget.maxCost,
      admission: budget.admission,
      classes: byClass(summary),
      sizeEvents: [...steering.events]
    }
  })
  const publish = PoolMetrics.publish(scheduler, stats, options.name)
  yield* publish.pipe(Effect.repeat(Schedule.spaced(REPORT_INTERVAL)), Effect.forkIn(scope))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => ending(scheduler.close(), options.shutdownTimeout, false)).pipe(
      Effect.andThen(publish),
      Effect.andThen(Scope.close(scope, Exit.void))
    )
  )

  return WorkerPool.of({
    execute: (effect, options) => submissions.execute(effect, options),
    submit: (effect, options) => submissions.submit(effect, options),
    resize: (workers, minWorkers) =>
      Effect.andThen(
        Effect.andThen(
          checkSize("maxWorkers", workers, MAX_WORKERS),
          minWorkers === undefined ? Effect.void : checkSize("minWorkers", minWorkers, workers)
        ),
        Effect.sync(() => steering.resize(workers, minWorkers))
      ),
    start: Effect.suspend(() => {
      scheduler.start()
      return scheduler.stopping === undefined ? Effect.void : Deferred.await(scheduler.stopping)
    }),
    stop: ({ drain = true, timeout } = {}) => Effect.suspend(() => ending(scheduler.stop(drain), timeout, true)),
    quiesce: Effect.withFiber((self) => {
      const others = scheduler.running.flatMap(({ fiber }) => (fiber === undefined || fiber === self ? [] : [fiber]))
      return Effect.forEach(others, Fiber.await, { discard: true })
    }),
    stats,
    changes: Stream.fromEffectSchedule(stats, Schedule.spaced(REPORT_INTERVAL)).pipe(Stream.changes),
    priorityIndex: (name) => submissions.indexOf(name),
    offerUnsafe: (task) => scheduler.offer(task),
    flushUnsafe: () => scheduler.flush(),
    cancelUnsafe: (task) => scheduler.cancel(task),
    awaitRoomUnsafe: (waiter) => scheduler.awaitRoom(waiter),
    forgetRoomUnsafe: (waiter) => scheduler.forgetRoom(waiter)
  })
})

/** Gives a function that tells how busy the event loop has been since it was asked last: 0 to 1. Tests replace it. */
export const EventLoopUtilisation = Context.Reference<() => number>("effect-nfs/WorkerPool/EventLoopUtilisation", {
  defaultValue: () => {
    let last = performance.eventLoopUtilization()
    return () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    }
  }
})

const checkSize = (option: string, value: number, maximum = Infinity): Effect.Effect<void, PoolError.PoolSizeInvalid> =>
  Number.isInteger(value) && value >= 1 && value <= maximum
    ? Effect.void
    : Effect.fail(
        new PoolError.PoolSizeInvalid({
          option,
          value,
          message: `${option} of a worker pool must be a whole number from 1${maximum === Infinity ? "" : ` to ${maximum}`}, not ${value}`
        })
      )

const checkWatermarks = (watermarks: Watermarks): Effect.Effect<void, PoolError.PoolSizeInvalid> => {
  const { high, low } = MemoryPressure.watermarks(watermarks)
  return low < high
    ? Effect.void
    : Effect.fail(
        new PoolError.PoolSizeInvalid({
          option: "low",
          value: low,
          message: `the watermark low of a worker pool's memory must be below high, which is ${high}, not ${low}`
        })
      )
}
