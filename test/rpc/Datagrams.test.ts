import { Buffer } from "node:buffer"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Auth from "../../src/rpc/Auth.ts"
import * as DatagramClient from "../../src/rpc/DatagramClient.ts"
import { MAX_REPLY } from "../../src/rpc/Datagrams.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import { Reader } from "../../src/xdr/Reader.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { type CallBytes, call as record, eventually, settled } from "../support/rawClient.ts"
import { calls, P, PROGRAM, serve } from "../support/rpcServer.ts"

const v1 = { program: PROGRAM, version: 1 }
const number = (n: number): Uint8Array => Result.getOrThrow(Xdr.encode(Xdr.uint32, n))

/** A call as it stands in a datagram: a record without its mark. */
const call = (options: CallBytes): Buffer => record(options).subarray(4)

interface RawDatagrams {
  readonly socket: Dgram.Socket
  readonly replies: Array<Buffer>
  readonly send: (message: Uint8Array) => void
}

/** Sends what it is told, and keeps what comes back. */
const raw = (port: number, host = "127.0.0.1"): Effect.Effect<RawDatagrams, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RawDatagrams>((resume) => {
      const socket = Dgram.createSocket(Net.isIPv6(host) ? "udp6" : "udp4")
      const replies: Array<Buffer> = []
      socket.on("message", (message) => replies.push(message))
      socket.bind(0, () => resume(Effect.succeed({ socket, replies, send: (m) => socket.send(m, port, host) })))
    }),
    ({ socket }) => Effect.sync(() => socket.close())
  )

/** What a reply says. */
const bodyOf = (reply: Buffer | undefined) => {
  const { body } = RpcMessage.replyHeader.read(new Reader([reply!]))
  return body.reply
}

describe("Datagrams", () => {
  it.live("answer calls, on the port of the connections", () =>
    Effect.gen(function* () {
      const { port } = yield* serve({ datagrams: true })
      const client = yield* DatagramClient.make({ port, auth: Auth.sys({ uid: 7, gid: 7 }) })
      const texts = Array.from({ length: 100 }, (_, i) => "x".repeat(i * 13))
      const answers = yield* Effect.forEach(texts, (text) => client.call(v1, P.ECHO, calls.ECHO, text), {
        concurrency: 20
      })
      assert.deepStrictEqual(answers, texts)
      const who = yield* client.call(v1, P.WHO, calls.WHO, undefined)
      assert.include(who, { transport: "udp", address: "127.0.0.1", uid: 7 })
    })
  )

  it.live("answer over IPv6, and over IPv4 on an IPv6 socket", (context) =>
    Effect.gen(function* () {
      const served = yield* Effect.result(serve({ datagrams: true, server: { host: "::" } }))
      if (Result.isFailure(served)) return context.skip("this machine has no IPv6")
      const { port } = served.success
      for (const host of ["::1", "127.0.0.1"]) {
        const client = yield* DatagramClient.make({ port, host })
        assert.strictEqual((yield* client.call(v1, P.WHO, calls.WHO, undefined)).address, host)
      }
    })
  )

  it.live("find a port that is free for both", () =>
    Effect.gen(function* () {
      // As many ports as the system gives, so that some of the next are taken.
      for (let i = 0; i < 50; i++) yield* raw(1)
      const ports = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.map(serve({ datagrams: true }), ({ port }) => port)
      )
      assert.strictEqual(new Set(ports).size, 20)
    })
  )

  it.live("fail when the port is taken for them", () =>
    Effect.gen(function* () {
      const { socket } = yield* raw(1)
      const { port } = socket.address()
      const error = yield* Effect.flip(serve({ datagrams: true, server: { port, host: "127.0.0.1" } }))
      assert.strictEqual(error.message, `UDP port ${port} of 127.0.0.1 is in use`)
      // The connections' part of the port is free again.
      yield* serve({ server: { port } })
    })
  )

  it.live.each<[what: string, call: CallBytes, reply: unknown]>([
    ["another program", { xid: 1, program: 77 }, { stat: "PROG_UNAVAIL" }],
    ["another version", { xid: 1, version: 2 }, { stat: "PROG_MISMATCH", low: 1, high: 3 }],
    ["no procedure", { xid: 1, procedure: 99 }, { stat: "PROC_UNAVAIL" }],
    ["no arguments", { xid: 1, procedure: P.WAIT }, { stat: "GARBAGE_ARGS" }],
    ["another RPC version", { xid: 1, rpcVersion: 3 }, { stat: "RPC_MISMATCH", low: 2, high: 2 }],
    ["a handler that dies", { xid: 1, procedure: P.DIE }, { stat: "SYSTEM_ERR" }],
    [
      "an unknown flavour",
      { xid: 1, auth: { flavor: 9, body: new Uint8Array(0) } },
      {
        stat: "AUTH_ERROR",
        why: "AUTH_REJECTEDCRED"
      }
    ]
  ])("refuse %s", ([, bytes, reply]) =>
    Effect.gen(function* () {
      const { port } = yield* serve({ datagrams: true })
      const client = yield* raw(port)
      client.send(call(bytes))
      yield* eventually(() => client.replies.length === 1)
      assert.deepStrictEqual<unknown>(bodyOf(client.replies[0]), reply)
    })
  )

  it.live("say nothing to what is not a call", () =>
    Effect.gen(function* () {
      const { messages, port } = yield* serve({ datagrams: true })
      const client = yield* raw(port)
      // A reply least of all: two servers would answer each other for ever.
      const garbage = [[], [1, 2, 3], call({ xid: 1, type: RpcMessage.REPLY }), Buffer.alloc(60_000, 1)]
      for (const message of garbage) client.send(Uint8Array.from(message))
      yield* settled
      client.send(call({ xid: 7 }))
      yield* eventually(() => client.replies.length > 0)
      assert.deepStrictEqual(
        client.replies.map((reply) => reply.readUInt32BE(0)),
        [7]
      )
      assert.deepStrictEqual(messages, [])
    })
  )

  it.live("carry replies of some size, and refuse larger ones", () =>
    Effect.gen(function* () {
      const { messages, port } = yield* serve({ datagrams: true })
      const client = yield* raw(port)
      // The header of a reply takes 24 bytes, the length of the data 4.
      const largest = MAX_REPLY - 28
      for (const [xid, size] of [largest, largest + 4].entries()) {
        client.send(call({ xid, procedure: P.BIG, args: number(size) }))
        yield* eventually(() => client.replies.length === xid + 1)
      }
      assert.strictEqual(client.replies[0]!.length, MAX_REPLY)
      assert.deepStrictEqual<unknown>(bodyOf(client.replies[1]), { stat: "SYSTEM_ERR" })
      assert.deepStrictEqual(messages, [])
    })
  )

  it.live("execute a repeated call once", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve({ datagrams: true })
      const client = yield* raw(port)
      const message = call({ xid: 5, procedure: P.WAIT_AND_COUNT, args: number(1) })
      client.send(message)
      yield* eventually(() => world.waiting === 1)
      client.send(message)
      client.send(message)
      yield* settled
      world.release(1)
      yield* eventually(() => client.replies.length === 3)
      client.send(message)
      yield* eventually(() => client.replies.length === 4)
      assert.strictEqual(world.counted, 1)
      for (const reply of client.replies) assert.deepStrictEqual(reply, client.replies[0])
    })
  )

  it.live("are dropped beyond what may be in flight", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve({
        datagrams: true,
        server: { limits: { callsInFlight: 3 } },
        pool: { maxWorkers: 8 }
      })
      const client = yield* raw(port)
      for (let xid = 0; xid < 10; xid++) client.send(call({ xid, procedure: P.WAIT, args: number(1) }))
      yield* eventually(() => world.waiting === 3)
      yield* settled
      assert.strictEqual(world.waiting, 3)
      world.releaseAll()
      yield* eventually(() => client.replies.length === 3)
      // There is room again: a client that repeats its call gets its answer.
      client.send(call({ xid: 9, procedure: P.WAIT, args: number(1) }))
      yield* eventually(() => client.replies.length === 4)
    })
  )

  it.live("are dropped when the pool's queue is full, mutations as if they had never come", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve({ datagrams: true, pool: { maxWorkers: 1, queueCapacity: 1 } })
      const client = yield* raw(port)
      client.send(call({ xid: 0, procedure: P.WAIT, args: number(1) }))
      yield* eventually(() => world.waiting === 1)
      client.send(call({ xid: 1, procedure: P.WAIT, args: number(1) }))
      const mutation = call({ xid: 2, procedure: P.WAIT_AND_COUNT, args: number(1) })
      client.send(mutation)
      yield* settled
      world.releaseAll()
      yield* eventually(() => client.replies.length === 2)
      assert.strictEqual(world.counted, 0)
      client.send(mutation)
      yield* eventually(() => client.replies.length === 3)
      assert.strictEqual(world.counted, 1)
    })
  )

  it.live("end with the server, reads that run with them", () =>
    Effect.gen(function* () {
      const { close, port, world } = yield* serve({ datagrams: true })
      const client = yield* DatagramClient.make({ port, timeout: "500 millis" })
      const waiting = yield* Effect.forkChild(client.call(v1, P.WAIT, calls.WAIT, 1), { startImmediately: true })
      yield* eventually(() => world.waiting === 1)
      yield* close
      assert.strictEqual(world.waiting, 0)
      assert.strictEqual(world.interrupted, 1)
      assert.strictEqual((yield* Effect.flip(Fiber.join(waiting)))._tag, "RpcDisconnected")
      yield* serve({ datagrams: true, server: { port } })
    })
  )
})
