/**
 * The machine inside a `WorkerPool`: worker fibers that take tasks from a bounded `RunQueue`.
 *
 * A worker is a fiber that takes one task after the other and runs each in a fiber of the task's own, so that a task can
 * be interrupted, fail or die without touching its worker. A task that completes without waiting costs its worker no
 * trip through Effect's scheduler: the worker goes on in a plain loop. One that waits suspends its worker; what stands
 * behind it in the queue is run by the next idle worker in the same turn. So a whole chunk of requests costs one
 * wake-up, as a batch would, and yet no task is tied to another's fate.
 *
 * At most `batchSize` tasks are started in one go, fewer when they take long, then the event loop gets its turn.
 */

import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Budget } from "./Budget.ts"
import { Deadlines } from "./Deadlines.ts"
import * as PoolError from "./PoolError.ts"
import { ClassStats } from "./PoolStats.ts"
import type { PriorityClass } from "./Priorities.ts"
import { RunQueue } from "./RunQueue.ts"
import type { Task } from "./Task.ts"

/** Milliseconds after which no further task is started before the event loop has had its turn. */
const TURN = 1

/** Time limits that are watched for good once one was used; when there are more, each is while tasks have it. */
const LASTING_LIMITS = 64

/** Somebody who waits for room in the queue. */
export interface RoomWaiter {
  /** Bytes that what it will offer first costs; default 0. */
  readonly cost?: number | undefined
  /** The class of that; default: one that is not reserved. */
  readonly priority?: number | undefined
  /** There is room: offer, and ask again if there is more to offer than the queue takes. */
  readonly onRoom: () => void
  /** The pool stopped. */
  readonly onStopped: () => void
}

export class Scheduler {
  readonly queue: RunQueue<Task>
  readonly budget: Budget
  readonly classes: ReadonlyArray<ClassStats>
  readonly workers = new Set<Worker>()
  /** Tasks that run, in no order; each knows its place. (A `Set` that changes with every task leaves much to collect.) */
  readonly running: Array<Task> = []
  state: "running" | "stopping" | "stopped" = "stopped"
  /** How many workers there shall be. */
  target: number
  /** Tasks wait, and no worker is free for them or there is no room: somebody may want to see why. */
  onPressure: () => void = () => {}

  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly limits = new Map<number, Deadlines<Task>>()
  private readonly batchSize: number
  private readonly idle: Array<Worker> = []
  /** Who waits for room, for reserved classes and for others: a short question does not stand in line behind long ones. */
  private readonly reservedLine = new Set<RoomWaiter>()
  private readonly line = new Set<RoomWaiter>()
  /** Whether there is a class for which a worker is kept free. */
  private readonly reserves: boolean
  /** The line of which somebody is being let in. */
  private admitting: ReadonlySet<RoomWaiter> | undefined = undefined
  /** Tasks of classes without a reserved worker that run now. */
  private unreserved = 0
  /** Tasks that may still be started before the event loop gets its turn. */
  private left = 0
  /** Since when tasks run without a turn of the event loop; 0 before the first of them. */
  private turnStart = 0
  private flushing = false
  private turn: NodeJS.Immediate | undefined = undefined
  private ended: Deferred.Deferred<void> | undefined = undefined
  /** What time it is for tasks that are offered together: asking for each would cost more than putting it into the queue. */
  private readonly offered = { fresh: false, at: 0, clock: 0 }

  constructor(options: {
    readonly workers: number
    readonly budget: Budget
    readonly batchSize: number
    readonly classes: ReadonlyArray<PriorityClass>
    readonly clock: Clock.Clock
    /** Runs an effect for as long as the pool lives. */
    readonly fork: (effect: Effect.Effect<void>) => void
  }) {
    this.target = options.workers
    this.budget = options.budget
    this.batchSize = options.batchSize
    this.classes = options.classes.map((options) => new ClassStats(options))
    this.reserves = options.classes.some(({ reserved }) => reserved)
    this.clock = options.clock
    this.fork = options.fork
    this.queue = new RunQueue(options.classes)
  }

  /**
   * Puts a task into the queue; `false` when the pool is stopped, there is no room, or others wait for it. `flush` then lets
   * workers run.
   */
  offer(task: Task): boolean {
    const { offered } = this
    if (this.state !== "running" || !this.admits(task)) return false
    // A small task must not pass a large one for which there is no room yet.
    if (this.mustWait(task) && this.admitting !== this.lineOf(task)) return false
    if (!offered.fresh) {
      offered.fresh = true
      offered.at = performance.now()
      offered.clock = this.clock.currentTimeMillisUnsafe()
    }
    const stats = this.classes[task.priority]!
    stats.submitted++
    task.submittedAt = offered.at
    this.budget.cost += task.cost
    this.queue.offer(task)
    const limit = task.timeLimit ?? stats.class.timeLimit
    if (limit !== Infinity) this.deadlines(limit).add(task, offered.clock)
    return true
  }

  /** Wakes idle workers while there is something for them, in this call (unless the event loop is due). */
  flush(): void {
    if (this.flushing) return
    this.offered.fresh = false
    if (this.turn !== undefined) return
    this.flushing = true
    this.left = this.batchSize
    this.turnStart = 0
    while (this.left > 0 && this.idle.length > 0 && this.hasWork) this.idle.pop()!.wake()
    this.flushing = false
    this.offered.fresh = false
    if (this.queue.size === 0) return
    if (this.idle.length > 0 && this.hasWork) this.yieldTurn()
    else this.onPressure()
  }

  /** Calls `waiter` once, as soon as the queue has room; reserved classes first, in the order in which they asked. */
  awaitRoom(waiter: RoomWaiter): void {
    this.lineOf(waiter).add(waiter)
    this.onPressure()
  }

  /** Whether somebody waits for room. */
  get contended(): boolean {
    return this.reservedLine.size > 0 || this.line.size > 0
  }

  /** Whether somebody waits for room whom this one may not pass. */
  mustWait(one: RoomWaiter | Task): boolean {
    return this.lineOf(one).size > 0
  }

  /** Whether `waiter` had been waiting. */
  forgetRoom(waiter: RoomWaiter): boolean {
    return this.reservedLine.delete(waiter) || this.line.delete(waiter)
  }

  /** Takes a waiting task out, or interrupts it where it runs; its `onExit` hears of it either way. */
  cancel(task: Task): void {
    if (this.queue.has(task)) this.drop(task, interruption)
    else if (!task.uninterruptible) task.fiber?.interruptUnsafe()
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

  /** Lets in who waits for room, after the budget grew. */
  readmit(): void {
    this.admit()
    this.flush()
  }

  /** Accepts nothing more. What waits is run if `drain`, else it ends with `PoolStopped`; what runs completes. */
  stop(drain: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.state === "stopped") return Effect.void
      this.state = "stopping"
      const waiters = [...this.reservedLine, ...this.line]
      this.reservedLine.clear()
      this.line.clear()
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

  /** Interrupts what runs, but for what is uninterruptible, and drops what waits. */
  abort(): void {
    for (let task = this.queue.take(); task !== undefined; task = this.queue.take()) this.settle(task, stopped)
    for (const task of [...this.running]) this.cancel(task)
  }

  // --- what workers call -------------------------------------------------------------------------------------------

  /** Whether a worker goes on, or is one too many. */
  get retains(): boolean {
    return this.workers.size <= this.target && !this.drained
  }

  /** A worker begins to run tasks in this turn of the event loop. */
  begin(now: number): void {
    if (!this.flushing || this.turnStart === 0) this.turnStart = now
  }

  /** The next task, or `undefined` when the worker shall park: nothing waits for it, or the event loop is due. */
  take(now: number): Task | undefined {
    if (now - this.turnStart > TURN) this.endTurn()
    if (!this.hasWork) return undefined
    if (this.left <= 0) {
      this.yieldTurn()
      return undefined
    }
    this.left--
    return this.queue.take(this.isReserved)
  }

  /** Starts a task that was taken, as far as it does not wait; only then is its place in the queue given away. */
  run(task: Task, now: number): Fiber.Fiber<unknown, unknown> {
    const stats = this.classes[task.priority]!
    stats.started++
    stats.wait.record((now - task.submittedAt) * 1000)
    task.startedAt = now
    task.slot = this.running.push(task) - 1
    if (!stats.class.reserved) this.unreserved++
    if (task.uninterruptible) task.deadlines?.remove(task)
    // Its fiber is known from its first step on: that step may be what makes somebody cancel it.
    const effect = Effect.withFiber((fiber) => {
      task.fiber = fiber
      return task.effect
    })
    const fiber = Effect.runForkWith(task.context)(effect, task.uninterruptible ? uninterruptible : undefined)
    this.admit()
    return fiber
  }

  /** Its worker waits for a task: others take over what is left in the queue. */
  suspended(): void {
    if (performance.now() - this.turnStart > TURN) this.endTurn()
    if (this.queue.size > 0 && !this.flushing) this.flush()
  }

  finish(task: Task, exit: Exit.Exit<unknown, unknown>, now: number): void {
    const stats = this.classes[task.priority]!
    stats.run.record((now - task.startedAt) * 1000)
    if (!stats.class.reserved) this.unreserved--
    const last = this.running.pop()!
    if (last !== task) {
      this.running[task.slot] = last
      last.slot = task.slot
    }
    this.settle(task, task.expired && Exit.hasInterrupts(exit) && !Exit.hasDies(exit) ? expired : exit)
    this.admit()
    // Whoever heard of this may have offered more: that was not the last time to look at the clock.
    this.offered.fresh = false
    this.endIfDrained()
  }

  park(worker: Worker): void {
    this.idle.push(worker)
  }

  remove(worker: Worker): void {
    this.workers.delete(worker)
    this.endIfDrained()
  }

  /** Workers that what runs takes up, with the one that is kept for the reserved classes while others run. */
  get occupied(): number {
    return this.reserves && this.unreserved > 0
      ? Math.max(this.running.length, this.unreserved + 1)
      : this.running.length
  }

  // -----------------------------------------------------------------------------------------------------------------

  /** Whether the last free worker is kept for the reserved classes. A pool of one worker keeps none. */
  private get isReserved(): boolean {
    return this.reserves && this.target > 1 && this.unreserved >= this.target - 1
  }

  /** Whether a free worker would find something that it may run. */
  private get hasWork(): boolean {
    return this.queue.size > 0 && (!this.isReserved || this.queue.reservedSize > 0)
  }

  private deadlines(limit: number): Deadlines<Task> {
    const known = this.limits.get(limit)
    if (known !== undefined) return known
    const { clock, fork } = this
    const made = new Deadlines<Task>({
      limit,
      clock,
      fork,
      expire: (task) => this.expire(task),
      onEmpty: this.limits.size < LASTING_LIMITS ? undefined : () => this.limits.delete(limit)
    })
    this.limits.set(limit, made)
    return made
  }

  private expire(task: Task): void {
    task.expired = true
    if (this.queue.has(task)) this.drop(task, expired)
    else task.fiber?.interruptUnsafe()
  }

  /** Takes a waiting task out of the queue. */
  private drop(task: Task, why: Exit.Exit<never, unknown>): void {
    this.queue.remove(task)
    this.settle(task, why)
    this.admit()
    // Who was let in may be what a free worker is kept for.
    this.flush()
    this.endIfDrained()
  }

  private settle(task: Task, exit: Exit.Exit<unknown, unknown>): void {
    this.budget.cost -= task.cost
    task.deadlines?.remove(task)
    const stats = this.classes[task.priority]!
    if (Exit.isSuccess(exit)) stats.completed++
    else if (exit === expired) stats.timedOut++
    else if (exit === interruption || Exit.hasInterrupts(exit)) stats.interrupted++
    else stats.failed++
    try {
      task.onExit(exit)
    } catch (defect) {
      Effect.runForkWith(task.context)(Effect.logError("onExit of a task threw", defect))
    }
  }

  private isOfReserved({ priority }: RoomWaiter | Task): boolean {
    return priority !== undefined && this.classes[priority]!.class.reserved
  }

  private lineOf(one: RoomWaiter | Task): Set<RoomWaiter> {
    return this.isOfReserved(one) ? this.reservedLine : this.line
  }

  private admits(one: RoomWaiter | Task): boolean {
    return this.budget.admits(one.cost ?? 0, this.queue.size, this.reserves && !this.isOfReserved(one))
  }

  private admit(): void {
    if (this.reservedLine.size > 0) this.admitFrom(this.reservedLine)
    if (this.line.size > 0) this.admitFrom(this.line)
  }

  private admitFrom(line: Set<RoomWaiter>): void {
    // Whoever is let in may ask again, behind all others.
    for (let left = line.size; left > 0 && line.size > 0; left--) {
      const waiter: RoomWaiter = line.values().next().value!
      // Nobody passes who waits for more room than there is: what runs will give it.
      if (this.state !== "running" || !this.admits(waiter)) return
      line.delete(waiter)
      const { admitting } = this
      this.admitting = line
      waiter.onRoom()
      this.admitting = admitting
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

  /** Nothing is started any more before the event loop has had its turn, not even what is offered only now. */
  private endTurn(): void {
    this.left = 0
    this.yieldTurn()
  }

  private yieldTurn(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined
      this.flush()
    })
  }

  /** Whether a stopping pool has nothing left to do. */
  private get drained(): boolean {
    return this.state === "stopping" && this.queue.size === 0 && this.running.length === 0
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
const expired = Exit.fail(PoolError.timeout)

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
    let now = performance.now()
    scheduler.begin(now)
    while (scheduler.retains) {
      const task = scheduler.take(now)
      if (task === undefined) return this.parked
      const fiber = scheduler.run(task, now)
      const exit = fiber.pollUnsafe()
      if (exit === undefined) return this.waitFor(task, fiber)
      now = performance.now()
      scheduler.finish(task, exit, now)
    }
    return Effect.void
  }

  private waitFor(task: Task, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      fiber.addObserver((exit) => {
        this.scheduler.finish(task, exit, performance.now())
        resume(Effect.void)
      })
      this.scheduler.suspended()
    })
  }
}
