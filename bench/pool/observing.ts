/** What it costs a task that somebody reads the pool's stats meanwhile. */

import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { WorkerPool } from "../../src/pool/WorkerPool.ts"
import { table } from "../table.ts"
import { type Load, loads, ofPool } from "./contenders.ts"
import type { Cost } from "./cost.ts"
import { difference, inTurn, median, withPool } from "./measure.ts"

const NOBODY = "nobody"

const observers = (pool: WorkerPool["Service"]): Readonly<Record<string, Effect.Effect<unknown>>> => ({
  [NOBODY]: Effect.never,
  "stats every 10 ms": Effect.repeat(pool.stats, Schedule.spaced("10 millis")),
  "changes, consumed": Stream.runDrain(pool.changes)
})

export interface Row {
  readonly observer: string
  /** `extra`: more than in the same round with nobody there. */
  readonly costs: { readonly [L in Load]: Cost }
}

export const measure = (rounds: number): Promise<ReadonlyArray<Row>> =>
  withPool({ maxWorkers: 8, submitTimeout: "1 minute" }, (pool) => Effect.promise(() => compare(rounds, pool)))

const compare = async (rounds: number, pool: WorkerPool["Service"]): Promise<ReadonlyArray<Row>> => {
  const { run } = ofPool("", pool)
  const all = Object.entries(observers(pool))
  const observed = (observer: Effect.Effect<unknown>, load: Load) => async (): Promise<number> => {
    const fiber = Effect.runFork(observer)
    const cost = await run(load, "at once")
    await Effect.runPromise(Fiber.interrupt(fiber))
    return cost
  }
  const costs = all.map(() => ({}) as Record<Load, Cost>)
  for (const load of loads) {
    const samples = await inTurn(
      rounds,
      Object.fromEntries(all.map(([name, observer]) => [name, observed(observer, load)]))
    )
    all.forEach(([name], i) => {
      costs[i]![load] = { total: median(samples[name]!), extra: difference(samples[name]!, samples[NOBODY]!) }
    })
  }
  return all.map(([observer], i) => ({ observer, costs: costs[i]! }))
}

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
