/** Samples and what is said about them. */

import * as Effect from "effect/Effect"
import { make, type Options, type WorkerPool } from "../../src/pool/WorkerPool.ts"

/** The value that a share of the others does not exceed. */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export const percentiles = (values: ReadonlyArray<number>): Percentiles => ({
  count: values.length,
  p50: percentile(values, 0.5),
  p90: percentile(values, 0.9),
  p99: percentile(values, 0.99),
  max: percentile(values, 1)
})

/**
 * Samples of several things, taken in turn: whatever else the machine does meets all of them alike. The first round warms
 * up and does not count.
 */
export const inTurn = async <K extends string>(
  rounds: number,
  things: Readonly<Record<K, () => Promise<number>>>
): Promise<Readonly<Record<K, ReadonlyArray<number>>>> => {
  const names = Object.keys(things) as Array<K>
  const samples = Object.fromEntries(names.map((name) => [name, [] as Array<number>])) as Record<K, Array<number>>
  for (let round = 0; round <= rounds; round++) {
    // Nobody shall always come after the same neighbour, whose garbage is still there.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const sample = await things[name]()
      if (round > 0) samples[name].push(sample)
    }
  }
  return samples
}

/** The median of the differences between samples of one round. */
export const difference = (samples: ReadonlyArray<number>, base: ReadonlyArray<number>): number =>
  median(samples.map((sample, round) => sample - base[round]!))

/** Runs an effect that uses a pool of its own. */
export const withPool = <A>(
  options: Options,
  use: (pool: WorkerPool["Service"]) => Effect.Effect<A, unknown>
): Promise<A> => Effect.runPromise(Effect.scoped(Effect.flatMap(make(options), use)))

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Lets the event loop turn once. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
