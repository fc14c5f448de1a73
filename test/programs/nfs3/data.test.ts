import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { COMMIT, CREATE, READ, READLINK, SETATTR, SYMLINK, WRITE } from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { alice, assertTold, bob, forged, goneFrom, make, makeFor, MAX_TRANSFER, type Server } from "./Server.ts"

const BEYOND = Number.MAX_SAFE_INTEGER

const write = (file: Uint8Array, offset: number, text: string) => ({
  file,
  offset,
  count: Buffer.byteLength(text),
  stable: "UNSTABLE" as const,
  data: [Buffer.from(text)]
})

const text = (server: Server, file: Uint8Array, by = alice) =>
  Effect.map(server.ok(READ, { file, offset: 0, count: 1000 }, by), ({ data }) => Buffer.concat(data).toString())

describe("READLINK", () => {
  it.effect("gives the target", () =>
    Effect.gen(function* () {
      const server = yield* make
      const target = "../a dangling target/\udcff"
      const symlink = { symlinkAttributes: {}, symlinkData: target }
      const { obj } = yield* server.ok(SYMLINK, { where: { dir: server.root, name: "link" }, symlink })
      const { data, symlinkAttributes } = yield* server.ok(READLINK, { symlink: obj! }, bob)
      assert.strictEqual(data, target)
      assert.strictEqual(symlinkAttributes?.attributes.type, "symlink")
    })
  )

  it.effect("refuses what is no symbolic link", () =>
    Effect.gen(function* () {
      const server = yield* make
      const { symlinkAttributes } = yield* server.fails("NFS3ERR_INVAL", READLINK, { symlink: server.root })
      assertTold(symlinkAttributes)
      yield* server.fails("NFS3ERR_BADHANDLE", READLINK, { symlink: forged })
    })
  )
})

describe("READ", () => {
  it.effect("gives data, and eof by the file's size", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", {}, "0123456789")
      const read = (offset: number, count: number) =>
        Effect.map(server.ok(READ, { file, offset, count }, bob), ({ count, data, eof }) => {
          const joined = Buffer.concat(data).toString()
          assert.strictEqual(joined.length, count)
          return `${joined} ${eof}`
        })
      assert.strictEqual(yield* read(0, 4), "0123 false")
      assert.strictEqual(yield* read(4, 6), "456789 true")
      assert.strictEqual(yield* read(8, 100), "89 true")
      assert.strictEqual(yield* read(0, 0), " false")
      assert.strictEqual(yield* read(10, 5), " true")
      assert.strictEqual(yield* read(BEYOND, 0xffff_ffff), " true")
    })
  )

  it.effect("gives no more than FSINFO promises", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      yield* server.ok(SETATTR, { object: file, newAttributes: { size: 1_000_000 }, guard: undefined })
      const { count, data, eof, fileAttributes } = yield* server.ok(READ, { file, offset: 0, count: 1_000_000 })
      assert.strictEqual(count, MAX_TRANSFER)
      assert.strictEqual(Buffer.concat(data).length, MAX_TRANSFER)
      assert.isFalse(eof)
      assert.strictEqual(fileAttributes?.attributes.size, 1_000_000)
    })
  )

  it.effect("is for those who may read, and for the owner", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", { uid: 1000, mode: 0 }, "secret")
      const { fileAttributes } = yield* server.fails("NFS3ERR_ACCES", READ, { file, offset: 0, count: 1 }, bob)
      assertTold(fileAttributes)
      assert.strictEqual(yield* text(server, file), "secret")
      yield* server.fails("NFS3ERR_ISDIR", READ, { file: server.root, offset: 0, count: 1 })
      yield* server.fails("NFS3ERR_STALE", READ, { file: goneFrom(server), offset: 0, count: 1 })
    })
  )

  it("is bulk when it is long", () =>
    Effect.runPromise(
      Effect.map(make, (server) => {
        const { priority } = server.procedure(READ)
        assert.isFunction(priority)
        const of = (count: number) => (priority as (args: object) => string)({ file: forged, offset: 0, count })
        assert.deepStrictEqual([of(4096), of(65_536)], ["data", "bulk"])
      })
    ))
})

describe("WRITE", () => {
  it.effect("writes, and tells how it was before", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", { uid: 1000 }, "0123456789")
      const { committed, count, fileWcc, verf } = yield* server.ok(WRITE, write(file, 8, "abcd"), alice)
      assert.strictEqual(count, 4)
      assert.include(["UNSTABLE", "DATA_SYNC", "FILE_SYNC"], committed)
      assert.strictEqual(fileWcc.before?.size, 10)
      assert.strictEqual(fileWcc.after?.attributes.size, 12)
      assert.strictEqual(verf.length, 8)
      assert.strictEqual(yield* text(server, file), "01234567abcd")
    })
  )

  it.effect("is at least as stable as it was asked to be", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      for (const stable of ["DATA_SYNC", "FILE_SYNC"] as const) {
        const { committed } = yield* server.ok(WRITE, { ...write(file, 0, "x"), stable })
        assert.isTrue(committed === stable || committed === "FILE_SYNC")
      }
    })
  )

  it.effect("refuses a count that is not that of its data", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", {}, "old")
      for (const count of [0, 2, 4, 0xffff_ffff]) {
        const { fileWcc } = yield* server.fails("NFS3ERR_INVAL", WRITE, { ...write(file, 0, "new"), count })
        assertTold(fileWcc)
      }
      assert.strictEqual(yield* text(server, file), "old")
    })
  )

  it.effect("refuses what lies beyond every file, and writes nothing when there is nothing to write", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", {}, "old")
      yield* server.fails("NFS3ERR_FBIG", WRITE, write(file, BEYOND, "x"))
      const { maxFileSize } = server.fs.properties
      yield* server.fails("NFS3ERR_FBIG", WRITE, write(file, maxFileSize, "x"))
      const { count, fileWcc } = yield* server.ok(WRITE, write(file, 100, ""))
      assert.strictEqual(count, 0)
      assert.strictEqual(fileWcc.after?.attributes.size, 3)
    })
  )

  it.effect("is for those who may write, and for the owner, and takes privileges away", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", { uid: 1000, mode: 0o444 })
      const { fileWcc } = yield* server.fails("NFS3ERR_ACCES", WRITE, write(file, 0, "x"), bob)
      assertTold(fileWcc)
      yield* server.ok(WRITE, write(file, 0, "x"), alice)
      const program = yield* server.file("program", { mode: 0o6777 })
      const after = yield* server.ok(WRITE, write(program, 0, "x"), bob)
      assert.strictEqual(after.fileWcc.after?.attributes.mode, 0o777)
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      yield* server.fails("NFS3ERR_ISDIR", WRITE, write(server.root, 0, "x"))
      yield* server.fails("NFS3ERR_ROFS", WRITE, write(server.readOnlyRoot, 0, "x"))
      yield* server.fails("NFS3ERR_STALE", WRITE, write(goneFrom(server), 0, "x"))
      yield* server.fails("NFS3ERR_BADHANDLE", WRITE, write(forged, 0, "x"))
    })
  )
})

describe("COMMIT", () => {
  it.effect("tells how it was before only if nothing can have come in between", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      const torn: Operations = {
        ...fs,
        commit: (file, offset, count, guard) =>
          Effect.map(fs.commit(file, offset, count, guard), (wcc) => ({ ...wcc, atomic: false }))
      }
      const server = yield* makeFor(torn, fs)
      const { fileWcc } = yield* server.ok(COMMIT, { file: yield* server.file("file"), offset: 0, count: 0 })
      assertTold(fileWcc)
    })
  )

  it.effect("gives the verifier of WRITE, of this run", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file")
      const written = yield* server.ok(WRITE, write(file, 0, "x"))
      const committed = yield* server.ok(COMMIT, { file, offset: 0, count: 0 })
      assert.deepStrictEqual(committed.verf, written.verf)
      assert.strictEqual(committed.fileWcc.after?.attributes.size, 1)
      yield* server.ok(COMMIT, { file, offset: BEYOND, count: 0xffff_ffff })
      const other = yield* make
      const again = yield* other.ok(COMMIT, { file: yield* other.file("file"), offset: 0, count: 0 })
      assert.notDeepEqual(again.verf, written.verf)
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", { mode: 0o644 })
      const { fileWcc } = yield* server.fails("NFS3ERR_ACCES", COMMIT, { file, offset: 0, count: 0 }, bob)
      assertTold(fileWcc)
      yield* server.fails("NFS3ERR_STALE", COMMIT, { file: goneFrom(server), offset: 0, count: 0 })
    })
  )
})

describe("a file that is gone", () => {
  it.effect("is STALE also where a handle to it is left", () =>
    Effect.gen(function* () {
      const server = yield* make
      const how = { mode: "UNCHECKED", objAttributes: {} } as const
      const { obj } = yield* server.ok(CREATE, { where: { dir: server.root, name: "file" }, how })
      yield* server.fs.remove(server.fs.root, "file", () => undefined)
      yield* server.fails("NFS3ERR_STALE", READ, { file: obj!, offset: 0, count: 1 })
      yield* server.fails("NFS3ERR_STALE", WRITE, write(obj!, 0, "x"))
    })
  )
})
