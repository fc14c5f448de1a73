import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { GETATTR, LINK, LOOKUP, MKDIR, REMOVE, RENAME, RMDIR } from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { alice, assertChanged, assertTold, bob, forged, goneFrom, make, makeFor } from "./Server.ts"

const UNWANTED = ["", "a/b", "\0"]
const LONG = "x".repeat(256)

describe("LOOKUP", () => {
  it.effect("gives a file's handle and attributes, and the directory's", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", {}, "123")
      const found = yield* server.ok(LOOKUP, { what: { dir: server.root, name: "file" } }, bob)
      assert.deepStrictEqual(found.object, file)
      assert.strictEqual(found.objAttributes?.attributes.size, 3)
      const { objAttributes } = yield* server.ok(GETATTR, { object: server.root })
      assert.deepStrictEqual(found.dirAttributes, objAttributes)
    })
  )

  it.effect("knows . and .., which never leave the export", () =>
    Effect.gen(function* () {
      const server = yield* make
      const directory = yield* server.directory("directory")
      const look = (dir: Uint8Array, name: string) =>
        Effect.map(server.ok(LOOKUP, { what: { dir, name } }, bob), ({ object }) => object)
      assert.deepStrictEqual(yield* look(directory, "."), directory)
      assert.deepStrictEqual(yield* look(directory, ".."), server.root)
      assert.deepStrictEqual(yield* look(server.root, "."), server.root)
      assert.deepStrictEqual(yield* look(server.root, ".."), server.root)
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      const look = (dir: Uint8Array, name: string) => ({ what: { dir, name } })
      for (const name of UNWANTED) yield* server.fails("NFS3ERR_ACCES", LOOKUP, look(server.root, name))
      yield* server.fails("NFS3ERR_NAMETOOLONG", LOOKUP, look(server.root, LONG))
      const file = yield* server.file("file")
      for (const name of ["x", ".", ".."]) {
        const { dirAttributes } = yield* server.fails("NFS3ERR_NOTDIR", LOOKUP, look(file, name))
        assertTold(dirAttributes)
      }
      const closed = yield* server.directory("closed", { mode: 0o600, uid: 1000 })
      for (const name of ["x", ".", ".."]) {
        const { dirAttributes } = yield* server.fails("NFS3ERR_ACCES", LOOKUP, look(closed, name), alice)
        assertTold(dirAttributes)
      }
      yield* server.fails("NFS3ERR_STALE", LOOKUP, look(goneFrom(server), "x"))
      yield* server.fails("NFS3ERR_BADHANDLE", LOOKUP, look(forged, "x"))
    })
  )

  it.effect("tells of a missing name with the attributes of the directory that it was missing in", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      const { nlink } = yield* fs.getattr(fs.root)
      // Between the lookup and the answer somebody makes the file.
      const racy: Operations = {
        ...fs,
        lookup: (directory, name, guard) =>
          fs.lookup(directory, name, guard).pipe(Effect.tapError(() => fs.mkdir(directory, name, () => ({}))))
      }
      const server = yield* makeFor(racy, fs)
      const what = { dir: server.root, name: "soon" }
      const { dirAttributes } = yield* server.fails("NFS3ERR_NOENT", LOOKUP, { what })
      assert.strictEqual(dirAttributes?.attributes.nlink, nlink)
      const { objAttributes } = yield* server.ok(GETATTR, { object: server.root })
      assert.strictEqual(objAttributes.attributes.nlink, nlink + 1)
    })
  )
})

describe("REMOVE", () => {
  it.effect("removes a file and tells how the directory was changed", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      const object = { dir: server.root, name: "file" }
      assertChanged((yield* server.ok(REMOVE, { object }, bob)).dirWcc)
      yield* server.fails("NFS3ERR_STALE", GETATTR, { object: file })
      assertTold((yield* server.fails("NFS3ERR_NOENT", REMOVE, { object }, bob)).dirWcc)
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      const directory = yield* server.directory("directory")
      const remove = (name: string, dir = server.root) => ({ object: { dir, name } })
      for (const name of [".", "..", "directory"]) {
        assertTold((yield* server.fails("NFS3ERR_ISDIR", REMOVE, remove(name))).dirWcc)
      }
      for (const name of UNWANTED) yield* server.fails("NFS3ERR_ACCES", REMOVE, remove(name))
      yield* server.fails("NFS3ERR_NAMETOOLONG", REMOVE, remove(LONG))
      const file = yield* server.file("file")
      yield* server.fails("NFS3ERR_NOTDIR", REMOVE, remove("x", file))
      yield* server.fails("NFS3ERR_ACCES", REMOVE, remove("x", yield* server.directory("closed", { mode: 0o700 })), bob)
      yield* server.fails("NFS3ERR_NOENT", REMOVE, remove("x", directory), bob)
      yield* server.fails("NFS3ERR_ROFS", REMOVE, remove("file", server.readOnlyRoot))
      yield* server.fails("NFS3ERR_STALE", REMOVE, remove("file", goneFrom(server)))
    })
  )

  it.effect("honours the sticky bit", () =>
    Effect.gen(function* () {
      const server = yield* make
      const dir = yield* server.directory("tmp", { mode: 0o1777 })
      yield* server.ok(MKDIR, { where: { dir, name: "alice" }, attributes: {} }, alice)
      assertTold((yield* server.fails("NFS3ERR_PERM", RMDIR, { object: { dir, name: "alice" } }, bob)).dirWcc)
      yield* server.ok(RMDIR, { object: { dir, name: "alice" } }, alice)
    })
  )
})

describe("RMDIR", () => {
  it.effect("removes an empty directory", () =>
    Effect.gen(function* () {
      const server = yield* make
      const directory = yield* server.directory("directory")
      const object = { dir: server.root, name: "directory" }
      yield* server.ok(MKDIR, { where: { dir: directory, name: "in the way" }, attributes: {} })
      assertTold((yield* server.fails("NFS3ERR_NOTEMPTY", RMDIR, { object })).dirWcc)
      yield* server.ok(RMDIR, { object: { dir: directory, name: "in the way" } })
      assertChanged((yield* server.ok(RMDIR, { object })).dirWcc)
      yield* server.fails("NFS3ERR_STALE", GETATTR, { object: directory })
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      yield* server.file("file")
      const rmdir = (name: string, dir = server.root) => ({ object: { dir, name } })
      yield* server.fails("NFS3ERR_INVAL", RMDIR, rmdir("."))
      yield* server.fails("NFS3ERR_EXIST", RMDIR, rmdir(".."))
      yield* server.fails("NFS3ERR_NOTDIR", RMDIR, rmdir("file"))
      yield* server.fails("NFS3ERR_NOENT", RMDIR, rmdir("missing"))
      for (const name of UNWANTED) yield* server.fails("NFS3ERR_ACCES", RMDIR, rmdir(name))
      yield* server.fails("NFS3ERR_NAMETOOLONG", RMDIR, rmdir(LONG))
      yield* server.fails("NFS3ERR_ROFS", RMDIR, rmdir("file", server.readOnlyRoot))
      yield* server.fails("NFS3ERR_STALE", RMDIR, rmdir("file", goneFrom(server)))
    })
  )
})

describe("RENAME", () => {
  it.effect("moves a file over another and tells how both directories were changed", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      const directory = yield* server.directory("directory", { mode: 0o777 })
      const from = { dir: server.root, name: "file" }
      const to = { dir: directory, name: "renamed" }
      const { fromdirWcc, todirWcc } = yield* server.ok(RENAME, { from, to }, bob)
      assertChanged(fromdirWcc)
      assertChanged(todirWcc)
      assert.deepStrictEqual((yield* server.ok(LOOKUP, { what: to })).object, file)
      yield* server.fails("NFS3ERR_NOENT", LOOKUP, { what: from })
      const other = yield* server.file("file")
      yield* server.ok(RENAME, { from, to }, bob)
      assert.deepStrictEqual((yield* server.ok(LOOKUP, { what: to })).object, other)
      yield* server.fails("NFS3ERR_STALE", GETATTR, { object: file })
    })
  )

  it.effect("refuses, and tells how both directories are", () =>
    Effect.gen(function* () {
      const server = yield* make
      const directory = yield* server.directory("directory")
      const at = (name: string, dir = server.root) => ({ dir, name })
      const refused = (status: "ACCES" | "INVAL" | "NAMETOOLONG" | "NOENT", from: string, to: string, by = alice) =>
        Effect.map(
          server.fails(`NFS3ERR_${status}`, RENAME, { from: at(from), to: at(to, directory) }, by),
          ({ fromdirWcc, todirWcc }) => {
            assertTold(fromdirWcc)
            assertTold(todirWcc)
          }
        )
      yield* server.file("file")
      for (const name of [".", ".."]) {
        yield* refused("INVAL", name, "x")
        yield* refused("INVAL", "file", name)
      }
      for (const name of UNWANTED) {
        yield* refused("ACCES", name, "x")
        yield* refused("ACCES", "file", name)
      }
      yield* refused("NAMETOOLONG", LONG, "x")
      yield* refused("NAMETOOLONG", "file", LONG)
      yield* refused("NOENT", "missing", "x")
      yield* refused("ACCES", "file", "x", bob)
      yield* server.fails("NFS3ERR_INVAL", RENAME, { from: at("directory"), to: at("x", directory) })
      yield* server.fails("NFS3ERR_ROFS", RENAME, {
        from: at("file", server.readOnlyRoot),
        to: at("x", server.readOnlyRoot)
      })
    })
  )

  it.effect("does not cross exports, and tells of the directory that there is", () =>
    Effect.gen(function* () {
      const server = yield* make
      yield* server.file("file")
      const from = { dir: server.root, name: "file" }
      const across = yield* server.fails("NFS3ERR_XDEV", RENAME, { from, to: { dir: server.otherRoot, name: "x" } })
      assertTold(across.fromdirWcc)
      assertTold(across.todirWcc)
      assert.notStrictEqual(across.fromdirWcc.after?.fsid, across.todirWcc.after?.fsid)
      const nowhere = yield* server.fails("NFS3ERR_STALE", RENAME, { from, to: { dir: goneFrom(server), name: "x" } })
      assertTold(nowhere.fromdirWcc)
      assert.isUndefined(nowhere.todirWcc.after)
      const forgery = yield* server.fails("NFS3ERR_BADHANDLE", RENAME, { from: { dir: forged, name: "x" }, to: from })
      assertTold(forgery.todirWcc)
    })
  )
})

describe("LINK", () => {
  it.effect("gives a file another name", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      const link = { dir: server.root, name: "another" }
      const { fileAttributes, linkdirWcc } = yield* server.ok(LINK, { file, link }, bob)
      assert.strictEqual(fileAttributes?.attributes.nlink, 2)
      assertChanged(linkdirWcc)
      assert.deepStrictEqual((yield* server.ok(LOOKUP, { what: link })).object, file)
    })
  )

  it.effect("refuses, and tells of the file and the directory", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      const at = (name: string, dir = server.root) => ({ dir, name })
      for (const name of [".", "..", "file"]) {
        const { fileAttributes, linkdirWcc } = yield* server.fails("NFS3ERR_EXIST", LINK, { file, link: at(name) })
        assertTold(fileAttributes)
        assertTold(linkdirWcc)
      }
      for (const name of UNWANTED) yield* server.fails("NFS3ERR_ACCES", LINK, { file, link: at(name) })
      yield* server.fails("NFS3ERR_NAMETOOLONG", LINK, { file, link: at(LONG) })
      yield* server.fails("NFS3ERR_XDEV", LINK, { file, link: at("x", server.otherRoot) })
      yield* server.fails("NFS3ERR_NOTDIR", LINK, { file, link: at("x", file) })
      const directory = yield* server.directory("directory")
      const ofDirectory = yield* server.call(LINK, { file: directory, link: at("x") })
      assert.include(["NFS3ERR_ISDIR", "NFS3ERR_PERM"], ofDirectory.status)
      yield* server.fails("NFS3ERR_ACCES", LINK, { file, link: at("x", directory) }, bob)
      yield* server.fails("NFS3ERR_STALE", LINK, { file: goneFrom(server), link: at("x") })
      yield* server.fails("NFS3ERR_BADHANDLE", LINK, { file, link: at("x", forged) })
    })
  )
})
