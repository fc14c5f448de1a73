/** How long a metadata request waits while bulk transfers keep all workers busy and the queue full. */

import * as Effect from "effect/Effect"
import type { TaskOptions, WorkerPool } from "../../src/pool/WorkerPool.ts"
import { table } from "../table.ts"
import { type Percentiles, percentiles, withPool } from "./measure.ts"

const WORKERS = 8
/** Transfers under way: far more than workers. */
const TRANSFERS = 512
/** Milliseconds of each. */
const TRANSFER = 5
/** Milliseconds between two metadata requests. */
const INTERVAL = 7
const DURATION = 3000

export interface Waiting {
  readonly name: string
  /** Milliseconds that metadata requests waited. */
  readonly wait: Percentiles
  /** Bulk transfers a second. */
  readonly bulk: number
}

interface Setup {
  readonly name: string
  readonly metadata: TaskOptions
  readonly bulk: (client: number) => TaskOptions
}

/** The same load, told apart by more and more. */
const setups: ReadonlyArray<Setup> = [
  { name: "one queue for all", metadata: { priority: "bulk", lane: 0 }, bulk: () => ({ priority: "bulk", lane: 0 }) },
  {
    name: "a lane for each client",
    metadata: { priority: "bulk", lane: "a" },
    bulk: (client) => ({ priority: "bulk", lane: client % 4 })
  },
  {
    name: "classes and lanes",
    metadata: { priority: "metadata", lane: "a" },
    bulk: (client) => ({ priority: "bulk", lane: client % 4 })
  }
]

const load = (pool: WorkerPool["Service"], { bulk, metadata, name }: Setup) =>
  Effect.gen(function* () {
    const waits: Array<number> = []
    let transfers = 0
    const transfer = Effect.andThen(
      Effect.sleep(TRANSFER),
      Effect.sync(() => void transfers++)
    )
    const client = (i: number) => Effect.forever(pool.execute(transfer, bulk(i)))
    const request = Effect.suspend(() => {
      const start = performance.now()
      return pool.execute(
        Effect.sync(() => void waits.push(performance.now() - start)),
        metadata
      )
    })
    yield* Effect.forEach(
      Array.from({ length: TRANSFERS }, (_, i) => i),
      (i) => Effect.forkChild(client(i)),
      { discard: true }
    )
    yield* Effect.sleep(500)
    const before = transfers
    const start = performance.now()
    while (performance.now() - start < DURATION) {
      yield* Effect.forkChild(request)
      yield* Effect.sleep(INTERVAL)
    }
    const bulkRate = ((transfers - before) / (performance.now() - start)) * 1000
    // What still waits is heard, too.
    yield* Effect.sleep(1000)
    return { name, wait: percentiles(waits), bulk: bulkRate } satisfies Waiting
  })

export const measure = async (): Promise<ReadonlyArray<Waiting>> => {
  const all: Array<Waiting> = []
  for (const setup of setups) {
    all.push(await withPool({ maxWorkers: WORKERS, submitTimeout: "1 minute" }, (pool) => load(pool, setup)))
  }
  return all
}

const ms = (milliseconds: number): string => milliseconds.toFixed(milliseconds < 1 ? 3 : 1)

export const print = (all: ReadonlyArray<Waiting>): string =>
  [
    `Milliseconds that a metadata request waits while ${TRANSFERS} transfers of ${TRANSFER} ms each are under way on ${WORKERS} workers.`,
    "",
    table(
      ["", "median", "p90", "p99", "longest", "bulk a second"],
      all.map(({ bulk, name, wait }) => [name, ms(wait.p50), ms(wait.p90), ms(wait.p99), ms(wait.max), bulk.toFixed(0)])
    )
  ].join("\n")
