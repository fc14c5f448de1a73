/** How a `WorkerPool` refuses. What can be frequent is made once and carries no stack of its own. */

import * as Data from "effect/Data"
import * as Exit from "effect/Exit"

/** The queue stayed full for all of `submitTimeout`. */
export class PoolSaturated extends Data.TaggedError("PoolSaturated")<{ readonly message: string }> {}

/** The pool was stopped before the task could start. */
export class PoolStopped extends Data.TaggedError("PoolStopped")<{ readonly message: string }> {}

/** The task waited and ran for longer than its time limit. */
export class TaskTimeout extends Data.TaggedError("TaskTimeout")<{ readonly message: string }> {}

/** A size that a pool cannot have. */
export class PoolSizeInvalid extends Data.TaggedError("PoolSizeInvalid")<{
  readonly message: string
  /** What it was meant for: `"maxWorkers"`, `"queueCapacity"`. */
  readonly option: string
  readonly value: number
}> {}

export const saturated = Exit.fail(
  new PoolSaturated({
    message: "the queue of the worker pool stayed full: submit less at once, or raise queueCapacity or submitTimeout"
  })
)

export const stopped = Exit.fail(new PoolStopped({ message: "the worker pool is stopped" }))

export const expired = Exit.fail(
  new TaskTimeout({
    message: "the task did not end within its time limit: see timeout of execute, and timeLimit of its priority class"
  })
)

/** Its submitter took it back before it could start. */
export const interruption = Exit.interrupt()
