import * as Dgram from "node:dgram"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Auth from "../../src/rpc/Auth.ts"
import * as DatagramClient from "../../src/rpc/DatagramClient.ts"
import { RpcDisconnected } from "../../src/rpc/RpcClient.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import { privileged } from "../../src/rpc/SourcePort.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { eventually } from "../support/rawClient.ts"

const program = { program: 1, version: 1 }
const ask = { args: Xdr.nothing, result: Xdr.uint32 }

const replyOf = (xid: number, result: number): Uint8Array => {
  const writer = new Writer()
  const reply = { status: "MSG_ACCEPTED", verifier: Auth.none, reply: { stat: "SUCCESS" } } as const
  RpcMessage.replyHeader.write(writer, { xid, type: RpcMessage.REPLY, body: reply })
  writer.uint32(result)
  return Xdr.join(writer.take())
}

/** Does as it likes with the datagrams that come: `answer` gets the number of each. */
const fakeServer = (
  answer: (count: number, xid: number, reply: (message: Uint8Array) => void) => void
): Effect.Effect<{ readonly port: number; readonly counted: () => number }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Dgram.Socket; readonly counted: () => number }>((resume) => {
      const socket = Dgram.createSocket("udp4")
      let count = 0
      socket.on("message", (message, { port }) =>
        answer(++count, message.readUInt32BE(0), (reply) => socket.send(reply, port, "127.0.0.1"))
      )
      socket.bind(0, "127.0.0.1", () => resume(Effect.succeed({ socket, counted: () => count })))
    }),
    ({ socket }) => Effect.sync(() => socket.close())
  ).pipe(Effect.map(({ counted, socket }) => ({ port: socket.address().port, counted })))

describe("DatagramClient", () => {
  it.live("repeats a call until it is answered", () =>
    Effect.gen(function* () {
      const { counted, port } = yield* fakeServer((count, xid, reply) => {
        if (count >= 3) reply(replyOf(xid, count))
      })
      const client = yield* DatagramClient.make({ port, repeatAfter: "10 millis" })
      assert.strictEqual(yield* client.call(program, 1, ask, undefined), 3)
      yield* Effect.sleep("100 millis")
      assert.strictEqual(counted(), 3)
    })
  )

  it.live("gives up in the end", () =>
    Effect.gen(function* () {
      const { counted, port } = yield* fakeServer(() => {})
      const client = yield* DatagramClient.make({ port, repeatAfter: "10 millis", timeout: "100 millis" })
      const error = yield* Effect.flip(client.call(program, 1, ask, undefined))
      assert.strictEqual(error._tag, "RpcDisconnected")
      const sent = counted()
      assert.isAtLeast(sent, 2)
      yield* Effect.sleep("300 millis")
      assert.strictEqual(counted(), sent)
    })
  )

  it.live("learns at once that nobody listens", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(fakeServer(() => {}))
      const client = yield* DatagramClient.make({ port, timeout: "1 minute" })
      const error = yield* Effect.flip(client.call(program, 1, ask, undefined))
      assert.include(error, { _tag: "RpcDisconnected", code: "ECONNREFUSED" })
    })
  )

  it.live("ignores what is no reply to its calls", () =>
    Effect.gen(function* () {
      const { port } = yield* fakeServer((_, xid, reply) => {
        reply(new Uint8Array(0))
        reply(Uint8Array.of(1, 2, 3))
        reply(replyOf(xid + 1, 1))
        reply(replyOf(xid, 2))
        reply(replyOf(xid, 3))
      })
      const client = yield* DatagramClient.make({ port })
      assert.strictEqual(yield* client.call(program, 1, ask, undefined), 2)
    })
  )

  it.live("fails its calls when its scope ends, and repeats them no more", () =>
    Effect.gen(function* () {
      const { counted, port } = yield* fakeServer(() => {})
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(DatagramClient.make({ port, repeatAfter: "20 millis" }), scope)
      const call = yield* Effect.forkChild(client.call(program, 1, ask, undefined), { startImmediately: true })
      yield* eventually(() => counted() > 0)
      yield* Scope.close(scope, Exit.void)
      const sent = counted()
      const message = "the client has ended"
      assert.include(yield* Effect.flip(Fiber.join(call)), { message })
      assert.include(yield* Effect.flip(client.call(program, 1, ask, undefined)), { message })
      yield* Effect.sleep("100 millis")
      assert.strictEqual(counted(), sent)
    })
  )

  it.effect("fails with what it cannot encode", () =>
    Effect.gen(function* () {
      const client = yield* DatagramClient.make({ port: 1 })
      const wrong = { args: Xdr.string(1), result: Xdr.nothing }
      assert.strictEqual((yield* Effect.flip(client.call(program, 1, wrong, "too long")))._tag, "XdrError")
    })
  )
})

describe("privileged", () => {
  const fails = (code: string | undefined) => Effect.fail(new RpcDisconnected({ message: "no", code }))

  it.effect("takes another port for one that is taken", () =>
    Effect.gen(function* () {
      const tried: Array<number> = []
      const port = yield* privileged((port) => {
        tried.push(port)
        return tried.length < 4 ? fails(tried.length === 1 ? "EADDRINUSE" : "EADDRNOTAVAIL") : Effect.succeed(port)
      })
      assert.strictEqual(port, tried[3])
      assert.strictEqual(new Set(tried).size, 4)
      for (const port of tried) assert.isTrue(port >= 512 && port < 1024)
    })
  )

  it.effect.each([["EACCES"], ["EADDRINUSE"]])("makes do with any port after %s", ([code]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* privileged((port) => (port > 0 ? fails(code) : Effect.succeed(port))), 0)
    })
  )

  it.effect("fails with other errors at once", () =>
    Effect.gen(function* () {
      let tried = 0
      const error = yield* Effect.flip(
        privileged(() => {
          tried++
          return fails("ECONNREFUSED")
        })
      )
      assert.strictEqual(error.code, "ECONNREFUSED")
      assert.strictEqual(tried, 1)
    })
  )
})
