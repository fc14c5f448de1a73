/** What a call may take on its way through the server: time, and memory. */

import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { SharedState } from "../../src/exports/SharedState.ts"
import { Filesystem, type Operations } from "../../src/filesystem/Filesystem.ts"
import { forward } from "../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { NfsServer, type Options } from "../../src/server/NfsServer.ts"
import { connect, ok } from "../support/nfs.ts"
import { eventually } from "../support/rawClient.ts"

/** A filesystem in memory whose reads, creations and writes wait when the test says so. */
class World {
  readonly gate = Deferred.makeUnsafe<void>()
  readonly waits = { read: false, create: false, write: false }
  waiting = 0
  interrupted = 0
  created = 0

  /** Lets everything go on. */
  release(): void {
    this.waits.read = this.waits.create = this.waits.write = false
    Deferred.doneUnsafe(this.gate, Effect.void)
  }

  readonly over = (memory: Operations): Operations => {
    const first = <A, E, R>(which: keyof World["waits"], operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        if (!this.waits[which]) return operation
        this.waiting++
        return Deferred.await(this.gate).pipe(
          Effect.onInterrupt(() => Effect.sync(() => this.interrupted++)),
          Effect.ensuring(Effect.sync(() => this.waiting--)),
          Effect.andThen(operation)
        )
      })
    return forward(memory, {
      read: (...args) => first("read", memory.read(...args)),
      write: (...args) => first("write", memory.write(...args)),
      create: (...args) =>
        first(
          "create",
          Effect.suspend(() => {
            this.created++
            return memory.create(...args)
          })
        )
    })
  }
}

/** A server in whose pool and filesystem the test can look, a client, and a file in the root. */
const make = Effect.fnUntraced(function* (options: {
  readonly pool: WorkerPool.Options
  readonly timeLimits?: Options["timeLimits"]
}) {
  const world = new World()
  const pool = yield* WorkerPool.make(options.pool)
  const filesystem = Layer.effect(Filesystem, Effect.map(MemoryFilesystem.make(), world.over))
  const services = yield* Layer.build(
    NfsServer.layer({
      port: 0,
      timeLimits: options.timeLimits,
      exports: [{ path: "/", squash: "none", filesystem }]
    }).pipe(Layer.provide([Layer.succeed(WorkerPool.WorkerPool, pool), SharedState.layer]))
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => world.release()))
  const { port } = Context.get(services, NfsServer).address
  const client = yield* connect(port)
  const dir = yield* client.root()
  const where = (name: string) => ({ dir, name })
  const create = (name: string, xid?: number) =>
    client.nfs(Nfs.CREATE, { where: where(name), how: { mode: "UNCHECKED", objAttributes: {} } }, { xid })
  const file = ok(yield* create("file")).obj!
  world.created = 0
  return { ...client, create, dir, file, pool, port, world }
})

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(effect, { startImmediately: true })

const statusOf = ({ status }: { readonly status: string }): string => status

const LIMIT = 150
const timeLimits = { control: LIMIT, metadata: LIMIT, data: LIMIT, bulk: LIMIT }

describe("time limits", () => {
  it.live("a READ that hangs is told to come again, and its worker is free", () =>
    Effect.gen(function* () {
      const { file, nfs, pool, world } = yield* make({ pool: { maxWorkers: 2 }, timeLimits })
      world.waits.read = true
      const started = performance.now()
      for (const count of [1, 100_000]) {
        const answer = yield* nfs(Nfs.READ, { file, offset: 0, count })
        assert.deepStrictEqual(answer, { status: "NFS3ERR_JUKEBOX", fileAttributes: undefined })
      }
      assert.isAtLeast(performance.now() - started, 2 * LIMIT - 20)
      assert.deepStrictEqual([world.waiting, world.interrupted], [0, 2])
      const { classes, timedOut } = yield* pool.stats
      assert.deepStrictEqual([timedOut, classes["data"]!.timedOut, classes["bulk"]!.timedOut], [2, 1, 1])
      world.waits.read = false
      ok(yield* nfs(Nfs.READ, { file, offset: 0, count: 1 }))
    })
  )

  it.live("a mutation that hangs goes on, and is answered when it is done", () =>
    Effect.gen(function* () {
      const { create, nfs, dir, pool, world } = yield* make({ pool: { maxWorkers: 4 }, timeLimits })
      world.waits.create = true
      const creating = yield* start(create("slow"))
      yield* eventually(() => world.waiting === 1)
      yield* Effect.sleep(3 * LIMIT)
      assert.deepStrictEqual([creating.pollUnsafe(), world.interrupted], [undefined, 0])
      world.release()
      ok(yield* Fiber.join(creating))
      ok(yield* nfs(Nfs.LOOKUP, { what: { dir, name: "slow" } }))
      assert.strictEqual((yield* pool.stats).timedOut, 0)
    })
  )

  it.live("a mutation that waits too long is told to come again, and is executed when it does", () =>
    Effect.gen(function* () {
      const { create, mount, pool, world } = yield* make({ pool: { maxWorkers: 1 }, timeLimits })
      world.waits.create = true
      const hanging = yield* start(create("hanging"))
      yield* eventually(() => world.waiting === 1)
      const late = { status: "NFS3ERR_JUKEBOX", dirWcc: { before: undefined, after: undefined } } as const
      assert.deepStrictEqual(yield* create("late", 7), late)
      // Whoever has not heard that, hears it again.
      assert.deepStrictEqual(yield* create("late", 7), late)
      // Programs without an answer for this give that of RPC.
      const refused = yield* Effect.flip(mount(MountCalls.EXPORT, undefined))
      assert.deepInclude(refused, { _tag: "RpcRefused" })
      assert.include(JSON.stringify(refused), "SYSTEM_ERR")
      assert.deepStrictEqual([world.created, (yield* pool.stats).timedOut], [0, 2])
      world.release()
      ok(yield* Fiber.join(hanging))
      ok(yield* create("late", 8))
      assert.strictEqual(world.created, 2)
    })
  )

  it.live("are 30 seconds if nobody says otherwise", () =>
    Effect.gen(function* () {
      const { file, nfs, pool, world } = yield* make({ pool: { maxWorkers: 2 } })
      world.waits.read = true
      const reading = yield* start(nfs(Nfs.READ, { file, offset: 0, count: 1 }))
      yield* eventually(() => world.waiting === 1)
      yield* Effect.sleep(3 * LIMIT)
      assert.deepStrictEqual([reading.pollUnsafe(), (yield* pool.stats).timedOut], [undefined, 0])
    })
  )
})

describe("the cost of calls", () => {
  const MAX_COST = 2 * 2 ** 20

  it.live("a flood of large READs and WRITEs never pins more than it may, and all are answered", () =>
    Effect.gen(function* () {
      const { file, nfs, pool, port, world } = yield* make({
        pool: { maxWorkers: 64, memory: { maxCost: MAX_COST } }
      })
      const SIZE = 256 * 1024
      world.waits.write = world.waits.read = true
      const data = [randomBytes(SIZE)]
      const clients = yield* Effect.forEach(Array.from({ length: 6 }), () => connect(port))
      const answers = yield* start(
        Effect.forEach(
          Array.from({ length: 120 }),
          (_, i) => {
            const { nfs } = clients[i % clients.length]!
            return i % 4 < 2
              ? Effect.map(nfs(Nfs.READ, { file, offset: 0, count: SIZE }), statusOf)
              : Effect.map(nfs(Nfs.WRITE, { file, offset: i * SIZE, count: SIZE, stable: "UNSTABLE", data }), statusOf)
          },
          { concurrency: "unbounded" }
        )
      )
      // An eighth is kept for short calls, and each call costs something besides: there is no room for seven.
      yield* eventually(() => world.waiting === 6)
      yield* Effect.sleep(50)
      assert.strictEqual(world.waiting, 6)
      ok(yield* nfs(Nfs.GETATTR, { object: file }))
      const costs: Array<number> = []
      const watching = yield* start(
        Effect.forever(
          Effect.andThen(
            Effect.map(pool.stats, (stats) => costs.push(stats.cost)),
            Effect.yieldNow
          )
        )
      )
      yield* Effect.sleep(20)
      world.release()
      const statuses = yield* Fiber.join(answers)
      yield* Fiber.interrupt(watching)
      assert.deepStrictEqual(new Set(statuses), new Set(["NFS3_OK"]))
      assert.isAtMost(Math.max(...costs), MAX_COST)
      assert.isAtLeast(Math.max(...costs), 6 * SIZE)
      assert.strictEqual((yield* pool.stats).cost, 0)
    })
  )

  it.live("a call above all that there is, is answered, too", () =>
    Effect.gen(function* () {
      const { file, nfs, pool } = yield* make({ pool: { maxWorkers: 4, memory: { maxCost: 10_000 } } })
      const data = [randomBytes(500_000)]
      const answers = yield* Effect.forEach(
        Array.from({ length: 12 }),
        (_, i) =>
          i % 2 === 0
            ? Effect.map(nfs(Nfs.WRITE, { file, offset: 0, count: 500_000, stable: "UNSTABLE", data }), statusOf)
            : Effect.map(nfs(Nfs.GETATTR, { object: file }), statusOf),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers,
        answers.map(() => "NFS3_OK")
      )
      assert.strictEqual((yield* pool.stats).cost, 0)
    })
  )
})
