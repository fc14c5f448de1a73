import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ACCESS, GETATTR, LOOKUP, MKNOD, SETATTR, SYMLINK } from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { alice, assertTold, bob, forged, goneFrom, make } from "./Server.ts"

const time = (seconds: number, nanoseconds = 0) => ({ seconds, nanoseconds })

describe("GETATTR", () => {
  it.effect("gives a file's attributes and the export's fsid", () =>
    Effect.gen(function* () {
      const server = yield* make
      const object = yield* server.file("file", { mode: 0o4640, uid: 3, gid: 4 }, "twelve bytes")
      const { objAttributes } = yield* server.ok(GETATTR, { object }, bob)
      assert.strictEqual(objAttributes.fsid, server.share.fsid)
      assert.deepInclude(objAttributes.attributes, {
        type: "regular",
        mode: 0o4640,
        uid: 3,
        gid: 4,
        size: 12,
        nlink: 1
      })
      const other = yield* server.ok(GETATTR, { object: server.otherRoot })
      assert.notStrictEqual(other.objAttributes.fsid, server.share.fsid)
    })
  )

  it.effect("tells handles that were never given out from files that are gone", () =>
    Effect.gen(function* () {
      const server = yield* make
      yield* server.fails("NFS3ERR_BADHANDLE", GETATTR, { object: forged })
      yield* server.fails("NFS3ERR_BADHANDLE", GETATTR, { object: new Uint8Array(0) })
      yield* server.fails("NFS3ERR_STALE", GETATTR, { object: goneFrom(server) })
    })
  )
})

describe("SETATTR", () => {
  it.effect("sets what is asked for and tells how it was before", () =>
    Effect.gen(function* () {
      const server = yield* make
      const object = yield* server.file("file", { uid: 1000 }, "content")
      const newAttributes = { mode: 0o600, size: 3, atime: time(1, 2), mtime: time(3, 4) }
      const { objWcc } = yield* server.ok(SETATTR, { object, newAttributes, guard: undefined }, alice)
      assert.strictEqual(objWcc.before?.size, 7)
      assert.deepInclude(objWcc.after?.attributes, {
        mode: 0o600,
        size: 3,
        atime: time(1, 2),
        mtime: time(3, 4),
        uid: 1000
      })
    })
  )

  it.effect("takes the server's time", () =>
    Effect.gen(function* () {
      const server = yield* make
      const object = yield* server.file("file", { mtime: time(1) })
      const newAttributes = { mtime: "now" } as const
      const { objWcc } = yield* server.ok(SETATTR, { object, newAttributes, guard: undefined })
      assert.isAbove(objWcc.after!.attributes.mtime.seconds, 1_700_000_000)
    })
  )

  it.effect("compares the ctime of its guard", () =>
    Effect.gen(function* () {
      const server = yield* make
      const object = yield* server.file("file")
      const { objAttributes } = yield* server.ok(GETATTR, { object })
      const { nanoseconds, seconds } = objAttributes.attributes.ctime
      const set = (guard: { seconds: number; nanoseconds: number }) => ({
        object,
        newAttributes: { mode: 0o600 },
        guard
      })
      const { objWcc } = yield* server.fails("NFS3ERR_NOT_SYNC", SETATTR, set(time(seconds, nanoseconds ^ 1)))
      assertTold(objWcc)
      yield* server.fails("NFS3ERR_NOT_SYNC", SETATTR, set(time(seconds + 1, nanoseconds)))
      yield* server.ok(SETATTR, set(time(seconds, nanoseconds)))
      yield* server.fails("NFS3ERR_NOT_SYNC", SETATTR, set(time(seconds, nanoseconds)))
    })
  )

  it.effect("refuses", () =>
    Effect.gen(function* () {
      const server = yield* make
      const object = yield* server.file("file", { uid: 1000 })
      const directory = yield* server.directory("directory")
      const set = (newAttributes: object, at = object) => ({ object: at, newAttributes, guard: undefined })
      const { objWcc } = yield* server.fails("NFS3ERR_PERM", SETATTR, set({ mode: 0 }), bob)
      assertTold(objWcc)
      yield* server.fails("NFS3ERR_PERM", SETATTR, set({ uid: 1001 }), alice)
      yield* server.fails("NFS3ERR_ACCES", SETATTR, set({ size: 1 }), bob)
      yield* server.fails("NFS3ERR_ISDIR", SETATTR, set({ size: 0 }, directory))
      yield* server.fails("NFS3ERR_INVAL", SETATTR, set({ mtime: time(1, 1_000_000_000) }))
      // As large as decoding can tell: whatever the filesystem allows.
      yield* server.fails("NFS3ERR_FBIG", SETATTR, set({ size: Number.MAX_SAFE_INTEGER }))
      yield* server.fails("NFS3ERR_ROFS", SETATTR, set({ mode: 0o600 }, server.readOnlyRoot))
      yield* server.fails("NFS3ERR_BADHANDLE", SETATTR, set({ mode: 0 }, forged))
      const stale = yield* server.fails("NFS3ERR_STALE", SETATTR, set({ mode: 0 }, goneFrom(server)))
      assert.deepStrictEqual(stale.objWcc, { before: undefined, after: undefined })
    })
  )
})

describe("ACCESS", () => {
  // The bits of RFC 1813.
  const READ = 1
  const SEARCH = 2
  const MODIFY = 4
  const EXTEND = 8
  const DELETE = 16
  const EXECUTE = 32
  const ALL = 63

  it.effect("answers each bit by the mode, for files and directories", () =>
    Effect.gen(function* () {
      const server = yield* make
      const bits: ReadonlyArray<readonly [permissions: number, file: number, directory: number]> = [
        [0, 0, 0],
        [1, EXECUTE, SEARCH],
        [2, MODIFY | EXTEND, 0],
        [3, MODIFY | EXTEND | EXECUTE, SEARCH | MODIFY | EXTEND | DELETE],
        [4, READ, READ],
        [5, READ | EXECUTE, READ | SEARCH],
        [6, READ | MODIFY | EXTEND, READ],
        [7, READ | MODIFY | EXTEND | EXECUTE, READ | SEARCH | MODIFY | EXTEND | DELETE]
      ]
      for (const [permissions, ofFile, ofDirectory] of bits) {
        for (const [shift, by] of [
          [6, alice],
          [0, bob]
        ] as const) {
          const mode = permissions << shift
          const name = `${permissions} ${shift}`
          const file = yield* server.file(name, { mode, uid: 1000 })
          const directory = yield* server.directory(`${name} directory`, { mode, uid: 1000 })
          const answers = [
            yield* server.ok(ACCESS, { object: file, access: ALL }, by),
            yield* server.ok(ACCESS, { object: directory, access: ALL }, by)
          ]
          assert.deepStrictEqual(
            answers.map(({ access }) => access),
            [ofFile, ofDirectory],
            name
          )
          assert.strictEqual(answers[0]!.objAttributes?.attributes.mode, mode)
        }
      }
    })
  )

  it.effect("answers only what is asked", () =>
    Effect.gen(function* () {
      const server = yield* make
      const ask = (access: number) => server.ok(ACCESS, { object: server.root, access }, alice)
      assert.strictEqual((yield* ask(READ | EXECUTE)).access, READ)
      assert.strictEqual((yield* ask(0xffff_ffc0)).access, 0)
    })
  )

  it.effect("grants root everything but executing what nobody executes", () =>
    Effect.gen(function* () {
      const server = yield* make
      const plain = yield* server.file("plain", { mode: 0 })
      const program = yield* server.file("program", { mode: 0o001 })
      assert.strictEqual((yield* server.ok(ACCESS, { object: plain, access: ALL })).access, READ | MODIFY | EXTEND)
      assert.strictEqual(
        (yield* server.ok(ACCESS, { object: program, access: ALL })).access,
        READ | MODIFY | EXTEND | EXECUTE
      )
    })
  )

  it.effect("grants no changes to a read-only export, but to what lies beyond a device or FIFO", () =>
    Effect.gen(function* () {
      const server = yield* make
      const { access } = yield* server.ok(ACCESS, { object: server.readOnlyRoot, access: ALL })
      assert.strictEqual(access, READ | SEARCH)
      const what = { type: "NF3FIFO", pipeAttributes: { mode: 0o666 } } as const
      yield* server.ok(MKNOD, { where: { dir: server.root, name: "fifo" }, what })
      const found = yield* server.ok(LOOKUP, { what: { dir: server.readOnlyRoot, name: "fifo" } })
      const readOnly = found.object
      assert.strictEqual((yield* server.ok(ACCESS, { object: readOnly, access: ALL })).access, READ | MODIFY | EXTEND)
    })
  )

  it.effect("answers for symbolic links", () =>
    Effect.gen(function* () {
      const server = yield* make
      const symlink = { symlinkAttributes: {}, symlinkData: "x" }
      const { obj } = yield* server.ok(SYMLINK, { where: { dir: server.root, name: "link" }, symlink })
      assert.strictEqual((yield* server.ok(ACCESS, { object: obj!, access: READ }, bob)).access, READ)
      yield* server.fails("NFS3ERR_STALE", ACCESS, { object: goneFrom(server), access: READ })
    })
  )
})
