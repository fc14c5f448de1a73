/**
 * Many clients at work on one server whose connections break, whose pool changes its size and whose terms change, all at
 * random; then a look at what became of the files, and of the server.
 */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Auth from "../../src/rpc/Auth.ts"
import type { Limits } from "../../src/rpc/Limits.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import { temporary } from "../support/directory.ts"
import { connect } from "../support/nfs.ts"
import * as PersistentClient from "../support/persistentClient.ts"
import { Random } from "../support/random.ts"
import * as WatchedServer from "../support/watchedServer.ts"
import * as Directories from "./Directories.ts"
import { Lane } from "./Lane.ts"

const CLIENTS = 200

/** Calls of a client that are under way at once, at most. */
const LANES = 3

/**
 * Addresses that they share, and replies that the server remembers for each: so many that none is pushed out before its call
 * is repeated, which takes longer while a rate holds its client up and others go on, and so few in all that they are there
 * after the warm-up.
 */
const ADDRESSES = 8
const REPLIES = 4096

/** A call is answered within this time unless its connection breaks: what is repeated before would not be the cache's fault. */
const PATIENCE = "60 seconds"

/** How often something breaks, and how often something changes. */
const CUT = "50 millis"
const RESIZE = "1 second"
const RECONFIGURE = "2 seconds"

/** Bytes that may be more at the end than after the warm-up: tables grow in steps, code is compiled, files are larger. */
const TOLERANCE = 24 * 1024 * 1024

/** Descriptors likewise: a connection that has just been cut may still be there. */
const DESCRIPTORS = 8

/** Descriptors of served files that may be open: a few for each file that there may be. */
const FILES = 4096

export interface Check {
  readonly name: string
  readonly problems: ReadonlyArray<string>
}

export interface Options {
  /** Of all; a third of it is for the warm-up. */
  readonly minutes: number
  readonly seed: number
  readonly say: (text: string) => void
}

/** Runs it; gives what was checked. */
export const run = Effect.fnUntraced(function* ({
  minutes,
  say,
  seed
}: Options): Effect.fn.Return<ReadonlyArray<Check>, RpcClientError, Scope.Scope> {
  const random = new Random(seed)
  const directory = join(yield* temporary(), "export")
  mkdirSync(directory)
  const exports = [{ path: "/memory" }, { path: "/directory", directory }]
  const server = yield* WatchedServer.start({ exports })
  const directories = yield* Effect.scoped(
    Effect.flatMap(connect(server.port), (client) =>
      Effect.forEach(exports, ({ path }) => Directories.prepare(client, path))
    )
  )
  const idle = yield* settled(server)

  // Ended before the last look at the server.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const clients = yield* Effect.forEach(Array.from({ length: CLIENTS }), (_, index) =>
    Scope.provide(
      PersistentClient.make({
        port: server.port,
        auth: Auth.sys({ uid: 0, gid: 0 }),
        localAddress: `127.0.1.${(index % ADDRESSES) + 1}`,
        patience: PATIENCE
      }),
      scope
    )
  )
  const lanes = clients.flatMap((client, index) =>
    Array.from(
      { length: LANES },
      (_, lane) =>
        new Lane(client, directories[index % exports.length]!, `${index}.${lane}`, new Random(seed, index, lane))
    )
  )

  let cuts = 0
  let reconfigurations = 0
  const trouble: ReadonlyArray<readonly [every: Duration.Input, what: Effect.Effect<unknown>]> = [
    [CUT, Effect.suspend(() => random.pick(clients).cut).pipe(Effect.andThen(Effect.sync(() => cuts++)))],
    [
      CUT,
      Effect.suspend(() => server.cut(random.pick(["close", "reset", "reply", "reply"]))).pipe(
        Effect.map((count) => {
          cuts += count
        })
      )
    ],
    [RESIZE, Effect.suspend(() => server.resize(random.between(1, 16)))],
    [
      RECONFIGURE,
      Effect.suspend(() => server.reconfigure(random.int(100), limits(random))).pipe(
        Effect.andThen(Effect.sync(() => reconfigurations++))
      )
    ]
  ]
  const operations = () => lanes.reduce((sum, lane) => sum + lane.operations, 0)
  const repetitions = () => clients.reduce((sum, client) => sum + client.repetitions(), 0)
  const report = Effect.map(server.measure(), ({ bytes, connections, descriptors, files }) =>
    say(
      `${operations()} operations, ${repetitions()} calls repeated, ${cuts} connections cut; the server has ` +
        `${mebibytes(bytes)}, ${connections} connections, ${descriptors} + ${files} descriptors`
    )
  )

  /** All clients at work, and trouble for them, for a while. */
  const phase = Effect.fnUntraced(function* (length: number) {
    const end = performance.now() + length * 60_000
    const work = Effect.forEach(
      lanes,
      (lane) => Effect.whileLoop({ while: () => performance.now() < end, body: () => lane.step, step: () => {} }),
      { concurrency: "unbounded", discard: true }
    )
    const upset = Effect.forEach(
      [...trouble, ["5 seconds", report] as const],
      ([every, what]) => Effect.repeat(Effect.delay(what, every), Schedule.forever),
      { concurrency: "unbounded", discard: true }
    )
    yield* Effect.raceFirst(work, upset)
  })

  yield* phase(minutes / 3)
  const warm = yield* server.measure({ collected: true })
  say(`after the warm-up: ${mebibytes(warm.bytes)}`)
  yield* phase((minutes * 2) / 3)
  const last = yield* server.measure({ collected: true })
  say(`at the end: ${mebibytes(last.bytes)}`)

  yield* Effect.forEach(lanes, (lane) => lane.check, { concurrency: "unbounded", discard: true })
  const expected = new Map(
    lanes.flatMap((lane) => [...lane.things.keys()].map((name) => [Directories.keyOf(name), lane] as const))
  )
  const names = yield* Effect.scoped(
    Effect.flatMap(connect(server.port), (client) =>
      Effect.forEach(directories.flat(), (dir) => Directories.list(client, dir))
    )
  )
  const found = new Set(names.flat().map((name) => Directories.keyOf(name)))
  const wrong = lanes.flatMap((lane) => lane.wrong)
  const spurious = /NFS3ERR_(EXIST|NOENT)$/

  yield* Scope.close(scope, Exit.void)
  const left = yield* settled(server)
  const flat = (what: string, before: number, after: number, tolerance: number) =>
    after <= before + tolerance ? [] : [`${after} ${what}, before it was ${before}`]
  return [
    { name: "no change is made twice: no EXIST, no NOENT", problems: wrong.filter((text) => spurious.test(text)) },
    {
      name: "every call is answered, unless its connection breaks",
      problems: clients.flatMap((client, index) =>
        client.timeouts() === 0 ? [] : [`client ${index} waited ${PATIENCE} in vain ${client.timeouts()} times`]
      )
    },
    { name: "every answer is right", problems: wrong.filter((text) => !spurious.test(text)) },
    {
      name: "every name is there, and no other",
      problems: [
        ...[...expected.keys()].filter((name) => !found.has(name)).map((name) => `${name} is missing`),
        ...[...found].filter((name) => !expected.has(name)).map((name) => `${name} should be gone`)
      ]
    },
    {
      name: "there was work, and trouble",
      problems: [
        ...(operations() < CLIENTS * 20 ? [`only ${operations()} operations`] : []),
        ...(cuts < 20 ? [`only ${cuts} cuts`] : []),
        ...(repetitions() < 20 ? [`only ${repetitions()} repetitions`] : []),
        ...(reconfigurations < 2 ? [`only ${reconfigurations} changes of its terms`] : [])
      ]
    },
    { name: "memory is flat", problems: flat("bytes are live", warm.bytes, last.bytes, TOLERANCE) },
    {
      name: "descriptors are flat",
      problems: [
        ...flat("descriptors are open", warm.descriptors, last.descriptors, DESCRIPTORS),
        ...flat("descriptors are open when the clients are gone", idle.descriptors, left.descriptors, DESCRIPTORS),
        ...flat("files are open", FILES, last.files, 0)
      ]
    },
    {
      name: "nothing is left of clients that are gone",
      problems: [
        ...flat("connections are open", 0, left.connections, 0),
        ...flat("requests are in the pool", 0, left.busy, 0),
        ...flat("bytes are pinned in the pool", 0, left.cost, 0)
      ]
    },
    { name: "the server lives", problems: [server.ended()].filter((how) => how !== undefined) },
    { name: "the server has nothing to complain of", problems: server.logged }
  ]
})

/** Limits that the clients of the soak stay within, or that only slow them down. */
const limits = (random: Random): Limits => ({
  replies: REPLIES,
  callsInFlight: random.pick([1, 16, 256]),
  bytesPerConnection: random.pick([64 * 1024, 8 * 1024 * 1024]),
  connections: random.pick([CLIENTS * 2, 4096]),
  idleTimeout: random.pick(["1 minute", "off"]),
  ...(random.chance(0.3) && { rate: { callsPerSecond: random.pick([20, 1000]) } })
})

/** What the server keeps when it has noticed that its clients are gone. */
const settled = (server: WatchedServer.WatchedServer): Effect.Effect<WatchedServer.Measurement> =>
  Effect.suspend(() => server.measure()).pipe(
    Effect.repeat({
      until: ({ busy, connections }) => busy === 0 && connections === 0,
      times: 100,
      schedule: Schedule.spaced("50 millis")
    }),
    Effect.andThen(Effect.suspend(() => server.measure({ collected: true })))
  )

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
