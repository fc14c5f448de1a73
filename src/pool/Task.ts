/** What a `WorkerPool` runs: an effect, where it stands in the order, and who learns of its end. */

import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Deadlines, Expiring } from "./Deadlines.ts"
import { QueueItem } from "./RunQueue.ts"

/**
 * The unit of the pool's low-level entry (`WorkerPool.offerUnsafe`). Who has many tasks extends this with what each needs
 * to know, so that a task is one object and its end one method call.
 */
export abstract class Task extends QueueItem implements Expiring {
  // What is looked at while it waits comes first: of many tasks that wait, little is in the processor's cache.
  /** @internal When it came into the queue, then when it started: milliseconds, as `performance.now()` has them. */
  since = 0
  /** @internal */
  deadline = 0
  /** @internal */
  deadlines: Deadlines<any> | undefined = undefined
  /** @internal */
  earlier: Expiring | undefined = undefined
  /** @internal */
  later: Expiring | undefined = undefined

  /** Asked for once, when the task starts; to ask must not cancel it. What has ended already, being an `Exit`, needs no fiber. */
  abstract readonly effect: Effect.Effect<unknown, unknown>
  /** The services that `effect` runs with: whatever it needs must be among them. */
  abstract readonly context: Context.Context<never>
  /** Whether it completes once it has started, whoever loses interest. */
  abstract readonly uninterruptible: boolean
  /** Bytes that it pins while it waits and runs: a whole number. */
  readonly cost: number = 0
  /** Milliseconds that it may wait and run; `undefined` for the limit of its class. */
  readonly timeLimit: number | undefined = undefined
  /** Runs once, when the task has ended or will never start; must not throw. */
  abstract onExit(exit: Exit.Exit<unknown, unknown>): void

  /** Whether a worker has begun with it. */
  started = false
  /** @internal The fiber that runs it; `undefined` while it waits, and when it needed none. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** @internal Whether it was started and has come to its end. */
  get isOver(): boolean {
    return this.started && (this.fiber === undefined || this.fiber.pollUnsafe() !== undefined)
  }
  /** @internal Its index among the tasks that run. */
  slot = 0
  /** Whether its time limit has ended it. */
  expired = false
}
