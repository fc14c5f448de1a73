import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { SetAttributes } from "../../../src/filesystem/Attributes.ts"
import {
  CREATE,
  GETATTR,
  LOOKUP,
  MKDIR,
  MKNOD,
  READLINK,
  SETATTR,
  SYMLINK
} from "../../../src/programs/nfs3/Nfs3Calls.ts"
import type { Nfsstat3 } from "../../../src/programs/nfs3/Nfs3Types.ts"
import type * as Xdr from "../../../src/xdr/Xdr.ts"
import { alice, assertChanged, assertTold, bob, forged, goneFrom, make, type Server, sys } from "./Server.ts"

interface Where {
  readonly dir: Uint8Array
  readonly name: string
}

const MODE: SetAttributes = { mode: 0o755 }

const maker = <A>(
  server: Server,
  call: { number: number; name: string; args: Xdr.Codec<A>; result: typeof CREATE.result },
  args: (where: Where, attributes: SetAttributes) => A
) => ({
  ok: (where: Where, attributes = MODE, by = alice) => server.ok(call, args(where, attributes), by),
  fails: (status: Nfsstat3, where: Where, attributes = MODE, by = alice) =>
    server.fails(status, call, args(where, attributes), by)
})

/** What makes something with a name, whatever it is. */
const makers: { readonly [name: string]: (server: Server) => ReturnType<typeof maker> } = {
  CREATE: (server) =>
    maker(server, CREATE, (where, objAttributes) => ({ where, how: { mode: "GUARDED" as const, objAttributes } })),
  MKDIR: (server) => maker(server, MKDIR, (where, attributes) => ({ where, attributes })),
  SYMLINK: (server) =>
    maker(server, SYMLINK, (where, symlinkAttributes) => ({
      where,
      symlink: { symlinkAttributes, symlinkData: "target" }
    })),
  MKNOD: (server) =>
    maker(server, MKNOD, (where, pipeAttributes) => ({ where, what: { type: "NF3FIFO" as const, pipeAttributes } }))
}

for (const [name, of] of Object.entries(makers)) {
  describe(name, () => {
    it.effect("makes something that belongs to the caller, and tells how the directory was changed", () =>
      Effect.gen(function* () {
        const server = yield* make
        const { dirWcc, obj, objAttributes } = yield* of(server).ok({ dir: server.root, name: "new" })
        assertChanged(dirWcc)
        assert.deepInclude(objAttributes?.attributes, { uid: 1000, gid: 1000, mode: 0o755 })
        const found = yield* server.ok(LOOKUP, { what: { dir: server.root, name: "new" } })
        assert.deepStrictEqual(found.object, obj)
        assert.deepStrictEqual(found.objAttributes, objAttributes)
      })
    )

    it.effect("sets times, and owners for root", () =>
      Effect.gen(function* () {
        const server = yield* make
        const mtime = { seconds: 5, nanoseconds: 6 }
        const wanted = { mode: 0o700, uid: 7, gid: 8, mtime }
        const { objAttributes } = yield* of(server).ok({ dir: server.root, name: "new" }, wanted, sys(0))
        assert.deepInclude(objAttributes?.attributes, { uid: 7, gid: 8, mode: 0o700, mtime })
      })
    )

    it.effect("takes a name with any bytes", () =>
      Effect.gen(function* () {
        const server = yield* make
        for (const name of ["ä\n ", "\udcff\udc80", "x".repeat(255), "...", "ä".repeat(127)]) {
          const { obj } = yield* of(server).ok({ dir: server.root, name })
          assert.deepStrictEqual((yield* server.ok(LOOKUP, { what: { dir: server.root, name } })).object, obj)
        }
      })
    )

    it.effect("refuses names", () =>
      Effect.gen(function* () {
        const server = yield* make
        const { fails } = of(server)
        const at = (name: string) => ({ dir: server.root, name })
        yield* of(server).ok(at("there"))
        for (const name of [".", "..", "there"]) {
          const { dirWcc } = yield* fails("NFS3ERR_EXIST", at(name))
          assertTold(dirWcc)
        }
        for (const name of ["", "a/b", "/", "a\0"]) yield* fails("NFS3ERR_ACCES", at(name))
        for (const name of ["x".repeat(256), "ä".repeat(128)]) yield* fails("NFS3ERR_NAMETOOLONG", at(name))
      })
    )

    it.effect("refuses places", () =>
      Effect.gen(function* () {
        const server = yield* make
        const { fails } = of(server)
        const closed = yield* server.directory("closed")
        const { dirWcc } = yield* fails("NFS3ERR_ACCES", { dir: closed, name: "new" }, MODE, bob)
        assertTold(dirWcc)
        const file = yield* server.file("file")
        const notDirectory = yield* fails("NFS3ERR_NOTDIR", { dir: file, name: "new" })
        assertTold(notDirectory.dirWcc)
        const readOnly = yield* fails("NFS3ERR_ROFS", { dir: server.readOnlyRoot, name: "new" })
        assertTold(readOnly.dirWcc)
        yield* fails("NFS3ERR_STALE", { dir: goneFrom(server), name: "new" })
        const { dirWcc: nothing } = yield* fails("NFS3ERR_BADHANDLE", { dir: forged, name: "new" })
        assert.deepStrictEqual(nothing, { before: undefined, after: undefined })
      })
    )

    it.effect("refuses times that there are not", () =>
      Effect.gen(function* () {
        const server = yield* make
        const atime = { seconds: 0, nanoseconds: 1_000_000_000 }
        yield* of(server).fails("NFS3ERR_INVAL", { dir: server.root, name: "new" }, { atime })
      })
    )
  })
}

describe("CREATE", () => {
  const unchecked = (objAttributes: SetAttributes) => ({ mode: "UNCHECKED", objAttributes }) as const

  it.effect("UNCHECKED takes what is there, cut to the size that it asks for", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", { uid: 1000, mode: 0o600 }, "content")
      const where = { dir: server.root, name: "file" }
      const taken = yield* server.ok(CREATE, { where, how: unchecked({ mode: 0o777 }) }, alice)
      assert.deepStrictEqual(taken.obj, file)
      assert.deepInclude(taken.objAttributes?.attributes, { mode: 0o600, size: 7 })
      const cut = yield* server.ok(CREATE, { where, how: unchecked({ mode: 0o777, size: 0 }) }, alice)
      assert.deepInclude(cut.objAttributes?.attributes, { mode: 0o600, size: 0 })
      yield* server.fails("NFS3ERR_ACCES", CREATE, { where, how: unchecked({ size: 0 }) }, bob)
    })
  )

  it.effect("UNCHECKED takes only files", () =>
    Effect.gen(function* () {
      const server = yield* make
      yield* server.directory("directory")
      const where = { dir: server.root, name: "directory" }
      const result = yield* server.call(CREATE, { where, how: unchecked({}) })
      assert.include(["NFS3ERR_EXIST", "NFS3ERR_ISDIR"], result.status)
    })
  )

  it.effect("makes a file of the size that it asks for", () =>
    Effect.gen(function* () {
      const server = yield* make
      const where = { dir: server.root, name: "file" }
      const { objAttributes } = yield* server.ok(CREATE, { where, how: unchecked({ size: 9 }) }, alice)
      assert.strictEqual(objAttributes?.attributes.size, 9)
      const how = unchecked({ size: Number.MAX_SAFE_INTEGER })
      yield* server.fails("NFS3ERR_FBIG", CREATE, { where: { ...where, name: "large" }, how }, alice)
    })
  )

  it.effect("EXCLUSIVE meets its own file again, and no other, until attributes are set", () =>
    Effect.gen(function* () {
      const server = yield* make
      const where = { dir: server.root, name: "file" }
      const exclusive = (...verf: ReadonlyArray<number>) =>
        ({ where, how: { mode: "EXCLUSIVE", verf: Uint8Array.from({ length: 8 }, (_, i) => verf[i] ?? 0) } }) as const
      const made = yield* server.ok(CREATE, exclusive(1, 2, 3), alice)
      assert.deepInclude(made.objAttributes?.attributes, { uid: 1000, mode: 0o600, size: 0 })
      const again = yield* server.ok(CREATE, exclusive(1, 2, 3), alice)
      assert.deepStrictEqual(again.obj, made.obj)
      const { dirWcc } = yield* server.fails("NFS3ERR_EXIST", CREATE, exclusive(1, 2, 4), alice)
      assertTold(dirWcc)
      const object = made.obj!
      yield* server.ok(SETATTR, { object, newAttributes: { mode: 0o644, mtime: "now" }, guard: undefined }, alice)
      yield* server.fails("NFS3ERR_EXIST", CREATE, exclusive(1, 2, 3), alice)
    })
  )

  it.effect("inherits the group of a setgid directory", () =>
    Effect.gen(function* () {
      const server = yield* make
      const dir = yield* server.directory("shared", { mode: 0o2777, gid: 50 })
      const file = yield* server.ok(CREATE, { where: { dir, name: "file" }, how: unchecked({ mode: 0o644 }) }, alice)
      assert.deepInclude(file.objAttributes?.attributes, { gid: 50, mode: 0o644 })
      const below = yield* server.ok(MKDIR, { where: { dir, name: "directory" }, attributes: { mode: 0o755 } }, alice)
      assert.deepInclude(below.objAttributes?.attributes, { gid: 50, mode: 0o2755 })
    })
  )
})

describe("SYMLINK", () => {
  it.effect("keeps its target as it is, and refuses one that cannot be", () =>
    Effect.gen(function* () {
      const server = yield* make
      const link = (name: string, symlinkData: string) => ({
        where: { dir: server.root, name },
        symlink: { symlinkAttributes: {}, symlinkData }
      })
      const { obj } = yield* server.ok(SYMLINK, link("link", "//a/../b/"), alice)
      assert.strictEqual((yield* server.ok(READLINK, { symlink: obj! })).data, "//a/../b/")
      assertTold((yield* server.fails("NFS3ERR_INVAL", SYMLINK, link("empty", ""), alice)).dirWcc)
      yield* server.fails("NFS3ERR_INVAL", SYMLINK, link("nul", "a\0b"), alice)
    })
  )
})

describe("MKNOD", () => {
  it.effect("makes devices for root, sockets and FIFOs for everybody", () =>
    Effect.gen(function* () {
      const server = yield* make
      const device = { devAttributes: { mode: 0o600 }, spec: { major: 4, minor: 0xffff_ffff } }
      const pipe = { pipeAttributes: { mode: 0o600 } }
      const node = (name: string) => ({ dir: server.root, name })
      const cases = [
        ["character", { type: "NF3CHR", ...device }],
        ["block", { type: "NF3BLK", ...device }],
        ["socket", { type: "NF3SOCK", ...pipe }],
        ["fifo", { type: "NF3FIFO", ...pipe }]
      ] as const
      for (const [type, what] of cases) {
        const { obj } = yield* server.ok(MKNOD, { where: node(type), what })
        const { objAttributes } = yield* server.ok(GETATTR, { object: obj! })
        const rdev = "spec" in what ? what.spec : { major: 0, minor: 0 }
        assert.deepInclude(objAttributes.attributes, { type, rdev, mode: 0o600 })
        const byAlice = yield* server.call(MKNOD, { where: node(`${type} of alice`), what }, alice)
        assert.strictEqual(byAlice.status, "spec" in what ? "NFS3ERR_PERM" : "NFS3_OK")
      }
    })
  )

  it.effect("refuses what others make", () =>
    Effect.gen(function* () {
      const server = yield* make
      for (const type of ["NF3REG", "NF3DIR", "NF3LNK"] as const) {
        const where = { dir: server.root, name: "new" }
        const { dirWcc } = yield* server.fails("NFS3ERR_BADTYPE", MKNOD, { where, what: { type } })
        assertTold(dirWcc)
      }
    })
  )
})
