/** Clients that mean harm, one kind a test: what each may cost, and that another's calls stay fast meanwhile. */

import { Buffer } from "node:buffer"
import type * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Limits from "../../src/rpc/Limits.ts"
import { liveBytes } from "../support/memory.ts"
import { call, connect, eventually, type RawClient } from "../support/rawClient.ts"
import { P, serve } from "../support/rpcServer.ts"

const MiB = 2 ** 20

/** Not the address of those who mean harm. */
const ELSEWHERE = { localAddress: "127.0.0.2" }

const number = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}
const LAST = 0x80000000
const mark = (length: number, last: boolean): Buffer => number(last ? (LAST | length) >>> 0 : length)
const big = (xid: number, length: number): Buffer => call({ xid, procedure: P.BIG, args: number(length) })

const serveWithin = (limits: Limits.Limits) => serve({ server: { limits } })

/** Calls from elsewhere, one after the other, while something happens: milliseconds that the slower ones took. */
const whileOtherCalls = <A, E>(port: number, happens: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const other = yield* connect(port, ELSEWHERE)
    const times: Array<number> = []
    const calling = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          const started = performance.now()
          const xid = times.length
          other.send(call({ xid }))
          yield* eventually(() => other.replies.length > xid)
          times.push(performance.now() - started)
        })
      ),
      { startImmediately: true }
    )
    const result = yield* happens
    yield* eventually(() => times.length > 20)
    yield* Fiber.interrupt(calling)
    assert.isFalse(other.closed)
    times.sort((a, b) => a - b)
    // Machines stop for a moment now and then, but not for one in twenty calls.
    assert.isBelow(times[Math.floor(times.length * 0.95)]!, 250)
    return result
  })

/** Connections, a few at a time, but for those that are refused before they know that they are connected. */
const connectMany = (port: number, count: number, options: Partial<Net.TcpNetConnectOpts> = {}) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }, () => undefined),
      () => Effect.exit(connect(port, options)),
      { concurrency: 50 }
    ),
    (exits) => exits.filter(Exit.isSuccess).map(({ value }) => value)
  )

/** Whether the server has ended a connection. */
const isOver = ({ closed, ended }: RawClient): boolean => closed || ended

/** Does something again and again until the server has ended a connection; how many milliseconds that took. */
const untilOver = (client: RawClient, pause: number, action: () => void) =>
  Effect.gen(function* () {
    const started = performance.now()
    while (!isOver(client)) {
      assert.isBelow(performance.now() - started, 8000)
      action()
      yield* Effect.sleep(pause)
    }
    return performance.now() - started
  })

describe.skipIf(process.platform !== "linux")("a client", () => {
  describe("that stops", () => {
    const limits: Limits.Limits = { stallTimeout: "400 millis" }

    it.live("in the middle of a call, costs what it has sent, for as long as it may", () =>
      Effect.gen(function* () {
        const { clients, messages, port } = yield* serveWithin(limits)
        const before = liveBytes()
        yield* whileOtherCalls(
          port,
          Effect.gen(function* () {
            const halves = yield* connectMany(port, 200)
            for (const half of halves) half.send(mark(MiB, true), Buffer.alloc(1000))
            yield* eventually(() => clients().length === 201)
            // Both ends of each connection are here.
            assert.isBelow(liveBytes() - before, 200 * 80_000)
            yield* eventually(() => halves.every(isOver))
          })
        )
        assert.strictEqual(messages.filter((message) => message.includes("stopped in the middle of a call")).length, 1)
      })
    )

    it.live("nearly, and sends a byte now and then, is given no more time for it", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin(limits)
        const client = yield* connect(port)
        client.send(mark(100_000, true))
        const lived = yield* whileOtherCalls(
          port,
          untilOver(client, 20, () => client.send(Buffer.alloc(1)))
        )
        assert.isAbove(lived, 350)
        assert.isBelow(lived, 4000)
      })
    )

    it.live("after a part of the length, too", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin(limits)
        const client = yield* connect(port)
        client.send(Buffer.alloc(1))
        yield* untilOver(client, 20, () => {})
      })
    )

    it.live("but is only slow, is answered", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({ stallTimeout: "400 millis" })
        const client = yield* connect(port)
        const bytes = call({
          xid: 7,
          procedure: P.ECHO,
          args: Buffer.concat([number(24_000), Buffer.alloc(24_000, 97)])
        })
        const started = performance.now()
        for (let at = 0; at < bytes.length; at += 1000) {
          client.send(bytes.subarray(at, at + 1000))
          yield* Effect.sleep(50)
        }
        assert.isAbove(performance.now() - started, 1000)
        yield* eventually(() => client.replies.length === 1)
      })
    )

    it.live("to read its replies, costs what it may leave unread, and is disconnected", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serveWithin({
          stallTimeout: "1 second",
          bytesPerConnection: MiB,
          callsInFlight: 8
        })
        const client = yield* connect(port)
        client.socket.pause()
        yield* whileOtherCalls(
          port,
          Effect.gen(function* () {
            for (let xid = 0; xid < 1000; xid++) client.send(big(xid, 65_536))
            const before = liveBytes()
            yield* Effect.sleep(500)
            assert.isBelow(liveBytes() - before, 4 * MiB)
          })
        )
        // What the kernel has buffered is not known here; the rest was never made.
        assert.isBelow(world.big, 500)
        yield* eventually(() => !clients().includes("127.0.0.1"))
        client.socket.resume()
        yield* eventually(() => client.closed)
      })
    )

    it.live(
      "to read its replies, over many connections, costs no more than all may hold",
      () =>
        Effect.gen(function* () {
          const BYTES = 4 * MiB
          const { port, world } = yield* serve({
            pool: { maxWorkers: 8, queueCapacity: 8 },
            server: { limits: { bytes: BYTES, callsInFlight: 1 } }
          })
          const clients = yield* connectMany(port, 20)
          const before = liveBytes()
          for (const client of clients) client.socket.pause()
          yield* whileOtherCalls(
            port,
            Effect.gen(function* () {
              // Much more than the kernel buffers, all in one piece, which is read at once.
              const calls = Array.from({ length: 200 }, (_, xid) => big(xid, 65_536))
              for (const client of clients) client.send(...calls)
              for (let before = -1; before !== world.big; yield* Effect.sleep(300)) before = world.big
            })
          )
          // Half of it, since it is one client; a reply for each connection, and the calls.
          assert.isBelow(liveBytes() - before, BYTES / 2 + 20 * (65_536 + 20_000) + 12 * MiB)
          for (const client of clients) client.socket.resume()
          yield* eventually(() => clients.every((client) => client.replies.length === 200))
        }),
      20_000
    )

    it.live("to read its replies for a moment, loses none of them", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({ stallTimeout: "2 seconds", bytesPerConnection: MiB })
        const client = yield* connect(port)
        client.socket.pause()
        for (let xid = 0; xid < 200; xid++) client.send(big(xid, 65_536))
        yield* Effect.sleep(500)
        client.socket.resume()
        yield* eventually(() => client.replies.length === 200)
      })
    )
  })

  describe("that does nothing", () => {
    it.live("is disconnected, one that calls or is being served is not", () =>
      Effect.gen(function* () {
        const { clients, port, world } = yield* serveWithin({ idleTimeout: "300 millis" })
        const [idle, calling, waiting] = [yield* connect(port), yield* connect(port), yield* connect(port)]
        waiting.send(call({ xid: 1, procedure: P.WAIT, args: number(1) }))
        let xid = 0
        yield* untilOver(idle, 20, () => calling.send(call({ xid: xid++ })))
        yield* Effect.sleep(500)
        calling.send(call({ xid: xid++ }))
        assert.isFalse(waiting.ended)
        world.release(1)
        yield* eventually(() => waiting.replies.length === 1)
        yield* eventually(() => calling.replies.length > 0)
        yield* eventually(() => clients().length === 0)
      })
    )
  })

  describe("that sends", () => {
    it.live("a length of 2 GiB, costs nothing, however often it comes back", () =>
      Effect.gen(function* () {
        const { messages, port } = yield* serveWithin({})
        const before = liveBytes()
        yield* whileOtherCalls(
          port,
          Effect.forEach(
            Array.from({ length: 300 }, () => undefined),
            () =>
              Effect.scoped(
                Effect.gen(function* () {
                  const client = yield* connect(port)
                  client.send(mark(0x7fffffff, true), Buffer.alloc(1000))
                  yield* eventually(() => isOver(client))
                })
              ),
            { concurrency: 20 }
          )
        )
        assert.isBelow(liveBytes() - before, 4 * MiB)
        assert.strictEqual(messages.filter((message) => message.includes("is above the limit")).length, 1)
      })
    )

    it.live("garbage, delays nobody", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({})
        let seed = 1
        const garbage = (length: number): Buffer => {
          const bytes = Buffer.alloc(length)
          for (let i = 0; i < length; i++) bytes[i] = (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24
          return bytes
        }
        yield* whileOtherCalls(
          port,
          Effect.forEach(
            Array.from({ length: 200 }, (_, i) => i),
            (i) =>
              Effect.scoped(
                Effect.gen(function* () {
                  const client = yield* connect(port)
                  const body = garbage(1000 + i)
                  client.send(i % 2 === 0 ? body : Buffer.concat([mark(body.length, true), body]))
                  client.socket.end()
                  yield* eventually(() => isOver(client))
                })
              ),
            { concurrency: 20 }
          )
        )
      })
    )

    it.live("empty fragments for ever, is disconnected as if it sent nothing", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({ stallTimeout: "400 millis" })
        const client = yield* connect(port)
        const empty = Buffer.alloc(65_536)
        const lived = yield* whileOtherCalls(
          port,
          untilOver(client, 5, () => {
            if (client.socket.writableLength < MiB) client.send(empty)
          })
        )
        assert.isBelow(lived, 4000)
      })
    )

    it.live("a million fragments of a byte, costs what their bytes do", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({})
        const client = yield* connect(port)
        const text = call({
          xid: 7,
          procedure: P.ECHO,
          args: Buffer.concat([number(900_000), Buffer.alloc(900_000, 97)])
        })
        const fragments = Buffer.alloc((text.length - 4) * 5)
        for (let at = 4, to = 0; at < text.length; at++, to += 5) {
          fragments.set(mark(1, at === text.length - 1), to)
          fragments[to + 4] = text[at]!
        }
        const before = liveBytes()
        const send = (from: number, to: number) =>
          Effect.gen(function* () {
            for (let at = from; at < to; at += MiB / 4) {
              client.send(fragments.subarray(at, Math.min(to, at + MiB / 4)))
              yield* Effect.sleep(5)
            }
            yield* eventually(() => client.socket.writableLength === 0)
          })
        yield* whileOtherCalls(port, send(0, 3 * MiB))
        // A fifth of that is the record.
        assert.isBelow(liveBytes() - before, 2 * MiB)
        yield* whileOtherCalls(port, send(3 * MiB, fragments.length))
        yield* eventually(() => client.replies.length === 1)
        assert.strictEqual(client.replies[0]!.length, text.length - 4 - 40 + 24)
      })
    )
  })

  describe("that opens connections", () => {
    it.live("by the thousand, keeps as many as it may, and locks nobody out", () =>
      Effect.gen(function* () {
        const { clients, messages, port } = yield* serveWithin({ connections: 500, connectionsPerClient: 300 })
        const from = (address: string) => clients().filter((client) => client === address).length
        const before = liveBytes()
        const many = yield* whileOtherCalls(port, connectMany(port, 2000))
        yield* eventually(() => many.filter((client) => !isOver(client)).length === 300)
        assert.strictEqual(from("127.0.0.1"), 300)
        // Both ends of each connection are here, and what is left of those that were refused.
        assert.isBelow(liveBytes() - before, 2000 * 25_000)
        // The next has fewer, and takes of the first until both have the same.
        yield* whileOtherCalls(port, connectMany(port, 2000, { localAddress: "127.0.0.3" }))
        yield* eventually(() => clients().length === 500)
        assert.isAtMost(Math.abs(from("127.0.0.1") - from("127.0.0.3")), 1)
        yield* whileOtherCalls(port, Effect.void)
        assert.isAtMost(messages.filter((message) => message.includes("refused a connection")).length, 2)
      })
    )

    it.live("again and again, leaves nothing behind", () =>
      Effect.gen(function* () {
        const { clients, port } = yield* serveWithin({ connectionsPerClient: 20, rate: { callsPerSecond: 1e6 } })
        for (let round = 0; round < 20; round++) yield* Effect.scoped(connectMany(port, 40))
        yield* eventually(() => clients().length === 0)
        assert.strictEqual((yield* connectMany(port, 20)).filter((client) => !isOver(client)).length, 20)
      })
    )
  })

  describe("that begins more than there is room for", () => {
    const SIZE = 900_000
    const long = (xid: number): Buffer =>
      call({ xid, procedure: P.ECHO, args: Buffer.concat([number(SIZE), Buffer.alloc(SIZE, 97)]) })

    it.live(
      "takes no more memory than that, and others have room for short calls and for long ones",
      () =>
        Effect.gen(function* () {
          const BYTES = 8 * MiB
          const { clients, port } = yield* serveWithin({ bytes: BYTES, stallTimeout: "1 second" })
          const bytes = long(1)
          const before = liveBytes()
          const halves = yield* connectMany(port, 16)
          const other = yield* connect(port, ELSEWHERE)
          yield* whileOtherCalls(
            port,
            Effect.gen(function* () {
              for (const half of halves) half.send(bytes.subarray(0, bytes.length - 1))
              yield* Effect.sleep(300)
              other.send(bytes)
              yield* eventually(() => other.replies.length === 1)
              assert.isTrue(halves.some((half) => !isOver(half)))
            })
          )
          // What has not been read is with the senders, in this same process, but for what the kernel buffers.
          const unsent = halves.reduce((sum, { socket }) => sum + socket.writableLength, 0)
          assert.isBelow(liveBytes() - before - unsent, BYTES / 2 + 16 * 2 * 65_536 + 3 * MiB)
          // All run out of time in the end, those that waited for room, too.
          yield* eventually(() => clients().filter((client) => client === "127.0.0.1").length === 0)
        }),
      20_000
    )

    it.live("and goes on, is answered", () =>
      Effect.gen(function* () {
        const { port } = yield* serveWithin({ bytes: 2 * MiB, stallTimeout: "2 seconds" })
        const clients = yield* connectMany(port, 30)
        const bytes = long(1)
        for (const client of clients) client.send(bytes.subarray(0, 300_000))
        yield* Effect.sleep(50)
        for (const client of clients) client.send(bytes.subarray(300_000), long(2))
        yield* eventually(() => clients.every((client) => client.replies.length === 2))
      })
    )
  })
})
