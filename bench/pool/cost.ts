/** What a task costs, as the difference to running the same task directly. */

import * as Effect from "effect/Effect"
import { table } from "../table.ts"
import {
  type Contender,
  contenders,
  DIRECT,
  DIRECT_PROMISE,
  EXECUTE,
  type Kind,
  kinds,
  type Load,
  loads,
  P_QUEUE,
  SEMAPHORE
} from "./contenders.ts"
import { difference, inTurn, median } from "./measure.ts"

export interface Cost {
  /** Nanoseconds per task. */
  readonly total: number
  /** Nanoseconds more than the same task costs directly. */
  readonly extra: number
}

export interface CostRow {
  readonly name: string
  readonly costs: { readonly [K in `${Load}, ${Kind}`]: Cost }
}

export const measure = (rounds: number): Promise<ReadonlyArray<CostRow>> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(contenders, (all) => Effect.promise(() => compare(rounds, all)))))

const compare = async (rounds: number, all: ReadonlyArray<Contender>): Promise<ReadonlyArray<CostRow>> => {
  const costs = all.map(() => ({}) as Record<`${Load}, ${Kind}`, Cost>)
  for (const load of loads) {
    for (const kind of kinds) {
      const samples = await inTurn(
        rounds,
        Object.fromEntries(all.map(({ name, run }) => [name, () => run(load, kind)]))
      )
      all.forEach(({ base, name }, i) => {
        const direct = samples[base === "effect" ? DIRECT : DIRECT_PROMISE]!
        costs[i]![`${load}, ${kind}`] = { total: median(samples[name]!), extra: difference(samples[name]!, direct) }
      })
    }
  }
  return all.map(({ name }, i) => ({ name, costs: costs[i]! }))
}

const columns = loads.flatMap((load) => kinds.map((kind) => `${load}, ${kind}` as const))

export const print = (rows: ReadonlyArray<CostRow>): string =>
  [
    "Microseconds that a task costs beyond the task itself; in brackets, thousands of tasks a second, in all.",
    "lone: one after the other on an idle pool; full: 2,048 submitters, the queue is always full; waiting: for a microtask.",
    "",
    table(
      ["", ...columns],
      rows.map(({ costs, name }) => [
        name,
        ...columns.map((column) => {
          const { extra, total } = costs[column]
          const direct = name === DIRECT || name === DIRECT_PROMISE
          return `${direct ? "" : (extra / 1000).toFixed(2)} (${Math.round(1e6 / total).toLocaleString("en")})`.trim()
        })
      ])
    )
  ].join("\n")

export interface Goal {
  readonly goal: string
  readonly met: boolean
  readonly found: string
}

/** What was set as a goal, and what came of it. */
export const goals = (rows: ReadonlyArray<CostRow>): ReadonlyArray<Goal> => {
  const extra = (name: string, load: Load, kind: Kind): number =>
    rows.find((row) => row.name === name)!.costs[`${load}, ${kind}`].extra / 1000
  const found = (...microseconds: ReadonlyArray<number>): string =>
    microseconds.map((us) => `${us.toFixed(2)} us`).join(" and ")
  return kinds.flatMap((kind) => {
    const full = extra(EXECUTE, "full", kind)
    const lone = extra(EXECUTE, "lone", kind)
    return [
      { goal: `execute, full queue, task ${kind}: at most 2 us`, met: full <= 2, found: found(full) },
      { goal: `execute, idle pool, task ${kind}: at most 5 us`, met: lone <= 5, found: found(lone) },
      ...loads.flatMap((load) => {
        const ours = extra(EXECUTE, load, kind)
        return [P_QUEUE, SEMAPHORE].map((other) => {
          const theirs = extra(other, load, kind)
          return {
            goal: `execute, ${load}, task ${kind}: ${other === P_QUEUE ? "no slower than" : "faster than"} ${other}`,
            met: other === P_QUEUE ? ours <= theirs : ours < theirs,
            found: found(ours, theirs)
          }
        })
      })
    ]
  })
}
