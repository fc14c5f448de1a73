/** What a `WorkerPool` runs: an effect, where it stands in the order, and who learns of its end. */

import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { QueueItem } from "./RunQueue.ts"

/**
 * The unit of the pool's low-level entry (`WorkerPool.offerUnsafe`). Who has many tasks extends this with what each needs
 * to know, so that a task is one object and its end one method call.
 */
export abstract class Task extends QueueItem {
  abstract readonly effect: Effect.Effect<unknown, unknown>
  /** The services that `effect` runs with: whatever it needs must be among them. */
  abstract readonly context: Context.Context<never>
  /** Whether it completes once it has started, whoever loses interest. */
  abstract readonly uninterruptible: boolean
  /** Runs once, when the task has ended or will never start; must not throw. */
  abstract onExit(exit: Exit.Exit<unknown, unknown>): void

  /** @internal The fiber that runs it; `undefined` while it waits. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
}
