/**
 * The machine inside a `WorkerPool`: starts the tasks of a bounded `RunQueue`, as many at once as there are workers.
 *
 * A worker is a place where one task at a time runs, in a fiber of the task's own: it can be interrupted, fail or die
 * without touching its place. Tasks are started in a plain loop, each as far as it does not wait. One that completes at
 * once gives its place to the next; one that waits keeps it, and the loop goes on while another is free. So a whole chunk
 * of requests costs one pass of the loop, as a batch would, and yet no task is tied to another's fate.
 *
 * At most `batchSize` tasks are started in one go, fewer when they take long, then the event loop gets its turn.
 */

import { performance } from "node:perf_hooks"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Budget } from "./Budget.ts"
import { Deadlines } from "./Deadlines.ts"
import { expired, interruption, stopped } from "./PoolError.ts"
import { ClassStats } from "./PoolStats.ts"
import type { PriorityClass } from "./Priorities.ts"
import { type Place, type RoomWaiter, Ticket } from "./RoomWaiter.ts"
import { type Kind, RunQueue } from "./RunQueue.ts"
import type { Task } from "./Task.ts"
import { begin, logDefect } from "./TaskRun.ts"

/** Milliseconds after which no further task is started before the event loop has had its turn. */
const TURN = 1

/** Time limits that are watched for good once one was used; when there are more, each is while tasks have it. */
const LASTING_LIMITS = 64

export class Scheduler {
  /** Tasks that wait for a worker. */
  readonly queue: RunQueue<Task>
  /** Who waits for room in the queue. */
  readonly line: RunQueue<Place>
  readonly budget: Budget
  readonly classes: ReadonlyArray<ClassStats>
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
  /** Who cannot be linked into the line, and stands in it by proxy. */
  private readonly tickets = new Map<RoomWaiter, Ticket>()
  /** Whether there is a class for which a worker is kept free. */
  private readonly reserves: boolean
  /** The first class without. */
  private readonly firstOther: number
  /** The kind of class for which somebody is being let in. */
  private admitting: Kind | undefined = undefined
  /** Tasks of classes without a reserved worker that run now. */
  private unreserved = 0
  /** Tasks are being started. */
  private flushing = false
  /** The turn of the event loop that is due before more tasks are started. */
  private turn: NodeJS.Immediate | undefined = undefined
  /** The end of the stop that is at work. */
  private ended: Deferred.Deferred<void> | undefined = undefined
  /** Whether it starts again after that. */
  private restart = false
  private closed = false
  /** What time it is for tasks that are offered together: asking for each would cost more than putting it into the queue. */
  private readonly offered = { fresh: false, at: 0 }

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
    this.firstOther = Math.max(
      0,
      options.classes.findIndex(({ reserved }) => !reserved)
    )
    this.clock = options.clock
    this.fork = options.fork
    this.queue = new RunQueue(options.classes)
    this.line = new RunQueue(options.classes)
  }

  /**
   * Puts a task into the queue; `false` when the pool is stopped, there is no room, or others wait for it. `flush` then lets
   * workers run.
   */
  offer(task: Task): boolean {
    const { offered } = this
    const stats = this.classes[task.priority]!
    const kind = kindOf(stats)
    if (this.state !== "running" || !this.admits(kind, task.cost)) return false
    // A small task must not pass a large one for which there is no room yet.
    if (this.line.sizeOfKind(kind) > 0 && this.admitting !== kind) return false
    if (!offered.fresh) {
      offered.fresh = true
      offered.at = performance.now()
    }
    stats.submitted++
    task.since = offered.at
    this.budget.add(kind, task.cost)
    this.queue.offer(task)
    const limit = task.timeLimit ?? stats.class.timeLimit
    if (limit !== Infinity) this.deadlines(limit).add(task)
    return true
  }

  /** Starts tasks while a worker is free for them, in this call (unless the event loop is due). */
  flush(): void {
    if (this.flushing) return
    this.offered.fresh = false
    if (this.turn !== undefined || this.queue.size === 0) return
    this.flushing = true
    const begun = performance.now()
    let now = begun
    let left = this.batchSize
    for (; left > 0 && now - begun <= TURN && this.hasWork; left--) {
      now = this.run(this.queue.take(this.isReserved ? "reserved" : undefined)!, now)
    }
    // A long turn ends also when nothing waits any more: what is offered next shall not make it longer.
    if (now - begun > TURN || (left === 0 && this.hasWork)) this.yieldTurn()
    this.flushing = false
    this.offered.fresh = false
    if (this.queue.size > 0 && this.turn === undefined) this.onPressure()
  }

  /** Puts somebody in line for room; who has left it may come back. */
  join(place: Place): void {
    this.line.offer(place)
    this.onPressure()
  }

  /** Calls `waiter` once, as soon as it is its turn and the queue has room. */
  awaitRoom(waiter: RoomWaiter): void {
    if (this.tickets.has(waiter)) return
    const ticket = new Ticket(waiter, waiter.priority ?? this.firstOther, () => this.tickets.delete(waiter))
    this.tickets.set(waiter, ticket)
    this.join(ticket)
  }

  forgetRoom(waiter: RoomWaiter): void {
    const ticket = this.tickets.get(waiter)
    if (ticket === undefined) return
    this.tickets.delete(waiter)
    this.line.remove(ticket)
  }

  /** Takes a waiting task out, or interrupts it where it runs; its `onExit` hears of it either way. */
  cancel(task: Task): void {
    if (this.queue.has(task)) this.drop(task, interruption)
    else if (!task.uninterruptible) task.fiber?.interruptUnsafe()
  }

  /** Accepts tasks; where the pool is stopping, after that. Nothing else ends a stop that was asked for later. */
  start(): void {
    if (this.closed) return
    this.restart = this.state === "stopping"
    if (this.state === "stopped") this.state = "running"
    this.readmit()
  }

  resize(workers: number): void {
    this.target = workers
    this.flush()
  }

  /** Lets in who waits for room, after the budget grew. */
  readmit(): void {
    this.admit()
    this.flush()
  }

  /**
   * Accepts nothing more. What waits is run if `drain`, else it ends with `PoolStopped`; what runs completes, and that is the
   * end which it gives.
   */
  stop(drain: boolean): Deferred.Deferred<void> {
    this.restart = false
    const ended = (this.ended ??= Deferred.makeUnsafe())
    if (this.state !== "stopped") {
      this.state = "stopping"
      const waiters: Array<Place> = []
      for (let waiter = this.line.take(); waiter !== undefined; waiter = this.line.take()) waiters.push(waiter)
      for (const waiter of waiters) {
        try {
          waiter.onStopped()
        } catch (defect) {
          logDefect("onStopped of a waiter", defect)
        }
      }
      if (!drain) this.dropAll()
    }
    this.endIfDrained()
    return ended
  }

  /** The stop that is at work, if there is one. */
  get stopping(): Deferred.Deferred<void> | undefined {
    return this.ended
  }

  /** Stops for good: no `start` brings it back. */
  close(): Deferred.Deferred<void> {
    this.closed = true
    return this.stop(false)
  }

  /** Interrupts what runs, but for what is uninterruptible, and drops what waits. */
  abort(): void {
    this.dropAll()
    for (const task of [...this.running]) this.cancel(task)
  }

  /** Workers there are: those that there shall be, and those that have a task to finish before they leave. */
  get workers(): number {
    return this.state === "stopped" ? 0 : Math.max(this.target, this.running.length)
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

  /** Whether a worker is free, and there is something that it may run. */
  private get hasWork(): boolean {
    return (
      this.running.length < this.target &&
      this.queue.size > 0 &&
      (!this.isReserved || this.queue.sizeOfKind("reserved") > 0)
    )
  }

  /**
   * Runs a task that was taken as far as it does not wait. Then its place in the queue is given away: not before, since who
   * gets it may want to cancel the task, nor after others hear of its end, who may want it for themselves. Gives what time
   * it is then.
   */
  private run(task: Task, known: number): number {
    const stats = this.classes[task.priority]!
    // Who was let in while others ended may have come later than that.
    const now = Math.max(known, task.since)
    stats.started++
    stats.wait.record((now - task.since) * 1000)
    task.since = now
    task.slot = this.running.push(task) - 1
    if (!stats.class.reserved) this.unreserved++
    if (task.uninterruptible) task.deadlines?.remove(task)
    task.started = true
    const exit = begin(task)
    const then = performance.now()
    this.admitAt(then)
    if (exit !== undefined) {
      this.finish(task, exit, then)
      return performance.now()
    }
    this.observe(task.fiber!, task)
    return then
  }

  /**
   * Waits for the end of a task. What a fiber keeps its observers in may lie among what is old, and is collected late then:
   * V8 moves it there where many fibers wait. So no observer holds on to a task that has ended.
   */
  private observe(fiber: Fiber.Fiber<unknown, unknown>, task: Task | undefined): void {
    fiber.addObserver((exit) => {
      const ended = task!
      task = undefined
      this.finish(ended, exit, performance.now())
      this.flush()
    })
  }

  private finish(task: Task, exit: Exit.Exit<unknown, unknown>, now: number): void {
    const stats = this.classes[task.priority]!
    stats.run.record((now - task.since) * 1000)
    if (!stats.class.reserved) this.unreserved--
    const last = this.running.pop()!
    if (last !== task) {
      this.running[task.slot] = last
      last.slot = task.slot
    }
    this.settle(task, task.expired && Exit.hasInterrupts(exit) && !Exit.hasDies(exit) ? expired : exit)
    // Whoever heard of this may have offered more: that was not the last time to look at the clock.
    this.admitAt(now)
    this.endIfDrained()
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

  private dropAll(): void {
    for (let task = this.queue.take(); task !== undefined; task = this.queue.take()) this.settle(task, stopped)
  }

  private settle(task: Task, exit: Exit.Exit<unknown, unknown>): void {
    const stats = this.classes[task.priority]!
    this.budget.add(kindOf(stats), -task.cost)
    task.deadlines?.remove(task)
    if (Exit.isSuccess(exit)) stats.completed++
    else if (exit === expired) stats.timedOut++
    else if (exit === stopped || (Exit.hasInterrupts(exit) && !Exit.hasDies(exit))) stats.interrupted++
    else stats.failed++
    try {
      task.onExit(exit)
    } catch (defect) {
      logDefect("onExit of a task", defect, task.context)
    }
  }

  /** Whether there may be room for somebody. */
  private get isOpen(): boolean {
    return this.state === "running" && !this.budget.isFull(this.queue.size)
  }

  private admits(kind: Kind, cost: number): boolean {
    const { queue } = this
    return this.budget.admits(kind, cost, queue.sizeOfKind(kind), queue.size)
  }

  /** Lets in who waits for room, as far as there is some. */
  private admit(): void {
    // Whoever is let in may ask again, behind all others.
    for (let left = this.line.size; left > 0 && this.isOpen; left--) {
      const waiter = this.admissible()
      if (waiter === undefined) return
      const { admitting } = this
      this.admitting = kindOf(this.classes[waiter.priority]!)
      try {
        waiter.onRoom()
      } catch (defect) {
        logDefect("onRoom of a waiter", defect)
      }
      this.admitting = admitting
    }
  }

  /** The same, and what comes in has waited from a time on that is known. */
  private admitAt(now: number): void {
    if (this.line.size > 0) {
      this.offered.fresh = true
      this.offered.at = now
      this.admit()
    }
    this.offered.fresh = false
  }

  /** Takes out of the line who may come in: the first, or else the first of classes of the other kind. */
  private admissible(): Place | undefined {
    const first = this.line.next()
    if (first === undefined) return undefined
    const kind = kindOf(this.classes[first.priority]!)
    if (this.admits(kind, first.cost)) return this.line.take()
    // Nobody of a kind passes who waits for more room than there is: what runs will give it.
    const other = kind === "reserved" ? "others" : "reserved"
    const second = this.line.next(other)
    return second !== undefined && this.admits(other, second.cost) ? this.line.take(other) : undefined
  }

  /** Nothing is started any more before the event loop has had its turn, not even what is offered only now. */
  private yieldTurn(): void {
    this.turn = setImmediate(() => {
      this.turn = undefined
      this.flush()
    })
  }

  /** Ends the stop of a pool that has nothing left to do. */
  private endIfDrained(): void {
    if (this.queue.size > 0 || this.running.length > 0 || this.state === "running") return
    this.state = "stopped"
    const { ended } = this
    this.ended = undefined
    if (this.restart) this.start()
    if (ended !== undefined) Deferred.doneUnsafe(ended, Exit.void)
  }
}

const kindOf = (stats: ClassStats): Kind => (stats.class.reserved ? "reserved" : "others")
