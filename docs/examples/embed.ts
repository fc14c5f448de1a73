/**
 * An Effect app that serves two filesystems in memory and looks at its worker pool.
 *
 *     node --conditions=effect-nfs-source docs/examples/embed.ts
 *
 * (The condition makes "effect-nfs" mean this checkout; an app that has the package installed needs none.)
 */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { MemoryFilesystem, NfsServer, SharedState, WorkerPool } from "effect-nfs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const Server = NfsServer.layer({
  port: 0,
  exports: [
    { path: "/scratch", filesystem: MemoryFilesystem.layer({ quota: { bytes: 64 * 1024 * 1024 } }) },
    { path: "/empty", filesystem: MemoryFilesystem.layer(), readOnly: true, squash: "all" }
  ]
}).pipe(Layer.provideMerge(WorkerPool.layer({ maxWorkers: 32 })), Layer.provide(SharedState.layer))

const program = Effect.gen(function* () {
  const server = yield* NfsServer.NfsServer
  const pool = yield* WorkerPool.WorkerPool
  yield* Effect.log(`serving ${server.exports.join(" and ")} on port ${server.address.port}`)
  const { workers } = yield* pool.stats
  yield* Effect.log(`with ${workers} workers`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(program, Server))
