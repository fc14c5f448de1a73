/** Effects on their way into a pool: each waits for room if it must, for a limited time, and may be withdrawn. */

import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Deadlines } from "./Deadlines.ts"
import * as PoolError from "./PoolError.ts"
import type { RoomWaiter, Scheduler } from "./Scheduler.ts"
import { Task } from "./Task.ts"

/** What a {@link Submission} is made of. */
export interface SubmissionOptions {
  readonly effect: Effect.Effect<unknown, unknown, any>
  readonly context: Context.Context<never>
  readonly priority: number
  readonly lane: unknown
  readonly cost: number
  readonly timeLimit: number | undefined
  readonly uninterruptible: boolean
  /** Hears of its end, once it was in the queue. */
  readonly ended: (exit: Exit.Exit<any, any>) => void
  /** Hears that it is in the queue after it had to wait for that. */
  readonly accepted: () => void
  /** Hears why it never came into the queue. */
  readonly refused: (why: Exit.Exit<never, any>) => void
}

/** An effect with the services of its submitter. */
export class Submission extends Task implements RoomWaiter {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  readonly priority: number
  readonly lane: unknown
  override readonly cost: number
  override readonly timeLimit: number | undefined
  readonly uninterruptible: boolean
  readonly accepted: () => void
  readonly refused: (why: Exit.Exit<never, any>) => void
  private readonly ended: (exit: Exit.Exit<any, any>) => void
  private readonly submissions: Submissions

  constructor(submissions: Submissions, options: SubmissionOptions) {
    super()
    this.submissions = submissions
    // What it requires is in `context`.
    this.effect = options.effect as Effect.Effect<unknown, unknown>
    this.context = options.context
    this.priority = options.priority
    this.lane = options.lane
    this.cost = options.cost
    this.timeLimit = options.timeLimit
    this.uninterruptible = options.uninterruptible
    this.ended = options.ended
    this.accepted = options.accepted
    this.refused = options.refused
  }

  onRoom(): void {
    this.submissions.enter(this)
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
  /** Who waits for room. A submission has its own time limit only once it is in the queue. */
  private readonly waiting: Deadlines<Submission>

  constructor(options: {
    readonly scheduler: Scheduler
    readonly clock: Clock.Clock
    /** Milliseconds to wait for room. */
    readonly timeout: number
    /** Runs an effect for as long as the pool lives. */
    readonly fork: (effect: Effect.Effect<void>) => void
  }) {
    const { clock, fork, scheduler, timeout } = options
    this.scheduler = scheduler
    this.clock = clock
    this.waiting = new Deadlines({ limit: timeout, clock, fork, expire: (submission) => this.expire(submission) })
  }

  /** Brings a submission into the queue, now or when there is room; `false` when it has to wait, or is refused. */
  submit(submission: Submission): boolean {
    const { scheduler } = this
    if (!scheduler.mustWait(submission) && scheduler.offer(submission)) {
      scheduler.flush()
      return true
    }
    if (scheduler.state === "running") {
      scheduler.awaitRoom(submission)
      this.waiting.add(submission, this.clock.currentTimeMillisUnsafe())
    } else {
      this.refuse(submission, stopped)
    }
    return false
  }

  /** Takes a submission back, wherever it is; waits for its end if it runs. */
  withdraw(submission: Submission): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (submission.deadlines === this.waiting) {
        this.scheduler.forgetRoom(submission)
        this.refuse(submission, interruption)
        return Effect.void
      }
      this.scheduler.cancel(submission)
      return submission.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(submission.fiber))
    })
  }

  /** @internal There is room for it. */
  enter(submission: Submission): void {
    this.waiting.remove(submission)
    this.scheduler.offer(submission)
    submission.accepted()
  }

  /** @internal It will never begin. */
  refuse(submission: Submission, why: Exit.Exit<never, unknown>): void {
    submission.deadlines?.remove(submission)
    submission.refused(why)
  }

  private expire(submission: Submission): void {
    this.scheduler.forgetRoom(submission)
    this.scheduler.classes[submission.priority]!.rejected++
    this.refuse(submission, saturated)
  }
}

const interruption = Exit.interrupt()
const stopped = Exit.fail(PoolError.stopped)
const saturated = Exit.fail(PoolError.saturated)
