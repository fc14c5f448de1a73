/**
 * An NFS server as a layer: exports, the programs MOUNT and NFS on one port, who tells clients which, and the worker pool
 * that runs them.
 *
 * ```ts
 * const Server = NfsServer.layer({ exports: [{ path: "/", filesystem: MemoryFilesystem.layer() }] }).pipe(
 *   Layer.provide([WorkerPool.layer(), SharedState.layer])
 * )
 * ```
 */

import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Exports, type ExportsError } from "../exports/Exports.ts"
import { Filesystems, type LayerOptions } from "../exports/Filesystems.ts"
import { SharedState } from "../exports/SharedState.ts"
import { WorkerPool } from "../pool/WorkerPool.ts"
import * as Mount from "../programs/mount/Mount.ts"
import { type Mounted, MountTable } from "../programs/mount/MountTable.ts"
import * as Nfs3 from "../programs/nfs3/Nfs3.ts"
import * as Service from "../programs/portmap/Service.ts"
import * as Limits from "../rpc/Limits.ts"
import { RpcCodec } from "../rpc/RpcCodec.ts"
import type { ListenError } from "../rpc/RpcServer.ts"
import * as RpcServer from "../rpc/RpcServer.ts"
import * as Portmap from "./Portmap.ts"

export type { Mounted } from "../programs/mount/MountTable.ts"
export { ListenError } from "../rpc/RpcServer.ts"
export { type Portmap, PortmapError } from "./Portmap.ts"

/** What to serve, where. */
export interface Options<E extends ReadonlyArray<LayerOptions> = ReadonlyArray<LayerOptions>> {
  readonly exports: E
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string | undefined
  /** TCP port of NFS and MOUNT, UDP port of MOUNT; default 2049, 0 picks one that is free. */
  readonly port?: number | undefined
  /**
   * Whether clients find the port through a portmapper: `"auto"` registers with the rpcbind of this machine or, if none
   * answers, serves one on port 111 of `host`, or logs why neither can be; `"on"` fails then; `"off"` (the default) leaves
   * the machine's portmapper alone, and clients have to name the port.
   */
  readonly portmap?: Portmap.Mode | undefined
  /** Most bytes of a READ or WRITE; default 1 MiB. */
  readonly maxTransfer?: number | undefined
  /**
   * How long requests of a priority may wait and run, changes only wait: then their client is told to try again later.
   * Default 30 seconds each.
   */
  readonly timeLimits?: RpcServer.Options["timeLimits"]
  /** How much clients may take: connections, memory, time. */
  readonly limits?: RpcServer.Options["limits"]
  /** How long a shutdown waits for requests in progress; default 10 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/** What can be changed while a server runs. */
export interface Changes<E extends ReadonlyArray<LayerOptions> = ReadonlyArray<LayerOptions>> {
  /** All that is to be served from now on. */
  readonly exports?: E | undefined
  /** How much clients may take, in force at once; connections above a new limit stay until they end. */
  readonly limits?: Options["limits"]
}

export class NfsServer extends Context.Service<
  NfsServer,
  {
    readonly address: { readonly host: string; readonly port: number }
    /** Who tells clients the port. */
    readonly portmap: Portmap.Portmap
    /** The paths that can be mounted now. */
    readonly exports: ReadonlyArray<string>
    /**
     * Changes what it is told, live; what `changes` do not name stays. When something is wrong, nothing changes.
     *
     * Exports: each request sees those before or those after, whole, and none is answered with an error because of the change.
     * A filesystem whose layer is the same as before is kept; others are built first, and those that are no longer exported
     * are released when no request uses them any more. File handles stay good where an export keeps its path or fsid; those
     * of exports that are gone are stale.
     *
     * Changes that are asked for at once come one after another. Interruption ends it while filesystems are built.
     */
    readonly reconfigure: <const E extends ReadonlyArray<LayerOptions> = []>(
      changes: Changes<E>
    ) => Effect.Effect<
      void,
      ExportsError | Layer.Error<E[number]["filesystem"]>,
      Layer.Services<E[number]["filesystem"]>
    >
    /** Who has mounted what, as far as clients tell. */
    readonly mounts: Effect.Effect<ReadonlyArray<Mounted>>
    /** Addresses of the clients that are connected now, one for each connection. */
    readonly clients: Effect.Effect<ReadonlyArray<string>>
  }
>()("effect-nfs/NfsServer") {
  /**
   * Serves as long as its scope lives. Its end is orderly: no new connections, requests in progress finish, their replies
   * are flushed; what a portmapper was told is taken back first.
   */
  static readonly layer = <const E extends ReadonlyArray<LayerOptions>>(
    options: Options<E>
  ): Layer.Layer<
    NfsServer,
    ListenError | Portmap.PortmapError | ExportsError | Layer.Error<E[number]["filesystem"]>,
    WorkerPool | SharedState | Layer.Services<E[number]["filesystem"]>
  > =>
    Layer.effect(NfsServer, make(options)).pipe(
      Layer.provide([
        MountTable.layer.pipe(Layer.provideMerge(Exports.layer(options.exports))),
        RpcCodec.layer({ maxPayload: options.maxTransfer })
      ])
    )
}

/** The same as `NfsServer.layer`. */
export const { layer } = NfsServer

/** A server for these exports in the surrounding scope. */
const make = Effect.fnUntraced(function* (options: Omit<Options, "exports">) {
  const exports = yield* Exports
  const filesystems = yield* Filesystems
  const mounts = yield* MountTable
  const pool = yield* WorkerPool
  const mount = yield* Mount.make
  const programs = [...mount, yield* Nfs3.make]
  const port = options.port ?? 2049
  const { address, clients, setLimits } = yield* RpcServer.make({
    ...options,
    port,
    programs,
    datagramPrograms: mount,
    presence: mounts
  })
  const services = Service.of(address, { tcp: programs, udp: mount })
  return NfsServer.of({
    address,
    portmap: yield* Portmap.announce(options.portmap ?? "off", address.host, services),
    get exports() {
      return exports.current.all.map(({ path }) => path)
    },
    reconfigure: ({ exports: next, limits }) =>
      Effect.gen(function* () {
        // First, so that limits which are not valid change nothing at all.
        if (limits !== undefined) Limits.settle(limits)
        if (next !== undefined) yield* filesystems.replace(next, exports.replace, pool.quiesce)
        if (limits !== undefined) yield* setLimits(limits)
      }).pipe(Effect.uninterruptible),
    mounts: Effect.sync(mounts.all),
    clients
  })
})
