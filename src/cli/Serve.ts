/** `effect-nfs serve`: serves until a signal ends it. With a configuration file, SIGHUP reads that again. */

import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { WorkerPool } from "../pool/WorkerPool.ts"
import { ConfiguredServer } from "../server/ConfiguredServer.ts"
import { type ListenError, NfsServer } from "../server/NfsServer.ts"
import type { ServerConfig } from "../server/ServerConfig.ts"
import { flags } from "./Flags.ts"
import { farewell, greeting } from "./Greeting.ts"
import * as Reload from "./Reload.ts"
import * as Settings from "./Settings.ts"

/** An address that cannot be listened on, or not be made known, and what to do about it. */
class Unreachable extends Data.TaggedError("Unreachable")<{ readonly message: string }> {}

export const serve = Command.make("serve", flags, (flags) =>
  Effect.gen(function* () {
    // Before the file is read, so that none is lost, or ends a server that has just begun.
    const signal = yield* Reload.signals
    const load = Settings.load(flags)
    // Without a file there is nothing to be read again: then it says that the terminal is gone, and the server ends in order.
    const meanwhile = Option.isSome(flags.config) ? Effect.forever(Effect.andThen(signal, Reload.reload(load))) : signal
    return yield* run(yield* load, meanwhile)
  }).pipe(
    Effect.scoped,
    // Messages go to standard error: what is printed on standard output is for people and scripts to use.
    Effect.provideService(References.LogToStderr, true)
  )
).pipe(
  Command.withDescription(
    "Serves a filesystem over NFS version 3. Every flag can also be set by the environment variable in brackets."
  ),
  Command.withExamples([
    { command: "effect-nfs serve ./dir", description: "A directory of this machine, on 127.0.0.1:2049" },
    { command: "effect-nfs serve", description: "An empty filesystem in memory, on 127.0.0.1:2049" },
    {
      command:
        "effect-nfs serve --host 0.0.0.0 --export /data=./dir,ro,allow=10.0.0.0/8 --export /tmp=memory:512MiB,deny=*",
      description: "Two exports, and who may use them"
    },
    { command: "effect-nfs serve --config nfs.json", description: "What a file says; kill -HUP reads it again" }
  ])
)

/** Serves what a configuration says until `meanwhile` ends. */
const run = (config: ServerConfig, meanwhile: Effect.Effect<void, never, ConfiguredServer | NfsServer>) =>
  Effect.gen(function* () {
    const server = yield* NfsServer
    const pool = yield* WorkerPool
    yield* Console.log(greeting(server, yield* pool.stats, config))
    yield* collectGarbage
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.all([server.mounts, server.clients]), (users) => Console.log(farewell(...users)))
    )
    return yield* meanwhile
  }).pipe(
    Effect.scoped,
    Effect.provide(ConfiguredServer.layer(config)),
    Effect.catchTags({
      ListenError: (error) => Effect.fail(new Unreachable({ message: `${error.message}: ${advice(error)}` })),
      PortmapError: ({ message }) =>
        Effect.fail(new Unreachable({ message: `${message}: leave out --portmap on to go without a portmapper` }))
    })
  )

/** Loading the program leaves more garbage than it needs memory, which nothing would make an idle server give back. */
const collectGarbage = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc") as (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void
  gc({ type: "major", flavor: "last-resort" })
})

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
