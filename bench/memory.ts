/** `--only memory`: how much memory the compiled server takes when nothing happens, under load, and for connections. Needs Linux. */

import { readFileSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Nfs3 from "../src/programs/nfs3/Nfs3Calls.ts"
import * as Compiled from "./compiled.ts"
import { median } from "./figures.ts"
import type { Verdict } from "./goals.ts"
import type { OperationName } from "./load/operations.ts"
import type { Endpoint, Job, Outcome } from "./load/protocol.ts"
import { EMPTY_REPLY, encode } from "./load/Request.ts"
import { program } from "./load/Workspace.ts"
import * as Processes from "./processes.ts"
import type { Announcement } from "./servers/announce.ts"

export const NAME = "memory"

/** All in MB (10^6 bytes) of resident memory. */
export interface Footprint {
  readonly idle: number
  /** More than before, at most, under 64 x 4 READs and then WRITEs of 64 KiB. */
  readonly load: number
  /** More than before with so many connections that have made a call and now are silent. */
  readonly connections: number
}

const CONNECTIONS = 1000

export const measure = Effect.fnUntraced(function* (rounds: number) {
  const module = yield* Compiled.moduleOf("servers/pooled.ts")
  const all = yield* Effect.forEach(Array.from({ length: rounds }), () => once(module))
  const middle = (figure: (footprint: Footprint) => number): number => median(all.map(figure))
  return {
    idle: middle(({ idle }) => idle),
    load: middle(({ load }) => load),
    connections: middle(({ connections }) => connections)
  } satisfies Footprint
}, Effect.scoped)

export const verdicts = ({ connections, idle, load }: Footprint): ReadonlyArray<Verdict> => [
  { name: "memory, idle", goal: "under 120 MB", found: mb(idle), met: idle < 120 },
  {
    name: "memory, 64 x 4 x 64 KiB",
    goal: "at most 64 MiB more",
    found: `${mb(load)} more`,
    met: load * 1e6 <= 64 * 2 ** 20
  },
  {
    name: `memory, ${CONNECTIONS.toLocaleString("en-US")} idle connections`,
    goal: "under 50 MB more",
    found: `${mb(connections)} more`,
    met: connections < 50
  }
]

const mb = (value: number): string => `${value.toFixed(1)} MB`

const once = Effect.fnUntraced(function* (module: string) {
  const { idle, load } = yield* Effect.scoped(underLoad(module))
  return { idle, load, connections: yield* Effect.scoped(withConnections(module)) }
})

const started = Effect.fnUntraced(function* (module: string) {
  const server = yield* Processes.start({
    name: "pool, memory",
    module,
    processor: Processes.processors().server
  })
  const { port } = (yield* server.ask()) as Announcement
  yield* Effect.sleep("1 second")
  return { host: "127.0.0.1", port, mountPort: port, exportPath: "/", pid: server.pid } satisfies Endpoint
})

const underLoad = Effect.fnUntraced(function* (module: string) {
  const endpoint = yield* started(module)
  const idle = resident(endpoint.pid)
  const generator = yield* Processes.start({
    name: "the load generator",
    module: "load/main.ts",
    processor: Processes.processors().generator
  })
  const load = (operation: OperationName, connections: number, depth: number, seconds: number) =>
    generator.ask({ endpoint, operation, connections, depth, seconds, warmUpSeconds: 0 } satisfies Job).pipe(
      Effect.map((outcome) => outcome as Outcome),
      Effect.filterOrFail(
        ({ _tag }) => _tag === "Measured",
        (outcome) =>
          new Processes.ProcessFailed({ message: `memory: ${outcome._tag === "Failed" ? outcome.message : ""}` })
      )
    )
  // Makes the files, whose data is kept in memory: what they take is not what the load takes.
  yield* load("READ 64 KiB", 1, 1, 0.5)
  yield* load("WRITE 64 KiB", 1, 1, 0.5)
  yield* Effect.sleep("1 second")
  const before = resident(endpoint.pid)
  forgetPeak(endpoint.pid)
  yield* load("READ 64 KiB", 64, 4, 3)
  yield* load("WRITE 64 KiB", 64, 4, 3)
  return { idle, load: peak(endpoint.pid) - before }
})

const withConnections = Effect.fnUntraced(function* (module: string) {
  const { pid, port } = yield* started(module)
  const before = resident(pid)
  const sockets = yield* Effect.acquireRelease(
    Effect.sync(() => Array.from({ length: CONNECTIONS }, () => Net.connect({ host: "127.0.0.1", port }))),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => void socket.destroy()))
  )
  yield* Effect.forEach(sockets, callOnce, { concurrency: "unbounded" })
  yield* Effect.sleep("2 seconds")
  return resident(pid) - before
})

const { head: nullCall } = encode({ program, procedure: Nfs3.NULL, args: undefined, minResult: 0 })

/** Until the reply has come. */
const callOnce = (socket: Net.Socket): Effect.Effect<void, Processes.ProcessFailed> =>
  Effect.callback((resume) => {
    let missing = EMPTY_REPLY + 4
    socket.once("error", ({ message }) => resume(Effect.fail(new Processes.ProcessFailed({ message }))))
    socket.on("data", ({ length }) => {
      missing -= length
      if (missing <= 0) resume(Effect.void)
    })
    socket.write(nullCall)
  })

const status = (pid: number, field: string): number => {
  const text = readFileSync(`/proc/${pid}/status`, "latin1")
  return (Number(new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(text)?.[1]) * 1024) / 1e6
}
const resident = (pid: number): number => status(pid, "VmRSS")
const peak = (pid: number): number => status(pid, "VmHWM")

/** From now on the peak is counted anew (proc(5), clear_refs). */
const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5")
