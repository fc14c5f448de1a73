/** Effects on their way into a pool: each waits for room if it must, for a limited time, and may be withdrawn. */

import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as PoolError from "./PoolError.ts"
import type { RoomWaiter, Scheduler } from "./Scheduler.ts"
import { Task } from "./Task.ts"

/** An effect with the services of its submitter. */
export class Submission extends Task implements RoomWaiter {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  readonly priority: number
  readonly lane: unknown
  readonly uninterruptible: boolean
  /** When waiting for room has lasted too long, in milliseconds of the clock. */
  deadline = 0
  private readonly submissions: Submissions
  readonly refused: (why: Exit.Exit<never, any>) => void
  private readonly ended: (exit: Exit.Exit<any, any>) => void
  private readonly accepted: () => void

  constructor(options: {
    readonly submissions: Submissions
    readonly effect: Effect.Effect<unknown, unknown, any>
    readonly context: Context.Context<never>
    readonly priority: number
    readonly lane: unknown
    readonly uninterruptible: boolean
    /** Hears of its end, once it was in the queue. */
    readonly ended: (exit: Exit.Exit<any, any>) => void
    /** Hears that it is in the queue after it had to wait for that. */
    readonly accepted: () => void
    /** Hears why it never came into the queue. */
    readonly refused: (why: Exit.Exit<never, any>) => void
  }) {
    super()
    this.submissions = options.submissions
    // What it requires is in `context`.
    this.effect = options.effect as Effect.Effect<unknown, unknown>
    this.context = options.context
    this.priority = options.priority
    this.lane = options.lane
    this.uninterruptible = options.uninterruptible
    this.ended = options.ended
    this.accepted = options.accepted
    this.refused = options.refused
  }

  onRoom(): void {
    this.submissions.enter(this)
    this.accepted()
  }

  onStopped(): void {
    this.submissions.refuse(this, stopped)
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.ended(exit)
  }
}

export class Submissions {
  private readonly scheduler: Scheduler
  private readonly clock: Clock.Clock
  /** Milliseconds to wait for room. */
  private readonly timeout: number
  private readonly fork: (effect: Effect.Effect<void>) => void
  /** Who waits for room, in the order of their deadlines, which is that of their arrival. */
  private readonly waiting = new Set<Submission>()
  /** Whether a fiber watches the first deadline: one for all, instead of a timer for each. */
  private watched = false

  constructor(options: {
    readonly scheduler: Scheduler
    readonly clock: Clock.Clock
    readonly timeout: number
    /** Runs an effect for as long as the pool lives. */
    readonly fork: (effect: Effect.Effect<void>) => void
  }) {
    this.scheduler = options.scheduler
    this.clock = options.clock
    this.timeout = options.timeout
    this.fork = options.fork
  }

  /** Brings a submission into the queue, now or when there is room; `false` when it has to wait, or is refused. */
  submit(submission: Submission): boolean {
    const { scheduler } = this
    if (!scheduler.contended && scheduler.offer(submission)) {
      scheduler.flush()
      return true
    }
    if (scheduler.state === "running") this.wait(submission)
    else this.refuse(submission, stopped)
    return false
  }

  /** Takes a submission back, wherever it is; waits for its end if it runs. */
  withdraw(submission: Submission): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.waiting.has(submission)) {
        this.scheduler.forgetRoom(submission)
        this.refuse(submission, interruption)
        return Effect.void
      }
      this.scheduler.cancel(submission)
      return submission.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(submission.fiber))
    })
  }

  /** @internal There is room. */
  enter(submission: Submission): void {
    this.waiting.delete(submission)
    this.scheduler.offer(submission)
  }

  /** @internal It will never begin. */
  refuse(submission: Submission, why: Exit.Exit<never, unknown>): void {
    this.waiting.delete(submission)
    submission.refused(why)
  }

  private wait(submission: Submission): void {
    submission.deadline = this.clock.currentTimeMillisUnsafe() + this.timeout
    this.scheduler.awaitRoom(submission)
    this.waiting.add(submission)
    if (this.watched) return
    this.watched = true
    this.fork(this.watch)
  }

  private readonly watch = Effect.gen({ self: this }, function* () {
    for (const submission of this.waiting) {
      const left = submission.deadline - this.clock.currentTimeMillisUnsafe()
      if (left > 0) yield* Effect.sleep(left)
      if (this.waiting.has(submission)) this.expire(submission)
    }
    this.watched = false
  })

  private expire(submission: Submission): void {
    this.scheduler.forgetRoom(submission)
    this.scheduler.counters.rejected++
    this.refuse(submission, saturated)
  }
}

const interruption = Exit.interrupt()
const stopped = Exit.fail(PoolError.stopped)
const saturated = Exit.fail(PoolError.saturated)
