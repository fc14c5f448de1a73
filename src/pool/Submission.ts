/** Effects on their way into a pool: each waits for room if it must, for a limited time, and may be withdrawn. */

import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Deadlines } from "./Deadlines.ts"
import {
  interruption,
  type PoolSaturated,
  type PoolStopped,
  saturated,
  stopped,
  type TaskTimeout
} from "./PoolError.ts"
import type { Place } from "./RoomWaiter.ts"
import type { Scheduler } from "./Scheduler.ts"
import { Task } from "./Task.ts"

export interface TaskOptions {
  /** The name of a class; default `"metadata"`, or the first class of a pool without one of that name. */
  readonly priority?: string | undefined
  /** Tasks of one lane wait behind each other; lanes of a class take turns. Default: one lane that all such tasks share. */
  readonly lane?: unknown
  /** Bytes that it pins while it waits and runs; default 0. */
  readonly cost?: number | undefined
  /**
   * How long it may wait in the queue and run; default: the limit of its class. What is uninterruptible may run as long as
   * it wants once it has started.
   */
  readonly timeout?: Duration.Input | undefined
  /** Once started, completes even when nobody is interested any more. Default `false`. */
  readonly uninterruptible?: boolean | undefined
}

/** Why the pool did not run an effect, or not to its end. */
export type Refused = PoolStopped | TaskTimeout

/** A submitted task. */
export interface TaskHandle<A, E> {
  /** Its result; an interruption when it was cancelled, `PoolStopped` when the pool was stopped before it could start. */
  readonly await: Effect.Effect<A, E | Refused>
  /** Takes it out of the queue, or interrupts it and waits for its end. */
  readonly cancel: Effect.Effect<void>
}

/** Tells the submitter: the end of its effect, or its handle, or why neither will come. */
type Resume = (effect: Effect.Effect<any, any>) => void

/** A submitter's effect, with the submitter's services. */
abstract class Submission extends Task implements Place {
  protected readonly submissions: Submissions
  readonly priority: number
  readonly lane: unknown
  readonly effect: Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  override readonly cost: number
  override readonly timeLimit: number | undefined
  readonly uninterruptible: boolean
  readonly resume: Resume

  /** Made in its submitter's fiber. */
  constructor(
    submissions: Submissions,
    effect: Effect.Effect<unknown, unknown, any>,
    { cost = 0, lane, priority, timeout, uninterruptible = false }: TaskOptions,
    resume: Resume
  ) {
    super()
    this.submissions = submissions
    // What it requires is in `context`.
    this.effect = effect as Effect.Effect<unknown, unknown>
    this.context = Fiber.getCurrent()!.context
    this.priority = submissions.classOf(priority)
    this.lane = lane
    if (!(Number.isSafeInteger(cost) && cost >= 0)) {
      throw new RangeError(`the cost of a task must be a whole number of bytes, not ${cost}`)
    }
    this.cost = cost
    this.timeLimit = timeout === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(timeout))
    this.uninterruptible = uninterruptible
    this.resume = resume
  }

  /** It is in the queue. */
  abstract accepted(): void

  onRoom(): void {
    this.submissions.enter(this)
  }

  onStopped(): void {
    this.submissions.refuse(this, stopped)
  }
}

/** Takes a submission back, wherever it is; waits for its end if it runs. */
class Withdrawal extends Effectable.Class<void> {
  private readonly submissions: Submissions
  private readonly submission: Submission

  constructor(submissions: Submissions, submission: Submission) {
    super()
    this.submissions = submissions
    this.submission = submission
  }

  asEffect(): Effect.Effect<void> {
    this.submissions.withdraw(this.submission)
    const { fiber } = this.submission
    return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(fiber))
  }
}

/** Its submitter waits for its end. */
class Execution extends Submission {
  accepted(): void {}

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.resume(exit)
  }
}

/** Its submitter waits for its place in the queue. */
class Submitted extends Submission {
  private readonly result = Deferred.makeUnsafe<unknown, unknown>()

  accepted(): void {
    this.resume(Effect.succeed({ await: Deferred.await(this.result), cancel: new Withdrawal(this.submissions, this) }))
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    Deferred.doneUnsafe(this.result, exit)
  }
}

export class Submissions {
  private readonly scheduler: Scheduler
  private readonly indices: ReadonlyMap<string, number>
  /** The class of what names none. */
  private readonly usual: number
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
    this.indices = new Map(scheduler.classes.map(({ class: { name } }, i) => [name, i]))
    this.usual = this.indexOf("metadata") ?? 0
    this.waiting = new Deadlines({ limit: timeout, clock, fork, expire: (submission) => this.expire(submission) })
  }

  /** The number of a class; `undefined` when there is none of this name. */
  indexOf(name: string): number | undefined {
    return this.indices.get(name)
  }

  execute<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TaskOptions = {}
  ): Effect.Effect<A, E | PoolSaturated | Refused, R> {
    return Effect.callback((resume) => this.bring(new Execution(this, effect, options, resume)))
  }

  submit<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TaskOptions = {}
  ): Effect.Effect<TaskHandle<A, E>, PoolSaturated | PoolStopped, R> {
    return Effect.callback((resume) => this.bring(new Submitted(this, effect, options, resume)))
  }

  /** @internal The class of this name, or the usual one. */
  classOf(name: string | undefined): number {
    const index = name === undefined ? this.usual : this.indexOf(name)
    if (index === undefined) {
      throw new RangeError(`this pool has no priority class ${name}: it has ${[...this.indices.keys()].join(", ")}`)
    }
    return index
  }

  /** @internal Takes a submission back, wherever it is. */
  withdraw(submission: Submission): void {
    if (submission.deadlines === this.waiting) {
      this.scheduler.line.remove(submission)
      this.refuse(submission, interruption)
    } else {
      this.scheduler.cancel(submission)
    }
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
    submission.resume(why)
  }

  /** Brings a submission into the queue, now or when there is room; gives what takes it back. */
  private bring(submission: Submission): Withdrawal | undefined {
    const { scheduler } = this
    if (scheduler.offer(submission)) {
      submission.accepted()
      scheduler.flush()
      if (submission.isOver) return undefined
    } else if (scheduler.state === "running") {
      scheduler.join(submission)
      this.waiting.add(submission)
    } else {
      this.refuse(submission, stopped)
      return undefined
    }
    return new Withdrawal(this, submission)
  }

  private expire(submission: Submission): void {
    this.scheduler.line.remove(submission)
    this.scheduler.classes[submission.priority]!.rejected++
    this.refuse(submission, saturated)
  }
}
