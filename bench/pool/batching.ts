/** What batches cost a task that comes alone, and a task whose neighbour sleeps. (What they save is in `cost.ts`.) */

import * as Effect from "effect/Effect"
import type { WorkerPool } from "../../src/pool/WorkerPool.ts"
import { table } from "../table.ts"
import { percentiles, type Percentiles, sleep, withPool } from "./measure.ts"

const SIZES = [1, 64] as const

export interface Batching {
  readonly batchSize: number
  /** Milliseconds from `execute` to the result of a task that comes to an idle pool every now and then. */
  readonly alone: Percentiles
  /** The same of the other 63 in chunks of 64 of which one sleeps for `SLEEP`, with workers to spare. */
  readonly besideSleeper: Percentiles
}

const ROUNDS = 300
const CHUNK = 64
const SLEEP = 20

const task = Effect.sync(() => {})

const alone = async (pool: WorkerPool["Service"]): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let i = 0; i < ROUNDS; i++) {
    await sleep(2)
    const start = performance.now()
    await Effect.runPromise(pool.execute(task))
    times.push(performance.now() - start)
  }
  return times
}

const besideSleeper = async (pool: WorkerPool["Service"]): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  const timed = (start: number) => Effect.map(pool.execute(task), () => void times.push(performance.now() - start))
  for (let i = 0; i < ROUNDS / 10; i++) {
    const start = performance.now()
    const chunk = Array.from({ length: CHUNK }, (_, i) => (i === 0 ? pool.execute(Effect.sleep(SLEEP)) : timed(start)))
    await Effect.runPromise(Effect.all(chunk, { concurrency: "unbounded", discard: true }))
  }
  return times
}

export const measure = async (): Promise<ReadonlyArray<Batching>> => {
  const all: Array<Batching> = []
  for (const batchSize of SIZES) {
    const both = (pool: WorkerPool["Service"]) =>
      Effect.promise(async () => {
        await alone(pool)
        return { alone: percentiles(await alone(pool)), besideSleeper: percentiles(await besideSleeper(pool)) }
      })
    all.push({ batchSize, ...(await withPool({ maxWorkers: 8, batchSize }, both)) })
  }
  return all
}

const us = (milliseconds: number): string => Math.round(milliseconds * 1000).toLocaleString("en")

export const print = (all: ReadonlyArray<Batching>): string =>
  [
    "Microseconds from execute to result: of a task that comes alone to an idle pool; and of the others in a chunk of 64 of which the first sleeps for 20 ms.",
    "",
    table(
      ["batchSize", "alone: median", "p99", "beside a sleeper: median", "p99"],
      all.map(({ alone, batchSize, besideSleeper }) => [
        String(batchSize),
        us(alone.p50),
        us(alone.p99),
        us(besideSleeper.p50),
        us(besideSleeper.p99)
      ])
    )
  ].join("\n")
