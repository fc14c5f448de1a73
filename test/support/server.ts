/** A server for a test, in its own process and on a port of its own, and clients of it. */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ExportOptions, ExportsError, LayerOptions, Policy } from "../../src/exports/Exports.ts"
import { SharedState } from "../../src/exports/SharedState.ts"
import { Filesystem, type Operations } from "../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../../src/pool/WorkerPool.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import type { CallOptions, RpcClientError } from "../../src/rpc/RpcClient.ts"
import { type ListenError, NfsServer, type Options } from "../../src/server/NfsServer.ts"
import { connect, type Identity, type NfsClient } from "./nfs.ts"

/** A server on a free port, as long as the surrounding scope lives. */
export const serve = (
  exports: ReadonlyArray<LayerOptions>,
  options: Omit<Options, "exports"> = {},
  state: Layer.Layer<SharedState> = SharedState.layer
): Effect.Effect<NfsServer["Service"], ListenError | ExportsError, Scope.Scope> =>
  NfsServer.layer({ port: 0, ...options, exports }).pipe(
    Layer.provide([WorkerPool.layer({ maxWorkers: 8 }), state]),
    Layer.build,
    Effect.map((context) => Context.get(context, NfsServer))
  )

/** A server of filesystems that there are already, which its exports can be replaced by. */
export const serveFilesystems = (exports: ReadonlyArray<ExportOptions>, options: Omit<Options, "exports"> = {}) =>
  serve(asLayers(exports), options)

/** Has a server serve these filesystems instead. */
export const replaceExports = ({ reconfigure }: NfsServer["Service"], exports: ReadonlyArray<ExportOptions>) =>
  reconfigure({ exports: asLayers(exports) })

const asLayers = (exports: ReadonlyArray<ExportOptions>) =>
  exports.map((share) => ({ ...share, filesystem: Layer.succeed(Filesystem, share.filesystem) }))

/** A server of one filesystem, a client of it, and the root's handle. */
export interface Session extends NfsClient {
  readonly port: number
  readonly dir: Uint8Array
}

export interface SessionOptions extends Policy, Omit<Options, "exports" | "port"> {
  readonly memory?: MemoryFilesystem.Options
  /** Makes the filesystem in memory another one. */
  readonly change?: ((memory: Operations) => Operations) | undefined
}

/** Serves a filesystem in memory as `/`, where root may do everything, and mounts it. */
export const session = Effect.fnUntraced(function* ({
  change = (memory) => memory,
  memory,
  ...options
}: SessionOptions = {}): Effect.fn.Return<Session, ListenError | ExportsError | RpcClientError, Scope.Scope> {
  const filesystem = Layer.effect(Filesystem, Effect.map(MemoryFilesystem.make(memory), change))
  const { address } = yield* serve([{ path: "/", squash: "none", ...options, filesystem }], options)
  const client = yield* connect(address.port)
  return { ...client, port: address.port, dir: yield* client.root() }
})

/** Makes a call somebody else's than the connection's. */
export const as = (identity: Identity): CallOptions => ({ auth: Auth.sys(identity) })

/** Users of tests, and what makes a call theirs. */
export const ALICE = { uid: 1000, gid: 1000 }
export const BOB = { uid: 1001, gid: 1001 }
export const alice: CallOptions = as(ALICE)
export const bob: CallOptions = as(BOB)
