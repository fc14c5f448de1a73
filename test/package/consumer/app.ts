/** An app in TypeScript: a filesystem of its own, and the worker pool by itself. */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ComputedFilesystem, type FilesystemError, NfsServer, SharedState } from "effect-nfs"
import * as WorkerPool from "effect-nfs/WorkerPool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const get = (id: string): Effect.Effect<ComputedFilesystem.Node | undefined, FilesystemError.FilesystemError> =>
  Effect.succeed(
    id === "/"
      ? { type: "directory", parent: "/", entries: new Map([["hello.txt", "hello"]]) }
      : id === "hello"
        ? { type: "regular", content: "Hello!\n" }
        : undefined
  )

const Server = NfsServer.layer({
  port: 0,
  exports: [{ path: "/ts", filesystem: ComputedFilesystem.layer({ root: "/", get }) }]
}).pipe(Layer.provideMerge(WorkerPool.layer({ maxWorkers: 8 })), Layer.provide(SharedState.layer))

const program = Effect.gen(function* () {
  const pool = yield* WorkerPool.WorkerPool
  const answer: number = yield* pool.execute(Effect.succeed(42))
  const { address } = yield* NfsServer.NfsServer
  yield* Effect.log(`answer ${answer}, port ${address.port}`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(program, Server))
