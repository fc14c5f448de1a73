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
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as PoolError from "./PoolError.ts"
import { type RoomWaiter, Scheduler } from "./Scheduler.ts"
import { Submission, Submissions } from "./Submission.ts"
import type { Task } from "./Task.ts"

export { PoolSaturated, PoolSizeInvalid, PoolStopped } from "./PoolError.ts"
export type { RoomWaiter } from "./Scheduler.ts"
export { Task } from "./Task.ts"

/** Most workers that a pool may have. */
export const MAX_WORKERS = 65_536

/**
 * Priority classes and their weights: with work waiting in all of them, each gets its weight's share of the tasks that
 * are started.
 */
export const priorities = { control: 32, metadata: 16, data: 8, bulk: 2 } as const

export type Priority = keyof typeof priorities

const names = Object.keys(priorities) as ReadonlyArray<Priority>

/** The number by which the low-level entry knows a class. */
export const priorityIndex = (priority: Priority): number => names.indexOf(priority)

export interface Options {
  /** Effects that run at once; default: 4 for each available core. */
  readonly maxWorkers?: number | undefined
  /** Effects that wait; default 1,024. */
  readonly queueCapacity?: number | undefined
  /** How long `execute` and `submit` wait for room in a full queue; default 50 ms. */
  readonly submitTimeout?: Duration.Input | undefined
  /** Tasks that are started before the event loop gets its turn; default 64. */
  readonly batchSize?: number | undefined
}

export interface TaskOptions {
  /** Default `"metadata"`. */
  readonly priority?: Priority | undefined
  /** Tasks of one lane wait behind each other; lanes of a class take turns. Default: one lane that all such tasks share. */
  readonly lane?: unknown
  /** Once started, completes even when nobody is interested any more. Default `false`. */
  readonly uninterruptible?: boolean | undefined
}

/** A submitted task. */
export interface TaskHandle<A, E> {
  /** Its result; an interruption when it was cancelled, `PoolStopped` when the pool was stopped before it could start. */
  readonly await: Effect.Effect<A, E | PoolError.PoolStopped>
  /** Takes it out of the queue, or interrupts it and waits for its end. */
  readonly cancel: Effect.Effect<void>
}

export interface Stats {
  readonly state: "running" | "stopping" | "stopped"
  /** Worker fibers there are; while the pool shrinks, more than wanted. */
  readonly workers: number
  /** Tasks that run now. */
  readonly active: number
  /** Tasks that wait now, by class. */
  readonly queued: { readonly [P in Priority]: number }
  /** Tasks since the start of the pool: */
  readonly submitted: number
  readonly started: number
  readonly completed: number
  readonly failed: number
  readonly interrupted: number
  /** Tasks that the full queue refused. */
  readonly rejected: number
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
    ) => Effect.Effect<A, E | PoolError.PoolSaturated | PoolError.PoolStopped, R>
    /** Puts an effect into the queue and gives a handle to await or cancel it. */
    readonly submit: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options?: TaskOptions
    ) => Effect.Effect<TaskHandle<A, E>, PoolError.PoolSaturated | PoolError.PoolStopped, R>
    /**
     * Changes the number of workers, live: more start at once, surplus ones end with the task that they run. From 1 to
     * {@link MAX_WORKERS}.
     */
    readonly resize: (workers: number) => Effect.Effect<void, PoolError.PoolSizeInvalid>
    /** Accepts tasks again after `stop` (and when that is still at work, after its end). */
    readonly start: Effect.Effect<void>
    /**
     * Accepts nothing more and waits until what runs has completed. What waits is run too, or with `drain: false` ends with
     * `PoolStopped`.
     */
    readonly stop: (options?: { readonly drain?: boolean | undefined }) => Effect.Effect<void>
    readonly stats: Effect.Effect<Stats>

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
}

/** The same as `WorkerPool.layer`. */
export const layer = WorkerPool.layer

/** A pool in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<WorkerPool["Service"], PoolError.PoolSizeInvalid, Scope.Scope> {
  const workers = options.maxWorkers ?? availableParallelism() * 4
  yield* checkSize(workers)
  const scheduler = new Scheduler({
    workers,
    capacity: options.queueCapacity ?? 1024,
    batchSize: options.batchSize ?? 64,
    weights: Object.values(priorities)
  })
  const context = yield* Effect.context<Scope.Scope>()
  const submissions = new Submissions({
    scheduler,
    clock: yield* Clock.Clock,
    timeout: Duration.toMillis(Duration.fromInputUnsafe(options.submitTimeout ?? "50 millis")),
    fork: (effect) => void Effect.runForkWith(context)(Effect.forkScoped(effect))
  })
  scheduler.start()
  yield* Effect.addFinalizer(() => scheduler.stop(false))

  const submission = (
    effect: Effect.Effect<unknown, unknown, any>,
    context: Context.Context<never>,
    options: TaskOptions = {},
    outcome: Pick<Submission, "refused"> & {
      readonly ended: (exit: Exit.Exit<any, any>) => void
      readonly accepted: () => void
    }
  ): Submission =>
    new Submission({
      submissions,
      effect,
      context,
      priority: priorityIndex(options.priority ?? "metadata"),
      lane: options.lane,
      uninterruptible: options.uninterruptible ?? false,
      ...outcome
    })

  return WorkerPool.of({
    execute: <A, E, R>(effect: Effect.Effect<A, E, R>, options?: TaskOptions) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<A, E | PoolError.PoolSaturated | PoolError.PoolStopped>((resume) => {
          const task = submission(effect, context, options, { ended: resume, accepted: constVoid, refused: resume })
          submissions.submit(task)
          return submissions.withdraw(task)
        })
      ),
    submit: <A, E, R>(effect: Effect.Effect<A, E, R>, options?: TaskOptions) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<TaskHandle<A, E>, PoolError.PoolSaturated | PoolError.PoolStopped>((resume) => {
          const result = Deferred.makeUnsafe<A, E | PoolError.PoolStopped>()
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
        checkSize(workers),
        Effect.sync(() => scheduler.resize(workers))
      ),
    start: Effect.suspend(() =>
      Effect.andThen(
        scheduler.state === "stopping" ? scheduler.stop(true) : Effect.void,
        Effect.sync(() => scheduler.start())
      )
    ),
    stop: (options) => scheduler.stop(options?.drain ?? true),
    stats: Effect.sync((): Stats => ({
      state: scheduler.state,
      workers: scheduler.workers.size,
      active: scheduler.active,
      queued: Object.fromEntries(names.map((name, i) => [name, scheduler.queue.sizeOf(i)])) as Stats["queued"],
      ...scheduler.counters
    })),
    offerUnsafe: (task) => scheduler.offer(task),
    flushUnsafe: () => scheduler.flush(),
    cancelUnsafe: (task) => scheduler.cancel(task),
    awaitRoomUnsafe: (waiter) => scheduler.awaitRoom(waiter),
    forgetRoomUnsafe: (waiter) => {
      scheduler.forgetRoom(waiter)
    }
  })
})

const checkSize = (workers: number): Effect.Effect<void, PoolError.PoolSizeInvalid> =>
  Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS
    ? Effect.void
    : Effect.fail(
        new PoolError.PoolSizeInvalid({
          workers,
          message: `a worker pool has 1 to ${MAX_WORKERS} workers, not ${workers}`
        })
      )
