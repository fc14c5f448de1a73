import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Policy } from "../../src/exports/Exports.ts"
import { SharedState } from "../../src/exports/SharedState.ts"
import { Filesystem, type Operations } from "../../src/filesystem/Filesystem.ts"
import { forward } from "../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../../src/pool/WorkerPool.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import type { CallOptions } from "../../src/rpc/RpcClient.ts"
import { NfsServer } from "../../src/server/NfsServer.ts"
import { connect, type NfsClient, ok } from "../support/nfs.ts"
import { alice, serve, session } from "../support/server.ts"

const create = ({ nfs }: NfsClient, dir: Uint8Array, name: string, who?: CallOptions) =>
  nfs(Nfs.CREATE, { where: { dir, name }, how: { mode: "GUARDED", objAttributes: { mode: 0o640 } } }, who)

const names = ({ nfs }: NfsClient, dir: Uint8Array) =>
  nfs(Nfs.READDIR, { dir, cookie: 2n, cookieverf: Buffer.alloc(8), count: 65_536 }).pipe(
    Effect.map((answer) => ok(answer).entries.map(({ name }) => name))
  )

const fsid = ({ nfs }: NfsClient, object: Uint8Array) =>
  Effect.map(nfs(Nfs.GETATTR, { object }), (answer) => ok(answer).objAttributes.fsid)

/** A scope that a test closes when it likes. */
const closeable = Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))

describe("exports", () => {
  it.live("are filesystems of their own", () =>
    Effect.gen(function* () {
      const { address, exports } = yield* serve([
        { path: "/one", filesystem: MemoryFilesystem.layer({ mode: 0o700, uid: 1000 }) },
        { path: "/two/", filesystem: MemoryFilesystem.layer() },
        { path: "/three", filesystem: MemoryFilesystem.layer(), fsid: 3 }
      ])
      expect(exports).toEqual(["/one", "/two", "/three"])
      const client = yield* connect(address.port)
      const roots = yield* Effect.forEach(exports, client.root)
      const [one, two, three] = roots as [Uint8Array, Uint8Array, Uint8Array]
      ok(yield* create(client, one, "file", alice))
      ok(yield* create(client, two, "file"))
      ok(yield* create(client, two, "other"))
      expect(yield* names(client, two)).toEqual(["file", "other"])
      expect(yield* names(client, three)).toEqual([])
      const fsids = yield* Effect.forEach(roots, (root) => fsid(client, root))
      expect(new Set(fsids).size).toBe(3)
      expect(fsids[2]).toBe(3n)
      const parent = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: one, name: ".." } }, alice))
      expect(parent.object).toEqual(one)
    })
  )

  it.live("with one layer are one filesystem, each on its own terms", () =>
    Effect.gen(function* () {
      const filesystem = MemoryFilesystem.layer()
      const { address } = yield* serve([
        { path: "/rw", filesystem, squash: "none" },
        { path: "/ro", filesystem, readOnly: true }
      ])
      const client = yield* connect(address.port)
      const rw = yield* client.root("/rw")
      const ro = yield* client.root("/ro")
      ok(yield* create(client, rw, "file"))
      expect(yield* names(client, ro)).toEqual(["file"])
      expect((yield* create(client, ro, "new")).status).toBe("NFS3ERR_ROFS")
      const file = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: ro, name: "file" } })).object
      const data = { offset: 0, count: 1, stable: "FILE_SYNC", data: [Buffer.from("x")] } as const
      expect((yield* client.nfs(Nfs.WRITE, { file, ...data })).status).toBe("NFS3ERR_ROFS")
      // The same file by the handle of the other export.
      const writable = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: rw, name: "file" } })).object
      expect(writable).not.toEqual(file)
      ok(yield* client.nfs(Nfs.WRITE, { file: writable, ...data }))
    })
  )

  it.live.each<[what: string, policy: Policy, who: CallOptions, uid: number, gid: number]>([
    ["root is nobody by default", {}, {}, 65_534, 65_534],
    ["users are themselves by default", {}, alice, 1000, 1000],
    ["squash root with ids", { squash: "root", anonymousUid: 7, anonymousGid: 8 }, {}, 7, 8],
    ["squash none", { squash: "none" }, {}, 0, 0],
    ["squash all", { squash: "all" }, alice, 65_534, 65_534],
    ["squash all with ids", { squash: "all", anonymousUid: 7, anonymousGid: 8 }, alice, 7, 8],
    ["squash self", { squash: "self" }, alice, process.geteuid!(), process.getegid!()],
    ["nobody is who does not say", { squash: "none", anonymousUid: 9 }, { auth: Auth.none }, 9, 65_534]
  ])("%s", ([, policy, who, uid, gid]) =>
    Effect.gen(function* () {
      const { address } = yield* serve([{ path: "/", filesystem: MemoryFilesystem.layer(), ...policy }])
      const client = yield* connect(address.port)
      const { objAttributes } = ok(yield* create(client, yield* client.root(), "file", who))
      expect(objAttributes!.attributes).toMatchObject({ uid, gid })
    })
  )

  it.live("that are squashed give no rights of root's", () =>
    Effect.gen(function* () {
      const filesystem = MemoryFilesystem.layer({ mode: 0o755 })
      const { address } = yield* serve([{ path: "/", filesystem }])
      const client = yield* connect(address.port)
      expect((yield* create(client, yield* client.root(), "file")).status).toBe("NFS3ERR_ACCES")
    })
  )
})

describe("the layer", () => {
  const memory = MemoryFilesystem.layer()

  it.live("is a part of any app, and says where it serves what", () =>
    Effect.gen(function* () {
      const layer = NfsServer.layer({ port: 0, exports: [{ path: "/", filesystem: memory }] }).pipe(
        Layer.provide(SharedState.layer),
        Layer.provideMerge(WorkerPool.layer({ maxWorkers: 3 }))
      )
      const runtime = ManagedRuntime.make(layer)
      const { before, port } = yield* Effect.promise(() =>
        runtime.runPromise(
          Effect.gen(function* () {
            const { address, exports } = yield* NfsServer
            const pool = yield* WorkerPool
            expect(address.host).toBe("127.0.0.1")
            expect(exports).toEqual(["/"])
            return { port: address.port, before: yield* pool.stats }
          })
        )
      )
      expect(before).toMatchObject({ workers: 3, submitted: 0 })
      const client = yield* connect(port)
      yield* client.nfs(Nfs.NULL, undefined)
      // Every call runs in the pool.
      const after = yield* Effect.promise(() => runtime.runPromise(Effect.flatMap(WorkerPool, (pool) => pool.stats)))
      expect(after).toMatchObject({ submitted: 1, completed: 1 })
      yield* runtime.disposeEffect
      expect((yield* Effect.flip(connect(port))).message).toMatch(/ECONNREFUSED/)
    })
  )

  it.live("fails with what is wrong with its exports", () =>
    Effect.gen(function* () {
      const twice = [
        { path: "/a", filesystem: memory },
        { path: "/a/", filesystem: memory }
      ]
      const error = yield* Effect.flip(serve(twice))
      expect(error).toMatchObject({ _tag: "ExportsError", path: "/a/" })
    })
  )

  it.live("fails with a port in use", () =>
    Effect.gen(function* () {
      const exports = [{ path: "/", filesystem: memory }]
      const { address } = yield* serve(exports)
      const error = yield* Effect.flip(serve(exports, { port: address.port }))
      expect(error._tag).toBe("ListenError")
      expect(error.message).toMatch(new RegExp(`port ${address.port} .*in use`))
    })
  )

  it.live("fails with what a filesystem fails with, and leaves none behind", () =>
    Effect.gen(function* () {
      class Broken extends Data.TaggedError("Broken") {}
      const open = new Set<string>()
      const filesystem = Layer.effect(
        Filesystem,
        Effect.acquireRelease(
          Effect.andThen(
            Effect.sync(() => open.add("first")),
            MemoryFilesystem.make()
          ),
          () => Effect.sync(() => open.delete("first"))
        )
      )
      const broken = Layer.effect(Filesystem, Effect.fail(new Broken()))
      const server = NfsServer.layer({
        port: 0,
        exports: [
          { path: "/a", filesystem },
          { path: "/b", filesystem: broken }
        ]
      })
      const error: { readonly _tag: string } = yield* Layer.build(server).pipe(
        Effect.scoped,
        Effect.provide([SharedState.layer, WorkerPool.layer()]),
        Effect.flip
      )
      expect(error._tag).toBe("Broken")
      expect(open.size).toBe(0)
    })
  )
})

describe("the end", () => {
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length

  const noSockets = Effect.suspend(() =>
    sockets() === 0 ? Effect.void : Effect.fail(`${sockets()} sockets are open`)
  ).pipe(Effect.retry({ times: 200, schedule: Schedule.spaced("10 millis") }))

  it.live("leaves nothing behind: neither port nor connections", () =>
    Effect.gen(function* () {
      // What earlier tests have left to be closed.
      yield* noSockets
      const scope = yield* closeable
      const exports = [{ path: "/", filesystem: MemoryFilesystem.layer() }]
      const { address } = yield* serve(exports).pipe(Scope.provide(scope))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const clients = yield* Effect.forEach([1, 2, 3], () => connect(address.port))
          for (const { nfs } of clients) yield* nfs(Nfs.NULL, undefined)
          expect(sockets()).toBeGreaterThan(6)
          yield* Scope.close(scope, Exit.void)
          for (const { rpc } of clients) yield* Effect.flip(rpc.closed)
        })
      )
      yield* noSockets
      yield* serve(exports, { port: address.port })
    })
  )

  /** A filesystem whose reads and writes wait. */
  const gated = (gate: Deferred.Deferred<void>, waiting: { count: number }) => (memory: Operations) => {
    const wait = Effect.suspend(() => {
      waiting.count++
      return Deferred.await(gate)
    })
    return forward(memory, {
      read: (...args) => Effect.andThen(wait, memory.read(...args)),
      write: (...args) => Effect.andThen(wait, memory.write(...args))
    })
  }

  /** A client with a READ and a WRITE under way. */
  const busy = Effect.fnUntraced(function* (scope: Scope.Scope, shutdownTimeout?: Duration.Input) {
    const gate = yield* Deferred.make<void>()
    const waiting = { count: 0 }
    const memory = yield* MemoryFilesystem.make()
    let released = false
    const filesystem = Layer.effect(
      Filesystem,
      Effect.acquireRelease(Effect.succeed(gated(gate, waiting)(memory)), () => Effect.sync(() => (released = true)))
    )
    const { address } = yield* serve([{ path: "/", filesystem }], { shutdownTimeout }).pipe(Scope.provide(scope))
    const client = yield* connect(address.port)
    const file = ok(yield* create(client, yield* client.root(), "file")).obj!
    const data = [Buffer.from("hello")]
    const written = yield* Effect.forkChild(
      client.nfs(Nfs.WRITE, { file, offset: 0, count: 5, stable: "FILE_SYNC", data })
    )
    const read = yield* Effect.forkChild(client.nfs(Nfs.READ, { file, offset: 0, count: 1000 }))
    yield* Effect.suspend(() => (waiting.count === 2 ? Effect.void : Effect.fail("not yet"))).pipe(
      Effect.retry({ times: 500, schedule: Schedule.spaced("2 millis") })
    )
    return { port: address.port, client, gate, read, written, released: () => released }
  })

  it.live("answers requests in progress, accepts no new connections, and then lets go of the filesystems", () =>
    Effect.gen(function* () {
      const scope = yield* closeable
      const { gate, port, read, released, written } = yield* busy(scope)
      const end = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.sleep("30 millis")
      expect(end.pollUnsafe()).toBeUndefined()
      expect(released()).toBe(false)
      expect((yield* Effect.flip(connect(port))).message).toMatch(/ECONNREFUSED/)
      yield* Deferred.succeed(gate, undefined)
      expect(ok(yield* Fiber.join(written)).count).toBe(5)
      expect(ok(yield* Fiber.join(read)).count).toBe(5)
      yield* Fiber.join(end)
      expect(released()).toBe(true)
    })
  )

  it.live("waits no longer than it is told to", () =>
    Effect.gen(function* () {
      const scope = yield* closeable
      const { gate, read } = yield* busy(scope, "50 millis")
      const end = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      const exit = yield* Fiber.await(read)
      expect(Exit.isFailure(exit)).toBe(true)
      // What cannot be interrupted keeps the pool.
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(end)
    })
  )
})

describe("a restart", () => {
  const stateDirectory = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-test-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

  const verifier = ({ nfs }: NfsClient, file: Uint8Array) =>
    Effect.map(nfs(Nfs.COMMIT, { file, offset: 0, count: 0 }), (answer) => Buffer.from(ok(answer).verf).toString("hex"))

  it.live("keeps handles valid where key and filesystem are the same, and tells by another verifier", () =>
    Effect.gen(function* () {
      const state = SharedState.layerFile(yield* stateDirectory)
      const memory = yield* MemoryFilesystem.make()
      const filesystem = Layer.succeed(Filesystem, memory)
      const exports = [{ path: "/", filesystem, squash: "none" }] as const
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serve(exports, {}, state)
          const client = yield* connect(address.port)
          const root = yield* client.root()
          const file = ok(yield* create(client, root, "file")).obj!
          const removed = ok(yield* create(client, root, "removed")).obj!
          return { root, file, removed, verifier: yield* verifier(client, file) }
        })
      )
      const { address } = yield* serve(exports, {}, state)
      const client = yield* connect(address.port)
      const what = { dir: before.root, name: "file" }
      expect(ok(yield* client.nfs(Nfs.LOOKUP, { what })).object).toEqual(before.file)
      ok(yield* client.nfs(Nfs.GETATTR, { object: before.removed }))
      ok(yield* client.nfs(Nfs.REMOVE, { object: { dir: before.root, name: "removed" } }))
      expect(yield* client.nfs(Nfs.GETATTR, { object: before.removed })).toEqual({ status: "NFS3ERR_STALE" })
      expect(yield* verifier(client, before.file)).not.toBe(before.verifier)
    })
  )

  it.live("with a new filesystem keeps the root, and no other file", () =>
    Effect.gen(function* () {
      const state = SharedState.layerFile(yield* stateDirectory)
      const exports = [{ path: "/", filesystem: MemoryFilesystem.layer(), squash: "none" }] as const
      const handles = yield* Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serve(exports, {}, state)
          const client = yield* connect(address.port)
          const root = yield* client.root()
          return { root, file: ok(yield* create(client, root, "file")).obj! }
        })
      )
      const { address } = yield* serve(exports, {}, state)
      const client = yield* connect(address.port)
      expect(yield* client.root()).toEqual(handles.root)
      // The file that has its number now is another one.
      ok(yield* create(client, handles.root, "other"))
      expect(yield* client.nfs(Nfs.GETATTR, { object: handles.file })).toEqual({ status: "NFS3ERR_STALE" })
    })
  )

  it.live("without an export makes its handles stale", () =>
    Effect.gen(function* () {
      const state = SharedState.layerFile(yield* stateDirectory)
      const filesystem = MemoryFilesystem.layer()
      const object = yield* Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serve([{ path: "/old", filesystem }], {}, state)
          return yield* (yield* connect(address.port)).root("/old")
        })
      )
      const { address } = yield* serve([{ path: "/new", filesystem }], {}, state)
      const { nfs } = yield* connect(address.port)
      expect(yield* nfs(Nfs.GETATTR, { object })).toEqual({ status: "NFS3ERR_STALE" })
    })
  )

  it.live("with another key refuses the old handles", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryFilesystem.make()
      const change = () => memory
      const handle = yield* Effect.scoped(Effect.map(session({ change }), ({ dir }) => dir))
      const { nfs } = yield* session({ change })
      expect(yield* nfs(Nfs.GETATTR, { object: handle })).toEqual({ status: "NFS3ERR_BADHANDLE" })
    })
  )
})
