/** Runs this server with a pool, over memory, with the default settings. */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Layer from "effect/Layer"
import { SharedState } from "../../src/exports/SharedState.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import type { WorkerPool } from "../../src/pool/WorkerPool.ts"
import { NfsServer } from "../../src/server/NfsServer.ts"
import { announce } from "./announce.ts"

export const serve = <E>(pool: Layer.Layer<WorkerPool, E>): void => {
  const server = NfsServer.layer({
    port: 0,
    exports: [{ path: "/", filesystem: MemoryFilesystem.layer(), squash: "none" }]
  })
  const announced = Layer.effectDiscard(NfsServer.useSync(({ address }) => announce(address.port)))
  NodeRuntime.runMain(Layer.launch(announced.pipe(Layer.provide(server), Layer.provide([pool, SharedState.layer]))))
}
