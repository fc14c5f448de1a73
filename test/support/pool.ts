/** What tests of the worker pool have in common: tasks that wait until they are let go, and what must always be true. */

import { setImmediate } from "node:timers/promises"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"

export type Pool = WorkerPool.WorkerPool["Service"]

/** Some turns of the event loop. */
export const turns = (count = 3) =>
  Effect.promise(async () => {
    for (let i = 0; i < count; i++) await setImmediate()
  })

export const failure = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

/** A task that waits until it is let go (at the latest by the end of the test), and what happened to it. */
export const makeGate = Effect.gen(function* () {
  const latch = yield* Latch.make()
  yield* Effect.addFinalizer(() => latch.open)
  const gate = {
    running: 0,
    most: 0,
    done: 0,
    interrupted: 0,
    open: latch.open,
    task: Effect.suspend(() => {
      gate.running++
      gate.most = Math.max(gate.most, gate.running)
      return latch.await
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          gate.running--
          if (Exit.isSuccess(exit)) gate.done++
          else gate.interrupted++
        })
      )
    )
  }
  return gate
})

/** Submits `count` copies of `task`, and lets those start that can. */
export const submitAll = <A, E>(
  pool: Pool,
  task: Effect.Effect<A, E>,
  count: number,
  options?: WorkerPool.TaskOptions
) => Effect.forEach(Array.from({ length: count }), () => pool.submit(task, options)).pipe(Effect.tap(turns(2)))

/** Every task that was ever submitted is accounted for. */
export const checkCounters = Effect.fnUntraced(function* (pool: Pool) {
  const stats = yield* pool.stats
  const queued = Object.values(stats.queued).reduce((sum, n) => sum + n, 0)
  assert.strictEqual(
    stats.submitted,
    stats.completed + stats.failed + stats.interrupted + stats.timedOut + stats.active + queued
  )
  return stats
})

/** A task of the low-level entry, and what it was told. */
export class TestTask extends WorkerPool.Task {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  readonly priority: number
  readonly lane: unknown
  override readonly cost: number
  override readonly timeLimit: number | undefined
  readonly uninterruptible: boolean
  readonly exits: Array<Exit.Exit<unknown, unknown>> = []

  constructor(
    effect: Effect.Effect<unknown, unknown>,
    options: Partial<
      Pick<WorkerPool.Task, "context" | "priority" | "lane" | "cost" | "timeLimit" | "uninterruptible">
    > = {}
  ) {
    super()
    this.effect = effect
    this.context = options.context ?? Context.empty()
    this.priority = options.priority ?? 1
    this.lane = options.lane
    this.cost = options.cost ?? 0
    this.timeLimit = options.timeLimit
    this.uninterruptible = options.uninterruptible ?? false
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.exits.push(exit)
  }
}
