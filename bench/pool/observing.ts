/** What it costs a task that somebody reads the pool's stats meanwhile. */

import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { make, type WorkerPool } from "../../src/pool/WorkerPool.ts"
import { type Load, loads, ofPool } from "./contenders.ts"
import { difference, inTurn, median } from "./measure.ts"
import { table } from "./table.ts"

const NOBODY = "nobody"

const observers = (pool: WorkerPool["Service"]): Readonly<Record<string, Effect.Effect<unknown>>> => ({
  [NOBODY]: Effect.never,
  "stats every 10 ms": Effect.repeat(pool.stats, Schedule.spaced("10 millis")),
  "changes, consumed": Stream.runDrain(pool.changes)
})

export interface Row {
  readonly observer: string
  readonly costs: {
    /** Nanoseconds of processor time per task; `extra`: more than in the same round with nobody there. */
    readonly [L in Load]: { readonly total: number; readonly extra: number }
  }
}

export const measure = (rounds: number): Promise<ReadonlyArray<Row>> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* make({ maxWorkers: 8, submitTimeout: "1 minute" })
        const { run } = ofPool("", pool)
        const observed = (observer: Effect.Effect<unknown>, load: Load) => async (): Promise<number> => {
          const fiber = Effect.runFork(observer)
          const cost = await run(load, "at once")
          await Effect.runPromise(Fiber.interrupt(fiber))
          return cost
        }
        const all = observers(pool)
        const costs: Record<string, Record<Load, Row["costs"][Load]>> = {}
        for (const load of loads) {
          const samples = yield* Effect.promise(() =>
            inTurn(
              rounds,
              Object.fromEntries(Object.entries(all).map(([name, observer]) => [name, observed(observer, load)]))
            )
          )
          for (const name of Object.keys(all)) {
            costs[name] = {
              ...costs[name]!,
              [load]: { total: median(samples[name]!), extra: difference(samples[name]!, samples[NOBODY]!) }
            }
          }
        }
        return Object.entries(costs).map(([observer, costs]) => ({ observer, costs }))
      })
    )
  )

export const print = (rows: ReadonlyArray<Row>): string =>
  [
    "Nanoseconds that a task of `execute` costs while its pool is observed; in brackets, more than with nobody there.",
    "",
    table(
      ["observed by", ...loads],
      rows.map(({ costs, observer }) => [
        observer,
        ...loads.map((load) => `${costs[load].total.toFixed(0)} (${costs[load].extra.toFixed(0)})`)
      ])
    )
  ].join("\n")
