import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import { type Code, fail, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
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

describe("the write verifier", () => {
  /** A server whose disk fails with `disk.code` whatever is synced. */
  const failing = Effect.gen(function* () {
    const fs = yield* MemoryFilesystem.make()
    const disk: { code: Code | undefined } = { code: undefined }
    const synced = <A>(operation: Effect.Effect<A, FilesystemError>) =>
      Effect.flatMap(operation, (result) => (disk.code === undefined ? Effect.succeed(result) : fail[disk.code]))
    const faulty = forward(fs, {
      setattr: (...args) => synced(fs.setattr(...args)),
      commit: (...args) => synced(fs.commit(...args)),
      write: (file, offset, data, stability, guard) => {
        const written = fs.write(file, offset, data, stability, guard)
        return stability === "unstable"
          ? Effect.map(written, (result) => ({ ...result, committed: "unstable" as const }))
          : synced(written)
      }
    })
    const server = yield* makeFor(faulty, fs)
    const file = yield* server.file("file")
    const verifier = Effect.map(server.ok(WRITE, write(file, 0, "x")), ({ verf }) => Buffer.from(verf).toString("hex"))
    return { disk, file, server, verifier }
  })

  const stable = (file: Uint8Array) => ({ ...write(file, 0, "y"), stable: "FILE_SYNC" as const })
  const range = (file: Uint8Array) => ({ file, offset: 0, count: 0 })
  const newMode = (object: Uint8Array) => ({ object, newAttributes: { mode: 0o600 }, guard: undefined })

  it.effect.each([
    ["EIO", "NFS3ERR_IO"],
    ["ENOSPC", "NFS3ERR_NOSPC"],
    ["EDQUOT", "NFS3ERR_DQUOT"]
  ] as const)("becomes another one whenever a sync fails with %s", ([code, status]) =>
    Effect.gen(function* () {
      const { disk, file, server, verifier } = yield* failing
      const seen = new Set([yield* verifier, yield* verifier])
      assert.strictEqual(seen.size, 1)
      disk.code = code
      yield* server.fails(status, COMMIT, range(file))
      seen.add(yield* verifier)
      yield* server.fails(status, WRITE, stable(file))
      seen.add(yield* verifier)
      yield* server.fails(status, SETATTR, newMode(file))
      const last = yield* verifier
      assert.strictEqual(seen.add(last).size, 4)
      // Also for those whose own sync succeeds: what they wrote before may be what was lost.
      disk.code = undefined
      const { verf } = yield* server.ok(COMMIT, range(file))
      assert.strictEqual(Buffer.from(verf).toString("hex"), last)
    })
  )

  it.effect("stays after failures that have lost nothing", () =>
    Effect.gen(function* () {
      const { disk, file, server, verifier } = yield* failing
      const before = yield* verifier
      yield* server.fails("NFS3ERR_ACCES", COMMIT, range(file), bob)
      yield* server.fails("NFS3ERR_STALE", COMMIT, range(goneFrom(server)))
      disk.code = "EAGAIN"
      yield* server.fails("NFS3ERR_JUKEBOX", WRITE, stable(file))
      assert.strictEqual(yield* verifier, before)
    })
  )

  it.effect("of a WRITE is from before it wrote, that of a COMMIT from after it synced", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      const gate = yield* Latch.make(true)
      const slow = forward(fs, {
        write: (...args) => Effect.tap(fs.write(...args), gate.await),
        commit: (file, offset, count, guard) =>
          count === 1 ? fail.EIO : Effect.tap(fs.commit(file, offset, count, guard), gate.await)
      })
      const server = yield* makeFor(slow, fs)
      const file = yield* server.file("file")
      const { verf: before } = yield* server.ok(WRITE, write(file, 0, "x"))
      yield* gate.close
      const writing = yield* Effect.forkChild(server.ok(WRITE, write(file, 0, "y")), { startImmediately: true })
      const committing = yield* Effect.forkChild(server.ok(COMMIT, range(file)), { startImmediately: true })
      yield* server.fails("NFS3ERR_IO", COMMIT, { file, offset: 0, count: 1 })
      yield* gate.open
      assert.deepStrictEqual((yield* Fiber.join(writing)).verf, before)
      const { verf: after } = yield* Fiber.join(committing)
      assert.notDeepEqual(after, before)
      assert.deepStrictEqual((yield* server.ok(WRITE, write(file, 0, "z"))).verf, after)
    })
  )

  it.effect("becomes another one also when nobody waits for the COMMIT that fails", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      const gate = yield* Latch.make(false)
      const slow = forward(fs, { commit: () => Effect.andThen(Effect.uninterruptible(gate.await), fail.EIO) })
      const server = yield* makeFor(slow, fs)
      const file = yield* server.file("file")
      const { verf } = yield* server.ok(WRITE, write(file, 0, "x"))
      const committing = yield* Effect.forkChild(server.call(COMMIT, range(file)), { startImmediately: true })
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(committing), { startImmediately: true })
      yield* gate.open
      yield* Fiber.join(interrupting)
      assert.notDeepEqual((yield* server.ok(WRITE, write(file, 0, "x"))).verf, verf)
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
