/**
 * Serves RPC programs over TCP, and some of them over UDP: every call runs in the `WorkerPool`, many of a connection at
 * once, and replies leave as they are finished.
 */

import type * as Net from "node:net"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { WorkerPool } from "../pool/WorkerPool.ts"
import { ByteBudget } from "./ByteBudget.ts"
import { Clients } from "./Clients.ts"
import { Complaints } from "./Complaints.ts"
import { Connection } from "./Connection.ts"
import { Datagrams } from "./Datagrams.ts"
import * as Limits from "./Limits.ts"
import type { ListenError } from "./Listener.ts"
import * as Listener from "./Listener.ts"
import { plainAddress, type Shared } from "./Peer.ts"
import * as ProgramTable from "./ProgramTable.ts"
import { ReplayCache } from "./ReplayCache.ts"
import { RpcCodec } from "./RpcCodec.ts"
import { priorities, type Priority, type RpcProgram } from "./RpcProgram.ts"

export { ListenError } from "./Listener.ts"

export interface Options {
  readonly programs: ReadonlyArray<RpcProgram>
  /**
   * Programs that are served over UDP as well, on the same port; default none. Replies are at most 1,400 bytes there, and
   * calls beyond the limits (`callsInFlight`: of all clients together), or beyond the pool's queue, are dropped.
   */
  readonly datagramPrograms?: ReadonlyArray<RpcProgram> | undefined
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string | undefined
  /** 0 (the default) picks one that is free. */
  readonly port?: number | undefined
  /** How much clients may take; what is not said is as in `Limits.defaults`. */
  readonly limits?: Limits.Limits | undefined
  /**
   * How long calls of a priority may wait and run, mutations only wait: then they are answered with what their procedure
   * says of late calls (NFS: JUKEBOX). Default 30 seconds each.
   */
  readonly timeLimits?: { readonly [P in Priority]?: Duration.Input | undefined } | undefined
  /** Is told the address of each TCP connection that begins and ends. */
  readonly presence?:
    | { readonly arrived: (address: string) => void; readonly left: (address: string) => void }
    | undefined
  /**
   * How long a shutdown waits for calls in progress; default 10 seconds. Mutations that still run then lose their client, but
   * the pool that runs them ends only when they do.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
}

export class RpcServer extends Context.Service<
  RpcServer,
  {
    readonly address: { readonly host: string; readonly port: number }
    /** Addresses of the clients that are connected now, one for each connection. */
    readonly clients: Effect.Effect<ReadonlyArray<string>>
    /** Other limits, for all clients at once; connections above them stay until they end. */
    readonly setLimits: (limits: Limits.Limits) => Effect.Effect<void>
  }
>()("effect-nfs/RpcServer") {
  /** A server that lives as long as its scope. */
  static readonly layer = (options: Options): Layer.Layer<RpcServer, ListenError, WorkerPool | RpcCodec> =>
    Layer.effect(RpcServer, make(options))
}

/**
 * Listens until the surrounding scope ends; then accepts no connections, reads no calls, lets those in progress finish
 * and flushes their replies, for `shutdownTimeout` at most.
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<RpcServer["Service"], ListenError, WorkerPool | RpcCodec | Scope.Scope> {
  // By the client's address and port.
  const connections = new Map<string, Connection>()
  let allClosed: Deferred.Deferred<void> | undefined
  const limits = Limits.settle(options.limits ?? {})
  const clients = new Clients(limits)
  const correspondents = new Clients(limits)
  const context = yield* Effect.context<never>()
  const shared: Shared = {
    pool: yield* WorkerPool,
    codec: yield* RpcCodec,
    replays: new ReplayCache(limits.replies),
    limits,
    clients,
    correspondents,
    budget: new ByteBudget(limits.bytes),
    complaints: new Complaints((message) => Effect.runForkWith(context)(Effect.logWarning(message))),
    classes: yield* classes(yield* WorkerPool, options.timeLimits ?? {}),
    context
  }
  const programs = ProgramTable.make(options.programs)

  // Runs last: what is still open when the time is up is cut off.
  yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.destroy())))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      for (const connection of connections.values()) connection.drain()
      if (connections.size === 0) return Effect.void
      allClosed = Deferred.makeUnsafe()
      return Deferred.await(allClosed)
    }).pipe(Effect.timeoutOption(options.shutdownTimeout ?? "10 seconds"))
  )
  const onGone = (connection: Connection): void => {
    clients.leave(connection)
    options.presence?.left(connection.address)
    if (connections.get(connection.name) === connection) connections.delete(connection.name)
    if (connections.size === 0 && allClosed !== undefined) Deferred.doneUnsafe(allClosed, Effect.void)
  }
  const connect = (socket: Net.Socket): void => {
    // Its client is gone already: whose calls it may still hold, nobody can tell.
    if (socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const address = plainAddress(socket.remoteAddress)
    // A client that comes again from the same port has lost its connection, whether or not that has been noticed here.
    const lost = connections.get(Connection.nameOf(address, socket.remotePort))
    if (lost !== undefined) {
      clients.leave(lost)
      lost.destroy()
    }
    const refusal = clients.makeRoom(address)
    if (refusal !== undefined) {
      // Without a word: a connection that is closed in order would be remembered by the system for a minute.
      socket.resetAndDestroy()
      shared.complaints.about("refused", `refused a connection of ${address}: ${refusal}`)
      return
    }
    const client = clients.of(address)
    const connection = new Connection(socket, client, shared, programs, onGone)
    connections.set(connection.name, connection)
    clients.enter(connection, client)
    options.presence?.arrived(address)
  }
  const { server, socket } = yield* Listener.listen({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    datagrams: options.datagramPrograms !== undefined,
    onConnection: connect
  })
  if (socket !== undefined) {
    const datagrams = new Datagrams(socket, shared, ProgramTable.make(options.datagramPrograms ?? []))
    yield* Effect.addFinalizer(() => Effect.sync(() => datagrams.close()))
  }
  // Connections that could not be accepted, for want of descriptors: their clients try again.
  server.on("error", (error) =>
    Effect.runForkWith(shared.context)(Effect.logWarning("a connection was not accepted", error))
  )
  const watching = Effect.gen(function* () {
    const before = performance.now()
    const period = periodOf(shared.limits)
    yield* Effect.sleep(period)
    // What the process itself slept is not the clients' time.
    const passed = Math.min(performance.now() - before, 2 * period)
    for (const connection of connections.values()) connection.look(passed)
    clients.tidy()
    correspondents.tidy()
  })
  yield* Effect.forkScoped(Effect.forever(watching))
  const { address, port } = server.address() as Net.AddressInfo
  return {
    address: { host: address, port },
    clients: Effect.sync(() => Array.from(connections.values(), (connection) => connection.address)),
    setLimits: (limits) =>
      Effect.sync(() => {
        const settled = Limits.settle(limits)
        shared.limits = settled
        shared.budget.limit = settled.bytes
        shared.budget.advance()
        shared.replays.resize(settled.replies)
        clients.change(settled)
        correspondents.change(settled)
        for (const connection of connections.values()) connection.goOn()
      })
  }
})

/** Milliseconds between two looks at the connections. */
const periodOf = ({ idleTimeout, stallTimeout }: Limits.Settled): number =>
  Math.min(1000, Math.max(10, Math.min(idleTimeout, stallTimeout) / 8))

const TIME_LIMIT = "30 seconds"

/** How the pool runs calls of each priority. */
const classes = (
  pool: WorkerPool["Service"],
  timeLimits: NonNullable<Options["timeLimits"]>
): Effect.Effect<Shared["classes"]> =>
  Effect.forEach(priorities, (name) => {
    const priority = pool.priorityIndex(name)
    return priority === undefined
      ? Effect.die(new Error(`RpcServer needs a worker pool with a priority class ${name}`))
      : Effect.succeed([
          name,
          {
            priority,
            timeLimit: Duration.toMillis(Duration.fromInputUnsafe(timeLimits[name] ?? TIME_LIMIT)),
            short: name === "control" || name === "metadata"
          }
        ] as const)
  }).pipe(Effect.map((entries) => Object.fromEntries(entries) as Shared["classes"]))
