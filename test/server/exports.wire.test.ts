/** What an export's policy lets whom do, now and after another has taken its place, as clients on sockets see it. */

import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { ExportOptions, Policy } from "../../src/exports/Exports.ts"
import type { Operations } from "../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import { type Call, connect, type NfsClient, ok } from "../support/nfs.ts"
import { alice, replaceExports, serveFilesystems } from "../support/server.ts"

const memory = MemoryFilesystem.make({ mode: 0o777 })

/** A server of one filesystem as `/data`, a client of it, and what changes the policy. */
const serveData = Effect.fnUntraced(function* (policy: Policy = {}) {
  const filesystem = yield* memory
  const data = (policy: Policy): ExportOptions => ({ path: "/data", filesystem, ...policy })
  const server = yield* serveFilesystems([data(policy)])
  return {
    filesystem,
    server,
    client: yield* connect(server.address.port),
    change: (policy: Policy) => replaceExports(server, [data(policy)])
  }
})

const mnt = ({ mount }: NfsClient, path: string) => Effect.map(mount(MountCalls.MNT3, path), ({ status }) => status)

const CREATE = (dir: Uint8Array, name: string) =>
  ({ where: { dir, name }, how: { mode: "UNCHECKED", objAttributes: { mode: 0o644 } } }) as const

/** Calls of each kind about a directory, by name: those that change it, and those that do not. */
const about = (dir: Uint8Array) => {
  const of = <A, B extends { readonly status: string }>(call: Call<A, B>, args: A) => ({
    name: call.name,
    status: (client: NfsClient, options?: RpcClient.CallOptions) =>
      Effect.map(client.nfs(call, args, options), ({ status }) => status)
  })
  const where = { dir, name: "new" }
  const from = { cookie: 0n, cookieverf: new Uint8Array(8) }
  return {
    reading: [
      of(Nfs.GETATTR, { object: dir }),
      of(Nfs.LOOKUP, { what: { dir, name: "." } }),
      of(Nfs.ACCESS, { object: dir, access: 0x3f }),
      of(Nfs.READDIR, { dir, ...from, count: 4096 }),
      of(Nfs.READDIRPLUS, { dir, ...from, dircount: 4096, maxcount: 4096 }),
      of(Nfs.FSSTAT, { fsroot: dir }),
      of(Nfs.FSINFO, { fsroot: dir }),
      of(Nfs.PATHCONF, { object: dir })
    ],
    changing: [
      of(Nfs.SETATTR, { object: dir, newAttributes: { atime: "now" }, guard: undefined }),
      of(Nfs.CREATE, CREATE(dir, "new")),
      of(Nfs.RENAME, { from: where, to: { dir, name: "old" } }),
      of(Nfs.REMOVE, { object: { dir, name: "old" } }),
      of(Nfs.MKDIR, { where, attributes: {} }),
      of(Nfs.RMDIR, { object: where }),
      of(Nfs.SYMLINK, { where, symlink: { symlinkAttributes: {}, symlinkData: "x" } }),
      of(Nfs.REMOVE, { object: where }),
      of(Nfs.MKNOD, { where, what: { type: "NF3FIFO", pipeAttributes: {} } }),
      of(Nfs.REMOVE, { object: where })
    ]
  }
}

describe("clients that no rule is for", () => {
  it.live("may not mount, and do not learn what there is", () =>
    Effect.gen(function* () {
      const { client, filesystem, server } = yield* serveData({ clients: [{ match: "10.0.0.0/8" }] })
      yield* filesystem.mkdir(filesystem.root, "sub", () => ({ mode: 0o755 }))
      for (const path of ["/data", "/data/sub", "/data/missing", "/data/.."]) {
        expect(yield* mnt(client, path), path).toBe("MNT3ERR_ACCES")
      }
      for (const path of ["/", "/other", "/datas"]) expect(yield* mnt(client, path), path).toBe("MNT3ERR_NOENT")
      expect((yield* client.mount(MountCalls.MNT1, "/data", 1)).status).toBe("MNT3ERR_ACCES")
      expect(yield* server.mounts).toEqual([])
    })
  )

  it.live("may do nothing with a handle, which is no right, but call NULL", () =>
    Effect.gen(function* () {
      const { change, client, server } = yield* serveData()
      const { changing, reading } = about(yield* client.root("/data"))
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3_OK")
      yield* change({ clients: [{ match: "127.0.0.1", deny: true }, { match: "*" }] })
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3ERR_ACCES")
      expect(yield* client.nfs(Nfs.NULL, undefined)).toBeUndefined()
      expect(yield* server.mounts).toEqual([])
      yield* change({})
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3_OK")
    })
  )

  it.live("are told from others by their address, IPv4 in IPv6 form as well", (context) =>
    Effect.gen(function* () {
      const filesystem = yield* memory
      const clients = [{ match: "127.0.0.0/8", readOnly: true }, { match: "::1" }]
      const started = yield* Effect.result(serveFilesystems([{ path: "/", filesystem, clients }], { host: "::" }))
      if (Result.isFailure(started)) return context.skip("this machine has no IPv6")
      const { port } = started.success.address
      const four = yield* connect(port)
      const six = yield* connect(port, { uid: 0, gid: 0 }, { host: "::1" })
      const dir = yield* four.root()
      expect((yield* four.nfs(Nfs.CREATE, CREATE(dir, "four"))).status).toBe("NFS3ERR_ROFS")
      expect((yield* six.nfs(Nfs.CREATE, CREATE(dir, "six"))).status).toBe("NFS3_OK")
      yield* replaceExports(started.success, [{ path: "/", filesystem, clients: [{ match: "::1" }] }])
      expect((yield* four.nfs(Nfs.GETATTR, { object: dir })).status).toBe("NFS3ERR_ACCES")
      expect((yield* six.nfs(Nfs.GETATTR, { object: dir })).status).toBe("NFS3_OK")
    })
  )
})

describe("another policy holds from the next call on", () => {
  it.live("read-only and back", () =>
    Effect.gen(function* () {
      const { change, client } = yield* serveData()
      const dir = yield* client.root("/data")
      const { changing, reading } = about(dir)
      const access = Effect.map(client.nfs(Nfs.ACCESS, { object: dir, access: 0x3f }), (answer) => ok(answer).access)
      expect(yield* access).toBe(0x1f)
      yield* change({ readOnly: true })
      for (const call of reading) expect(yield* call.status(client), call.name).toBe("NFS3_OK")
      for (const call of changing) expect(yield* call.status(client), call.name).toBe("NFS3ERR_ROFS")
      expect(yield* access).toBe(Nfs.ACCESS3_READ | Nfs.ACCESS3_LOOKUP)
      yield* change({})
      for (const call of changing) expect(yield* call.status(client), call.name).toBe("NFS3_OK")
    })
  )

  it.live("who callers are", () =>
    Effect.gen(function* () {
      const { change, client } = yield* serveData({ squash: "none" })
      const dir = yield* client.root("/data")
      const owner = (name: string) =>
        Effect.map(client.nfs(Nfs.CREATE, CREATE(dir, name), alice), (made) => ok(made).objAttributes!.attributes.uid)
      expect(yield* owner("one")).toBe(1000)
      yield* change({ squash: "all", anonymousUid: 77 })
      expect(yield* owner("two")).toBe(77)
      yield* change({ squash: "all", anonymousUid: 77, clients: [{ match: "127.0.0.1", squash: "root" }] })
      expect(yield* owner("three")).toBe(1000)
    })
  )

  it.live("an export that is removed is STALE and in no list, one that comes can be mounted, others go on", () =>
    Effect.gen(function* () {
      const filesystem = yield* memory
      const other = yield* memory
      const server = yield* serveFilesystems([
        { path: "/a", filesystem },
        { path: "/b", filesystem: other }
      ])
      const client = yield* connect(server.address.port)
      const [a, b] = [yield* client.root("/a"), yield* client.root("/b")]
      const moved = { from: { dir: a, name: "x" }, to: { dir: b, name: "y" } }
      expect((yield* client.nfs(Nfs.RENAME, moved)).status).toBe("NFS3ERR_XDEV")
      yield* replaceExports(server, [
        { path: "/c", filesystem },
        { path: "/b", filesystem: other }
      ])
      const { changing, reading } = about(a)
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3ERR_STALE")
      expect((yield* client.nfs(Nfs.RENAME, moved)).status).toBe("NFS3ERR_STALE")
      expect((yield* client.nfs(Nfs.GETATTR, { object: b })).status).toBe("NFS3_OK")
      expect(yield* mnt(client, "/a")).toBe("MNT3ERR_NOENT")
      expect(yield* mnt(client, "/c")).toBe("MNT3_OK")
      const paths = (yield* client.mount(MountCalls.DUMP, undefined)).map(({ directory }) => directory)
      expect(paths).toEqual(["/b", "/c"])
      expect((yield* client.mount(MountCalls.EXPORT, undefined)).map(({ directory }) => directory)).toEqual([
        "/c",
        "/b"
      ])
      expect(server.exports).toEqual(["/c", "/b"])
      // It is the same export again when it comes back.
      yield* replaceExports(server, [{ path: "/a", filesystem }])
      expect((yield* client.nfs(Nfs.GETATTR, { object: a })).status).toBe("NFS3_OK")
    })
  )

  it.live("nothing changes when something is wrong with it", () =>
    Effect.gen(function* () {
      const { change, client, server } = yield* serveData()
      const dir = yield* client.root("/data")
      const error = yield* Effect.flip(change({ clients: [{ match: "10.0.0/8" }] }))
      expect(error.message).toBe(
        `export /data: clients[0].match: expected "*", an IP address or a CIDR such as 10.0.0.0/8, got "10.0.0/8"`
      )
      expect((yield* client.nfs(Nfs.GETATTR, { object: dir })).status).toBe("NFS3_OK")
      expect(server.exports).toEqual(["/data"])
    })
  )
})

describe("requests in progress", () => {
  it.live("finish under the policy that they began with, and are waited for", () =>
    Effect.gen(function* () {
      const inner = yield* memory
      const reached = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const filesystem: Operations = {
        ...inner,
        mkdir: (...args) =>
          Effect.andThen(
            Deferred.succeed(reached, undefined),
            Effect.andThen(Deferred.await(gate), inner.mkdir(...args))
          )
      }
      const server = yield* serveFilesystems([{ path: "/", filesystem }])
      const client = yield* connect(server.address.port)
      const dir = yield* client.root()
      const making = yield* Effect.forkChild(client.nfs(Nfs.MKDIR, { where: { dir, name: "new" }, attributes: {} }))
      yield* Deferred.await(reached)
      yield* replaceExports(server, [{ path: "/other", filesystem: inner }])
      expect((yield* client.nfs(Nfs.GETATTR, { object: dir })).status).toBe("NFS3ERR_STALE")
      yield* Deferred.succeed(gate, undefined)
      const { obj, objAttributes } = ok(yield* Fiber.join(making))
      expect(objAttributes?.attributes.type).toBe("directory")
      expect((yield* client.nfs(Nfs.GETATTR, { object: obj! })).status).toBe("NFS3ERR_STALE")
    })
  )

  it.live("are answered as if nothing happened, over hundreds of changes under load", () =>
    Effect.gen(function* () {
      const { change, client, filesystem, server } = yield* serveData({ squash: "none" })
      const dir = yield* client.root("/data")
      const others = yield* Effect.forEach([1, 2, 3], () => connect(server.address.port))
      let going = true
      let calls = 0
      /** Makes, writes, moves, reads and removes files of its own, one after the other. */
      const work = Effect.fnUntraced(function* ({ nfs }: NfsClient, name: string) {
        for (let i = 0; going; i++) {
          const from = { dir, name: `${name} ${i}` }
          const to = { dir, name: `${name} ${i} moved` }
          const file = ok(yield* nfs(Nfs.CREATE, CREATE(dir, from.name))).obj!
          const data = [Buffer.from(from.name)]
          const count = data[0]!.length
          ok(yield* nfs(Nfs.WRITE, { file, offset: 0, count, stable: "UNSTABLE", data }))
          ok(yield* nfs(Nfs.RENAME, { from, to }))
          const read = ok(yield* nfs(Nfs.READ, { file, offset: 0, count: 100 }))
          expect(Buffer.concat(read.data).toString()).toBe(from.name)
          ok(yield* nfs(Nfs.ACCESS, { object: file, access: 0x3f }))
          ok(yield* nfs(Nfs.REMOVE, { object: to }))
          calls += 6
        }
      })
      const workers = yield* Effect.forkChild(
        Effect.forEach(
          [client, ...others].flatMap((client, i) => [0, 1, 2, 3].map((j) => [client, `${i}.${j}`] as const)),
          ([client, name]) => work(client, name),
          { concurrency: "unbounded", discard: true }
        )
      )
      const policies: ReadonlyArray<Policy> = [
        { squash: "none" },
        { squash: "all", anonymousUid: 0 },
        { squash: "none", clients: [{ match: "127.0.0.0/8" }], maxFileSize: 1000 }
      ]
      for (let i = 0; i < 300; i++) {
        yield* change(policies[i % 3]!)
        yield* Effect.sleep("1 millis")
      }
      expect(workers.pollUnsafe()).toBeUndefined()
      going = false
      yield* Fiber.join(workers)
      expect(calls).toBeGreaterThan(300)
      const listing = yield* filesystem.readdir(
        filesystem.root,
        { cookie: 0n, fits: () => true, attributes: false },
        () => undefined
      )
      expect(listing.entries).toEqual([])
    })
  )
})

describe("MNT of a directory below an export", () => {
  const tree = Effect.gen(function* () {
    const fs = yield* MemoryFilesystem.make({ mode: 0o755 })
    const set = (mode: number) => () => ({ mode })
    const sub = (yield* fs.mkdir(fs.root, "sub", set(0o755))).file
    const deep = (yield* fs.mkdir(sub, "deep", set(0o700))).file
    yield* fs.mkdir(deep, "deeper", set(0o755))
    yield* fs.create(fs.root, "file", { _tag: "Guarded" }, set(0o644))
    yield* fs.symlink(fs.root, "link", "sub", set(0o777))
    const jazz = yield* MemoryFilesystem.make({ mode: 0o711 })
    const server = yield* serveFilesystems([
      { path: "/data", filesystem: fs, squash: "none" },
      { path: "/data/sub/jazz", filesystem: jazz, squash: "none" }
    ])
    return { deep, fs, port: server.address.port, server }
  })

  it.live("gives its handle, and DUMP says its path", () =>
    Effect.gen(function* () {
      const { deep, fs, port, server } = yield* tree
      const client = yield* connect(port)
      const mounted = yield* client.root("//data/sub/deep/")
      const { objAttributes } = ok(yield* client.nfs(Nfs.GETATTR, { object: mounted }))
      expect(objAttributes.attributes.fileid).toBe((yield* fs.getattr(deep)).fileid)
      // A mount knows nothing of what is above, a handle does.
      const parent = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: mounted, name: ".." } }))
      expect(parent.object).toEqual(yield* client.root("/data/sub"))
      expect(yield* server.mounts).toEqual([
        { host: "127.0.0.1", path: "/data/sub/deep" },
        { host: "127.0.0.1", path: "/data/sub" }
      ])
      yield* client.mount(MountCalls.UMNT, "/data/sub/deep/")
      expect(yield* server.mounts).toHaveLength(1)
      const one = ok(yield* client.mount(MountCalls.MNT1, "/data/sub/deep", 1))
      expect(one.directory).toEqual(mounted)
    })
  )

  it.live.each<[path: string, status: string]>([
    ["/data/sub/jazz", "MNT3_OK"],
    ["/data/sub/jazz/1959", "MNT3ERR_NOENT"],
    ["/data/missing", "MNT3ERR_NOENT"],
    ["/data/file", "MNT3ERR_NOTDIR"],
    ["/data/file/x", "MNT3ERR_NOTDIR"],
    ["/data/link", "MNT3ERR_NOTDIR"],
    ["/data/link/deep", "MNT3ERR_NOTDIR"],
    ["/data/.", "MNT3ERR_NOENT"],
    ["/data/sub/..", "MNT3ERR_NOENT"],
    ["/data/../etc", "MNT3ERR_NOENT"],
    [`/data/${"x".repeat(256)}`, "MNT3ERR_NAMETOOLONG"],
    [`/data${"/sub".repeat(300)}`, "MNT3ERR_NOENT"]
  ])("%s is answered %s", ([path, status]) =>
    Effect.gen(function* () {
      const { port } = yield* tree
      expect(yield* mnt(yield* connect(port), path)).toBe(status)
    })
  )

  it.live("goes only where its caller may go", () =>
    Effect.gen(function* () {
      const client = yield* connect((yield* tree).port, { uid: 1000, gid: 1000 })
      expect(yield* mnt(client, "/data/sub/deep")).toBe("MNT3_OK")
      expect(yield* mnt(client, "/data/sub/deep/deeper")).toBe("MNT3ERR_ACCES")
      expect(yield* mnt(client, "/data/sub/deep/missing")).toBe("MNT3ERR_ACCES")
    })
  )
})

describe("EXPORT", () => {
  it.live("names the clients of each export; one that is nobody's is not in it", () =>
    Effect.gen(function* () {
      const filesystem = yield* memory
      const clients = [{ match: "10.9.0.0/16", deny: true }, { match: "10.0.0.0/8" }, { match: "2001:db8::/32" }]
      const server = yield* serveFilesystems([
        { path: "/some", filesystem, clients },
        { path: "/all", filesystem },
        { path: "/any", filesystem, clients: [{ match: "*", readOnly: true }] },
        { path: "/none", filesystem, clients: [{ match: "*", deny: true }] }
      ])
      const client = yield* connect(server.address.port)
      for (const version of [1, 3] as const) {
        expect(yield* client.mount(MountCalls.EXPORT, undefined, version)).toEqual([
          { directory: "/some", groups: ["10.0.0.0/8", "2001:db8::/32"] },
          { directory: "/all", groups: [] },
          { directory: "/any", groups: ["*"] }
        ])
      }
    })
  )
})

describe("flavours", () => {
  const none = { auth: Auth.none }
  const tooWeak = { status: "MSG_DENIED", reply: { stat: "AUTH_ERROR", why: "AUTH_TOOWEAK" } }

  it.live("that are too weak are refused, but to mount", () =>
    Effect.gen(function* () {
      const { client, filesystem, server } = yield* serveData({ flavors: ["sys"] })
      const dir = yield* client.root("/data")
      const sub = ok(yield* client.nfs(Nfs.MKDIR, { where: { dir, name: "sub" }, attributes: { mode: 0o755 } })).obj!
      const { changing, reading } = about(dir)
      const refused: Array<string> = []
      for (const call of [...reading, ...changing]) {
        const outcome = yield* Effect.result(call.status(client, none))
        if (Result.isSuccess(outcome)) continue
        expect(outcome.failure).toMatchObject({ _tag: "RpcRefused", reply: tooWeak })
        refused.push(call.name)
      }
      expect([...reading, ...changing].map(({ name }) => name).filter((name) => !refused.includes(name))).toEqual([
        "GETATTR",
        "FSINFO"
      ])
      // Of what is not an export's root nothing is told.
      expect(yield* Effect.flip(client.nfs(Nfs.GETATTR, { object: sub }, none))).toMatchObject({ reply: tooWeak })
      expect(yield* client.nfs(Nfs.NULL, undefined, none)).toBeUndefined()
      const anonymous = yield* RpcClient.make({ port: server.address.port })
      const program = { program: MountCalls.PROGRAM, version: 3 }
      const mounted = yield* anonymous.call(program, MountCalls.MNT3.number, MountCalls.MNT3, "/data")
      expect(ok(mounted).authFlavors).toEqual([Auth.AUTH_SYS])
      const names = yield* filesystem.readdir(
        filesystem.root,
        { cookie: 0n, fits: () => true, attributes: false },
        () => undefined
      )
      expect(names.entries.map(({ name }) => name)).toEqual(["sub"])
    })
  )

  it.live("of nobody make everybody nobody", () =>
    Effect.gen(function* () {
      const { client } = yield* serveData({ flavors: ["none"], squash: "none" })
      const { authFlavors, fhandle } = ok(yield* client.mount(MountCalls.MNT3, "/data"))
      expect(authFlavors).toEqual([Auth.AUTH_NONE])
      for (const [name, options] of [
        ["none", none],
        ["alice", alice]
      ] as const) {
        const { objAttributes } = ok(yield* client.nfs(Nfs.CREATE, CREATE(fhandle, name), options))
        expect(objAttributes?.attributes.uid).toBe(65_534)
      }
    })
  )
})

describe("privileged ports", () => {
  it.live("are asked for at MNT and at every call, where a policy says so", () =>
    Effect.gen(function* () {
      const { change, client } = yield* serveData()
      const { changing, reading } = about(yield* client.root("/data"))
      yield* change({ privilegedPort: true })
      expect(yield* mnt(client, "/data")).toBe("MNT3ERR_ACCES")
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3ERR_ACCES")
    })
  )

  it.live.skipIf(process.getuid?.() !== 0)("are as good as ever (only root can use them, skipped for others)", () =>
    Effect.gen(function* () {
      const { server } = yield* serveData({ privilegedPort: true })
      const client = yield* connect(server.address.port, { uid: 0, gid: 0 }, { privileged: true })
      const { changing, reading } = about(yield* client.root("/data"))
      for (const call of [...reading, ...changing]) expect(yield* call.status(client), call.name).toBe("NFS3_OK")
    })
  )
})

describe("maxFileSize", () => {
  it.live("is what FSINFO says, and beyond it is FBIG", () =>
    Effect.gen(function* () {
      const { change, client, filesystem } = yield* serveData({ maxFileSize: 1000, squash: "none" })
      const dir = yield* client.root("/data")
      expect(ok(yield* client.nfs(Nfs.FSINFO, { fsroot: dir })).maxfilesize).toBe(1000)
      const how = (size: number) => ({ mode: "UNCHECKED", objAttributes: { mode: 0o644, size } }) as const
      const where = { dir, name: "file" }
      expect((yield* client.nfs(Nfs.CREATE, { where, how: how(1001) })).status).toBe("NFS3ERR_FBIG")
      const file = ok(yield* client.nfs(Nfs.CREATE, { where, how: how(1000) })).obj!
      const write = (offset: number, count: number) =>
        Effect.map(
          client.nfs(Nfs.WRITE, { file, offset, count, stable: "FILE_SYNC", data: [new Uint8Array(count)] }),
          ({ status }) => status
        )
      const resize = (size: number) =>
        Effect.map(
          client.nfs(Nfs.SETATTR, { object: file, newAttributes: { size }, guard: undefined }),
          ({ status }) => status
        )
      expect(yield* write(990, 10)).toBe("NFS3_OK")
      expect(yield* write(990, 11)).toBe("NFS3ERR_FBIG")
      expect(yield* write(2000, 1)).toBe("NFS3ERR_FBIG")
      expect(yield* resize(1000)).toBe("NFS3_OK")
      expect(yield* resize(1001)).toBe("NFS3ERR_FBIG")
      const attributes = ok(yield* client.nfs(Nfs.GETATTR, { object: file })).objAttributes.attributes
      expect(attributes.size).toBe(1000)
      // What is longer already can be read to its end.
      yield* change({ maxFileSize: 10, squash: "none" })
      const read = ok(yield* client.nfs(Nfs.READ, { file, offset: 900, count: 1000 }))
      expect([read.count, read.eof]).toEqual([100, true])
      expect(yield* resize(10)).toBe("NFS3_OK")
      expect(filesystem.properties.maxFileSize).toBeGreaterThan(1000)
    })
  )
})
