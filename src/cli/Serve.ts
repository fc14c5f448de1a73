/** `effect-nfs serve`: serves until a signal ends it. */

import { hostname } from "node:os"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { SharedState } from "../exports/SharedState.ts"
import * as MemoryFilesystem from "../filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../pool/WorkerPool.ts"
import { NfsServer } from "../server/NfsServer.ts"
import { type LogLevel, settings } from "./Settings.ts"

/** Something that this version cannot do. */
class Unsupported extends Data.TaggedError("Unsupported")<{ readonly message: string }> {}

export const serve = Command.make("serve", settings, (flags) =>
  Effect.gen(function* () {
    if (Option.isSome(flags.directory)) {
      return yield* new Unsupported({
        message: "serving a directory is not possible yet: leave out DIR to serve a filesystem in memory"
      })
    }
    const server = yield* NfsServer
    yield* Console.log(greeting(server, flags))
    yield* collectGarbage
    yield* Effect.addFinalizer(() => Effect.flatMap(server.mounts, (mounts) => Console.log(farewell(mounts))))
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer(flags), logging(flags.logLevel))))
).pipe(
  Command.withDescription(
    "Serves a filesystem over NFS version 3. Every flag can also be set by the environment variable in brackets."
  ),
  Command.withExamples([
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

const layer = (flags: Flags) =>
  NfsServer.layer({
    host: flags.host,
    port: flags.port,
    exports: [
      {
        path: flags.export,
        readOnly: flags.readOnly,
        squash: flags.squash,
        filesystem: MemoryFilesystem.layer({ quota: { bytes: Option.getOrUndefined(flags.quota) } })
      }
    ]
  }).pipe(
    Layer.provide(
      WorkerPool.layer({
        maxWorkers: Option.getOrUndefined(flags.workers),
        queueCapacity: flags.queue
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
const greeting = (server: NfsServer["Service"], flags: Flags): string => {
  const { host, port } = server.address
  const wildcard = host === "0.0.0.0" || host === "::"
  const name = wildcard ? hostname() : host.includes(":") ? `[${host}]` : host
  const source = `${name}:${server.exports[0]}`
  const ports = `vers=3,tcp,port=${port},mountport=${port}`
  return [
    `effect-nfs serves ${source} from memory, ${flags.readOnly ? "read-only" : "read-write"}, on port ${port}`,
    ...(wildcard && flags.squash !== "all"
      ? ["  Everybody who reaches this port can be any user: NFS believes clients. --squash all makes them all nobody."]
      : []),
    `  Linux: sudo mount -t nfs -o ${ports},mountproto=tcp,nolock ${source} /mnt`,
    `  macOS: sudo mount_nfs -o ${ports},nolocks ${source} /private/mnt`,
    "Ctrl-C ends it."
  ].join("\n")
}

/** Who will notice that the server is gone. */
const farewell = (mounts: ReadonlyArray<{ readonly host: string; readonly path: string }>): string => {
  if (mounts.length === 0) return "effect-nfs ends"
  return [
    "effect-nfs ends. These clients still have it mounted, and wait for it until they unmount (sudo umount -f -l, on macOS sudo umount -f):",
    ...mounts.map(({ host, path }) => `  ${host} ${path}`)
  ].join("\n")
}
