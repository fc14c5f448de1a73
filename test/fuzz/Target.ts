/** A server to be tried, in a process of its own, with what it must keep: its directory, its neighbours, its manners. */

import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import { temporary } from "../support/directory.ts"
import { connect, type NfsClient, ok } from "../support/nfs.ts"
import { silent } from "../support/rpcbind.ts"
import * as WatchedServer from "../support/watchedServer.ts"
import type { Service } from "./Programs.ts"

export const backends = ["memory", "local"] as const
export type Backend = (typeof backends)[number]

export interface Target {
  readonly backend: Backend
  readonly ports: { readonly [S in Service]: number }
  readonly client: NfsClient
  readonly root: Uint8Array
  readonly measure: WatchedServer.WatchedServer["measure"]
  /** Milliseconds that the neighbour's slowest call took. */
  readonly slowest: () => number
  /** What is wrong with the server now. */
  readonly problems: Effect.Effect<ReadonlyArray<string>>
  /** What it still has of a case that is over: nothing but its empty tree and two connections, soon. */
  readonly leftovers: Effect.Effect<ReadonlyArray<string>>
}

/**
 * Milliseconds in which a well-behaved client gets its answer, whatever others do: each one, on a machine that may be busy, too,
 * and half of them.
 */
const BOUND = 10_000
const MEDIAN_BOUND = 100

/** Where the well-behaved client calls from. The others are at 127.0.0.1 to 127.0.0.8. */
const NEIGHBOUR = { localAddress: "127.0.0.9" }

/** Clients that are there all the time: the one that prepares and cleans up, and the neighbour. */
const CLIENTS = 2

/** What a server says about clients that send too long a record; everything else it logs is a defect. */
const HARMLESS =
  /^Warn: closed the connection of [\d.]+: a record of \d+ bytes is above the limit of \d+( \(\d+ more like this .*\))?$/

export const make = Effect.fnUntraced(function* (
  backend: Backend
): Effect.fn.Return<Target, RpcClientError, Scope.Scope> {
  const top = yield* temporary()
  const directory = join(top, "export")
  mkdirSync(directory)
  mkdirSync(join(top, "outside", "inner"), { recursive: true })
  writeFileSync(join(top, "outside", "secret"), "what nobody may touch")
  const portmapPort = yield* silent("closed")
  const server = yield* WatchedServer.start({
    exports: [{ path: "/", directory: backend === "local" ? directory : undefined }],
    portmapPort
  })
  const client = yield* connect(server.port)
  const root = yield* client.root()
  const neighbour = yield* watch(yield* connect(server.port, undefined, NEIGHBOUR), root)
  const outside = snapshot(top)
  const free = yield* freeSpace(client, root)

  const leftovers = Effect.gen(function* () {
    const problems: Array<string> = []
    const { busy, connections, cost } = yield* server.measure()
    if (busy > 0 || cost > 0) problems.push(`${busy} requests are still in the pool, ${cost} bytes`)
    if (connections > CLIENTS) problems.push(`${connections - CLIENTS} connections are still open`)
    if (backend === "memory") {
      const left = yield* Effect.orDie(freeSpace(client, root))
      if (left !== free) problems.push(`an empty tree has ${left} free instead of ${free}`)
    }
    return problems
  })
  return {
    backend,
    ports: { nfs: server.port, portmap: portmapPort },
    client,
    root,
    measure: (options) => server.measure(options),
    slowest: () => neighbour.slowest,
    problems: Effect.sync(() => [
      ...[server.ended()].filter((how) => how !== undefined),
      ...server.logged.filter((text) => !HARMLESS.test(text)),
      ...neighbour.problems,
      ...(neighbour.slowest > BOUND ? [`a neighbour waited ${neighbour.slowest} ms`] : []),
      ...(neighbour.median() > MEDIAN_BOUND ? [`a neighbour waits ${neighbour.median()} ms most of the time`] : []),
      ...(snapshot(top) === outside ? [] : ["something outside the export has changed"])
    ]),
    leftovers: Effect.repeat(leftovers, {
      until: (problems) => problems.length === 0,
      times: 100,
      schedule: Schedule.spaced("50 millis")
    }).pipe(Effect.andThen(leftovers))
  }
})

/** Calls of the neighbour of which half must be answered soon. */
const SAMPLES = 200

/** A client that asks for something simple all the time. */
const watch = Effect.fnUntraced(function* ({ nfs }: NfsClient, root: Uint8Array) {
  const waits: Array<number> = []
  const state = {
    slowest: 0,
    problems: [] as Array<string>,
    median: () => (waits.length < SAMPLES ? 0 : waits.toSorted((a, b) => a - b)[SAMPLES >> 1]!)
  }
  const ask = Effect.gen(function* () {
    const begin = performance.now()
    const { status } = yield* nfs(Nfs.GETATTR, { object: root }).pipe(
      Effect.timeoutOrElse({ duration: BOUND, orElse: () => Effect.succeed({ status: "not at all" }) })
    )
    if (status !== "NFS3_OK") state.problems.push(`a neighbour's GETATTR is answered ${status}`)
    const waited = Math.round(performance.now() - begin)
    state.slowest = Math.max(state.slowest, waited)
    waits.push(waited)
    if (waits.length > SAMPLES) waits.shift()
  })
  yield* ask.pipe(
    Effect.repeat(Schedule.spaced("20 millis")),
    Effect.catch((error) => Effect.sync(() => state.problems.push(`a neighbour's call failed: ${error._tag}`))),
    Effect.forkScoped
  )
  return state
})

const freeSpace = ({ nfs }: NfsClient, root: Uint8Array): Effect.Effect<string, RpcClientError> =>
  Effect.map(nfs(Nfs.FSSTAT, { fsroot: root }), (answer) => {
    const { ffiles, fbytes } = ok(answer)
    return `${fbytes} bytes and ${ffiles} files`
  })

/** All that is beside the export: names, owners, times, contents. */
const snapshot = (top: string): string => {
  const of = (path: string): ReadonlyArray<unknown> => {
    const { ctimeNs, gid, mode, mtimeNs, nlink, size, uid } = lstatSync(path, { bigint: true })
    const attributes = [path, mode, uid, gid, nlink, size, mtimeNs, ctimeNs].map(String)
    if (path.endsWith("secret")) return [...attributes, readFileSync(path, "utf8")]
    return [...attributes, ...readdirSync(path).map((name) => of(join(path, name)))]
  }
  return JSON.stringify([readdirSync(top), of(join(top, "outside"))])
}
