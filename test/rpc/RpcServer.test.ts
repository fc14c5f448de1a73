import { Buffer } from "node:buffer"
import { execFileSync } from "node:child_process"
import { randomInt } from "node:crypto"
import type * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import * as RpcServer from "../../src/rpc/RpcServer.ts"
import { Reader } from "../../src/xdr/Reader.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import * as PersistentClient from "../support/persistentClient.ts"
import * as Proxy from "../support/proxy.ts"
import { type CallBytes, call, connect, eventually, type RawClient, record, settled } from "../support/rawClient.ts"
import { calls, P, PROGRAM, serve } from "../support/rpcServer.ts"

const encode = <A>(codec: Xdr.Codec<A>, value: A): Uint8Array => Result.getOrThrow(Xdr.encode(codec, value))
const number = (n: number): Uint8Array => encode(Xdr.uint32, n)
const text = (value: string): Uint8Array => encode(Xdr.string(1_000_000), value)

const v1 = { program: PROGRAM, version: 1 }

/** What a reply says, without its xid. */
const bodyOf = (reply: Buffer | undefined): unknown => {
  if (reply === undefined) return undefined
  const { body } = RpcMessage.replyHeader.read(new Reader([reply]))
  return body.status === "MSG_ACCEPTED" ? body.reply : body.reply
}

/** The number in a successful reply. */
const numberIn = (reply: Buffer | undefined): number | undefined => {
  if (reply === undefined) return undefined
  const reader = new Reader([reply])
  assert.deepStrictEqual(bodyOf(reply), { stat: "SUCCESS" })
  RpcMessage.replyHeader.read(reader)
  return reader.uint32()
}

const count = (xid: number, args = "once") => call({ xid, procedure: P.COUNT, args: text(args) })
const waitAndCount = (xid: number, gate = 0) => call({ xid, procedure: P.WAIT_AND_COUNT, args: number(gate) })
const wait = (xid: number, gate = 0) => call({ xid, procedure: P.WAIT, args: number(gate) })
const sequence = (length: number): Array<number> => Array.from({ length }, (_, i) => i)

/** Breaks a connection, and waits until the server knows. */
const reset = Effect.fnUntraced(function* (
  client: RawClient,
  server: { readonly clients: () => ReadonlyArray<string> }
) {
  const before = server.clients().length
  client.socket.resetAndDestroy()
  yield* eventually(() => server.clients().length < before)
})

describe("RpcServer", () => {
  describe("many calls at once", () => {
    it.live("a slow call never holds back others", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* RpcClient.make({ port })
        const slow = yield* Effect.forkChild(client.call(v1, P.WAIT, calls.WAIT, 1), { startImmediately: true })
        yield* eventually(() => world.waiting === 1)
        const answers = yield* Effect.forEach(sequence(200), (i) => client.call(v1, P.ECHO, calls.ECHO, `${i}`), {
          concurrency: 50
        })
        assert.deepStrictEqual(answers, sequence(200).map(String))
        assert.isUndefined(slow.pollUnsafe())
        world.release(1)
        assert.strictEqual(yield* Fiber.join(slow), 1)
      })
    )

    it.live("replies leave in the order in which they are finished", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ pool: { maxWorkers: 50 } })
        const client = yield* connect(port)
        client.send(...sequence(30).map((i) => wait(i, i)))
        yield* eventually(() => world.waiting === 30)
        const order = sequence(30).toSorted((a, b) => ((a * 7) % 30) - ((b * 7) % 30))
        for (const i of order) {
          world.release(i)
          yield* eventually(() => client.replies.length > order.indexOf(i))
        }
        assert.deepStrictEqual(client.xids, order)
      })
    )

    it.live("a chunk of calls is answered with few writes", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const client = yield* connect(port)
        const chunks: Array<number> = []
        client.socket.on("data", (chunk: Buffer) => chunks.push(chunk.length))
        client.send(...sequence(50).map((xid) => call({ xid })))
        yield* eventually(() => client.replies.length === 50)
        assert.deepStrictEqual(client.xids, sequence(50))
        assert.isAtMost(chunks.length, 5)
      })
    )

    it.live("takes calls in any pieces", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const client = yield* connect(port)
        const bytes = Buffer.concat(
          sequence(5).map((xid) => call({ xid, procedure: P.ECHO, args: text(`echo ${xid}`) }))
        )
        for (let at = 0; at < bytes.length; at += 7) {
          client.send(bytes.subarray(at, at + 7))
          yield* Effect.yieldNow
        }
        yield* eventually(() => client.replies.length === 5)
        assert.isTrue(client.replies.every((reply) => reply.includes(`echo ${reply.readUInt32BE(0)}`)))
      })
    )

    it.live("a program may keep what it was given, and answer with it time and again", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const client = yield* RpcClient.make({ port })
        for (const i of sequence(10)) {
          const answer = yield* client.call(v1, P.FIRST, calls.FIRST, [Buffer.alloc(65_536, i)])
          assert.isTrue(Buffer.concat(answer).equals(Buffer.alloc(65_536, 0)))
        }
      })
    )

    it.live("shares the pool fairly between connections", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ pool: { maxWorkers: 1 } })
        const busy = yield* connect(port)
        const single = yield* connect(port)
        busy.send(wait(0), ...sequence(500).map((i) => call({ xid: i + 1, procedure: P.STEP, args: text("busy") })))
        yield* eventually(() => world.waiting === 1)
        yield* settled
        single.send(call({ xid: 1, procedure: P.STEP, args: text("single") }))
        yield* settled
        world.releaseAll()
        yield* eventually(() => single.replies.length === 1)
        assert.isBelow(world.steps.indexOf("single"), 3)
        yield* eventually(() => busy.replies.length === 501)
      })
    )

    it.live("tells handlers who calls", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const raw = yield* connect(port)
        raw.send(call({ xid: 1, procedure: P.WHO, auth: Auth.sys({ uid: 1234, gid: 5 }) }))
        yield* eventually(() => raw.replies.length === 1)
        const reader = new Reader([raw.replies[0]!])
        RpcMessage.replyHeader.read(reader)
        const address = raw.socket.address() as Net.AddressInfo
        assert.deepStrictEqual(calls.WHO.result.read(reader), {
          transport: "tcp",
          address: "127.0.0.1",
          port: address.port,
          uid: 1234
        })
      })
    )
  })

  it.live("tells of each connection that begins and ends", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const presence = {
        arrived: (address: string) => void events.push(`+${address}`),
        left: (address: string) => void events.push(`-${address}`)
      }
      const server = yield* serve({ server: { presence } })
      const client = yield* connect(server.port)
      client.send(call({ xid: 1 }))
      yield* eventually(() => client.replies.length === 1)
      assert.deepStrictEqual(events, ["+127.0.0.1"])
      yield* reset(client, server)
      assert.deepStrictEqual(events, ["+127.0.0.1", "-127.0.0.1"])
    })
  )

  it.live("gives IPv4 addresses in their own form on a socket for both", (context) =>
    Effect.gen(function* () {
      const served = yield* Effect.result(serve({ server: { host: "::" } }))
      if (Result.isFailure(served)) return context.skip("this machine has no IPv6")
      const client = yield* RpcClient.make({ port: served.success.port })
      assert.strictEqual((yield* client.call(v1, P.WHO, calls.WHO, undefined)).address, "127.0.0.1")
      assert.deepStrictEqual(served.success.clients(), ["127.0.0.1"])
    })
  )

  describe("refusals", () => {
    /** The reply to one call. */
    const ask = Effect.fnUntraced(function* (bytes: Uint8Array) {
      const server = yield* serve()
      const client = yield* connect(server.port)
      client.send(bytes)
      yield* eventually(() => client.replies.length === 1)
      assert.strictEqual(client.xids[0], 99)
      // The connection lives on.
      client.send(call({ xid: 100 }))
      yield* eventually(() => client.replies.length === 2)
      assert.deepStrictEqual(bodyOf(client.replyTo(100)), { stat: "SUCCESS" })
      return { answer: bodyOf(client.replyTo(99)), messages: server.messages }
    })
    const refusal = (options: Omit<CallBytes, "xid">) =>
      Effect.map(ask(call({ xid: 99, ...options })), ({ answer }) => answer)

    it.live("RPC_MISMATCH: another version of RPC", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* refusal({ rpcVersion: 3 }), { stat: "RPC_MISMATCH", low: 2, high: 2 })
      })
    )

    it.live("PROG_UNAVAIL: another program", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* refusal({ program: 2 }), { stat: "PROG_UNAVAIL" })
      })
    )

    it.live("PROG_MISMATCH: another version of the program, with those that there are", () =>
      Effect.gen(function* () {
        for (const version of [0, 2, 4]) {
          assert.deepStrictEqual(yield* refusal({ version }), { stat: "PROG_MISMATCH", low: 1, high: 3 })
        }
      })
    )

    it.live("PROC_UNAVAIL: a number without a procedure", () =>
      Effect.gen(function* () {
        for (const procedure of [16, 1_000, 0xffffffff]) {
          assert.deepStrictEqual(yield* refusal({ procedure }), { stat: "PROC_UNAVAIL" })
        }
        assert.deepStrictEqual(yield* refusal({ version: 3, procedure: 0 }), { stat: "PROC_UNAVAIL" })
      })
    )

    it.live("GARBAGE_ARGS: arguments that are none", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* refusal({ procedure: P.ECHO }), { stat: "GARBAGE_ARGS" })
        const endless = Buffer.from("ffffffff", "hex")
        assert.deepStrictEqual(yield* refusal({ procedure: P.ECHO, args: endless }), { stat: "GARBAGE_ARGS" })
        assert.deepStrictEqual(yield* refusal({ procedure: P.COUNT, args: endless }), { stat: "GARBAGE_ARGS" })
      })
    )

    it.live("AUTH_ERROR: a handler that wants another flavour, of which nothing is logged", () =>
      Effect.gen(function* () {
        const { answer, messages } = yield* ask(call({ xid: 99, procedure: P.STRICT }))
        assert.deepStrictEqual(answer, { stat: "AUTH_ERROR", why: "AUTH_TOOWEAK" })
        assert.deepStrictEqual(messages, [])
        assert.deepStrictEqual(yield* refusal({ procedure: P.STRICT, auth: Auth.sys({ uid: 1, gid: 1 }) }), {
          stat: "SUCCESS"
        })
      })
    )

    it.live("SYSTEM_ERR: a handler that dies, or ends without a result", () =>
      Effect.gen(function* () {
        for (const [procedure, message] of [
          [P.DIE, "Error: DIE died"],
          [P.INTERRUPT, "Error: INTERRUPT died"]
        ] as const) {
          const { answer, messages } = yield* ask(call({ xid: 99, procedure }))
          assert.deepStrictEqual(answer, { stat: "SYSTEM_ERR" })
          assert.lengthOf(messages, 1)
          assert.include(messages[0], message)
        }
      })
    )

    it.live("SYSTEM_ERR: a result that cannot be encoded, of which nothing is sent", () =>
      Effect.gen(function* () {
        const { answer, messages } = yield* ask(call({ xid: 99, procedure: P.TOO_LONG }))
        assert.deepStrictEqual(answer, { stat: "SYSTEM_ERR" })
        assert.include(messages[0], "the result of TOO_LONG could not be encoded")
      })
    )

    it.live("SYSTEM_ERR: a bug in a codec or a program does not end the server", () =>
      Effect.gen(function* () {
        const { answer, messages } = yield* ask(call({ xid: 99, procedure: P.BROKEN, args: number(1) }))
        assert.deepStrictEqual(answer, { stat: "SYSTEM_ERR" })
        assert.include(messages[0], "the arguments of BROKEN could not be read")
      })
    )

    it.live("AUTH_ERROR: credentials of an unknown flavour, garbled or over-long", () =>
      Effect.gen(function* () {
        const why = (auth: Auth.OpaqueAuth) => refusal({ auth })
        assert.deepStrictEqual(yield* why({ flavor: 6, body: Buffer.alloc(8) }), {
          stat: "AUTH_ERROR",
          why: "AUTH_REJECTEDCRED"
        })
        assert.deepStrictEqual(yield* why({ flavor: 1, body: Buffer.alloc(8) }), {
          stat: "AUTH_ERROR",
          why: "AUTH_BADCRED"
        })
        const header = encode(RpcMessage.callHeader, {
          xid: 99,
          type: 0,
          rpcVersion: 2,
          program: 1,
          version: 1,
          procedure: 0
        })
        const long = record(Buffer.concat([header, number(1), number(404), Buffer.alloc(404), Buffer.alloc(8)]))
        assert.deepStrictEqual((yield* ask(long)).answer, { stat: "AUTH_ERROR", why: "AUTH_BADCRED" })
        const verifier = record(Buffer.concat([header, Buffer.alloc(8), number(0), number(404), Buffer.alloc(404)]))
        assert.deepStrictEqual((yield* ask(verifier)).answer, { stat: "AUTH_ERROR", why: "AUTH_BADVERF" })
      })
    )

    it.live("many of them at once go with what succeeds", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        const kinds = [
          {},
          { program: 2 },
          { procedure: P.DIE },
          { procedure: P.TOO_LONG },
          { procedure: P.ECHO },
          { rpcVersion: 1 }
        ]
        client.send(...sequence(600).map((xid) => call({ xid, ...kinds[xid % kinds.length] })))
        yield* eventually(() => client.replies.length === 600)
        const stats = ["SUCCESS", "PROG_UNAVAIL", "SYSTEM_ERR", "SYSTEM_ERR", "GARBAGE_ARGS", "RPC_MISMATCH"]
        for (const reply of client.replies) {
          const { stat } = bodyOf(reply) as { readonly stat: string }
          assert.strictEqual(stat, stats[reply.readUInt32BE(0) % stats.length])
        }
        assert.strictEqual(new Set(client.xids).size, 600)
        assert.strictEqual(world.waiting, 0)
      })
    )
  })

  describe("what is not RPC", () => {
    it.live("a record above the limit ends its connection with a warning, and no other", () =>
      Effect.gen(function* () {
        const { clients, messages, port } = yield* serve({ maxPayload: 8192 })
        const good = yield* connect(port)
        const bad = yield* connect(port)
        good.send(call({ xid: 1, procedure: P.ECHO, args: text("x".repeat(8192)) }))
        yield* eventually(() => good.replies.length === 1)
        const oversized = call({ xid: 1, procedure: P.ECHO, args: text("x".repeat(16_000)) })
        bad.send(oversized.subarray(0, 4))
        yield* eventually(() => bad.closed || bad.ended)
        yield* eventually(() => clients().length === 1)
        assert.deepStrictEqual(
          messages,
          ["Warn: closed the connection of 127.0.0.1: a record of 16056 bytes is above the limit of 12288"].map(
            (message) => message.replace("16056", String(oversized.length - 4))
          )
        )
        good.send(call({ xid: 2 }))
        yield* eventually(() => good.replies.length === 2)
      })
    )

    it.live("garbage ends its connection; calls behind it are not executed", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve()
        const good = yield* connect(port)
        for (const garbage of [
          record(Buffer.alloc(8)),
          record(Buffer.alloc(0)),
          call({ xid: 1, type: 1 }),
          Buffer.from("GET / HTTP/1.1\r\n\r\n")
        ]) {
          const bad = yield* connect(port)
          yield* eventually(() => clients().length === 2)
          bad.send(garbage, count(2), count(3))
          yield* eventually(() => bad.closed || bad.ended)
          yield* eventually(() => clients().length === 1)
          assert.lengthOf(bad.replies, 0)
        }
        assert.strictEqual(world.counted, 0)
        good.send(call({ xid: 2 }))
        yield* eventually(() => good.replies.length === 1)
      })
    )
  })

  describe("back-pressure", () => {
    it.live("of a client's 10,000 slow calls few are in the pool, few are read, and all are answered", () =>
      Effect.gen(function* () {
        const { pool, port, world } = yield* serve({
          pool: { maxWorkers: 4 },
          server: { limits: { callsInFlight: 16 } }
        })
        const other = yield* connect(port)
        const client = yield* connect(port)
        // Each with 4 KiB besides: 40 MB that nobody shall hold.
        const ballast = Buffer.alloc(4096)
        let sent = 0
        const send = (): void => {
          if (sent === 10_000) return
          const bytes = call({ xid: sent++, procedure: P.WAIT, args: Buffer.concat([number(0), ballast]) })
          client.socket.write(bytes, send)
        }
        send()
        yield* eventually(() => world.waiting === 4)
        let before = -1
        while (sent !== before) {
          before = sent
          yield* settled
          const stats = yield* pool.stats
          assert.isAtMost(stats.active + stats.queued.metadata!, 16)
        }
        // What the kernel buffers, and one chunk.
        assert.isBelow(sent * 4096, 20 * 1024 * 1024)
        other.send(call({ xid: 1 }))
        world.releaseAll()
        yield* eventually(() => client.replies.length === 10_000)
        yield* eventually(() => other.replies.length === 1)
        assert.strictEqual(new Set(client.xids).size, 10_000)
      })
    )

    it.live("a client that does not read its replies is not read from, and others are served", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ server: { limits: { callsInFlight: 32 } } })
        const lazy = yield* connect(port)
        const other = yield* connect(port)
        lazy.socket.pause()
        let sent = 0
        const send = (): void => {
          if (sent < 1_000) lazy.socket.write(call({ xid: sent++, procedure: P.BIG, args: number(65_536) }), send)
        }
        send()
        let before = -1
        while (world.big !== before) {
          before = world.big
          yield* settled
          other.send(call({ xid: before }))
        }
        yield* eventually(() => other.replies.length > 0)
        // 4 MiB here, and what the kernel buffers.
        assert.isBelow(world.big * 65_536, 32 * 1024 * 1024)
        lazy.socket.resume()
        yield* eventually(() => lazy.replies.length === 1_000)
        assert.strictEqual(new Set(lazy.xids).size, 1_000)
      })
    )

    it.live("calls that were read already wait for the replies before them to be read", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ server: { limits: { callsInFlight: 8 } } })
        const lazy = yield* connect(port)
        lazy.socket.pause()
        // They arrive in a few chunks, each with many of them.
        lazy.send(...sequence(900).map((xid) => call({ xid, procedure: P.BIG, args: number(65_536) })))
        let before = -1
        while (world.big !== before) {
          before = world.big
          yield* settled
        }
        assert.isBelow(world.big * 65_536, 32 * 1024 * 1024)
        lazy.socket.resume()
        yield* eventually(() => lazy.replies.length === 900)
        assert.strictEqual(new Set(lazy.xids).size, 900)
      })
    )

    it.live("a full pool loses nothing and refuses nobody", () =>
      Effect.gen(function* () {
        const { pool, port } = yield* serve({ pool: { maxWorkers: 2, queueCapacity: 5 } })
        const clients = yield* Effect.forEach(sequence(6), () => connect(port))
        for (const client of clients) {
          client.send(
            ...sequence(300).map((xid) =>
              call({ xid, procedure: xid % 3 === 0 ? P.NULL : P.ECHO, args: text(`${xid}`) })
            )
          )
        }
        yield* eventually(() => clients.every((client) => client.replies.length === 300))
        for (const client of clients) {
          assert.strictEqual(new Set(client.xids).size, 300)
          for (const reply of client.replies) assert.deepStrictEqual(bodyOf(reply), { stat: "SUCCESS" })
        }
        const stats = yield* pool.stats
        assert.deepStrictEqual([stats.rejected, stats.active], [0, 0])
      })
    )
  })

  describe("the replay cache", () => {
    // So much that the server stops reading, and cannot see the connection's end.
    const flood = sequence(20).map((i) => call({ xid: i + 1000, procedure: P.ECHO, args: text("x".repeat(100_000)) }))

    it.live("answers a repetition on the same connection with the same bytes, without executing it", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        client.send(count(5), count(6))
        yield* eventually(() => client.replies.length === 2)
        client.send(count(5))
        yield* eventually(() => client.replies.length === 3)
        assert.deepStrictEqual(client.replies[2], client.replies[0])
        assert.strictEqual(world.counted, 2)
      })
    )

    it.live("answers a call and its repetition during it once", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        client.send(waitAndCount(5), waitAndCount(5))
        yield* eventually(() => world.waiting === 1)
        client.send(waitAndCount(5))
        yield* settled
        world.releaseAll()
        yield* eventually(() => client.replies.length === 1)
        yield* settled
        assert.deepStrictEqual([client.replies.length, world.counted], [1, 1])
      })
    )

    it.live("executes what may be executed twice", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        const step = call({ xid: 1, procedure: P.STEP, args: text("step") })
        client.send(step)
        yield* eventually(() => client.replies.length === 1)
        client.send(step)
        yield* eventually(() => client.replies.length === 2)
        assert.strictEqual(world.steps.length, 2)
      })
    )

    for (const how of ["broke", "was closed"] as const) {
      it.live(`answers a repetition after the connection ${how}`, () =>
        Effect.gen(function* () {
          const server = yield* serve()
          const first = yield* connect(server.port)
          first.send(count(5))
          yield* eventually(() => first.replies.length === 1)
          if (how === "broke") first.socket.resetAndDestroy()
          else first.socket.destroy()
          yield* eventually(() => server.clients().length === 0)
          const second = yield* connect(server.port)
          second.send(count(5))
          yield* eventually(() => second.replies.length === 1)
          assert.deepStrictEqual(second.replies, first.replies)
          assert.strictEqual(server.world.counted, 1)
        })
      )

      it.live(`the same while the call is still executed`, () =>
        Effect.gen(function* () {
          const { port, world } = yield* serve()
          const first = yield* connect(port)
          first.send(waitAndCount(5))
          yield* eventually(() => world.waiting === 1)
          if (how === "broke") first.socket.resetAndDestroy()
          else first.socket.destroy()
          const second = yield* connect(port)
          second.send(waitAndCount(5))
          yield* settled
          // And once more.
          second.socket.destroy()
          const third = yield* connect(port)
          third.send(waitAndCount(5), waitAndCount(5))
          yield* settled
          world.releaseAll()
          yield* eventually(() => third.replies.length === 1)
          assert.strictEqual(numberIn(third.replies[0]), 1)
          yield* settled
          assert.deepStrictEqual([world.counted, third.replies.length], [1, 1])
          // It stays answered.
          const fourth = yield* connect(port)
          third.socket.destroy()
          yield* settled
          fourth.send(waitAndCount(5))
          yield* eventually(() => fourth.replies.length === 1)
          assert.deepStrictEqual(fourth.replies, third.replies)
          assert.strictEqual(world.counted, 1)
        })
      )
    }

    it.live("answers who ended its side and asked again over another connection, on both", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const first = yield* connect(port)
        first.send(waitAndCount(5))
        yield* eventually(() => world.waiting === 1)
        first.socket.end()
        yield* settled
        const second = yield* connect(port)
        second.send(waitAndCount(5))
        yield* settled
        world.releaseAll()
        yield* eventually(() => first.replies.length === 1 && second.replies.length === 1)
        assert.strictEqual(world.counted, 1)
      })
    )

    it.live(
      "executes the same call of another connection while the one before is open and quiet: it is another client",
      () =>
        Effect.gen(function* () {
          const { port, world } = yield* serve()
          const first = yield* connect(port)
          first.send(count(5))
          yield* eventually(() => first.replies.length === 1)
          const second = yield* connect(port)
          second.send(count(5))
          yield* eventually(() => second.replies.length === 1)
          assert.deepStrictEqual([numberIn(first.replies[0]), numberIn(second.replies[0])], [1, 2])
          // Each has its own from then on; of the first, nothing is remembered any more.
          second.send(count(5))
          yield* eventually(() => second.replies.length === 2)
          assert.strictEqual(world.counted, 2)
        })
    )

    it.live("executes another call with the same xid: other arguments, procedure, program, version", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        client.send(count(5, "a"))
        yield* eventually(() => client.replies.length === 1)
        client.send(count(5, "b"))
        yield* eventually(() => client.replies.length === 2)
        // The bytes of these arguments are the same.
        world.releaseAll()
        client.send(count(6, ""))
        yield* eventually(() => client.replies.length === 3)
        client.send(waitAndCount(6, 0))
        yield* eventually(() => client.replies.length === 4)
        client.send(call({ xid: 6, version: 3, procedure: P.COUNT, args: text("") }))
        client.send(call({ xid: 6, version: 1, procedure: P.COUNT, args: text("") }))
        yield* eventually(() => client.replies.length === 6)
        assert.deepStrictEqual(client.replies.map(numberIn), [1, 2, 3, 4, 5, 6])
      })
    )

    it.live("refuses garbled arguments as often as they come", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const client = yield* connect(port)
        for (const n of [1, 2, 3]) {
          client.send(call({ xid: 5, procedure: P.COUNT }))
          yield* eventually(() => client.replies.length === n)
          assert.deepStrictEqual(bodyOf(client.replies[n - 1]), { stat: "GARBAGE_ARGS" })
        }
      })
    )

    it.live("executes a waiting call that its connection's end took out of the queue, when it comes again", () =>
      Effect.gen(function* () {
        const server = yield* serve({ pool: { maxWorkers: 1 } })
        const { pool, port, world } = server
        const blocker = yield* connect(port)
        blocker.send(wait(1))
        yield* eventually(() => world.waiting === 1)
        const first = yield* connect(port)
        first.send(count(5))
        while ((yield* pool.stats).queued.metadata === 0) yield* settled
        yield* reset(first, server)
        assert.strictEqual((yield* pool.stats).queued.metadata, 0)
        const second = yield* connect(port)
        second.send(count(5))
        yield* settled
        world.releaseAll()
        yield* eventually(() => second.replies.length === 1)
        assert.deepStrictEqual([numberIn(second.replies[0]), world.counted], [1, 1])
      })
    )

    it.live("likewise one that had not come into the queue", () =>
      Effect.gen(function* () {
        const server = yield* serve({ server: { limits: { callsInFlight: 1 } } })
        const { port, world } = server
        const first = yield* connect(port)
        first.send(wait(1), count(5))
        yield* eventually(() => world.waiting === 1)
        yield* settled
        yield* reset(first, server)
        const second = yield* connect(port)
        second.send(count(5))
        yield* eventually(() => second.replies.length === 1)
        assert.deepStrictEqual([numberIn(second.replies[0]), world.counted], [1, 1])
      })
    )

    it.live("goes on with one that waited for its client to read, when another connection waits for it", () =>
      Effect.gen(function* () {
        const server = yield* serve({ server: { limits: { callsInFlight: 8 } } })
        const { port, world } = server
        const lazy = yield* connect(port)
        lazy.socket.pause()
        lazy.send(
          ...sequence(400).map((i) => call({ xid: i + 10, procedure: P.BIG, args: number(65_536) })),
          count(5),
          ...flood
        )
        let before = -1
        while (world.big !== before) {
          before = world.big
          yield* settled
        }
        const second = yield* connect(port)
        second.send(count(5))
        yield* settled
        assert.strictEqual(world.counted, 0)
        yield* reset(lazy, server)
        yield* eventually(() => second.replies.length === 1)
        assert.deepStrictEqual([numberIn(second.replies[0]), world.big], [1, before])
      })
    )

    it.live("goes on with a waiting call of a connection that ended, when another waits for it", () =>
      Effect.gen(function* () {
        const { clients, pool, port, world } = yield* serve({
          pool: { maxWorkers: 3 },
          server: { limits: { callsInFlight: 3 } }
        })
        const queued = (n: number) => Effect.map(pool.stats, (stats) => assert.strictEqual(stats.queued.metadata, n))
        const blockers = [yield* connect(port), yield* connect(port)]
        const first = yield* connect(port)
        blockers[0]!.send(wait(1, 1))
        first.send(wait(2, 2), wait(3, 3))
        yield* eventually(() => world.waiting === 3)
        for (const blocker of blockers) blocker.send(wait(4, 1))
        yield* settled
        first.send(count(5), count(6), count(7), count(8))
        first.socket.destroy()
        yield* settled
        const second = yield* connect(port)
        second.send(count(8), count(6), count(5), count(7))
        yield* settled
        assert.lengthOf(clients(), 4)
        // The first connection's end is noticed when replies cannot be sent.
        world.release(2)
        yield* settled
        world.release(3)
        yield* eventually(() => clients().length === 3)
        // Three are in the pool's queue, one waits in the connection that is no more.
        yield* queued(3)
        assert.strictEqual(world.counted, 0)
        world.releaseAll()
        yield* eventually(() => second.replies.length === 4)
        yield* settled
        assert.deepStrictEqual([world.counted, second.replies.length], [4, 4])
      })
    )

    it.live("knows a call again whose connection broke while it was not read from", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve({ server: { limits: { callsInFlight: 1 } } })
        const first = yield* connect(port)
        first.send(waitAndCount(5), count(6), count(7), ...flood)
        yield* eventually(() => world.waiting === 1)
        yield* settled
        first.socket.resetAndDestroy()
        yield* settled
        assert.lengthOf(clients(), 1)
        const second = yield* connect(port)
        second.send(count(7), count(6), waitAndCount(5))
        yield* settled
        assert.strictEqual(world.counted, 0)
        world.releaseAll()
        yield* eventually(() => second.replies.length === 3)
        yield* settled
        assert.deepStrictEqual([world.counted, second.replies.length], [3, 3])
      })
    )

    it.live("knows that a client that comes again from its port has lost its connection", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve({ server: { limits: { callsInFlight: 1 } } })
        // None of those that the system gives to others.
        const here = { localAddress: "127.0.0.1", localPort: randomInt(20_000, 30_000) }
        const first = yield* connect(port, here)
        first.send(waitAndCount(5), wait(6), ...flood)
        yield* eventually(() => world.waiting === 1)
        yield* settled
        first.socket.resetAndDestroy()
        yield* settled
        assert.lengthOf(clients(), 1)
        const second = yield* connect(port, here)
        yield* settled
        assert.lengthOf(clients(), 1)
        second.send(waitAndCount(5))
        yield* settled
        world.releaseAll()
        yield* eventually(() => second.replies.length === 1)
        yield* settled
        assert.deepStrictEqual([world.counted, second.replies.length], [1, 1])
      })
    )

    it.live("takes nothing from a client that is gone before it was accepted: nobody knows whose call it was", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve()
        const calls = count(1).toString("hex")
        // In another process: this one, and so its server, stands still in the meantime.
        const client = `const socket = require("node:net").connect(${port}, "127.0.0.1", () =>
          socket.write(Buffer.from("${calls}", "hex"), () => socket.resetAndDestroy()))`
        execFileSync(process.execPath, ["--eval", client])
        yield* settled
        assert.strictEqual(world.counted, 0)
        assert.deepStrictEqual(clients(), [])
        // Others are served.
        const other = yield* connect(port)
        other.send(count(2))
        yield* eventually(() => other.replies.length === 1)
      })
    )

    it.live("executes each call once, however bad the network is", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve()
        const proxy = yield* Proxy.make(port)
        const client = yield* PersistentClient.make({ port: proxy.port, patience: "100 millis" })
        let random = 12345
        const verdict = (): Proxy.Verdict => {
          random = (random * 1_103_515_245 + 12_345) % 0x80000000
          const luck = (random >> 8) % 100
          proxy.cutBy = luck % 2 === 0 ? "close" : "reset"
          return luck < 6 ? "cut" : luck < 7 ? "drop" : "pass"
        }
        proxy.onCall = proxy.onReply = verdict
        yield* Effect.forEach(sequence(600), (i) => client.call(v1, P.COUNT, calls.COUNT, `call ${i}`), {
          concurrency: 8
        })
        assert.strictEqual(world.counted, 600)
        assert.isAbove(proxy.cuts, 20)
        assert.isAbove(client.repetitions(), 20)
        proxy.cutUnsafe()
        yield* eventually(() => clients().length === 0)
      })
    )

    it.live("remembers that a call died", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve()
        const client = yield* connect(port)
        for (const n of [1, 2]) {
          client.send(call({ xid: 5, procedure: P.COUNT_AND_DIE }))
          yield* eventually(() => client.replies.length === n)
          assert.deepStrictEqual(bodyOf(client.replies[n - 1]), { stat: "SYSTEM_ERR" })
        }
        assert.strictEqual(world.counted, 1)
      })
    )

    it.live("forgets the oldest call above its capacity, and no other", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ server: { limits: { replies: 4 } } })
        const client = yield* connect(port)
        const asked = Effect.fnUntraced(function* (xid: number) {
          const before = client.replies.length
          client.send(count(xid))
          yield* eventually(() => client.replies.length === before + 1)
        })
        for (const xid of [1, 2, 3, 4, 5]) yield* asked(xid)
        for (const xid of [5, 4, 3, 2]) yield* asked(xid)
        assert.strictEqual(world.counted, 5)
        yield* asked(1)
        assert.strictEqual(world.counted, 6)
      })
    )

    it.live("does not forget a client's calls with one that was abandoned before them", () =>
      Effect.gen(function* () {
        const { port, world } = yield* serve({ server: { limits: { replies: 4 } } })
        const client = yield* connect(port)
        // Forgotten at once, being garbage; with it all that was known of the client.
        client.send(call({ xid: 1, procedure: P.COUNT }))
        yield* eventually(() => client.replies.length === 1)
        client.send(...[2, 3, 4, 5].map((xid) => count(xid)))
        yield* eventually(() => client.replies.length === 5)
        client.send(...[5, 4, 3].map((xid) => count(xid)))
        yield* eventually(() => client.replies.length === 8)
        assert.strictEqual(world.counted, 4)
      })
    )
  })

  describe("a client that disconnects", () => {
    it.live("ends its read-like calls and lets its mutations finish", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const { pool, port, world } = server
        const client = yield* connect(port)
        client.send(wait(1, 1), waitAndCount(2, 2), wait(3, 3))
        yield* eventually(() => world.waiting === 3)
        yield* reset(client, server)
        yield* eventually(() => world.interrupted === 2)
        assert.deepStrictEqual([world.waiting, (yield* pool.stats).active], [1, 1])
        world.releaseAll()
        yield* eventually(() => world.waiting === 0)
        assert.deepStrictEqual([world.counted, world.interrupted], [1, 2])
        assert.lengthOf(server.messages, 0)
      })
    )

    it.live("takes its waiting calls with it", () =>
      Effect.gen(function* () {
        const server = yield* serve({
          pool: { maxWorkers: 1, queueCapacity: 10 },
          server: { limits: { callsInFlight: 20 } }
        })
        const { pool, port, world } = server
        const blocker = yield* connect(port)
        blocker.send(wait(0))
        yield* eventually(() => world.waiting === 1)
        const client = yield* connect(port)
        // Some of them in the pool's queue, the others before it.
        client.send(...sequence(15).map((xid) => call({ xid, procedure: P.STEP, args: text("step") })))
        yield* settled
        assert.strictEqual((yield* pool.stats).queued.metadata, 10)
        yield* reset(client, server)
        assert.strictEqual((yield* pool.stats).queued.metadata, 0)
        world.releaseAll()
        yield* eventually(() => blocker.replies.length === 1)
        yield* settled
        assert.lengthOf(world.steps, 0)
      })
    )

    it.live("but only ended its side, gets its answers, all of them", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serve({ server: { limits: { callsInFlight: 5 } } })
        const client = yield* connect(port)
        const big = sequence(100).map((i) => call({ xid: i + 10, procedure: P.BIG, args: number(65_536) }))
        client.send(wait(1), waitAndCount(2), ...big)
        client.socket.end()
        yield* eventually(() => world.waiting === 2)
        yield* settled
        assert.isFalse(client.ended)
        world.releaseAll()
        yield* eventually(() => client.replies.length === 102)
        yield* eventually(() => client.ended && client.closed)
        yield* eventually(() => clients().length === 0)
      })
    )

    it.live("and comes and goes in all ways, leaves nothing behind", () =>
      Effect.gen(function* () {
        const server = yield* serve({ pool: { maxWorkers: 4 } })
        const { clients, pool, port, world } = server
        yield* Effect.forEach(
          sequence(60),
          Effect.fnUntraced(function* (i) {
            const client = yield* connect(port)
            client.send(
              ...sequence(i).map((xid) => [wait(xid), count(xid), call({ xid }), waitAndCount(xid)][xid % 4]!)
            )
            if (i % 5 === 4) client.send(record(Buffer.alloc(3)))
            if (i % 3 === 0) yield* settled
            if (i % 4 === 0) client.socket.end()
            else if (i % 4 === 1) client.socket.destroy()
            else client.socket.resetAndDestroy()
          }),
          { concurrency: 10 }
        )
        world.releaseAll()
        yield* eventually(() => clients().length === 0)
        yield* eventually(() => world.waiting === 0)
        yield* settled
        const stats = yield* pool.stats
        assert.deepStrictEqual([stats.active, stats.queued.metadata, stats.queued.control], [0, 0, 0])
        assert.strictEqual(stats.submitted, stats.completed + stats.failed + stats.interrupted)
      })
    )
  })

  describe("time limits", () => {
    const timeLimits = { metadata: "150 millis" } as const

    it.live("SYSTEM_ERR: a call that hangs, whose procedure has no answer for that", () =>
      Effect.gen(function* () {
        const { messages, port, world } = yield* serve({ server: { timeLimits } })
        const client = yield* connect(port)
        client.send(wait(1))
        yield* eventually(() => world.waiting === 1)
        yield* eventually(() => client.replies.length === 1)
        assert.deepStrictEqual(bodyOf(client.replies[0]), { stat: "SYSTEM_ERR" })
        assert.deepStrictEqual([world.waiting, world.interrupted], [0, 1])
        // That is nobody's bug.
        assert.lengthOf(messages, 0)
      })
    )

    it.live("a mutation that waits is answered with that, and not executed until it comes with a new xid", () =>
      Effect.gen(function* () {
        const { pool, port, world } = yield* serve({ pool: { maxWorkers: 1 }, server: { timeLimits } })
        const client = yield* connect(port)
        client.send(waitAndCount(1), count(2))
        yield* eventually(() => client.replies.length === 1)
        assert.deepStrictEqual([client.xids, bodyOf(client.replyTo(2))], [[2], { stat: "SYSTEM_ERR" }])
        client.send(count(2))
        yield* eventually(() => client.replies.length === 2)
        assert.deepStrictEqual(client.replies[0], client.replies[1])
        // The one that runs is let be.
        assert.deepStrictEqual([world.waiting, world.counted, (yield* pool.stats).timedOut], [1, 0, 1])
        world.releaseAll()
        yield* eventually(() => client.replies.length === 3)
        assert.strictEqual(numberIn(client.replyTo(1)), 1)
        client.send(count(3))
        yield* eventually(() => client.replies.length === 4)
        assert.strictEqual(numberIn(client.replyTo(3)), 2)
      })
    )

    it.live("do not hide that the call died of them", () =>
      Effect.gen(function* () {
        const { messages, port } = yield* serve({ server: { timeLimits } })
        const client = yield* connect(port)
        client.send(call({ xid: 1, procedure: P.DIE_LATE }))
        yield* eventually(() => client.replies.length === 1)
        assert.deepStrictEqual(bodyOf(client.replies[0]), { stat: "SYSTEM_ERR" })
        assert.lengthOf(messages, 1)
        assert.include(messages[0], "DIE_LATE died")
      })
    )

    it.live("say nothing to who has left", () =>
      Effect.gen(function* () {
        const server = yield* serve({ pool: { maxWorkers: 1 }, server: { timeLimits } })
        const { pool, port, world } = server
        const client = yield* connect(port)
        client.send(waitAndCount(1))
        yield* eventually(() => world.waiting === 1)
        yield* reset(client, server)
        const other = yield* connect(port)
        other.send(call({ xid: 5, procedure: P.STEP, args: text("late") }))
        yield* eventually(() => other.replies.length === 1)
        assert.deepStrictEqual(bodyOf(other.replies[0]), { stat: "SYSTEM_ERR" })
        world.releaseAll()
        yield* eventually(() => world.counted === 1)
        assert.deepStrictEqual([(yield* pool.stats).timedOut, world.steps], [1, []])
        assert.lengthOf(server.messages, 0)
      })
    )
  })

  describe("shutdown", () => {
    it.live("answers and flushes what is in progress, and accepts nothing new", () =>
      Effect.gen(function* () {
        const { close, port, world } = yield* serve()
        const client = yield* connect(port)
        const idle = yield* connect(port)
        client.send(wait(1), waitAndCount(2), call({ xid: 3, procedure: P.BIG, args: number(3_000_000) }))
        yield* eventually(() => world.waiting === 2)
        const closing = yield* Effect.forkChild(close, { startImmediately: true })
        yield* settled
        const refused = yield* Effect.flip(Effect.scoped(RpcClient.make({ port })))
        assert.strictEqual(refused._tag, "RpcDisconnected")
        client.send(count(4))
        idle.send(count(4))
        yield* settled
        assert.isUndefined(closing.pollUnsafe())
        world.releaseAll()
        yield* eventually(() => client.ended)
        client.socket.end()
        idle.socket.end()
        yield* Fiber.join(closing)
        assert.deepStrictEqual(
          client.xids.toSorted((a, b) => a - b),
          [1, 2, 3]
        )
        assert.strictEqual(client.replyTo(3)!.length, 3_000_000 + 28)
        assert.deepStrictEqual([idle.replies.length, world.counted], [0, 1])
      })
    )

    it.live("waits no longer than its timeout", () =>
      Effect.gen(function* () {
        const { clients, close, port, world } = yield* serve({ server: { shutdownTimeout: "200 millis" } })
        const client = yield* connect(port)
        client.send(wait(1))
        yield* eventually(() => world.waiting === 1)
        const started = performance.now()
        yield* close
        assert.isAbove(performance.now() - started, 150)
        assert.isBelow(performance.now() - started, 2_000)
        yield* eventually(() => clients().length === 0)
        yield* eventually(() => world.interrupted === 1)
      })
    )

    it.live("does not wait for idle clients that do not end their side", () =>
      Effect.gen(function* () {
        const { close, port } = yield* serve({ server: { shutdownTimeout: "7 seconds" } })
        const client = yield* connect(port)
        client.send(call({ xid: 1 }))
        yield* eventually(() => client.replies.length === 1)
        const started = performance.now()
        yield* close
        assert.isBelow(performance.now() - started, 5_000)
      })
    )

    it.live("answers a call that was repeated over another connection", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const { close, port, world } = server
        const first = yield* connect(port)
        first.send(waitAndCount(5))
        yield* eventually(() => world.waiting === 1)
        yield* reset(first, server)
        const second = yield* connect(port)
        second.send(waitAndCount(5))
        yield* settled
        const closing = yield* Effect.forkChild(close, { startImmediately: true })
        yield* settled
        assert.isFalse(second.ended)
        world.releaseAll()
        yield* eventually(() => second.ended)
        second.socket.end()
        yield* Fiber.join(closing)
        assert.deepStrictEqual(second.replies.map(numberIn), [1])
      })
    )
  })

  describe("the pool's stop", () => {
    it.live("breaks connections whose calls it drops, so that clients ask again", () =>
      Effect.gen(function* () {
        const { pool, port, world } = yield* serve({ pool: { maxWorkers: 1 } })
        const running = yield* connect(port)
        running.send(wait(1))
        yield* eventually(() => world.waiting === 1)
        const queued = yield* connect(port)
        queued.send(count(1))
        while ((yield* pool.stats).queued.metadata === 0) yield* settled
        const stopping = yield* Effect.forkChild(pool.stop({ drain: false }), { startImmediately: true })
        yield* eventually(() => queued.closed || queued.ended)
        world.releaseAll()
        yield* Fiber.join(stopping)
        yield* eventually(() => running.replies.length === 1)
        // Calls that come now wait for the start.
        const again = yield* connect(port)
        again.send(count(1))
        yield* settled
        assert.strictEqual(world.counted, 0)
        yield* pool.start
        yield* eventually(() => again.replies.length === 1)
        assert.strictEqual(numberIn(again.replies[0]), 1)
      })
    )
  })

  describe("listening", () => {
    it.live("says in one line why it cannot", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const error = yield* Effect.flip(serve({ server: { port } }))
        assert.instanceOf(error, RpcServer.ListenError)
        assert.include(error.message, `port ${port} of 127.0.0.1 is in use`)
        assert.notInclude(error.message, "\n")
      })
    )

    it.live("knows its clients", () =>
      Effect.gen(function* () {
        const { clients, port } = yield* serve()
        assert.deepStrictEqual(clients(), [])
        const client = yield* connect(port)
        yield* connect(port)
        yield* eventually(() => clients().length === 2)
        assert.deepStrictEqual(clients(), ["127.0.0.1", "127.0.0.1"])
        client.socket.end()
        yield* eventually(() => clients().length === 1)
      })
    )
  })
})
