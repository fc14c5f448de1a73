/** Clients that ask for more than their rate allows, and limits that change while they do. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as DatagramClient from "../../src/rpc/DatagramClient.ts"
import type * as Limits from "../../src/rpc/Limits.ts"
import * as Nfs3Client from "../support/nfs.ts"
import { call, connect, eventually } from "../support/rawClient.ts"
import { calls, P, PROGRAM, serve } from "../support/rpcServer.ts"
import * as Server from "../support/server.ts"

const ELSEWHERE = { localAddress: "127.0.0.2" }

const number = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}

const serveWithin = (limits: Limits.Limits) => serve({ server: { limits } })

/** Milliseconds that something takes. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const started = performance.now()
    yield* effect
    return performance.now() - started
  })

/** Sends calls one after the other, each when the last is answered. */
const callInTurn = (port: number, count: number, bytes: (xid: number) => Buffer, options = {}) =>
  Effect.gen(function* () {
    const client = yield* connect(port, options)
    for (let xid = 0; xid < count; xid++) {
      client.send(bytes(xid))
      yield* eventually(() => client.replies.length > xid)
    }
  })

const nothing = (xid: number): Buffer => call({ xid })

describe("a rate", () => {
  it.live("of calls slows a client down, over all its connections, and loses nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* serveWithin({ rate: { callsPerSecond: 100, burst: 0.1 } })
      const took = yield* timed(
        Effect.all([callInTurn(port, 40, nothing), callInTurn(port, 40, nothing)], { concurrency: "unbounded" })
      )
      assert.isAbove(took, ((80 - 10 - 2) / 100) * 1000)
      assert.isBelow(took, 3000)
    })
  )

  it.live("of bytes counts those of calls and of replies", () =>
    Effect.gen(function* () {
      const rate = { bytesPerSecond: 1_000_000, burst: 0.1 }
      const { port } = yield* serveWithin({ rate })
      const big = (xid: number) => call({ xid, procedure: P.BIG, args: number(100_000) })
      const long = (xid: number) =>
        call({ xid, procedure: P.STEP, args: Buffer.concat([number(0), Buffer.alloc(100_000)]) })
      for (const bytes of [big, long]) {
        assert.isAbove(yield* timed(callInTurn(port, 8, bytes)), ((800_000 - 200_000) / 1_000_000) * 1000)
      }
    })
  )

  it.live.skipIf(process.platform !== "linux")("is each client's own", () =>
    Effect.gen(function* () {
      const { port } = yield* serveWithin({ rate: { callsPerSecond: 50, burst: 0.2 } })
      const busy = yield* connect(port)
      busy.send(...Array.from({ length: 200 }, (_, xid) => nothing(xid)))
      yield* Effect.sleep(50)
      assert.isBelow(yield* timed(callInTurn(port, 9, nothing, ELSEWHERE)), 500)
      // What was read already is answered, and only then it has to wait.
      yield* eventually(() => busy.replies.length === 200)
      busy.send(nothing(200))
      yield* Effect.sleep(300)
      assert.strictEqual(busy.replies.length, 200)
    })
  )

  it.live("outlives the connection that used it up", () =>
    Effect.gen(function* () {
      const { clients, port } = yield* serveWithin({ rate: { callsPerSecond: 20, burst: 0.05 } })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* connect(port)
          // What is held back is not seen to end: it is sent away, for the last is no call.
          first.send(...Array.from({ length: 20 }, (_, xid) => nothing(xid)), Buffer.of(0x80, 0, 0, 4, 0, 0, 0, 0))
          yield* eventually(() => clients().length === 0)
        })
      )
      // The first call is read before anybody asks what is owed.
      assert.isAbove(yield* timed(callInTurn(port, 2, nothing)), 500)
    })
  )

  it.live("taken away sets free who waits, and given holds back who is there", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serveWithin({ rate: { callsPerSecond: 1, burst: 1 } })
      const client = yield* connect(port)
      client.send(...Array.from({ length: 1000 }, (_, xid) => nothing(xid)))
      yield* eventually(() => client.replies.length === 1000)
      client.send(nothing(1000))
      yield* Effect.sleep(100)
      assert.strictEqual(client.replies.length, 1000)
      yield* server.setLimits({})
      yield* eventually(() => client.replies.length === 1001)
      assert.isBelow(yield* timed(callInTurn(port, 20, nothing)), 1000)
      yield* server.setLimits({ rate: { callsPerSecond: 20, burst: 0.05 } })
      assert.isAbove(yield* timed(callInTurn(port, 12, nothing)), 400)
    })
  )

  it.live.each([
    ["a word", 0],
    ["more than buffers hold", 900_000]
  ] as const)(
    "does not have done twice what a client asks again over another connection while it is held back, behind %s",
    ([, size]) =>
      Effect.gen(function* () {
        const { port, server, world } = yield* serveWithin({ rate: { callsPerSecond: 0.01, burst: 100 } })
        const count = call({ xid: 7, procedure: P.COUNT, args: number(0) })
        const held = yield* Effect.forEach(Array.from({ length: 100 }), () => connect(port))
        const first = yield* connect(port)
        for (const client of [...held, first]) {
          client.send(nothing(1), nothing(2))
          yield* eventually(() => client.replies.length === 2)
        }
        // Each on its own, so that one is read after the other.
        const before = Buffer.concat([number(size), Buffer.alloc(size, 97)])
        for (const bytes of [call({ xid: 3, procedure: P.ECHO, args: before }), count]) {
          first.send(bytes)
          yield* Effect.sleep(50)
        }
        first.socket.destroy()
        const second = yield* connect(port)
        // It gets ahead of all that were held back, who go on one after the other. What came over the first is read last.
        yield* server.setLimits({})
        second.send(count)
        yield* eventually(() => second.replies.length === 1)
        yield* Effect.sleep(1000)
        assert.strictEqual(world.counted, 1)
      })
  )

  it.live("over UDP drops what is too much, and who asks again later is answered", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve({
        datagrams: true,
        server: { limits: { rate: { callsPerSecond: 10, burst: 0.1 } } }
      })
      const client = yield* DatagramClient.make({ port })
      const count = client.call({ program: PROGRAM, version: 1 }, P.COUNT, calls.COUNT, "")
      const took = yield* timed(Effect.forEach(Array.from({ length: 4 }), () => count))
      assert.isAbove(took, 150)
      assert.strictEqual(world.counted, 4)
    })
  )

  it.live("over UDP is not charged to connections of the address that a datagram bears", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve({
        datagrams: true,
        server: { limits: { rate: { callsPerSecond: 1, burst: 1 } } }
      })
      const forger = yield* DatagramClient.make({ port })
      yield* forger.call({ program: PROGRAM, version: 1 }, P.COUNT, calls.COUNT, "")
      yield* Effect.forkChild(forger.call({ program: PROGRAM, version: 1 }, P.COUNT, calls.COUNT, ""))
      yield* eventually(() => world.counted === 1)
      assert.isBelow(yield* timed(callInTurn(port, 2, nothing)), 500)
    })
  )

  it.live("of an export slows down who calls it, and nobody else", () =>
    Effect.gen(function* () {
      const filesystem = MemoryFilesystem.layer()
      const { address } = yield* Server.serve([
        { path: "/slow", squash: "none", filesystem, rate: { callsPerSecond: 50, burst: 0.1 } },
        { path: "/fast", squash: "none", filesystem },
        { path: "/narrow", squash: "none", filesystem, rate: { bytesPerSecond: 1_000_000, burst: 0.1 } }
      ])
      const getattr = Effect.fnUntraced(function* (path: string) {
        const client = yield* Nfs3Client.connect(address.port)
        const object = yield* client.root(path)
        return yield* timed(
          Effect.gen(function* () {
            for (let i = 0; i < 30; i++) Nfs3Client.ok(yield* client.nfs(Nfs.GETATTR, { object }))
          })
        )
      })
      const [slow, alsoSlow, fast] = yield* Effect.all([getattr("/slow"), getattr("/slow"), getattr("/fast")], {
        concurrency: "unbounded"
      })
      assert.isAbove(Math.max(slow, alsoSlow), ((60 - 5 - 2) / 50) * 1000)
      assert.isBelow(fast, 500)
      const { nfs, root } = yield* Nfs3Client.connect(address.port)
      const dir = yield* root("/narrow")
      const how = { mode: "UNCHECKED", objAttributes: {} } as const
      const file = Nfs3Client.ok(yield* nfs(Nfs.CREATE, { where: { dir, name: "file" }, how })).obj!
      const write = { file, offset: 0, count: 100_000, stable: "UNSTABLE", data: [Buffer.alloc(100_000)] } as const
      const took = yield* timed(
        Effect.gen(function* () {
          for (let i = 0; i < 4; i++) {
            Nfs3Client.ok(yield* nfs(Nfs.WRITE, write))
            Nfs3Client.ok(yield* nfs(Nfs.READ, { file, offset: 0, count: 100_000 }))
          }
        })
      )
      assert.isAbove(took, ((800_000 - 200_000) / 1_000_000) * 1000)
    })
  )

  it.live("of an export sets free who waits when it is raised or taken away, or its export goes", () =>
    Effect.gen(function* () {
      const filesystem = MemoryFilesystem.layer()
      const slow = { path: "/slow", squash: "none", filesystem, rate: { callsPerSecond: 0.01, burst: 100 } } as const
      const server = yield* Server.serve([slow])
      const client = yield* Nfs3Client.connect(server.address.port)
      const object = yield* client.root("/slow")
      const getattr = client.nfs(Nfs.GETATTR, { object })
      const ways = [
        [{ ...slow, rate: { callsPerSecond: 1000 } }],
        [{ path: "/slow", squash: "none", filesystem } as const],
        [{ path: "/other", squash: "none", filesystem } as const]
      ]
      for (const exports of ways) {
        yield* server.reconfigure({ exports: [slow] })
        yield* getattr
        yield* getattr
        const waits = yield* Effect.forkChild(getattr)
        yield* Effect.sleep(100)
        assert.isUndefined(waits.pollUnsafe())
        yield* server.reconfigure({ exports })
        yield* Fiber.join(waits).pipe(Effect.timeout("5 seconds"))
        // By then the higher rate has paid what the lower one would still have to.
        yield* Effect.sleep(50)
      }
      // What is owed stays owed under the same rate.
      yield* server.reconfigure({ exports: [slow] })
      yield* Effect.all([getattr, getattr])
      yield* server.reconfigure({ exports: [slow] })
      const waits = yield* Effect.forkChild(getattr)
      yield* Effect.sleep(100)
      assert.isUndefined(waits.pollUnsafe())
    })
  )
})

describe("limits that change", () => {
  it.live("hold for the connections that are there", () =>
    Effect.gen(function* () {
      const { clients, port, server, world } = yield* serve({ pool: { maxWorkers: 64 } })
      const client = yield* connect(port)
      const idle = yield* connect(port)
      const wait = (xid: number) => call({ xid, procedure: P.WAIT, args: number(0) })
      yield* server.setLimits({ callsInFlight: 3 })
      client.send(...Array.from({ length: 20 }, (_, xid) => wait(xid)))
      yield* eventually(() => world.waiting === 3)
      yield* Effect.sleep(30)
      assert.strictEqual(world.waiting, 3)
      yield* server.setLimits({ callsInFlight: 8, idleTimeout: "200 millis" })
      yield* eventually(() => world.waiting === 8)
      yield* eventually(() => clients().length === 1)
      assert.isTrue(idle.ended || idle.closed)
      assert.isFalse(client.ended)
    })
  )

  it.live("change nothing when they are not valid", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serveWithin({ connectionsPerClient: 1 })
      const exit = yield* Effect.exit(server.setLimits({ connectionsPerClient: 2, idleTimeout: "soon" }))
      assert.isTrue(Exit.isFailure(exit))
      yield* connect(port)
      // It may be refused before it knows that it is connected.
      const second = yield* Effect.exit(connect(port))
      yield* eventually(() => Exit.isFailure(second) || second.value.closed)
    })
  )
})
