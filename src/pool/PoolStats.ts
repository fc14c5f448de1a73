/** What a pool did and does, in numbers. */

import type { Decision } from "./Autoscaler.ts"
import { Histogram, type Summary } from "./Histogram.ts"
import type { PriorityClass } from "./Priorities.ts"

/** The counters of one class, as the pool keeps them. */
export class ClassStats {
  readonly class: PriorityClass
  submitted = 0
  started = 0
  completed = 0
  failed = 0
  interrupted = 0
  rejected = 0
  timedOut = 0
  readonly wait = new Histogram()
  readonly run = new Histogram()

  constructor(options: PriorityClass) {
    this.class = options
  }
}

/** Tasks since the pool was made. */
export interface Counters {
  /** Came into the queue. */
  readonly submitted: number
  readonly started: number
  readonly completed: number
  /** Failed or died. */
  readonly failed: number
  /** Were interrupted, cancelled, withdrawn from the queue, or dropped by `stop`. */
  readonly interrupted: number
  /** Were refused, because the queue stayed full. */
  readonly rejected: number
  /** Were ended by their time limit, waiting or running. */
  readonly timedOut: number
}

export interface ClassSummary extends Counters {
  /** Microseconds in the queue. */
  readonly wait: Summary
  /** Microseconds from start to end. */
  readonly run: Summary
}

/** A change of the number of workers. */
export interface SizeEvent {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly from: number
  readonly to: number
  readonly reason: "resize" | Decision["reason"]
}

export interface Stats extends Counters {
  readonly state: "running" | "stopping" | "stopped"
  /** Workers there are; while the pool shrinks, more than wanted. */
  readonly workers: number
  /** Workers there shall be. */
  readonly target: number
  readonly minWorkers: number
  readonly maxWorkers: number
  /** Tasks that run now. */
  readonly active: number
  /** The share of the workers that has a task. */
  readonly utilisation: number
  /** Tasks that wait now, by class. */
  readonly queued: Readonly<Record<string, number>>
  readonly queueCapacity: number
  /** Bytes that waiting and running tasks pin. */
  readonly cost: number
  readonly maxCost: number
  /** The share of `queueCapacity` and `maxCost` that is open; below 1 when memory is scarce. */
  readonly admission: number
  readonly classes: Readonly<Record<string, ClassSummary>>
  /** The last changes of the number of workers, the latest last. */
  readonly sizeEvents: ReadonlyArray<SizeEvent>
}

export const summary = (stats: ClassStats): ClassSummary => ({
  ...counters(stats),
  wait: stats.wait.summary,
  run: stats.run.summary
})

const counters = ({ completed, failed, interrupted, rejected, started, submitted, timedOut }: Counters): Counters => ({
  submitted,
  started,
  completed,
  failed,
  interrupted,
  rejected,
  timedOut
})

/** The counters of several classes together. */
export const total = (all: ReadonlyArray<Counters>): Counters =>
  all.reduce(
    (a, b) => ({
      submitted: a.submitted + b.submitted,
      started: a.started + b.started,
      completed: a.completed + b.completed,
      failed: a.failed + b.failed,
      interrupted: a.interrupted + b.interrupted,
      rejected: a.rejected + b.rejected,
      timedOut: a.timedOut + b.timedOut
    }),
    { submitted: 0, started: 0, completed: 0, failed: 0, interrupted: 0, rejected: 0, timedOut: 0 }
  )
