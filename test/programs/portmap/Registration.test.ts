import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { register } from "../../../src/programs/portmap/Registration.ts"
import * as Service from "../../../src/programs/portmap/Service.ts"
import * as UniversalAddress from "../../../src/programs/portmap/UniversalAddress.ts"
import * as Rpcbind from "../../support/rpcbind.ts"
import { serve } from "../../support/rpcServer.ts"

const NFS = { program: 100003, version: 3 }
const MOUNT = { program: 100005, version: 3 }
const services = Service.of({ host: "127.0.0.1", port: 2049 }, { tcp: [NFS, MOUNT], udp: [MOUNT] })

/** A scope that a test closes when it likes. */
const closeable = Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))

const registered = ({ entries }: Rpcbind.Rpcbind): ReadonlyArray<string> =>
  entries.map(({ addr, netid, prog, vers }) => `${prog} ${vers} ${netid} ${addr}`)

const ours = ["100003 3 tcp 127.0.0.1.8.1", "100005 3 tcp 127.0.0.1.8.1", "100005 3 udp 127.0.0.1.8.1"]

describe("register", () => {
  it.live("replaces what there was, and takes it back at the end", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      rpcbind.add(100000, 4, "tcp", "0.0.0.0.0.111")
      rpcbind.add(100003, 3, "tcp", "127.0.0.1.8.1")
      const scope = yield* closeable
      yield* Scope.provide(register(services, rpcbind.port), scope)
      assert.deepStrictEqual(rpcbind.calls, [
        "UNSET 100003 3 tcp",
        "SET 100003 3 tcp 127.0.0.1.8.1",
        "UNSET 100005 3 tcp",
        "SET 100005 3 tcp 127.0.0.1.8.1",
        "UNSET 100005 3 udp",
        "SET 100005 3 udp 127.0.0.1.8.1"
      ])
      assert.deepStrictEqual(registered(rpcbind), ["100000 4 tcp 0.0.0.0.0.111", ...ours])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(registered(rpcbind), ["100000 4 tcp 0.0.0.0.0.111"])
    })
  )

  it.live("knows IPv4 and IPv6 of a server at all addresses", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      yield* register(Service.of({ host: "::", port: 2049 }, { tcp: [NFS], udp: [MOUNT] }), rpcbind.port)
      assert.deepStrictEqual(registered(rpcbind), [
        "100003 3 tcp 0.0.0.0.8.1",
        "100005 3 udp 0.0.0.0.8.1",
        "100003 3 tcp6 ::.8.1",
        "100005 3 udp6 ::.8.1"
      ])
    })
  )

  it.live.skipIf(process.getuid?.() !== 0)("comes from a privileged port when it may", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      yield* Effect.scoped(register(services, rpcbind.port))
      assert.strictEqual(rpcbind.ports.size, 2)
      for (const port of rpcbind.ports) assert.isBelow(port, 1024)
    })
  )

  it.live("speaks over UDP where there is no TCP", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      const port = yield* Rpcbind.udpOnly(rpcbind.port)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* register(services, port)
          assert.deepStrictEqual(registered(rpcbind), ours)
        })
      )
      assert.deepStrictEqual(rpcbind.entries, [])
    })
  )

  it.live.each([["tcp"], ["udp"]] as const)("replaces no server that answers over %s", ([netid]) =>
    Effect.gen(function* () {
      const rival = yield* serve({ datagrams: true })
      const rpcbind = yield* Rpcbind.make
      rpcbind.add(100005, 3, netid, UniversalAddress.format({ host: "0.0.0.0", port: rival.port }))
      const error = yield* Effect.flip(register(services, rpcbind.port))
      assert.strictEqual(error._tag, "RegistrationRefused")
      assert.match(error.message, new RegExp(`another server .* program 100005, on port ${rival.port}`))
      assert.deepStrictEqual(rpcbind.calls, [])
    })
  )

  it.live("replaces a server that is gone", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      const port = yield* Rpcbind.silent("closed")
      rpcbind.add(100003, 3, "tcp", UniversalAddress.format({ host: "0.0.0.0", port }))
      rpcbind.add(100005, 3, "udp", UniversalAddress.format({ host: "127.0.0.1", port }))
      yield* register(services, rpcbind.port)
      assert.deepStrictEqual(registered(rpcbind), ours)
    })
  )

  it.live("leaves what another server has taken over", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* register(services, rpcbind.port)
          rpcbind.entries.splice(0, 1)
          rpcbind.add(100003, 3, "tcp", "127.0.0.1.9.9")
        })
      )
      assert.deepStrictEqual(registered(rpcbind), ["100003 3 tcp 127.0.0.1.9.9"])
    })
  )

  it.live("fails when rpcbind does not let it, and leaves nothing half done", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      rpcbind.room = 2
      const error = yield* Effect.flip(register(services, rpcbind.port))
      assert.strictEqual(error._tag, "RegistrationRefused")
      assert.match(error.message, /does not let this user register program 100005, version 3, for udp/)
      assert.deepStrictEqual(rpcbind.entries, [])
    })
  )

  it.live("fails when something else listens there", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const error = yield* Effect.flip(register(services, port))
      assert.strictEqual(error._tag, "RegistrationRefused")
      assert.match(error.message, /does not understand version 4 of rpcbind/)
    })
  )

  it.live.each([["closed"], ["open"]] as const)("finds out soon that nothing answers (%s)", ([kind]) =>
    Effect.gen(function* () {
      const port = yield* Rpcbind.silent(kind)
      const begin = performance.now()
      assert.strictEqual((yield* Effect.flip(register(services, port)))._tag, "NoRpcbind")
      assert.isBelow(performance.now() - begin, kind === "closed" ? 500 : 2500)
    })
  )

  it.live("does not wait at the end for an rpcbind that hangs", () =>
    Effect.gen(function* () {
      const rpcbind = yield* Rpcbind.make
      const scope = yield* closeable
      yield* Scope.provide(register(services, rpcbind.port), scope)
      rpcbind.hangs = true
      const begin = performance.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - begin, 3000)
    })
  )
})
