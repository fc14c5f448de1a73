/** `effect-nfs serve`: serves until a signal ends it. */

import { hostname } from "node:os"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ByteSize from "effect/ByteSize"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { SharedState } from "../exports/SharedState.ts"
import { standardPriorities, type Stats, WorkerPool } from "../pool/WorkerPool.ts"
import { type ListenError, type Mounted, NfsServer, type Portmap } from "../server/NfsServer.ts"
import * as PerClass from "./PerClass.ts"
import { defaultWeights, type LogLevel, settings } from "./Settings.ts"
import * as Source from "./Source.ts"

/** An address that cannot be listened on, or not be made known, and what to do about it. */
class Unreachable extends Data.TaggedError("Unreachable")<{ readonly message: string }> {}

/** Flags that make no sense, or not together. */
class Contradiction extends Data.TaggedError("Contradiction")<{ readonly message: string }> {}

export const serve = Command.make("serve", settings, (flags) => {
  const source = Source.of(flags)
  return Effect.gen(function* () {
    const server = yield* NfsServer
    const pool = yield* WorkerPool
    yield* Console.log(greeting(server, yield* pool.stats, flags, source))
    yield* collectGarbage
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.all([server.mounts, server.clients]), (users) => Console.log(farewell(...users)))
    )
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(layer(flags, source), logging(flags.logLevel))),
    Effect.catchTags({
      ListenError: (error) => Effect.fail(new Unreachable({ message: `${error.message}: ${advice(error)}` })),
      PortmapError: ({ message }) =>
        Effect.fail(new Unreachable({ message: `${message}: leave out --portmap on to go without a portmapper` }))
    }),
    (serving) => Effect.andThen(check(flags), serving)
  )
}).pipe(
  Command.withDescription(
    "Serves a filesystem over NFS version 3. Every flag can also be set by the environment variable in brackets."
  ),
  Command.withExamples([
    { command: "effect-nfs serve ./dir", description: "A directory of this machine, on 127.0.0.1:2049" },
    { command: "effect-nfs serve", description: "An empty filesystem in memory, on 127.0.0.1:2049" },
    { command: "effect-nfs serve --port 0 --quota 512MiB --export /scratch", description: "On a free port, limited" }
  ])
)

/** Loading the program leaves more garbage than it needs memory, which nothing would make an idle server give back. */
const collectGarbage = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc") as (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void
  gc({ type: "major", flavor: "last-resort" })
})

type Flags = Command.Command.Config.Infer<typeof settings>

/** What no flag can check for itself. */
const check = (flags: Flags): Effect.Effect<void, Contradiction> => {
  const contradiction = (message: string) => Effect.fail(new Contradiction({ message }))
  // A variable of a shell that is not set, probably.
  if (Option.contains(flags.directory, "")) return contradiction("DIR: is empty, say . for the working directory")
  if (Option.isSome(flags.directory) && Option.isSome(flags.quota)) {
    return contradiction("--quota: is for a filesystem in memory, a directory has the space of its disk")
  }
  if (Option.isNone(flags.directory) && (flags.async || flags.crossMounts)) {
    return contradiction(`--${flags.async ? "async" : "cross-mounts"}: is for a directory, and none is to be served`)
  }
  if (Option.isSome(flags.minWorkers) && flags.minWorkers.value > flags.workers) {
    return contradiction(
      `--min-workers: must be at most --workers, which is ${flags.workers}, not ${flags.minWorkers.value}`
    )
  }
  if (flags.memoryLow >= flags.memoryHigh) {
    return contradiction(
      `--memory-low: must be below --memory-high, which is ${flags.memoryHigh}, not ${flags.memoryLow}`
    )
  }
  return Effect.void
}

const layer = (flags: Flags, { filesystem, squash }: Source.Source) =>
  NfsServer.layer({
    host: flags.host,
    port: flags.port,
    portmap: flags.portmap,
    timeLimits: flags.timeLimit,
    exports: [
      {
        path: flags.export,
        readOnly: flags.readOnly,
        squash,
        filesystem
      }
    ]
  }).pipe(
    Layer.provideMerge(
      WorkerPool.layer({
        maxWorkers: flags.workers,
        minWorkers: Option.getOrUndefined(flags.minWorkers),
        queueCapacity: flags.queue,
        priorities: PerClass.make((priority) => ({
          ...standardPriorities[priority],
          weight: flags.weights[priority]
        })),
        batchSize: flags.batch,
        memory: { maxCost: Option.getOrUndefined(flags.memoryLimit), low: flags.memoryLow, high: flags.memoryHigh }
      })
    ),
    Layer.provide(SharedState.layerFile(flags.stateDir))
  )

/** Messages go to standard error: what is printed on standard output is for people and scripts to use. */
const logging = (level: LogLevel) =>
  Layer.mergeAll(
    Layer.succeed(References.LogToStderr, true),
    Layer.succeed(
      References.MinimumLogLevel,
      (
        {
          trace: "Trace",
          debug: "Debug",
          info: "Info",
          warn: "Warn",
          error: "Error",
          none: "None"
        } as const
      )[level]
    )
  )

/** What is served, and how to mount it. */
const greeting = (
  server: NfsServer["Service"],
  pool: Stats,
  flags: Flags,
  { name: from, note, squash }: Source.Source
): string => {
  const { host, port } = server.address
  const wildcard = host === "0.0.0.0" || host === "::"
  const name = wildcard ? hostname() : host.includes(":") ? `[${host}]` : host
  const source = quoted(`${name}:${server.exports[0]}`)
  const loopback = host.startsWith("127.") || host === "::1"
  const named = server.portmap._tag === "None"
  const netid = name.startsWith("[") ? "tcp6" : "tcp"
  const ports = named ? `,port=${port},mountport=${port}` : ""
  const mountproto = named ? `,mountproto=${netid}` : ""
  return [
    `effect-nfs serves ${source} from ${from}, ${flags.readOnly ? "read-only" : "read-write"}, on port ${port}`,
    `  ${settingsOf(pool, flags)}`,
    ...(note === undefined ? [] : [`  ${note}`]),
    ...(!loopback && (squash === "none" || squash === "root")
      ? ["  Everybody who reaches this port can be any user: NFS believes clients. --squash all makes them all nobody."]
      : []),
    ...announcement(server.portmap),
    `  Linux: sudo mount -t nfs -o vers=3,proto=${netid}${ports}${mountproto},nolock ${source} /mnt`,
    `  macOS: sudo mount_nfs -o vers=3,tcp${ports},nolocks ${source} /private/mnt`,
    "Ctrl-C ends it."
  ].join("\n")
}

/** Who tells clients the ports. That nobody does has been logged, with the reason. */
const announcement = (portmap: Portmap): ReadonlyArray<string> => {
  switch (portmap._tag) {
    case "Rpcbind":
      return ["  Registered with rpcbind: clients need not name the port."]
    case "Own":
      return [`  Own portmapper on port ${portmap.port}: clients need not name the port.`]
    case "None":
      return []
  }
}

/** How requests are run, in one line. */
const settingsOf = ({ maxCost, maxWorkers, minWorkers, queueCapacity }: Stats, flags: Flags): string => {
  const weights = weightsOf(flags.weights)
  return [
    minWorkers < maxWorkers ? `${minWorkers} to ${maxWorkers} workers` : `${maxWorkers} workers`,
    `queue ${queueCapacity}`,
    `batch ${flags.batch}`,
    PerClass.format("time limit", flags.timeLimit, Duration.format),
    ...(weights === weightsOf(defaultWeights) ? [] : [weights]),
    `memory limit ${ByteSize.format(ByteSize.bytes(Math.floor(maxCost)))} (watermarks ${flags.memoryLow} and ${flags.memoryHigh})`
  ].join(", ")
}

const weightsOf = (weights: Flags["weights"]): string => PerClass.format("weight", weights, String)

/** A word for a shell. */
const quoted = (text: string): string => (/^[\w:/.[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** Who will notice that the server is gone: who has said that it mounts, and who is connected all the same. */
const farewell = (mounts: ReadonlyArray<Mounted>, clients: ReadonlyArray<string>): string => {
  const known = new Set(mounts.map(({ host }) => host))
  const silent = [...new Set(clients)].filter((host) => !known.has(host))
  const users = [...mounts.map(({ host, path }) => `  ${host} ${path}`), ...silent.map((host) => `  ${host}`)]
  if (users.length === 0) return "effect-nfs ends"
  return [
    "effect-nfs ends. These clients still have it mounted, and wait for it until they unmount (sudo umount -f -l, on macOS sudo umount -f):",
    ...users
  ].join("\n")
}

/** What to do about an address that cannot be listened on. */
const advice = (error: ListenError): string => {
  switch ((error.cause as NodeJS.ErrnoException).code) {
    case "EADDRINUSE":
      return "choose another with --port, or --port 0 for a free one"
    case "EACCES":
      return "ports below 1024 belong to root, choose another with --port"
    default:
      return "choose another with --host or --port"
  }
}
