/**
 * Serves the filesystem of numbers on a port that is free, or on the one that is given:
 *
 *     node --conditions=effect-nfs-source docs/examples/serve-numbers.ts [PORT]
 */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { NfsServer, SharedState, WorkerPool } from "effect-nfs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Numbers from "./numbers.ts"

const Server = NfsServer.layer({
  port: Number(process.argv[2] ?? 0),
  exports: [{ path: "/", filesystem: Numbers.layer }]
}).pipe(Layer.provide([WorkerPool.layer(), SharedState.layer]))

const program = Effect.gen(function* () {
  const { address } = yield* NfsServer.NfsServer
  yield* Effect.log(`serving numbers on port ${address.port}`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(program, Server))
