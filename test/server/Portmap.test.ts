import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as PortmapCalls from "../../src/programs/portmap/PortmapCalls.ts"
import * as RpcbindCalls from "../../src/programs/portmap/RpcbindCalls.ts"
import * as DatagramClient from "../../src/rpc/DatagramClient.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import type { Options } from "../../src/server/NfsServer.ts"
import { PortmapPort } from "../../src/server/Portmap.ts"
import * as Logs from "../support/logs.ts"
import { connect, ok } from "../support/nfs.ts"
import * as Rpcbind from "../support/rpcbind.ts"
import { serve } from "../support/server.ts"

const exports = [{ path: "/", filesystem: MemoryFilesystem.layer() }]

/** A server for which the portmapper's port is another than the machine's. */
const serveWith = (portmapPort: number, options: Omit<Options, "exports">) =>
  Effect.provideService(serve(exports, options), PortmapPort, portmapPort)

const closeable = Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))

const portmap = { program: PortmapCalls.PROGRAM, version: 2 }
const getport = (prog: number, vers: number, prot: number) => ({ prog, vers, prot, port: 0 })

describe("the portmapper of a server", () => {
  it.live.each([["auto"], ["on"]] as const)("%s: is rpcbind where it answers", ([mode]) =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      const scope = yield* closeable
      const server = yield* Scope.provide(serveWith(rpcbind.port, { portmap: mode }), scope)
      expect(server.portmap).toEqual({ _tag: "Rpcbind" })
      const addr = `127.0.0.1.${server.address.port >> 8}.${server.address.port & 255}`
      expect(rpcbind.entries.map(({ addr, netid, prog, vers }) => [prog, vers, netid, addr])).toEqual([
        ...[1, 2, 3].map((version) => [MountCalls.PROGRAM, version, "tcp", addr]),
        [Nfs.PROGRAM, Nfs.VERSION, "tcp", addr],
        ...[1, 2, 3].map((version) => [MountCalls.PROGRAM, version, "udp", addr])
      ])
      yield* Scope.close(scope, Exit.void)
      expect(rpcbind.entries).toEqual([])
    })
  )

  it.live.each([["auto"], ["on"]] as const)("%s: is our own where none answers, from finding to mounting", ([mode]) =>
    Effect.gen(function* () {
      const port = yield* Rpcbind.silent("closed")
      const server = yield* serveWith(port, { portmap: mode })
      expect(server.portmap).toEqual({ _tag: "Own", port })
      for (const [client, prot] of [
        [yield* RpcClient.make({ port }), PortmapCalls.IPPROTO_TCP],
        [yield* DatagramClient.make({ port }), PortmapCalls.IPPROTO_UDP]
      ] as const) {
        const ask = (prog: number, vers: number) =>
          client.call(portmap, PortmapCalls.GETPORT.number, PortmapCalls.GETPORT, getport(prog, vers, prot))
        expect(yield* ask(MountCalls.PROGRAM, 3)).toBe(server.address.port)
        expect(yield* ask(Nfs.PROGRAM, 3)).toBe(prot === PortmapCalls.IPPROTO_TCP ? server.address.port : 0)
        expect(yield* ask(PortmapCalls.PROGRAM, 2)).toBe(port)
      }
      const mountd = yield* DatagramClient.make({ port: server.address.port })
      const program = { program: MountCalls.PROGRAM, version: 3 }
      const mounted = ok(yield* mountd.call(program, MountCalls.MNT3.number, MountCalls.MNT3, "/"))
      const { nfs } = yield* connect(server.address.port)
      ok(yield* nfs(Nfs.GETATTR, { object: mounted.fhandle }))
      expect(yield* server.mounts).toEqual([{ host: "127.0.0.1", path: "/" }])
    })
  )

  it.live("our own takes nothing from others, passes on nothing, and ends with the server", () =>
    Effect.gen(function* () {
      const port = yield* Rpcbind.silent("closed")
      const scope = yield* closeable
      yield* Scope.provide(serveWith(port, { portmap: "on" }), scope)
      const { call } = yield* RpcClient.make({ port, privileged: true })
      const entry = { prog: 100003, vers: 3, netid: "tcp", addr: "127.0.0.1.1.1", owner: "" }
      const rpcbind = { program: RpcbindCalls.PROGRAM, version: 4 }
      expect(yield* call(rpcbind, RpcbindCalls.UNSET.number, RpcbindCalls.UNSET, entry)).toBe(false)
      expect(yield* call(rpcbind, RpcbindCalls.SET.number, RpcbindCalls.SET, entry)).toBe(false)
      const bcast = yield* Effect.flip(call(rpcbind, 5, RpcbindCalls.SET, entry))
      expect(bcast).toMatchObject({ reply: { reply: { stat: "PROC_UNAVAIL" } } })
      yield* Scope.close(scope, Exit.void)
      expect(yield* Effect.flip(RpcClient.make({ port }))).toMatchObject({ code: "ECONNREFUSED" })
      yield* serveWith(port, { portmap: "on" })
    })
  )

  it.live("two servers: the second goes without", () =>
    Effect.gen(function* () {
      const port = yield* Rpcbind.silent("closed")
      const first = yield* serveWith(port, { portmap: "auto" })
      const quiet = Logs.make().context
      const second = yield* serveWith(port, { portmap: "auto" }).pipe(Effect.provideContext(quiet))
      expect(second.portmap).toEqual({ _tag: "None" })
      expect((yield* Effect.flip(serveWith(port, { portmap: "on" }))).message).toMatch(
        new RegExp(`another server is registered for program 100005, on port ${first.address.port}`)
      )
    })
  )

  it.live("nobody where the port is taken: auto says so in one line, on fails", () =>
    Effect.gen(function* () {
      const port = yield* Rpcbind.silent("open")
      const logs = Logs.make()
      const server = yield* serveWith(port, { portmap: "auto" }).pipe(Effect.provideContext(logs.context))
      expect(server.portmap).toEqual({ _tag: "None" })
      expect(logs.messages).toEqual([
        `Info: no portmapper, so clients have to name the port: port ${port} of 127.0.0.1 is in use`
      ])
      const error = yield* Effect.flip(serveWith(port, { portmap: "on" }))
      expect(error).toMatchObject({ _tag: "PortmapError", message: `port ${port} of 127.0.0.1 is in use` })
    })
  )

  it.live("is left alone if nobody asks for it", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      for (const options of [{}, { portmap: "off" }] as const) {
        expect((yield* serveWith(rpcbind.port, options)).portmap).toEqual({ _tag: "None" })
      }
      expect(rpcbind.ports.size).toBe(0)
    })
  )
})
