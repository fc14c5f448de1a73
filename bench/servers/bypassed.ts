/**
 * This server with the pool bypassed: each request runs at once, in a fiber of its own if it needs one, without a queue,
 * workers, priorities, fairness or a bound. All else is the same: what the pool costs is the difference.
 */

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { standardPriorities, type Task, WorkerPool } from "../../src/pool/WorkerPool.ts"
import { serve } from "./serve.ts"

const uninterruptible = { uninterruptible: true } as const
const interruption = Exit.interrupt()

/** The pool's low-level entry, which is all that `RpcServer` uses. */
const bypass = () => {
  /** Offered and not started: the entry's contract is that nothing runs before `flushUnsafe`. */
  let offered: Array<Task> = []
  let flushing = false

  const run = (task: Task): void => {
    task.started = true
    const { effect } = task
    if (Exit.isExit(effect)) return task.onExit(effect)
    const fiber = Effect.runForkWith(task.context)(effect, task.uninterruptible ? uninterruptible : undefined)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return task.onExit(exit)
    task.fiber = fiber
    fiber.addObserver((exit) => {
      task.onExit(exit)
      // A connection that had enough in flight may have offered more.
      flush()
    })
  }

  const flush = (): void => {
    if (flushing) return
    flushing = true
    while (offered.length > 0) {
      const tasks = offered
      offered = []
      for (const task of tasks) run(task)
    }
    flushing = false
  }

  return {
    priorityIndex: (name: string) => Object.keys(standardPriorities).indexOf(name),
    offerUnsafe: (task: Task) => {
      offered.push(task)
      return true
    },
    flushUnsafe: flush,
    cancelUnsafe: (task: Task) => {
      if (offered.includes(task)) {
        offered = offered.filter((other) => other !== task)
        task.onExit(interruption)
      } else if (!task.uninterruptible) {
        task.fiber?.interruptUnsafe()
      }
    },
    // There is always room.
    awaitRoomUnsafe: () => {},
    forgetRoomUnsafe: () => {}
  }
}

// Whatever else is asked of it dies: nobody should.
serve(Layer.mock(WorkerPool, bypass()))
