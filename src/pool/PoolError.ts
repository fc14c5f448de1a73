/** How a `WorkerPool` refuses. Saturation can be frequent, so these two are made once and carry no stack of their own. */

import * as Data from "effect/Data"

/** The queue stayed full for all of `submitTimeout`. */
export class PoolSaturated extends Data.TaggedError("PoolSaturated")<{ readonly message: string }> {}

/** The pool was stopped before the task could start. */
export class PoolStopped extends Data.TaggedError("PoolStopped")<{ readonly message: string }> {}

/** A number of workers that no pool can have. */
export class PoolSizeInvalid extends Data.TaggedError("PoolSizeInvalid")<{
  readonly message: string
  readonly workers: number
}> {}

export const saturated = new PoolSaturated({
  message: "the queue of the worker pool stayed full: submit less at once, or raise queueCapacity or submitTimeout"
})

export const stopped = new PoolStopped({ message: "the worker pool is stopped" })
