/** `--only large-directory`: what an entry of a complete listing costs in a directory of 10,000 and in one of 1,000,000. */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Nfs3 from "../src/programs/nfs3/Nfs3Calls.ts"
import type { Backend } from "./cases.ts"
import { median } from "./figures.ts"
import type { Verdict } from "./goals.ts"
import * as Listing from "./load/Listing.ts"
import * as ProcessorTime from "./load/ProcessorTime.ts"
import * as Workspace from "./load/Workspace.ts"
import * as Processes from "./processes.ts"
import type { Announcement } from "./servers/announce.ts"
import * as Temporary from "./temporary.ts"

export const NAME = "large-directory"

const SMALL = 10_000
const LARGE = 1_000_000

/** Listings of the small one in memory that are measured together: else the clock that counts processor time is too coarse. */
const TIMES = 10

/**
 * Until what a listing has shown of a directory of the host is no longer remembered: of a small one that would be all, of a large
 * one next to nothing, and what is compared is the work.
 */
const FORGOTTEN = "1500 millis"

/** Microseconds for each entry. */
interface Cost {
  readonly passed: number
  /** Processor time of the server, where the system tells. */
  readonly server: number | undefined
}

export interface Result {
  readonly backend: Backend
  readonly small: Cost
  readonly large: Cost
  /** How many times the cost of the small one: by time passed or by processor time, whichever is worse. */
  readonly ratio: number
}

/** How much more an entry of the large one may cost. */
const limits = { memory: 1.2, local: 1.5 }

export const measure = (rounds: number) =>
  Effect.forEach(["memory", "local"] as const, (backend) => Effect.scoped(measureOn(backend, rounds)))

export const verdict = ({ backend, large, ratio, small }: Result): Verdict => {
  const cost = ({ passed, server }: Cost): string =>
    `${passed.toFixed(2)} µs${server === undefined ? "" : ` (CPU ${server.toFixed(2)})`}`
  return {
    name: `a directory of ${LARGE.toLocaleString("en-US")}${backend === "local" ? " local" : ""}`,
    goal: `an entry costs at most ${limits[backend]} x one of ${SMALL.toLocaleString("en-US")}`,
    found: `${ratio.toFixed(2)} x: ${cost(large)}, ${cost(small)}`,
    met: ratio <= limits[backend]
  }
}

const measureOn = Effect.fnUntraced(function* (backend: Backend, rounds: number) {
  const files = join(yield* Temporary.directory, "files")
  mkdirSync(files)
  const server = yield* Processes.start({
    name: `two directories, ${backend}`,
    module: "servers/directories.ts",
    args: [String(SMALL), String(LARGE), ...(backend === "local" ? [files] : [])],
    processor: Processes.processors().server
  })
  const { port } = (yield* server.ask()) as Announcement
  const endpoint = { host: "127.0.0.1", port, mountPort: port, exportPath: "/", pid: server.pid }
  const workspace = yield* Workspace.make(endpoint)

  const listing = Effect.fnUntraced(function* (name: string, entries: number, times: number) {
    const dir = (yield* workspace.call(Nfs3.LOOKUP, { what: { dir: workspace.root, name } })).object
    const before = ProcessorTime.snapshot(endpoint.pid)
    for (let i = 0; i < times; i++) {
      const listed = yield* Listing.walk(workspace, dir)
      if (listed.entries !== entries) {
        return yield* new Workspace.PrepareFailed({ message: `${listed.entries} of ${entries} entries were listed` })
      }
    }
    const { seconds, server } = ProcessorTime.between(before, ProcessorTime.snapshot(endpoint.pid))
    const each = 1e6 / (entries * times)
    return { passed: seconds * each, server: server === undefined ? undefined : server * each }
  })

  // Unseen, until everything is compiled and cached.
  yield* listing("small", SMALL, TIMES)
  yield* listing("large", LARGE, 1)
  const small = backend === "memory" ? listing("small", SMALL, TIMES) : listing("small", SMALL, 1)
  const pairs = yield* Effect.forEach(Array.from({ length: rounds }), () =>
    Effect.all({ small: Effect.delay(small, FORGOTTEN), large: listing("large", LARGE, 1) })
  )
  const middle = (figure: (pair: (typeof pairs)[number]) => number): number => median(pairs.map(figure))
  const cost = (size: "small" | "large"): Cost => ({
    passed: middle((pair) => pair[size].passed),
    server: middle((pair) => pair[size].server ?? 0) || undefined
  })
  const ratio = Math.max(
    middle(({ large, small }) => large.passed / small.passed),
    middle(({ large, small }) => (large.server ?? 1) / (small.server ?? 1))
  )
  return { backend, small: cost("small"), large: cost("large"), ratio } satisfies Result
})
