/**
 * A bounded pool of worker fibers: at most so many effects run at once, so many more wait, and all else is told to come
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
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Budget } from "./Budget.ts"
import * as MemoryPressure from "./MemoryPressure.ts"
import type { Watermarks } from "./MemoryPressure.ts"
import * as PoolError from "./PoolError.ts"
import * as PoolMetrics from "./PoolMetrics.ts"
import { type ClassStats, type Stats, summary, total } from "./PoolStats.ts"
import * as Priorities from "./Priorities.ts"
import { type RoomWaiter, Scheduler } from "./Scheduler.ts"
import { Steering } from "./Steering.ts"
import { Submission, type SubmissionOptions, Submissions } from "./Submission.ts"
import type { Task } from "./Task.ts"

export type { Watermarks }
export { PoolSaturated, PoolSizeInvalid, PoolStopped, TaskTimeout } from "./PoolError.ts"
export type { ClassSummary, Counters, SizeEvent, Stats } from "./PoolStats.ts"
export { type PriorityOptions, standard as standardPriorities } from "./Priorities.ts"
export type { RoomWaiter } from "./Scheduler.ts"
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
}

export interface TaskOptions {
  /** The name of a class; default `"metadata"`, or the first class of a pool without one of that name. */
  readonly priority?: string | undefined
  /** Tasks of one lane wait behind each other; lanes of a class take turns. Default: one lane that all such tasks share. */
  readonly lane?: unknown
  /** Bytes that it pins while it waits and runs; default 0. */
  readonly cost?: number | undefined
  /**
   * How long it may wait in the queue and run; default: the limit of its class. What is uninterruptible may run as long as
   * it wants once it has started.
   */
  readonly timeout?: Duration.Input | undefined
  /** Once started, completes even when nobody is interested any more. Default `false`. */
  readonly uninterruptible?: boolean | undefined
}

/** Why the pool did not run an effect, or not to its end. */
export type Refused = PoolError.PoolStopped | PoolError.TaskTimeout

/** A submitted task. */
export interface TaskHandle<A, E> {
  /** Its result; an interruption when it was cancelled, `PoolStopped` when the pool was stopped before it could start. */
  readonly await: Effect.Effect<A, E | Refused>
  /** Takes it out of the queue, or interrupts it and waits for its end. */
  readonly cancel: Effect.Effect<void>
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
     * {@link MAX_WORKERS}. Where the load decides, it changes the most that there may be.
     */
    readonly resize: (workers: number) => Effect.Effect<void, PoolError.PoolSizeInvalid>
    /** Accepts tasks again after `stop` (and when that is still at work, after its end). */
    readonly start: Effect.Effect<void>
    /** Accepts nothing more and waits until what runs has completed. */
    readonly stop: (options?: StopOptions) => Effect.Effect<void>
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
   * MIN_WORKERS, AUTOSCALE, QUEUE_CAPACITY, SUBMIT_TIMEOUT, BATCH_SIZE, MEMORY_MAX_COST, MEMORY_LOW, MEMORY_HIGH.
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
  memory: Config.all({
    maxCost: optional(Config.map(Config.ByteSize("MAX_COST"), ByteSize.toNumberUnsafe)),
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
  const indices = new Map(classes.map(({ name }, i) => [name, i]))
  const usual = indices.get("metadata") ?? 0
  const scheduler = new Scheduler({
    workers: minWorkers,
    budget: new Budget(queueCapacity, maxCost),
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
  yield* Effect.addFinalizer(() => Effect.andThen(scheduler.stop(false), Scope.close(scope, Exit.void)))

  const submission = (
    effect: Effect.Effect<unknown, unknown, any>,
    context: Context.Context<never>,
    { cost = 0, lane, priority, timeout, uninterruptible = false }: TaskOptions = {},
    outcome: Pick<SubmissionOptions, "ended" | "accepted" | "refused">
  ): Submission => {
    const index = priority === undefined ? usual : indices.get(priority)
    if (index === undefined)
      throw new RangeError(`this pool has no priority class ${priority}: it has ${[...indices.keys()].join(", ")}`)
    const timeLimit = timeout === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(timeout))
    return new Submission(submissions, {
      effect,
      context,
      priority: index,
      lane,
      cost,
      timeLimit,
      uninterruptible,
      ...outcome
    })
  }

  const byClass = <A>(f: (stats: ClassStats, index: number) => A): Readonly<Record<string, A>> =>
    Object.fromEntries(scheduler.classes.map((stats, i) => [stats.class.name, f(stats, i)]))
  const stats = Effect.sync((): Stats => {
    const { budget, queue } = scheduler
    return {
      ...total(scheduler.classes),
      state: scheduler.state,
      workers: scheduler.workers.size,
      target: scheduler.target,
      minWorkers: steering.minWorkers,
      maxWorkers: steering.maxWorkers,
      active: scheduler.running.length,
      utilisation: scheduler.workers.size === 0 ? 0 : scheduler.running.length / scheduler.workers.size,
      queued: byClass((_, i) => queue.sizeOf(i)),
      queueCapacity: budget.capacity,
      cost: budget.cost,
      maxCost: budget.maxCost,
      admission: budget.admission,
      classes: byClass(summary),
      sizeEvents: [...steering.events]
    }
  })
  yield* PoolMetrics.publish(scheduler, stats).pipe(
    Effect.repeat(Schedule.spaced(REPORT_INTERVAL)),
    Effect.forkIn(scope)
  )

  return WorkerPool.of({
    execute: <A, E, R>(effect: Effect.Effect<A, E, R>, options?: TaskOptions) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<A, E | PoolError.PoolSaturated | Refused>((resume) => {
          const task = submission(effect, context, options, { ended: resume, accepted: constVoid, refused: resume })
          submissions.submit(task)
          return submissions.withdraw(task)
        })
      ),
    submit: <A, E, R>(effect: Effect.Effect<A, E, R>, options?: TaskOptions) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<TaskHandle<A, E>, PoolError.PoolSaturated | PoolError.PoolStopped>((resume) => {
          const result = Deferred.makeUnsafe<A, E | Refused>()
          const task = submission(effect, context, options, {
            ended: (exit) => Deferred.doneUnsafe(result, exit),
            accepted: () => resume(Effect.succeed(handle)),
            refused: resume
          })
          const handle: TaskHandle<A, E> = { await: Deferred.await(result), cancel: submissions.withdraw(task) }
          if (submissions.submit(task)) resume(Effect.succeed(handle))
          return submissions.withdraw(task)
        })
      ),
    resize: (workers) =>
      Effect.andThen(
        checkSize("maxWorkers", workers, MAX_WORKERS),
        Effect.sync(() => steering.resize(workers))
      ),
    start: Effect.suspend(() =>
      Effect.andThen(
        scheduler.state === "stopping" ? scheduler.stop(true) : Effect.void,
        Effect.sync(() => scheduler.start())
      )
    ),
    stop: ({ drain = true, timeout } = {}) =>
      timeout === undefined
        ? scheduler.stop(drain)
        : Effect.timeoutOrElse(scheduler.stop(drain), {
            duration: timeout,
            orElse: () =>
              Effect.andThen(
                Effect.sync(() => scheduler.abort()),
                scheduler.stop(false)
              )
          }),
    stats,
    changes: Stream.fromEffectSchedule(stats, Schedule.spaced(REPORT_INTERVAL)).pipe(Stream.changes),
    priorityIndex: (name) => indices.get(name),
    offerUnsafe: (task) => scheduler.offer(task),
    flushUnsafe: () => scheduler.flush(),
    cancelUnsafe: (task) => scheduler.cancel(task),
    awaitRoomUnsafe: (waiter) => scheduler.awaitRoom(waiter),
    forgetRoomUnsafe: (waiter) => void scheduler.forgetRoom(waiter)
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
