/** Time lines of a pool that is resized, and of one that sizes itself, under load. */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Options, SizeEvent, WorkerPool } from "../../src/pool/WorkerPool.ts"
import { withPool } from "./measure.ts"

/** A look at the pool. */
export interface Look {
  /** Milliseconds since the beginning. */
  readonly at: number
  readonly workers: number
  readonly active: number
  readonly queued: number
  /** Tasks that had completed. */
  readonly completed: number
}

export interface TimeLine {
  readonly looks: ReadonlyArray<Look>
  /** The times are milliseconds since the beginning. */
  readonly events: ReadonlyArray<SizeEvent>
}

interface Step {
  readonly at: number
  readonly run: (pool: WorkerPool["Service"], load: Load) => Effect.Effect<void, unknown>
}

const LOOK_INTERVAL = 20

/** Milliseconds of each task, all of them waiting. */
const TASK = 10

/** So many submitters, each with one task after the other. */
interface Load {
  submitters: number
}

const record = (options: Options, duration: number, steps: ReadonlyArray<Step>): Promise<TimeLine> =>
  withPool({ ...options, submitTimeout: "1 minute" }, (pool) =>
    Effect.gen(function* () {
      const load: Load = { submitters: 0 }
      let running = 0
      const submitter = (i: number): Effect.Effect<void, unknown> =>
        Effect.suspend(() =>
          i < load.submitters
            ? Effect.andThen(pool.execute(Effect.sleep(TASK)), submitter(i))
            : Effect.sync(() => void running--)
        )
      const begin = performance.now()
      const epoch = yield* Clock.currentTimeMillis
      const looks: Array<Look> = []
      const left = [...steps]
      for (let at = 0; at < duration; at = performance.now() - begin) {
        while (left.length > 0 && left[0]!.at <= at) yield* left.shift()!.run(pool, load)
        while (running < load.submitters) yield* Effect.forkChild(submitter(running++))
        const { active, completed, queued, workers } = yield* pool.stats
        looks.push({ at, workers, active, completed, queued: Object.values(queued).reduce((a, b) => a + b) })
        yield* Effect.sleep(LOOK_INTERVAL)
      }
      load.submitters = 0
      const { sizeEvents } = yield* pool.stats
      return { looks, events: sizeEvents.map((event) => ({ ...event, at: event.at - epoch })) }
    })
  )

const submitters = (at: number, count: number): Step => ({
  at,
  run: (_, load) =>
    Effect.sync(() => {
      load.submitters = count
    })
})

const resize = (at: number, workers: number): Step => ({ at, run: (pool) => pool.resize(workers) })

/** Twice as many submitters as the most workers; the number of workers changes while all of them wait. */
export const resizing = (): Promise<TimeLine> =>
  record({ maxWorkers: 16 }, 2500, [
    submitters(0, 128),
    resize(500, 64),
    resize(1000, 4),
    resize(1500, 32),
    resize(2000, 16)
  ])

/** A load comes, grows and goes. */
export const autoscaling = (): Promise<TimeLine> =>
  record({ minWorkers: 2, maxWorkers: 64 }, 16_000, [submitters(300, 24), submitters(1500, 96), submitters(3000, 0)])

/** The reaction to the first load, in words. */
export const print = (resized: TimeLine, scaled: TimeLine): string => {
  const rate = (from: number, to: number): number => {
    const inside = resized.looks.filter(({ at }) => at >= from && at < to)
    const first = inside[0]!
    const last = inside.at(-1)!
    return ((last.completed - first.completed) / (last.at - first.at)) * 1000
  }
  const events = ({ events }: TimeLine): string =>
    events.map(({ at, from, reason, to }) => `  ${(at / 1000).toFixed(2)} s: ${from} -> ${to} (${reason})`).join("\n")
  return [
    "Resizing 16 -> 64 -> 4 -> 32 -> 16 under 128 submitters of tasks of 10 ms; tasks a second at each size:",
    `  16: ${rate(100, 500).toFixed(0)}, 64: ${rate(550, 1000).toFixed(0)}, 4: ${rate(1050, 1500).toFixed(0)}, 32: ${rate(1550, 2000).toFixed(0)}`,
    "Autoscaling between 2 and 64 workers; 24 submitters come at 0.3 s, 96 at 1.5 s, none from 3 s on:",
    events(scaled)
  ].join("\n")
}
