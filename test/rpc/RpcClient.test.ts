import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Auth from "../../src/rpc/Auth.ts"
import { RecordDecoder } from "../../src/rpc/RecordMarking.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import { Reader } from "../../src/xdr/Reader.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import { eventually, record, settled } from "../support/rawClient.ts"
import { calls, P, PROGRAM, serve } from "../support/rpcServer.ts"

const v1 = { program: PROGRAM, version: 1 }

/** A server that does what it is told. */
const fakeServer = Effect.acquireRelease(
  Effect.callback<{
    readonly port: number
    readonly sockets: Array<Net.Socket>
    readonly calls: Array<Buffer>
    readonly close: () => void
  }>((resume) => {
    const sockets: Array<Net.Socket> = []
    const received: Array<Buffer> = []
    const server = Net.createServer({ noDelay: true }, (socket) => {
      sockets.push(socket)
      const records = new RecordDecoder(1 << 20, (chunks) => received.push(Buffer.concat(chunks)))
      socket.on("data", (chunk: Buffer) => records.push(chunk))
      socket.on("error", () => {})
    })
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const { port } = server.address() as Net.AddressInfo
      resume(
        Effect.succeed({
          port,
          sockets,
          calls: received,
          close: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })
      )
    })
  }),
  (server) => Effect.sync(server.close)
)

const success = (xid: number, result: Uint8Array): Buffer => {
  const writer = new Writer()
  RpcMessage.replyHeader.write(writer, {
    xid,
    type: RpcMessage.REPLY,
    body: { status: "MSG_ACCEPTED", verifier: Auth.none, reply: { stat: "SUCCESS" } }
  })
  return record(Buffer.concat([...writer.take(), result]))
}

const one = Buffer.from("00000001", "hex")

describe("RpcClient", () => {
  it.live("gives results, many at once", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const client = yield* RpcClient.make({ port })
      const texts = Array.from({ length: 300 }, (_, i) => "x".repeat(i * 7))
      const answers = yield* Effect.forEach(texts, (text) => client.call(v1, P.ECHO, calls.ECHO, text), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers, texts)
    })
  )

  it.live("sends its credentials, or those of the call", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const uidOf = (client: RpcClient.RpcClient, options?: RpcClient.CallOptions) =>
        Effect.map(client.call(v1, P.WHO, calls.WHO, undefined, options), ({ uid }) => uid)
      const nobody = yield* RpcClient.make({ port })
      const somebody = yield* RpcClient.make({ port, auth: Auth.sys({ uid: 7, gid: 7 }) })
      assert.isUndefined(yield* uidOf(nobody))
      assert.strictEqual(yield* uidOf(somebody), 7)
      assert.strictEqual(yield* uidOf(somebody, { auth: Auth.sys({ uid: 8, gid: 8 }) }), 8)
    })
  )

  it.live("fails with what the server refused, typed", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const client = yield* RpcClient.make({ port })
      const refused = yield* Effect.flip(client.call({ program: 77, version: 1 }, 0, calls.DIE, undefined))
      assert.deepStrictEqual(
        refused,
        new RpcClient.RpcRefused({
          reply: {
            status: "MSG_ACCEPTED",
            verifier: { flavor: 0, body: Buffer.alloc(0) },
            reply: { stat: "PROG_UNAVAIL" }
          }
        })
      )
      const denied = yield* Effect.flip(
        client.call(v1, P.WHO, calls.WHO, undefined, { auth: { flavor: 9, body: new Uint8Array(0) } })
      )
      assert.deepStrictEqual(
        denied,
        new RpcClient.RpcRefused({
          reply: { status: "MSG_DENIED", reply: { stat: "AUTH_ERROR", why: "AUTH_REJECTEDCRED" } }
        })
      )
    })
  )

  it.live("fails with what it cannot encode or decode, and goes on", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const client = yield* RpcClient.make({ port })
      const long = yield* Effect.flip(client.call(v1, P.COUNT, calls.COUNT, "x".repeat(101)))
      assert.deepInclude(long, { _tag: "XdrError", reason: "a length exceeds its maximum" })
      const wrong = yield* Effect.flip(
        client
          .call(v1, P.ECHO, { args: calls.ECHO.args, result: calls.BIG.args }, "")
          .pipe(Effect.andThen(client.call(v1, P.ECHO, { args: calls.ECHO.args, result: calls.WHO.result }, "abc")))
      )
      assert.strictEqual(wrong._tag, "XdrError")
      assert.strictEqual(yield* client.call(v1, P.ECHO, calls.ECHO, "still"), "still")
    })
  )

  it.live("fails when nobody listens", () =>
    Effect.gen(function* () {
      const server = yield* fakeServer
      server.close()
      yield* settled
      const error = yield* Effect.flip(RpcClient.make({ port: server.port }))
      assert.strictEqual(error._tag, "RpcDisconnected")
      assert.include(error.message, "ECONNREFUSED")
    })
  )

  for (const how of ["closed", "broken"] as const) {
    it.live(`fails pending calls, and all later ones, when the connection is ${how}`, () =>
      Effect.gen(function* () {
        const server = yield* fakeServer
        const client = yield* RpcClient.make({ port: server.port })
        const waiting = yield* Effect.forEach([1, 2, 3], () =>
          Effect.forkChild(Effect.flip(client.call(v1, P.ECHO, calls.ECHO, "")), { startImmediately: true })
        )
        const closed = yield* Effect.forkChild(Effect.flip(client.closed), { startImmediately: true })
        yield* eventually(() => server.calls.length === 3)
        assert.isUndefined(closed.pollUnsafe())
        if (how === "closed") server.sockets[0]!.destroy()
        else server.sockets[0]!.resetAndDestroy()
        for (const fiber of [...waiting, closed]) assert.strictEqual((yield* Fiber.join(fiber))._tag, "RpcDisconnected")
        assert.strictEqual((yield* Effect.flip(client.call(v1, P.ECHO, calls.ECHO, "")))._tag, "RpcDisconnected")
        assert.strictEqual((yield* Effect.flip(client.closed))._tag, "RpcDisconnected")
      })
    )
  }

  it.live("fails pending calls when its scope ends", () =>
    Effect.gen(function* () {
      const { clients, port, world } = yield* serve()
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(RpcClient.make({ port }), scope)
      const waiting = yield* Effect.forkChild(Effect.flip(client.call(v1, P.WAIT, calls.WAIT, 1)), {
        startImmediately: true
      })
      yield* eventually(() => world.waiting === 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "RpcDisconnected")
      world.releaseAll()
      yield* eventually(() => clients().length === 0)
    })
  )

  it.live("forgets the answer to a call that was interrupted", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve()
      const client = yield* RpcClient.make({ port })
      const call = yield* Effect.forkChild(client.call(v1, P.WAIT_AND_COUNT, calls.WAIT_AND_COUNT, 1), {
        startImmediately: true
      })
      yield* eventually(() => world.waiting === 1)
      yield* Fiber.interrupt(call)
      world.releaseAll()
      yield* eventually(() => world.counted === 1)
      assert.strictEqual(yield* client.call(v1, P.ECHO, calls.ECHO, "next"), "next")
    })
  )

  it.live("answers calls with the same xid together", () =>
    Effect.gen(function* () {
      const { port, world } = yield* serve()
      const client = yield* RpcClient.make({ port })
      const repeat = Effect.forkChild(client.call(v1, P.WAIT_AND_COUNT, calls.WAIT_AND_COUNT, 1, { xid: 5 }), {
        startImmediately: true
      })
      const [first, second, third] = [yield* repeat, yield* repeat, yield* repeat]
      yield* eventually(() => world.waiting === 1)
      yield* Fiber.interrupt(second)
      world.releaseAll()
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(third)], [1, 1])
    })
  )

  it.live("uses another xid for each call, and those that it is told", () =>
    Effect.gen(function* () {
      const server = yield* fakeServer
      const client = yield* RpcClient.make({ port: server.port })
      for (const xid of [undefined, undefined, 42, undefined, 0xffffffff]) {
        yield* Effect.forkChild(Effect.exit(client.call(v1, P.ECHO, calls.ECHO, "", { xid })), {
          startImmediately: true
        })
      }
      yield* eventually(() => server.calls.length === 5)
      const xids = server.calls.map((call) => RpcMessage.callHeader.read(new Reader([call])).xid)
      assert.deepStrictEqual([xids[2], xids[4]], [42, 0xffffffff])
      assert.strictEqual(new Set(xids).size, 5)
    })
  )

  it.live("ignores answers to nothing, reads answers in any pieces", () =>
    Effect.gen(function* () {
      const server = yield* fakeServer
      const client = yield* RpcClient.make({ port: server.port })
      const call = yield* Effect.forkChild(client.call(v1, P.WAIT, calls.WAIT, 1, { xid: 1 }), {
        startImmediately: true
      })
      yield* eventually(() => server.calls.length === 1)
      for (const byte of Buffer.concat([success(2, one), success(1, one), success(1, one)])) {
        server.sockets[0]!.write(Uint8Array.of(byte))
      }
      assert.strictEqual(yield* Fiber.join(call), 1)
    })
  )

  for (const [what, bytes] of [
    ["garbage", record(Buffer.from("00000001deadbeef", "hex"))],
    ["a call", record(Buffer.concat([Buffer.from("0000000100000000", "hex"), Buffer.alloc(32)]))],
    ["a record above its limit", Buffer.from("ffffffff", "hex")]
  ] as const) {
    it.live(`ends a connection that brings ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* fakeServer
        const client = yield* RpcClient.make({ port: server.port })
        const call = yield* Effect.forkChild(Effect.flip(client.call(v1, P.WAIT, calls.WAIT, 1, { xid: 1 })), {
          startImmediately: true
        })
        yield* eventually(() => server.calls.length === 1)
        server.sockets[0]!.write(bytes)
        assert.strictEqual((yield* Fiber.join(call))._tag, "RpcDisconnected")
      })
    )
  }
})
