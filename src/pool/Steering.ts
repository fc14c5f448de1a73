/** What changes a pool while it runs: its owner, its load, and the memory that is left. */

import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Autoscaler from "./Autoscaler.ts"
import * as MemoryPressure from "./MemoryPressure.ts"
import type { SizeEvent } from "./PoolStats.ts"
import type { Scheduler } from "./Scheduler.ts"

/** Changes of the number of workers that are remembered. */
const EVENTS = 64

/**
 * Milliseconds between two looks at the memory, when there is enough and when it becomes scarce: a fast network fills a small
 * heap in a few of them, and a share of a large queue is still much for what is left.
 */
const MEMORY_INTERVAL = 10
const SCARCE_INTERVAL = 2

export interface SteeringOptions {
  readonly scheduler: Scheduler
  readonly clock: Clock.Clock
  readonly minWorkers: number
  readonly maxWorkers: number
  /** Whether the load decides how many workers there are between these. */
  readonly autoscale: boolean
  /** Runs an effect for as long as the pool lives. */
  readonly fork: (effect: Effect.Effect<void>) => void
  /** The share of the time since it was asked last that the event loop was busy. */
  readonly utilisation: () => number
  /** The share of the memory in use. */
  readonly memoryUsed: () => number
  readonly watermarks: MemoryPressure.AllWatermarks
}

export class Steering {
  readonly events: Array<SizeEvent> = []
  minWorkers: number
  maxWorkers: number
  private readonly options: SteeringOptions
  private readonly autoscaler = new Autoscaler.Autoscaler()
  private scaling = false
  private watchingMemory = false

  constructor(options: SteeringOptions) {
    this.options = options
    this.minWorkers = options.minWorkers
    this.maxWorkers = options.maxWorkers
    options.scheduler.onPressure = () => this.onPressure()
  }

  /** What its owner asks for: so many workers, or at most so many where the load decides; `least` says whether it does. */
  resize(workers: number, least?: number): void {
    const { autoscale, minWorkers, scheduler } = this.options
    this.maxWorkers = workers
    this.minWorkers = least ?? (autoscale ? Math.min(minWorkers, workers) : workers)
    this.size(Math.max(this.minWorkers, Math.min(scheduler.target, workers)), "resize")
  }

  /** Tasks wait for workers or for room: from now on the pool is looked after, until it is idle again. */
  private onPressure(): void {
    if (!this.scaling && this.minWorkers < this.maxWorkers) {
      this.scaling = true
      this.options.fork(this.scale)
    }
    if (!this.watchingMemory) {
      this.watchingMemory = true
      this.options.fork(this.watchMemory)
    }
  }

  private readonly scale = Effect.gen({ self: this }, function* () {
    const { scheduler, utilisation } = this.options
    utilisation()
    while (this.minWorkers < this.maxWorkers) {
      yield* Effect.sleep(Autoscaler.INTERVAL)
      const decision = this.autoscaler.decide(
        {
          workers: scheduler.target,
          active: scheduler.occupied,
          waiting: scheduler.queue.size + scheduler.line.size,
          utilisation: utilisation()
        },
        this.minWorkers,
        this.maxWorkers
      )
      if (decision !== undefined) this.size(decision.to, decision.reason)
      if (scheduler.target === this.minWorkers && this.isIdle) break
    }
    this.scaling = false
  })

  private readonly watchMemory = Effect.gen({ self: this }, function* () {
    const { memoryUsed, scheduler, watermarks } = this.options
    while (!this.isIdle || scheduler.budget.admission < 1) {
      const used = memoryUsed()
      const admission = MemoryPressure.admission(used, watermarks)
      const more = admission > scheduler.budget.admission
      scheduler.budget.admission = admission
      if (more) scheduler.readmit()
      yield* Effect.sleep(used < watermarks.low ? MEMORY_INTERVAL : SCARCE_INTERVAL)
    }
    this.watchingMemory = false
  })

  private get isIdle(): boolean {
    const { scheduler } = this.options
    return scheduler.running.length === 0 && scheduler.queue.size === 0 && scheduler.line.size === 0
  }

  private size(to: number, reason: SizeEvent["reason"]): void {
    const { clock, scheduler } = this.options
    if (to !== scheduler.target) {
      this.events.push({ at: clock.currentTimeMillisUnsafe(), from: scheduler.target, to, reason })
      if (this.events.length > EVENTS) this.events.shift()
    }
    scheduler.resize(to)
  }
}
