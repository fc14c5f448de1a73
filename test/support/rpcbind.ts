/** An rpcbind for tests, on a port of its own, that keeps what it is told and does what it is asked to. */

import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { DUMP, PROGRAM, type Rpcb, SET, UNSET } from "../../src/programs/portmap/RpcbindCalls.ts"
import { RpcCodec } from "../../src/rpc/RpcCodec.ts"
import * as RpcProgram from "../../src/rpc/RpcProgram.ts"
import * as RpcServer from "../../src/rpc/RpcServer.ts"

export class Rpcbind {
  readonly entries: Array<Rpcb> = []
  /** What it was asked to do: `SET 100003 3 tcp 127.0.0.1.8.1`. */
  readonly calls: Array<string> = []
  /** From which ports. */
  readonly ports = new Set<number>()
  /** How many more SETs it takes. */
  room = Infinity
  /** It has stopped answering. */
  hangs = false
  port = 0

  /** Registers something without being asked. */
  add(prog: number, vers: number, netid: string, addr: string): void {
    this.entries.push({ prog, vers, netid, addr, owner: "somebody" })
  }

  set(entry: Rpcb): boolean {
    if (this.room === 0 || this.find(entry) >= 0) return false
    this.room--
    this.entries.push({ ...entry, owner: "superuser" })
    return true
  }

  unset(entry: Rpcb): boolean {
    const at = this.find(entry)
    if (at >= 0) this.entries.splice(at, 1)
    return at >= 0
  }

  private find({ netid, prog, vers }: Rpcb): number {
    return this.entries.findIndex((known) => known.prog === prog && known.vers === vers && known.netid === netid)
  }
}

export const make = Effect.gen(function* () {
  const rpcbind = new Rpcbind()
  const answer = <A, B>(call: typeof SET | typeof UNSET | typeof DUMP, run: (args: A) => B) =>
    RpcProgram.procedure({
      ...(call as unknown as Pick<RpcProgram.Procedure<A, B>, "name" | "args" | "result">),
      priority: "control",
      idempotent: true,
      handler: (args, { port }) =>
        Effect.suspend(() => {
          rpcbind.ports.add(port)
          if (rpcbind.hangs) return Effect.never
          return Effect.succeed(run(args))
        })
    })
  const noted = (name: string, run: (entry: Rpcb) => boolean) => (entry: Rpcb) => {
    rpcbind.calls.push([name, entry.prog, entry.vers, entry.netid, entry.addr].join(" ").trim())
    return run(entry)
  }
  const programs = [
    RpcProgram.make({
      name: "RPCBIND",
      program: PROGRAM,
      version: 4,
      procedures: {
        [SET.number]: answer(
          SET,
          noted("SET", (entry) => rpcbind.set(entry))
        ),
        [UNSET.number]: answer(
          UNSET,
          noted("UNSET", (entry) => rpcbind.unset(entry))
        ),
        [DUMP.number]: answer(DUMP, () => rpcbind.entries)
      }
    })
  ]
  const { address } = yield* RpcServer.make({
    programs,
    datagramPrograms: programs,
    shutdownTimeout: "1 millis"
  }).pipe(
    Effect.provideService(WorkerPool.WorkerPool, yield* WorkerPool.make({ maxWorkers: 2 })),
    Effect.provide(RpcCodec.layer())
  )
  rpcbind.port = address.port
  return rpcbind
})

/** A port on which a server answers over UDP only: what comes there is passed on. */
export const udpOnly = (port: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly front: Dgram.Socket; readonly back: Dgram.Socket }>((resume) => {
      const front = Dgram.createSocket("udp4")
      const back = Dgram.createSocket("udp4")
      let client = 0
      front.on("message", (message, from) => {
        client = from.port
        back.send(message, port, "127.0.0.1")
      })
      back.on("message", (message) => front.send(message, client, "127.0.0.1"))
      front.bind(0, "127.0.0.1", () => resume(Effect.succeed({ front, back })))
    }),
    ({ back, front }) =>
      Effect.sync(() => {
        front.close()
        back.close()
      })
  ).pipe(Effect.map(({ front }) => front.address().port))

/** A port on which nothing answers, or connections are taken and nothing more. */
export const silent = (kind: "closed" | "open"): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer((socket) => socket.on("error", () => {}).unref())
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  ).pipe(
    Effect.map((server) => {
      const { port } = server.address() as Net.AddressInfo
      if (kind === "closed") server.close()
      return port
    })
  )
