/**
 * Serves what its argument says, in a process of its own that the test watches: `test/support/watchedServer.ts` is the
 * other end of its channel.
 */

import { readdirSync, readlinkSync } from "node:fs"
import { Socket } from "node:net"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { SharedState } from "../../../src/exports/SharedState.ts"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../../../src/pool/WorkerPool.ts"
import { NfsServer } from "../../../src/server/NfsServer.ts"
import { PortmapPort } from "../../../src/server/Portmap.ts"
import { liveBytes, usedBytes } from "../memory.ts"
import type { Answer, Command, Cut, Measurement, Options } from "../watchedServer.ts"

const options = JSON.parse(process.argv[2]!) as Options

const say = (answer: Answer): void => void process.send?.(answer)

/** Nothing that a client does is worth a warning, but for what the tests know. */
const logging = Layer.succeedContext<never>(
  Context.make(
    Logger.CurrentLoggers,
    new Set([
      Logger.make<unknown, void>(({ cause, logLevel, message }) => {
        const text = [message].flat().map(String).join(" ")
        say({ _tag: "Logged", text: `${logLevel}: ${text}${cause.reasons.length > 0 ? ` ${String(cause)}` : ""}` })
      })
    ])
  ).pipe(Context.add(References.MinimumLogLevel, "Warn"))
)

/** The connections that are served, and nothing that was put aside: what Node itself holds open, which has no name that is documented. */
const served = (): Array<Socket> =>
  (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<unknown> })
    ._getActiveHandles()
    .filter((handle) => handle instanceof Socket)
    .filter(({ destroyed, remotePort }) => !destroyed && remotePort !== undefined)

/** Breaks a connection as a network does: nobody in this process has asked for it. */
const cut = (how: Cut): number => {
  const open = served()
  const socket = open[Math.floor(Math.random() * open.length)]
  if (socket === undefined) return 0
  if (how === "close") socket.destroy()
  else if (how === "reset") socket.resetAndDestroy()
  else socket.write = () => socket.destroy().destroyed
  return 1
}

/** Open descriptors: those of files that are served, and others. */
const descriptors = (): Pick<Measurement, "descriptors" | "files"> => {
  const directories = options.exports.flatMap(({ directory }) => (directory === undefined ? [] : [directory]))
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ""
    }
  })
  const files = targets.filter((target) => directories.some((directory) => target.startsWith(directory))).length
  return { descriptors: targets.length - files, files }
}

const exports = options.exports.map(({ directory, path }) => ({
  path,
  squash: "none" as const,
  filesystem:
    directory === undefined
      ? MemoryFilesystem.layer({ quota: { bytes: 256 * 1024 * 1024 } })
      : LocalFilesystem.layer({ path: directory, async: true })
}))

/** The same exports on terms that change nothing for clients of this machine: with rules or without, in another order, with others. */
const variants = [
  exports,
  exports.map((share) => ({ ...share, clients: [{ match: "192.0.2.0/24", deny: true }, { match: "127.0.0.0/8" }] })),
  [...exports, { path: "/more", readOnly: true, filesystem: MemoryFilesystem.layer() }].toReversed(),
  exports.map((share) => ({ ...share, squash: "all" as const, clients: [{ match: "*", squash: "none" as const }] }))
]

const program = Effect.gen(function* () {
  const services = yield* Layer.build(
    NfsServer.layer({ port: 0, exports, portmap: options.portmapPort === undefined ? "off" : "on" }).pipe(
      Layer.provideMerge([WorkerPool.layer({ maxWorkers: 8 }), SharedState.layer])
    )
  ).pipe(Effect.provideService(PortmapPort, options.portmapPort ?? 0))
  const server = Context.get(services, NfsServer)
  const pool = Context.get(services, WorkerPool)

  const measure = Effect.fnUntraced(function* (collected: boolean) {
    const { active, cost, queued } = yield* pool.stats
    return {
      bytes: collected ? liveBytes() : usedBytes(),
      ...descriptors(),
      connections: (yield* server.clients).length,
      busy: active + Object.values(queued).reduce((sum, count) => sum + count, 0),
      cost
    } satisfies Measurement
  })
  const obey = (command: Command): Effect.Effect<unknown> => {
    switch (command._tag) {
      case "Measure":
        return measure(command.collected)
      case "Resize":
        return Effect.orDie(pool.resize(command.workers))
      case "Reconfigure":
        return Effect.orDie(
          server.reconfigure({ exports: variants[command.variant % variants.length]!, limits: command.limits })
        )
      case "Cut":
        return Effect.sync(() => cut(command.how))
    }
  }
  const context = yield* Effect.context<never>()
  process.on("message", ({ command, id }: { readonly command: Command; readonly id: number }) => {
    Effect.runForkWith(context)(Effect.map(obey(command), (value) => say({ _tag: "Answered", id, value })))
  })
  process.once("disconnect", () => process.exit())
  say({ _tag: "Serving", port: server.address.port })
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(logging)))
