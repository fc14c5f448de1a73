/** How the task of a `Scheduler` runs: in a fiber of its own, as far as it needs one. */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Task } from "./Task.ts"

/** Runs a task as far as it does not wait: gives its end, if that has come. */
export const begin = (task: Task): Exit.Exit<unknown, unknown> | undefined => {
  const effect = effectOf(task)
  // It has ended already: a fiber would have nothing to do.
  if (Exit.isExit(effect)) return effect
  const options = task.uninterruptible ? uninterruptible : undefined
  return Effect.runForkWith(task.context)(new Introduced(task, effect), options).pollUnsafe()
}

/** What a task does. Who cannot say so dies as the task. */
const effectOf = (task: Task): Effect.Effect<unknown, unknown> => {
  try {
    return task.effect
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** A task's effect, after its fiber was made known to it: the first step may be what makes somebody cancel the task. */
class Introduced extends Effectable.Class<unknown, unknown> {
  private readonly task: Task
  private readonly effect: Effect.Effect<unknown, unknown>

  constructor(task: Task, effect: Effect.Effect<unknown, unknown>) {
    super()
    this.task = task
    this.effect = effect
  }

  asEffect(): Effect.Effect<unknown, unknown> {
    this.task.fiber = Fiber.getCurrent()
    return this.effect
  }
}

const uninterruptible = { uninterruptible: true } as const

/** A callback has thrown: that is nobody else's failure. */
export const logDefect = (
  callback: string,
  defect: unknown,
  context: Context.Context<never> = Context.empty()
): void => {
  Effect.runForkWith(context)(Effect.logError(`${callback} threw`, defect))
}
