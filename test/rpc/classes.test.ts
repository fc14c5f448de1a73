/** What waits in a connection, by class: whoever asks a short question does not wait for the copy beside it. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import * as RpcProgram from "../../src/rpc/RpcProgram.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { call, connect, eventually, settled } from "../support/rawClient.ts"
import { type ServerOptions, serve as serveWith } from "../support/rpcServer.ts"
import { property } from "../support/runs.ts"

const MiB = 1024 * 1024

const zeros = Buffer.alloc(MiB)

const version = { program: 1, version: 1 }

/** Each takes the bytes that it asks for, and gives as many if it is to. */
const args = Xdr.struct({ id: Xdr.uint32, bytes: Xdr.uint32, given: Xdr.uint32 })
interface Args {
  readonly id: number
  readonly bytes: number
  readonly given: number
}
const types = { args, result: Xdr.data(16 * MiB) }

/** Procedure numbers, by class. */
const procedures = { control: 1, metadata: 2, data: 3, bulk: 4 } as const
type Class = keyof typeof procedures

/** A server of calls that each run as `body` says, and the order in which they started. */
const serve = Effect.fnUntraced(function* (
  options: ServerOptions,
  body: (priority: Class, args: Args) => Effect.Effect<void>
) {
  const started: Array<{ readonly priority: Class; readonly id: number }> = []
  const given = { control: 0, metadata: 0, data: 0, bulk: 0 }
  const procedureOf = (priority: Class) =>
    RpcProgram.procedure({
      name: priority,
      ...types,
      priority,
      cost: priority === "data" || priority === "bulk" ? ({ bytes }) => bytes : undefined,
      idempotent: true,
      handler: (args) =>
        Effect.suspend(() => {
          started.push({ priority, id: args.id })
          given[priority] += args.given
          return Effect.as(body(priority, args), [zeros.subarray(0, args.given)])
        })
    })
  const program = RpcProgram.make({
    ...version,
    name: "CLASSES",
    procedures: {
      1: procedureOf("control"),
      2: procedureOf("metadata"),
      3: procedureOf("data"),
      4: procedureOf("bulk")
    }
  })
  const { pool, port } = yield* serveWith({ ...options, server: { programs: [program], ...options.server } })
  return { pool, port, started, given }
})

const bytesOf = (
  priority: Class,
  { bytes = 0, given = 0, id }: Partial<Args> & Pick<Args, "id">,
  ballast: Uint8Array = Buffer.alloc(0)
): Buffer => {
  const encoded = Buffer.alloc(12)
  ;[id, bytes, given].forEach((value, i) => encoded.writeUInt32BE(value, 4 * i))
  return call({ xid: id, procedure: procedures[priority], args: Buffer.concat([encoded, ballast]) })
}

const sequence = (length: number): Array<number> => Array.from({ length }, (_, i) => i)

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Bulk calls that all wait until they are let go. */
const gated = Effect.fnUntraced(function* (options: ServerOptions = {}) {
  const gate = Deferred.makeUnsafe<void>()
  const open = Deferred.succeed(gate, undefined)
  yield* Effect.addFinalizer(() => open)
  const server = yield* serve(options, (priority) => (priority === "bulk" ? Deferred.await(gate) : Effect.void))
  return { ...server, open }
})

describe("calls of one connection", () => {
  it.live.each<[time: number, calls: number, bytes: number]>([
    [20, 64, MiB],
    [40, 64, MiB],
    [40, 300, 128 * 1024],
    [100, 64, MiB]
  ])(
    "metadata waits for less than one bulk call of %d ms, beside %d of %d bytes, and bulk goes on",
    ([time, calls, bytes]) =>
      Effect.gen(function* () {
        const { port, started } = yield* serve({ pool: { maxWorkers: 16 } }, (priority) =>
          priority === "bulk" ? Effect.sleep(time) : Effect.void
        )
        const client = yield* RpcClient.make({ port })
        const ask = (priority: Class, bytes: number) =>
          client.call(version, procedures[priority], types, { id: 0, bytes, given: 0 })
        yield* Effect.forEach(sequence(calls), () => Effect.forkChild(Effect.forever(ask("bulk", bytes))))
        yield* Effect.sleep(3 * time)
        const before = started.length
        const begun = performance.now()
        const waits: Array<number> = []
        while (waits.length < 20) {
          const asked = performance.now()
          yield* ask("metadata", 0)
          waits.push(performance.now() - asked)
          yield* Effect.sleep(time / 4)
        }
        assert.isBelow(median(waits), time)
        // Eight are in the pool at once, by their bytes or because there are so many workers.
        const rounds = Math.floor((performance.now() - begun) / time)
        assert.isAtLeast(started.length - before - waits.length, rounds * 2)
      })
  )

  it.live.each([
    ["the bytes", 64, MiB, {}],
    ["the number", 64, 1024, { limits: { callsInFlight: 4 } }]
  ] as const)("neither metadata nor control is held back by %s of bulk calls before them", ([, calls, bytes, server]) =>
    Effect.gen(function* () {
      const { open, pool, port, started } = yield* gated({ pool: { maxWorkers: 64 }, server })
      const client = yield* connect(port)
      client.send(...sequence(calls).map((id) => bytesOf("bulk", { id, bytes })))
      yield* eventually(() => started.length > 0)
      yield* settled
      const { active } = yield* pool.stats
      assert.isBelow(active, 9)
      // With many that are read together, and with single ones that come later.
      client.send(
        ...sequence(50).map((i) => bytesOf(i % 2 === 0 ? "metadata" : "control", { id: calls + i })),
        bytesOf("bulk", { id: 1000, bytes })
      )
      yield* eventually(() => client.replies.length === 50)
      client.send(bytesOf("metadata", { id: 1001 }))
      yield* eventually(() => client.replies.length === 51)
      assert.strictEqual((yield* pool.stats).active, active)
      yield* open
      yield* eventually(() => client.replies.length === calls + 52)
      assert.deepStrictEqual(
        started.filter(({ priority }) => priority === "bulk").map(({ id }) => id),
        [...sequence(calls), 1000]
      )
    })
  )

  it.live("metadata gets its worker also where the pool's queue has no room for more bulk", () =>
    Effect.gen(function* () {
      const { open, pool, port } = yield* gated({ pool: { maxWorkers: 2, queueCapacity: 16 } })
      const client = yield* connect(port)
      client.send(...sequence(64).map((id) => bytesOf("bulk", { id })), bytesOf("data", { id: 64 }))
      yield* settled
      const { bulk, data } = (yield* pool.stats).queued
      // An eighth is kept for the others.
      assert.strictEqual(bulk! + data!, 14)
      client.send(bytesOf("metadata", { id: 65 }), bytesOf("control", { id: 66 }))
      yield* eventually(() => client.replies.length === 2)
      assert.deepStrictEqual(
        client.xids.toSorted((a, b) => a - b),
        [65, 66]
      )
      yield* open
      yield* eventually(() => client.replies.length === 67)
    })
  )

  it.live.each<[flood: Class]>([["control"], ["metadata"], ["data"]])(
    "bulk has its share beside a flood of %s",
    ([flood]) =>
      Effect.gen(function* () {
        const { port, started } = yield* serve({ pool: { maxWorkers: 4 } }, () => Effect.sleep(1))
        const client = yield* RpcClient.make({ port })
        const ask = (priority: Class, bytes: number) =>
          Effect.forkChild(
            Effect.forever(client.call(version, procedures[priority], types, { id: 0, bytes, given: 0 }))
          )
        yield* Effect.forEach(sequence(600), () => ask(flood, flood === "data" ? 32 * 1024 : 0))
        yield* Effect.sleep(50)
        yield* Effect.forEach(sequence(16), () => ask("bulk", 64 * 1024))
        yield* Effect.sleep(50)
        const before = started.length
        yield* eventually(() => started.length > before + 2000)
        const bulk = started.slice(before).filter(({ priority }) => priority === "bulk").length
        // Of the tasks that start, 1 of 17, 1 of 9 and 1 of 5 by the weights.
        assert.isAtLeast(bulk, 2000 / 17 / 2)
      })
  )

  const requests = Schema.Array(
    Schema.Struct({
      priority: Schema.Literals(["control", "metadata", "data", "bulk"]),
      bytes: Schema.Literals([0, 100, 3 * MiB, 12 * MiB]),
      pause: Schema.Literals([false, false, false, true])
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(60))
  it.live.prop(
    "start in their order within a class, and all are answered",
    [
      Arbitrary.schema(requests),
      Arbitrary.schema(Schema.Literals([1, 2, 5, 256])),
      Arbitrary.schema(Schema.Literals([1, 4, 1024]))
    ],
    ([requests, callsInFlight, queueCapacity]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { pool, port, started } = yield* serve(
            { pool: { maxWorkers: 2, queueCapacity }, server: { limits: { callsInFlight } } },
            (_, { id }) => (id % 3 === 0 ? Effect.void : id % 3 === 1 ? Effect.yieldNow : Effect.sleep(1))
          )
          const client = yield* connect(port)
          for (const [id, { bytes, pause, priority }] of requests.entries()) {
            client.send(bytesOf(priority, { id, bytes }))
            if (pause) yield* Effect.sleep(1)
          }
          yield* eventually(() => client.replies.length === requests.length)
          for (const priority of ["control", "metadata", "data", "bulk"] as const) {
            assert.deepStrictEqual(
              started.filter((call) => call.priority === priority).map(({ id }) => id),
              [...requests.keys()].filter((id) => requests[id]!.priority === priority)
            )
          }
          const stats = yield* pool.stats
          assert.deepStrictEqual([stats.active, stats.cost, stats.completed], [0, 0, requests.length])
        })
      ),
    property(30, 10)
  )

  describe("are bounded", () => {
    it.live("what is read ahead, of bulk that does not come to an end", () =>
      Effect.gen(function* () {
        const { open, port } = yield* gated()
        const client = yield* connect(port)
        // Each with 4 KiB besides: 40 MB that nobody shall hold.
        const calls = 10_000
        let sent = 0
        const send = (): void => {
          if (sent < calls) client.socket.write(bytesOf("bulk", { id: sent++, bytes: MiB }, Buffer.alloc(4096)), send)
        }
        send()
        let before = -1
        while (before !== sent) {
          before = sent
          yield* settled
        }
        // A MiB here, and what the kernel buffers.
        assert.isBelow(sent * 4096, 20 * MiB)
        yield* open
        yield* eventually(() => client.replies.length === calls)
      })
    )

    it.live("replies that are not read, by class, and others are served", () =>
      Effect.gen(function* () {
        const { given, pool, port } = yield* serve({ pool: { maxWorkers: 64 } }, () => Effect.void)
        const lazy = yield* connect(port)
        const other = yield* connect(port)
        lazy.socket.pause()
        const bulk = { bytes: MiB, given: MiB }
        const data = { bytes: 32 * 1024, given: 32 * 1024 }
        const calls = sequence(1200).map((id) =>
          id % 16 === 0
            ? bytesOf("bulk", { id, ...bulk })
            : id % 2 === 0
              ? bytesOf("metadata", { id, given: 1024 })
              : bytesOf("data", { id, ...data })
        )
        lazy.send(...calls)
        let before = -1
        while (given.bulk + given.data + given.metadata !== before) {
          before = given.bulk + given.data + given.metadata
          yield* settled
          other.send(bytesOf("metadata", { id: 1 }))
        }
        yield* eventually(() => other.replies.length > 0)
        // 8 MiB of each, and what the kernel buffers.
        assert.isBelow(given.bulk + given.data, 40 * MiB)
        assert.strictEqual((yield* pool.stats).active, 0)
        lazy.socket.resume()
        yield* eventually(() => lazy.replies.length === calls.length)
      })
    )
  })

  it.live("leave nothing behind in the pool's line when the connection ends", () =>
    Effect.gen(function* () {
      const { open, pool, port, started } = yield* gated({ pool: { maxWorkers: 2, queueCapacity: 4 } })
      const blocker = yield* connect(port)
      blocker.send(...sequence(8).map((id) => bytesOf("bulk", { id })))
      yield* settled
      const client = yield* connect(port)
      client.send(...sequence(20).flatMap((i) => [bytesOf("bulk", { id: 100 + i }), bytesOf("data", { id: 200 + i })]))
      yield* settled
      client.socket.resetAndDestroy()
      yield* settled
      yield* open
      yield* eventually(() => blocker.replies.length === 8)
      yield* settled
      assert.lengthOf(
        started.filter(({ id }) => id >= 100),
        0
      )
      const { active, cost, submitted } = yield* pool.stats
      assert.deepStrictEqual([active, cost, submitted], [0, 0, 8])
    })
  )
})
