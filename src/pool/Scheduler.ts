/**
 * The machine inside a `WorkerPool`: worker fibers that take tasks from a bounded `RunQueue`.
 *
 * A worker is a fiber that takes one task after the other and runs each in a fiber of the task's own, so that a task can
 * be interrupted, fail or die without touching its worker. A task that completes without waiting costs its worker no
 * trip through Effect's scheduler: the worker goes on in a plain loop. One that waits suspends its worker; what stands
 * behind it in the queue is run by the next idle worker in the same turn. So a whole chunk of requests costs one
 * wake-up, as a batch would, and yet no task is tied to another's fate.
 *
 * At most `batchSize` tasks are started in one go, then the event loop gets its turn.
 */

import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as PoolError from "./PoolError.ts"
import { RunQueue } from "./RunQueue.ts"
import type { Task } from "./Task.ts"

/** Somebody who waits for room in the queue. */
export interface RoomWaiter {
  /** There is room: offer, and ask again if there is more to offer than the queue takes. */
  readonly onRoom: () => void
  /** The pool stopped. */
  readonly onStopped: () => void
}

export interface Counters {
  submitted: number
  started: number
  completed: number
  failed: number
  interrupted: number
  rejected: number
}

export class Scheduler {
  readonly queue: RunQueue<Task>
  readonly counters: Counters = { submitted: 0, started: 0, completed: 0, failed: 0, interrupted: 0, rejected: 0 }
  readonly workers = new Set<Worker>()
  /** Tasks that run now. */
  active = 0
  state: "running" | "stopping" | "stopped" = "stopped"
  /** How many workers there shall be. */
  target: number

  private readonly capacity: number
  private readonly batchSize: number
  private readonly idle: Array<Worker> = []
  private readonly waiters = new Set<RoomWaiter>()
  /** Tasks that may still be started before the event loop gets its turn. */
  private budget = 0
  private flushing = false
  private turn: NodeJS.Immediate | undefined = undefined
  /** Done when the stop that is at work has come to its end. */
  private ended: Deferred.Deferred<void> | undefined = undefined

  constructor(options: {
    readonly workers: number
    readonly capacity: number
    readonly batchSize: number
    readonly weights: ReadonlyArray<number>
  }) {
    this.target = options.workers
    this.capacity = options.capacity
    this.batchSize = options.batchSize
    this.queue = new RunQueue(options.weights)
  }

  /** Puts a task into the queue; `false` when the pool is stopped or the queue full. `flush` then lets workers run. */
  offer(task: Task): boolean {
    if (this.state !== "running" || this.queue.size >= this.capacity) return false
    this.counters.submitted++
    this.queue.offer(task)
    return true
  }

  /** Wakes idle workers while there is something for them, in this call. */
  flush(): void {
    if (this.flushing) return
    this.flushing = true
    this.budget = this.batchSize
    while (this.queue.size > 0 && this.budget > 0 && this.idle.length > 0) this.idle.pop()!.wake()
    this.flushing = false
    if (this.queue.size > 0 && this.idle.length > 0) this.yieldTurn()
  }

  /** Calls `waiter` once, as soon as the queue has room; in the order in which they asked. */
  awaitRoom(waiter: RoomWaiter): void {
    this.waiters.add(waiter)
  }

  /** Whether somebody waits for room, whom nobody may pass. */
  get contended(): boolean {
    return this.waiters.size > 0
  }

  /** Whether `waiter` had been waiting. */
  forgetRoom(waiter: RoomWaiter): boolean {
    return this.waiters.delete(waiter)
  }

  /** Takes a waiting task out, or interrupts it where it runs; its `onExit` hears of it either way. */
  cancel(task: Task): void {
    if (this.queue.has(task)) {
      this.queue.remove(task)
      this.settle(task, interruption)
      this.admit()
      this.endIfDrained()
    } else if (!task.uninterruptible) {
      task.fiber?.interruptUnsafe()
    }
  }

  start(): void {
    if (this.state === "stopped") this.state = "running"
    this.admit()
    this.balance()
  }

  resize(workers: number): void {
    this.target = workers
    if (this.state !== "stopped") this.balance()
  }

  /** Accepts nothing more. What waits is run if `drain`, else it ends with `PoolStopped`; what runs completes. */
  stop(drain: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.state === "stopped") return Effect.void
      this.state = "stopping"
      const waiters = [...this.waiters]
      this.waiters.clear()
      for (const waiter of waiters) waiter.onStopped()
      if (!drain) {
        for (let task = this.queue.take(); task !== undefined; task = this.queue.take()) this.settle(task, stopped)
      }
      this.ended ??= Deferred.makeUnsafe()
      const { ended } = this
      this.endIfDrained()
      return Deferred.await(ended)
    })
  }

  // --- what workers call -------------------------------------------------------------------------------------------

  /** Whether a worker goes on, or is one too many. */
  get retains(): boolean {
    return this.workers.size <= this.target && !this.drained
  }

  /** The next task, or `undefined` when the worker shall park: nothing waits, or the event loop is due. */
  take(): Task | undefined {
    if (this.queue.size === 0) return undefined
    if (this.budget <= 0) {
      this.yieldTurn()
      return undefined
    }
    this.budget--
    return this.queue.take()
  }

  /** Starts a task that was taken, as far as it does not wait; only then is its place in the queue given away. */
  run(task: Task): Fiber.Fiber<unknown, unknown> {
    this.counters.started++
    this.active++
    // Its fiber is known from its first step on: that step may be what makes somebody cancel it.
    const effect = Effect.withFiber((fiber) => {
      task.fiber = fiber
      return task.effect
    })
    const fiber = Effect.runForkWith(task.context)(effect, task.uninterruptible ? uninterruptible : undefined)
    this.admit()
    return fiber
  }

  /** Its worker waits for `task`: others take over what is left in the queue. */
  suspended(): void {
    if (this.queue.size > 0 && this.idle.length > 0) this.flush()
  }

  finish(task: Task, exit: Exit.Exit<unknown, unknown>): void {
    this.active--
    this.settle(task, exit)
    this.endIfDrained()
  }

  park(worker: Worker): void {
    this.idle.push(worker)
  }

  remove(worker: Worker): void {
    this.workers.delete(worker)
    this.endIfDrained()
  }

  // -----------------------------------------------------------------------------------------------------------------

  private settle(task: Task, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) this.counters.completed++
    else if (exit === interruption || Exit.hasInterrupts(exit)) this.counters.interrupted++
    else this.counters.failed++
    try {
      task.onExit(exit)
    } catch (defect) {
      Effect.runForkWith(task.context)(Effect.logError("onExit of a task threw", defect))
    }
  }

  private admit(): void {
    if (this.waiters.size === 0) return
    for (const waiter of this.waiters) {
      // Whoever is called may stop the pool, or ask again.
      if (this.state !== "running" || this.queue.size >= this.capacity) return
      this.waiters.delete(waiter)
      waiter.onRoom()
    }
  }

  private balance(): void {
    while (this.workers.size < this.target) {
      const worker = new Worker(this)
      this.workers.add(worker)
      worker.launch()
    }
    while (this.workers.size > this.target && this.idle.length > 0) this.idle.pop()!.wake()
    this.flush()
  }

  private yieldTurn(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined
      this.flush()
    })
  }

  /** Whether a stopping pool has nothing left to do. */
  private get drained(): boolean {
    return this.state === "stopping" && this.queue.size === 0 && this.active === 0
  }

  /** Ends the workers of a pool that has stopped; the last of them ends the stop. */
  private endIfDrained(): void {
    if (!this.drained) return
    for (const worker of this.idle.splice(0)) worker.wake()
    if (this.workers.size > 0 || !this.drained) return
    this.state = "stopped"
    const { ended } = this
    this.ended = undefined
    if (ended !== undefined) Deferred.doneUnsafe(ended, Exit.void)
  }
}

const uninterruptible = { uninterruptible: true } as const
const interruption = Exit.interrupt()
const stopped = Exit.fail(PoolError.stopped)

/** One worker fiber. */
class Worker {
  private readonly scheduler: Scheduler
  private resume: ((effect: Effect.Effect<void>) => void) | undefined = undefined
  private readonly parked: Effect.Effect<void>

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler
    this.parked = Effect.callback<void>((resume) => {
      this.resume = resume
      scheduler.park(this)
    })
  }

  launch(): void {
    const loop = Effect.whileLoop({ while: () => this.scheduler.retains, body: () => this.work(), step: () => {} })
    Effect.runForkWith(Context.empty())(loop).addObserver(() => this.scheduler.remove(this))
  }

  wake(): void {
    this.resume!(Effect.void)
  }

  /** Runs tasks as long as they complete at once; gives what to wait for then. */
  private work(): Effect.Effect<void> {
    const { scheduler } = this
    while (scheduler.retains) {
      const task = scheduler.take()
      if (task === undefined) return this.parked
      const fiber = scheduler.run(task)
      const exit = fiber.pollUnsafe()
      if (exit === undefined) return this.waitFor(task, fiber)
      scheduler.finish(task, exit)
    }
    return Effect.void
  }

  private waitFor(task: Task, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      fiber.addObserver((exit) => {
        this.scheduler.finish(task, exit)
        resume(Effect.void)
      })
      this.scheduler.suspended()
    })
  }
}
