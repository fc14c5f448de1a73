/** A server that is told another configuration while it serves, as its clients and its filesystems see it. */

import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Filesystem } from "../../src/filesystem/Filesystem.ts"
import { WorkerPool } from "../../src/pool/WorkerPool.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { ConfiguredServer } from "../../src/server/ConfiguredServer.ts"
import { NfsServer } from "../../src/server/NfsServer.ts"
import type { ServerConfig } from "../../src/server/ServerConfig.ts"
import { temporary } from "../support/directory.ts"
import * as Logs from "../support/logs.ts"
import { connect, ok } from "../support/nfs.ts"

/** A server on a free port with a client; `stateDir` is gone with the scope. */
const serve = Effect.fnUntraced(function* (config: ServerConfig) {
  const directory = yield* temporary()
  const common = { listen: { port: 0, portmap: "off" } as const, stateDir: join(directory, "state") }
  const services = yield* Layer.build(ConfiguredServer.layer({ ...common, ...config }))
  const { reconfigure } = Context.get(services, ConfiguredServer)
  const server = Context.get(services, NfsServer)
  return {
    server,
    services,
    pool: Context.get(services, WorkerPool),
    client: yield* connect(server.address.port),
    reconfigure: (config: ServerConfig) => reconfigure({ ...common, ...config })
  }
})

const memory = (path: string, policy: object = {}) => ({ path, memory: {}, ...policy })

const create = (dir: Uint8Array, name: string) => ({
  where: { dir, name },
  how: { mode: "UNCHECKED" as const, objAttributes: { mode: 0o644 } }
})

/** The descriptors that this process has of a directory. */
const descriptorsOf = (directory: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === directory
    } catch {
      return false
    }
  }).length

describe("ConfiguredServer", { timeout: 30_000 }, () => {
  it.live("changes exports between requests: none fails, each sees one of both policies whole", () =>
    Effect.gen(function* () {
      // With the one root may do everything and nothing is written, with the other nobody's files are written.
      const one = { exports: [memory("/a", { readOnly: true, squash: "none" })] }
      const other = { exports: [memory("/b"), memory("/a", { readOnly: false, squash: "all" })] }
      const { client, reconfigure } = yield* serve(other)
      const dir = yield* client.root("/a")
      const seen = new Set<string>()
      const requests = Effect.gen(function* () {
        const made = yield* client.nfs(Nfs.CREATE, create(dir, "file"))
        if (made.status !== "NFS3_OK") return void seen.add(made.status)
        const { objAttributes } = made as { readonly objAttributes?: { readonly attributes: { readonly uid: number } } }
        seen.add(`${made.status} ${objAttributes?.attributes.uid}`)
      })
      const flip = Effect.forEach(Array.from({ length: 40 }), (_, i) => reconfigure(i % 2 === 0 ? one : other))
      yield* Effect.all([flip, Effect.forEach(Array.from({ length: 400 }), () => requests, { concurrency: 16 })], {
        concurrency: 2
      })
      yield* reconfigure(one)
      yield* requests
      expect([...seen].toSorted()).toEqual(["NFS3ERR_ROFS", "NFS3_OK 65534"])
    })
  )

  it.live("keeps filesystems that stay, and releases others after the last request that uses them", () =>
    Effect.gen(function* () {
      const parent = yield* temporary()
      const [kept, removed] = [join(parent, "kept"), join(parent, "removed")]
      for (const directory of [kept, removed]) mkdirSync(directory)
      writeFileSync(join(kept, "file"), "")
      const { client, pool, reconfigure, server } = yield* serve({
        exports: [
          { path: "/kept", directory: kept, squash: "none" },
          { path: "/removed", directory: removed },
          memory("/memory")
        ]
      })
      const roots = yield* Effect.forEach(["/kept", "/removed", "/memory"], client.root)
      const [keptRoot, removedRoot, memoryRoot] = roots as [Uint8Array, Uint8Array, Uint8Array]
      ok(yield* client.nfs(Nfs.CREATE, create(memoryRoot, "file")))
      const before = descriptorsOf(kept)
      // Some request is in progress.
      const task = yield* pool.submit(Effect.never, { priority: "bulk" })
      yield* reconfigure({ exports: [memory("/memory"), { path: "/kept", directory: kept, readOnly: true }] })
      expect(server.exports).toEqual(["/memory", "/kept"])
      expect(yield* client.nfs(Nfs.GETATTR, { object: removedRoot })).toEqual({ status: "NFS3ERR_STALE" })
      ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: memoryRoot, name: "file" } }))
      ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: keptRoot, name: "file" } }))
      expect(descriptorsOf(kept)).toBe(before)
      yield* Effect.sleep("100 millis")
      expect(descriptorsOf(removed)).toBeGreaterThan(0)
      yield* task.cancel
      yield* Effect.sync(() => expect(descriptorsOf(removed)).toBe(0)).pipe(
        Effect.catchDefect(() => Effect.fail("not yet")),
        Effect.retry(Schedule.spaced("10 millis")),
        Effect.timeout("5 seconds")
      )
      // A directory that comes back has the handles that it had.
      yield* reconfigure({ exports: [{ path: "/removed", directory: removed }] })
      ok(yield* client.nfs(Nfs.GETATTR, { object: removedRoot }))
      // Memory does not come back.
      yield* reconfigure({ exports: [memory("/memory")] })
      expect(
        (yield* client.nfs(Nfs.LOOKUP, { what: { dir: yield* client.root("/memory"), name: "file" } })).status
      ).toBe("NFS3ERR_NOENT")
    })
  )

  it.live("changes nothing when a filesystem cannot be served", () =>
    Effect.gen(function* () {
      const { client, pool, reconfigure, server } = yield* serve({ exports: [memory("/a")], pool: { workers: 3 } })
      const dir = yield* client.root("/a")
      const wrong = { exports: [memory("/b"), { path: "/c", directory: "/no/such/directory" }], pool: { workers: 9 } }
      const error = yield* Effect.flip(reconfigure(wrong))
      expect(error.message).toBe("cannot serve /no/such/directory: there is no such directory")
      expect(server.exports).toEqual(["/a"])
      expect((yield* pool.stats).maxWorkers).toBe(3)
      ok(yield* client.nfs(Nfs.CREATE, create(dir, "file")))
      // What failed has not taken the memory with it.
      yield* reconfigure({ exports: [memory("/a")] })
      ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir, name: "file" } }))
    })
  )

  it.live("changes nothing, and does not begin, with what is no configuration", () =>
    Effect.gen(function* () {
      const { reconfigure, server } = yield* serve({ exports: [memory("/a")] })
      const wrong = { exports: [memory("/b", { readonly: true })], pool: { workers: 0 } }
      const error = yield* Effect.flip(reconfigure(wrong))
      expect(error.message.split("\n")).toEqual([
        expect.stringMatching(/^exports\[0\]\.readonly: expected one of path, directory/),
        "pool.workers: expected an integer from 1 to 65536, got 0"
      ])
      expect(server.exports).toEqual(["/a"])
      expect((yield* Effect.flip(serve(wrong)))._tag).toBe("InvalidConfig")
    })
  )

  it.live("gives up a change that waits for a filesystem, and stays what it was", () =>
    Effect.gen(function* () {
      const { server } = yield* serve({ exports: [memory("/a")] })
      const hangs = { path: "/b", filesystem: Layer.effect(Filesystem, Effect.never) }
      const changing = yield* Effect.forkChild(Effect.uninterruptible(server.reconfigure({ exports: [hangs] })))
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(changing).pipe(Effect.timeout("5 seconds"))
      expect(server.exports).toEqual(["/a"])
      yield* server.reconfigure({ exports: [] })
      expect(server.exports).toEqual([])
    })
  )

  it.live("changes nothing when limits are not valid", () =>
    Effect.gen(function* () {
      const { server } = yield* serve({ exports: [memory("/a")] })
      expect(Exit.isFailure(yield* Effect.exit(server.reconfigure({ exports: [], limits: { connections: 0 } })))).toBe(
        true
      )
      expect(server.exports).toEqual(["/a"])
    })
  )

  it.live("keeps memory under another name with the same fsid, and no content under another number", () =>
    Effect.gen(function* () {
      const { client, reconfigure } = yield* serve({ exports: [memory("/a", { fsid: 7 })] })
      const dir = yield* client.root("/a")
      ok(yield* client.nfs(Nfs.CREATE, create(dir, "file")))
      yield* reconfigure({ exports: [memory("/renamed", { fsid: 7 }), memory("/a")] })
      ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir, name: "file" } }))
      const fresh = yield* client.root("/a")
      expect((yield* client.nfs(Nfs.LOOKUP, { what: { dir: fresh, name: "file" } })).status).toBe("NFS3ERR_NOENT")
    })
  )

  it.live("changes the pool's size, limits and the log at once, and names what it cannot change", () =>
    Effect.gen(function* () {
      const logs = Logs.make()
      const { pool, reconfigure, server, services } = yield* Effect.provideContext(
        serve({ exports: [memory("/a")], pool: { workers: 3 } }),
        logs.context
      )
      const debug = Effect.provideContext(Effect.logDebug("hello"), services)
      yield* debug
      expect((yield* pool.stats).maxWorkers).toBe(3)
      const { lost, needRestart } = yield* reconfigure({
        exports: [{ path: "/a", memory: { quota: "1MiB" } }],
        pool: { workers: 7, minWorkers: 2, queue: 5, memory: { low: 0.5 } },
        limits: { connectionsPerClient: 1 },
        logLevel: "debug",
        listen: { host: "127.0.0.3", port: 0, portmap: "off" }
      })
      expect(needRestart).toEqual(["listen.host", "pool.queue", "pool.memory.low", "exports[0].memory.quota"])
      expect(lost).toEqual([])
      expect(yield* pool.stats).toMatchObject({ maxWorkers: 7, minWorkers: 2, workers: 3 })
      yield* debug
      yield* reconfigure({ exports: [memory("/a")], logLevel: "error" })
      yield* debug
      expect(logs.messages.filter((message) => message === "Debug: hello")).toHaveLength(1)
      // What is said is what holds, also where it was not said at first.
      const same = yield* reconfigure({
        exports: [memory("/b")],
        pool: {
          queue: 1024,
          batch: 64,
          timeLimits: { bulk: "30 seconds" },
          weights: { data: 8 },
          memory: { high: 0.9 }
        },
        listen: { host: "127.0.0.1", port: 0, portmap: "off" }
      })
      expect(same).toEqual({ needRestart: [], lost: ["/a"] })
      yield* reconfigure({ exports: [memory("/a")] })
      // One connection is there, and another one is no longer let in.
      yield* reconfigure({ exports: [memory("/a")], limits: { connectionsPerClient: 1 } })
      const refused = yield* Effect.exit(
        Effect.scoped(
          Effect.flatMap(connect(server.address.port), (another) => another.mount(MountCalls.EXPORT, undefined))
        )
      )
      expect(refused._tag).toBe("Failure")
    })
  )

  it.live("follows configurations that come at once one after another", () =>
    Effect.gen(function* () {
      const { pool, reconfigure, server } = yield* serve({ exports: [] })
      const configurations = Array.from({ length: 8 }, (_, i) => ({
        exports: [memory(`/${i}`)],
        pool: { workers: i + 1 }
      }))
      yield* Effect.forEach(configurations, reconfigure, { concurrency: "unbounded" })
      expect(server.exports).toEqual(["/7"])
      expect((yield* pool.stats).maxWorkers).toBe(8)
    })
  )
})
