/**
 * The worker pool on its own: an Effect app that fetches pages with at most four requests at once, lets a person pass a
 * crawl, and says what happened.
 *
 *     node --conditions=effect-nfs-source docs/examples/pool.ts
 */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { WorkerPool } from "effect-nfs"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Stands for something that waits for a network or a disk. */
const fetchPage = (url: string) => Effect.delay(Effect.succeed(`the page of ${url}`), "20 millis")

const Pool = WorkerPool.layer({
  maxWorkers: 4,
  priorities: {
    person: { weight: 8, reserved: true },
    crawl: { weight: 1, timeLimit: "5 seconds" }
  }
})

const program = Effect.gen(function* () {
  const pool = yield* WorkerPool.WorkerPool

  // Many at once: the pool bounds how many run, and its queue how many wait.
  const urls = Array.from({ length: 100 }, (_, i) => `https://example.org/${i}`)
  const crawl = yield* Effect.forkChild(
    Effect.forEach(urls, (url) => pool.execute(fetchPage(url), { priority: "crawl" }), { concurrency: "unbounded" }),
    { startImmediately: true }
  )

  // One that does not stand at the end of that line.
  const page = yield* pool.execute(fetchPage("https://example.org/now"), { priority: "person" })
  yield* Effect.log(`a person sees ${page}`)

  // A handle, to go on with something else, or to think better of it.
  const handle = yield* pool.submit(fetchPage("https://example.org/later"), { priority: "person", timeout: "1 second" })
  yield* handle.cancel

  // More workers, while it works.
  yield* pool.resize(16)
  yield* Effect.log(`fetched ${(yield* Fiber.join(crawl)).length} pages`)
  const { classes, interrupted } = yield* pool.stats
  yield* Effect.log(
    `half of the crawl waited for less than ${Math.round(classes["crawl"]!.wait.p50 / 1000)} ms; ${interrupted} cancelled`
  )
})

NodeRuntime.runMain(Effect.provide(program, Pool))
