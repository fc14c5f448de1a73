import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { collect } from "../support/memory.ts"
import { type Pool, TestTask } from "../support/pool.ts"

type Observer = (exit: Exit.Exit<unknown, unknown>) => void

/** Runs a task that waits, to its end; notes who observed its fiber. */
const runOne = (pool: Pool, observers: Array<Observer>): WeakRef<TestTask> => {
  const gate = Deferred.makeUnsafe<void>()
  const task = new TestTask(
    Effect.withFiber((fiber) => {
      const addObserver = fiber.addObserver.bind(fiber)
      const addNoted = (observer: Observer) => {
        observers.push(observer)
        return addObserver(observer)
      }
      Object.assign(fiber, { addObserver: addNoted })
      return Deferred.await(gate)
    })
  )
  pool.offerUnsafe(task)
  pool.flushUnsafe()
  Deferred.doneUnsafe(gate, Effect.void)
  assert.lengthOf(task.exits, 1)
  return new WeakRef(task)
}

describe("retention", () => {
  it.live("lets go of a task that has ended, whoever still has the observers of its fiber", () =>
    Effect.gen(function* () {
      const pool = yield* WorkerPool.make({ maxWorkers: 1 })
      const observers: Array<Observer> = []
      const task = runOne(pool, observers)
      assert.isAbove(observers.length, 0)
      yield* Effect.promise(() => setImmediate())
      collect()
      assert.isUndefined(task.deref())
    })
  )
})
