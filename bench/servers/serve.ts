/**
 * Runs this server with a pool and the default settings: over a directory that the arguments name, `async` if they say so,
 * or else over memory.
 */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Layer from "effect/Layer"
import { SharedState } from "../../src/exports/SharedState.ts"
import type { Filesystem } from "../../src/filesystem/Filesystem.ts"
import * as LocalFilesystem from "../../src/filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { NfsServer } from "../../src/server/NfsServer.ts"
import { announce } from "./announce.ts"

const chosen = (): Layer.Layer<Filesystem, LocalFilesystem.LocalFilesystemError> => {
  const [path, mode] = process.argv.slice(2)
  return path === undefined ? MemoryFilesystem.layer() : LocalFilesystem.layer({ path, async: mode === "async" })
}

export const serve = (
  pool: Layer.Layer<WorkerPool.WorkerPool, WorkerPool.PoolSizeInvalid> = WorkerPool.layer(),
  filesystem: Layer.Layer<Filesystem, LocalFilesystem.LocalFilesystemError> = chosen()
): void => {
  const exports = [{ path: "/", filesystem, squash: "none" }] as const
  // All the connections of the bench come from one address.
  const server = NfsServer.layer({ port: 0, exports, limits: { connectionsPerClient: 2000 } })
  const announced = Layer.effectDiscard(NfsServer.useSync(({ address }) => announce(address.port)))
  NodeRuntime.runMain(Layer.launch(announced.pipe(Layer.provide(server), Layer.provide([pool, SharedState.layer]))))
}
