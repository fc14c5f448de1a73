// An app in plain JavaScript: serves a filesystem in memory until it is told to end.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { MemoryFilesystem, NfsServer, SharedState, WorkerPool } from "effect-nfs"

const Server = NfsServer.layer({
  port: 0,
  exports: [{ path: "/js", filesystem: MemoryFilesystem.layer() }]
}).pipe(Layer.provide([WorkerPool.layer({ maxWorkers: 8 }), SharedState.layer]))

const program = Effect.gen(function* () {
  const { address } = yield* NfsServer.NfsServer
  console.log(`port ${address.port}`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(program, Server))
