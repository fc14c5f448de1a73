/** What each procedure of NFS version 3 answers when it succeeds: every field of it. `nfs3.refusals` has the failures. */

import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { compareTimes, type Time } from "../../src/filesystem/Attributes.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { Fattr3, WccData } from "../../src/programs/nfs3/Nfs3Types.ts"
import type { CallOptions } from "../../src/rpc/RpcClient.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { ok } from "../support/nfs.ts"
import { ALICE, alice, as, BOB, bob, type Session, session } from "../support/server.ts"

const getattr = (client: Session, object: Uint8Array) =>
  Effect.map(client.nfs(Nfs.GETATTR, { object }), (answer) => ok(answer).objAttributes)

const lookup = (client: Session, name: string, dir = client.dir) =>
  Effect.map(client.nfs(Nfs.LOOKUP, { what: { dir, name } }), ok)

/** The status of looking a name up. */
const status = (client: Session, name: string, dir = client.dir) =>
  Effect.map(client.nfs(Nfs.LOOKUP, { what: { dir, name } }), (answer) => answer.status)

const create = (client: Session, name: string, objAttributes: object = { mode: 0o644 }, who: CallOptions = alice) =>
  client
    .nfs(Nfs.CREATE, { where: { dir: client.dir, name }, how: { mode: "GUARDED", objAttributes } }, who)
    .pipe(Effect.map((answer) => ok(answer).obj!))

const mkdir = (client: Session, name: string, mode = 0o755, dir = client.dir, who: CallOptions = alice) =>
  client
    .nfs(Nfs.MKDIR, { where: { dir, name }, attributes: { mode } }, who)
    .pipe(Effect.map((answer) => ok(answer).obj!))

const write = (client: Session, file: Uint8Array, offset: number, text: string, who: CallOptions = alice) => {
  const data = Buffer.from(text)
  return client.nfs(Nfs.WRITE, { file, offset, count: data.length, stable: "UNSTABLE", data: [data] }, who)
}

const read = (client: Session, file: Uint8Array, offset = 0, count = 65_536) =>
  client.nfs(Nfs.READ, { file, offset, count }, alice).pipe(
    Effect.map((answer) => {
      const { data, ...rest } = ok(answer)
      return { ...rest, text: Buffer.concat(data).toString() }
    })
  )

const wccOf = ({ attributes: { ctime, mtime, size } }: Fattr3) => ({ ctime, mtime, size })

const isAfter = (a: Time, b: Time) =>
  expect(compareTimes(a, b), `${JSON.stringify(a)} is after ${JSON.stringify(b)}`).toBeGreaterThan(0)

/** That `wcc` says how a file was and is, and that its content or entries have changed. */
const modified = (wcc: WccData, before: Fattr3, after: Fattr3) => {
  expect(wcc).toEqual({ before: wccOf(before), after })
  isAfter(after.attributes.mtime, before.attributes.mtime)
  isAfter(after.attributes.ctime, before.attributes.ctime)
}

/** As {@link modified}, where only its attributes have changed. */
const changed = (wcc: WccData, before: Fattr3, after: Fattr3) => {
  expect(wcc).toEqual({ before: wccOf(before), after })
  isAfter(after.attributes.ctime, before.attributes.ctime)
}

/** That `wcc` says how a file was and is, and that it is the same. */
const unchanged = (wcc: WccData, before: Fattr3, after: Fattr3) => {
  expect(after).toEqual(before)
  expect(wcc).toEqual({ before: wccOf(before), after })
}

describe("NULL", () => {
  it.live("answers nothing", () =>
    Effect.gen(function* () {
      const { nfs } = yield* session()
      expect(yield* nfs(Nfs.NULL, undefined)).toBeUndefined()
    })
  )
})

describe("GETATTR", () => {
  it.live("tells all attributes of a file", () =>
    Effect.gen(function* () {
      const client = yield* session({ fsid: 77 })
      const started = (yield* Clock.currentTimeMillis) / 1000 - 1
      const file = yield* create(client, "file", { mode: 0o4751 })
      const { attributes, fsid } = yield* getattr(client, file)
      expect(fsid).toBe(77n)
      expect(attributes).toMatchObject({
        type: "regular",
        mode: 0o4751,
        nlink: 1,
        uid: 1000,
        gid: 1000,
        size: 0,
        used: 0,
        rdev: { major: 0, minor: 0 }
      })
      expect(attributes.fileid).not.toBe(0n)
      for (const time of [attributes.atime, attributes.mtime, attributes.ctime]) {
        expect(time.seconds).toBeGreaterThanOrEqual(Math.floor(started))
        expect(time.seconds).toBeLessThanOrEqual(started + 10)
      }
      expect(attributes.ctime).toEqual(attributes.mtime)
    })
  )

  it.live("tells size, space and times of what was written", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, file)
      ok(yield* write(client, file, 1_000_000, "x"))
      const { attributes } = yield* getattr(client, file)
      expect(attributes.size).toBe(1_000_001)
      // The rest is a hole.
      expect(attributes.used).toBeGreaterThan(0)
      expect(attributes.used).toBeLessThan(200_000)
      isAfter(attributes.mtime, before.attributes.mtime)
      expect(attributes.ctime).toEqual(attributes.mtime)
    })
  )

  it.live("tells the root's", () =>
    Effect.gen(function* () {
      const client = yield* session({ memory: { mode: 0o750, uid: 3, gid: 4 } })
      const { attributes } = yield* getattr(client, client.dir)
      expect(attributes).toMatchObject({ type: "directory", mode: 0o750, uid: 3, gid: 4, nlink: 2 })
    })
  )
})

describe("SETATTR", () => {
  const setattr = (
    client: Session,
    object: Uint8Array,
    newAttributes: Xdr.Type<typeof Nfs.SETATTR.args>["newAttributes"],
    options: { readonly guard?: Time; readonly who?: CallOptions } = {}
  ) => client.nfs(Nfs.SETATTR, { object, newAttributes, guard: options.guard }, options.who)

  const at = { seconds: 12, nanoseconds: 345_678_901 }

  it.live.each([
    ["mode", { mode: 0o7640 }, { mode: 0o7640 }],
    ["mode with the bits of a type", { mode: 0o100_600 }, { mode: 0o600 }],
    ["owner and group", { uid: 7, gid: 8 }, { uid: 7, gid: 8 }],
    ["the highest ids", { uid: 0xffff_fffe, gid: 0xffff_fffe }, { uid: 0xffff_fffe, gid: 0xffff_fffe }],
    ["atime", { atime: at }, { atime: at }],
    ["mtime", { mtime: at }, { mtime: at }],
    [
      "the last second",
      { mtime: { seconds: 0xffff_ffff, nanoseconds: 999_999_999 } },
      { mtime: { seconds: 0xffff_ffff, nanoseconds: 999_999_999 } }
    ]
  ] as const)("sets %s", ([, newAttributes, expected]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, file)
      const { objWcc } = ok(yield* setattr(client, file, newAttributes))
      const after = yield* getattr(client, file)
      changed(objWcc, before, after)
      const { attributes } = before
      expect(after.attributes).toEqual({ ...attributes, ctime: after.attributes.ctime, ...expected })
    })
  )

  it.live("sets times to the server's", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file", { mode: 0o644, atime: at, mtime: at })
      const before = yield* getattr(client, file)
      expect(before.attributes).toMatchObject({ atime: at, mtime: at })
      ok(yield* setattr(client, file, { atime: "now", mtime: "now" }, { who: alice }))
      const { attributes } = yield* getattr(client, file)
      expect(attributes.atime).toEqual(attributes.ctime)
      expect(attributes.mtime).toEqual(attributes.ctime)
      isAfter(attributes.ctime, before.attributes.ctime)
    })
  )

  it.live("cuts off and fills up", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 0, "hello"))
      const before = yield* getattr(client, file)
      const cut = ok(yield* setattr(client, file, { size: 2 }, { who: alice }))
      const between = yield* getattr(client, file)
      modified(cut.objWcc, before, between)
      expect(between.attributes.size).toBe(2)
      const filled = ok(yield* setattr(client, file, { size: 4 }, { who: alice }))
      modified(filled.objWcc, between, yield* getattr(client, file))
      expect((yield* read(client, file)).text).toBe("he\0\0")
    })
  )

  it.live("sets what a guard allows, and once", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const guard = (yield* getattr(client, file)).attributes.ctime
      ok(yield* setattr(client, file, { mode: 0o600 }, { guard }))
      const again = yield* setattr(client, file, { mode: 0o644 }, { guard })
      expect(again).toEqual({
        status: "NFS3ERR_NOT_SYNC",
        objWcc: { before: undefined, after: yield* getattr(client, file) }
      })
      expect((yield* getattr(client, file)).attributes.mode).toBe(0o600)
    })
  )

  it.live("sets nothing when there is nothing to set", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, file)
      const { objWcc } = ok(yield* setattr(client, file, {}, { who: bob }))
      unchanged(objWcc, before, yield* getattr(client, file))
    })
  )

  it.live("lets owners set what is theirs to set", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file", { mode: 0 })
      ok(yield* setattr(client, file, { size: 3, mode: 0o400, gid: 1000, uid: 1000, mtime: at }, { who: alice }))
      expect((yield* getattr(client, file)).attributes).toMatchObject({ size: 3, mode: 0o400, mtime: at })
    })
  )
})

describe("LOOKUP", () => {
  it.live("finds a file with its attributes and the directory's", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const file = yield* create(client, "file")
      expect(yield* lookup(client, "file")).toEqual({
        status: "NFS3_OK",
        object: file,
        objAttributes: yield* getattr(client, file),
        dirAttributes: yield* getattr(client, client.dir)
      })
      expect((yield* lookup(client, "dir")).object).toEqual(dir)
    })
  )

  it.live('finds "." and ".."', () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const attributes = yield* getattr(client, dir)
      const root = yield* getattr(client, client.dir)
      const found = { status: "NFS3_OK", dirAttributes: attributes }
      expect(yield* lookup(client, ".", dir)).toEqual({ ...found, object: dir, objAttributes: attributes })
      expect(yield* lookup(client, "..", dir)).toEqual({ ...found, object: client.dir, objAttributes: root })
    })
  )
})

describe("ACCESS", () => {
  const R = Nfs.ACCESS3_READ
  const L = Nfs.ACCESS3_LOOKUP
  const M = Nfs.ACCESS3_MODIFY
  const E = Nfs.ACCESS3_EXTEND
  const D = Nfs.ACCESS3_DELETE
  const X = Nfs.ACCESS3_EXECUTE
  const root = undefined
  const member = { uid: 1002, gid: 5, gids: [6, 1000] }

  it.live.each([
    ["file", 0o600, "its owner", ALICE, R | M | E],
    ["file", 0o400, "its owner", ALICE, R],
    ["file", 0o077, "its owner", ALICE, 0],
    ["file", 0o711, "its owner", ALICE, R | M | E | X],
    ["file", 0o640, "a member of its group", member, R],
    ["file", 0o707, "a member of its group", member, 0],
    ["file", 0o770, "others", BOB, 0],
    ["file", 0o003, "others", BOB, M | E | X],
    ["file", 0o000, "root", root, R | M | E],
    ["file", 0o001, "root", root, R | M | E | X],
    ["dir", 0o700, "its owner", ALICE, R | L | M | E | D],
    ["dir", 0o500, "its owner", ALICE, R | L],
    ["dir", 0o600, "its owner", ALICE, R],
    ["dir", 0o750, "a member of its group", member, R | L],
    ["dir", 0o751, "others", BOB, L],
    ["dir", 0o000, "root", root, R | L | M | E | D]
  ] as const)("%s of mode %o for %s", ([kind, mode, , identity, granted]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const object = yield* kind === "dir" ? mkdir(client, "it", mode) : create(client, "it", { mode })
      const attributes = yield* getattr(client, object)
      const who = identity && as(identity)
      for (const access of [0x3f, R, L, M, E, D, X, 0, 0xffff_ffff]) {
        expect(yield* client.nfs(Nfs.ACCESS, { object, access }, who), `asked ${access}`).toEqual({
          status: "NFS3_OK",
          objAttributes: attributes,
          access: access & granted
        })
      }
    })
  )

  it.live("grants no change in a read-only export", () =>
    Effect.gen(function* () {
      const client = yield* session({ readOnly: true })
      const answer = ok(yield* client.nfs(Nfs.ACCESS, { object: client.dir, access: 0x3f }))
      expect(answer.access).toBe(R | L)
    })
  )
})

describe("READLINK", () => {
  it.live.each(["target", "../no/such file", "/absolute", "caf\u00e9 \udcff\udc80 \n", "x".repeat(4095)])(
    "reads %j",
    (symlinkData) =>
      Effect.gen(function* () {
        const client = yield* session()
        const symlink = ok(
          yield* client.nfs(Nfs.SYMLINK, {
            where: { dir: client.dir, name: "link" },
            symlink: { symlinkAttributes: {}, symlinkData }
          })
        ).obj!
        const answer = yield* client.nfs(Nfs.READLINK, { symlink }, bob)
        expect(answer).toEqual({
          status: "NFS3_OK",
          symlinkAttributes: yield* getattr(client, symlink),
          data: symlinkData
        })
      })
  )
})

describe("READ", () => {
  it.live.each([
    ["all of it", 0, 10, "0123456789", true],
    ["more than it", 0, 100, "0123456789", true],
    ["its beginning", 0, 9, "012345678", false],
    ["its middle", 3, 4, "3456", false],
    ["its end", 7, 3, "789", true],
    ["nothing of it", 3, 0, "", false],
    ["nothing at its end", 10, 0, "", true],
    ["at its end", 10, 5, "", true],
    ["behind its end", 1000, 5, "", true],
    ["as far behind as can be", Number.MAX_SAFE_INTEGER, 5, "", true]
  ] as const)("reads %s", ([, offset, count, text, eof]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 0, "0123456789"))
      const answer = yield* read(client, file, offset, count)
      const fileAttributes = yield* getattr(client, file)
      expect(answer).toEqual({ status: "NFS3_OK", fileAttributes, count: text.length, eof, text })
    })
  )

  it.live("reads zeros where nothing was written", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 300_000, "end"))
      const { eof, text } = yield* read(client, file, 150_000, 150_003)
      expect(text === `${"\0".repeat(150_000)}end`).toBe(true)
      expect(eof).toBe(true)
    })
  )

  it.live("gives no more than it says it can", () =>
    Effect.gen(function* () {
      const client = yield* session({ maxTransfer: 8192 })
      const file = yield* create(client, "file", { size: 20_000 })
      expect(yield* read(client, file, 0, 0xffff_ffff)).toMatchObject({ count: 8192, eof: false })
      expect(yield* read(client, file, 15_000, 0xffff_ffff)).toMatchObject({ count: 5000, eof: true })
    })
  )
})

describe("WRITE", () => {
  it.live.each([["UNSTABLE"], ["DATA_SYNC"], ["FILE_SYNC"]] as const)("writes %s", ([stable]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, file)
      const data = [Buffer.from("hello")]
      const { fileWcc, ...answer } = ok(
        yield* client.nfs(Nfs.WRITE, { file, offset: 3, count: 5, stable, data }, alice)
      )
      modified(fileWcc, before, yield* getattr(client, file))
      const { verf } = ok(yield* client.nfs(Nfs.COMMIT, { file, offset: 0, count: 0 }, alice))
      // Memory is as stable as it gets.
      expect(answer).toEqual({ status: "NFS3_OK", count: 5, committed: "FILE_SYNC", verf })
      expect((yield* read(client, file)).text).toBe("\0\0\0hello")
    })
  )

  it.live("writes over what is there", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 0, "hello, world"))
      const before = yield* getattr(client, file)
      const { fileWcc } = ok(yield* write(client, file, 7, "there"))
      modified(fileWcc, before, yield* getattr(client, file))
      expect((yield* read(client, file)).text).toBe("hello, there")
    })
  )

  it.live("writes nothing", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, file)
      const { count, fileWcc } = ok(yield* write(client, file, 100, ""))
      expect(count).toBe(0)
      unchanged(fileWcc, before, yield* getattr(client, file))
    })
  )

  it.live("has the same verifier for every file", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const a = ok(yield* write(client, yield* create(client, "a"), 0, "a"))
      const b = ok(yield* write(client, yield* create(client, "b"), 0, "b"))
      expect(a.verf).toEqual(b.verf)
      expect(a.verf).toHaveLength(8)
    })
  )
})

const how = (mode: "UNCHECKED" | "GUARDED", objAttributes: object) => ({ mode, objAttributes })
const exclusive = (verifier: string) => ({ mode: "EXCLUSIVE" as const, verf: Buffer.from(verifier) })

describe("CREATE", () => {
  const call = (client: Session, how: Xdr.Type<typeof Nfs.CREATE.args>["how"], who = alice) =>
    client.nfs(Nfs.CREATE, { where: { dir: client.dir, name: "file" }, how }, who)

  const time = { seconds: 1, nanoseconds: 2 }

  it.live.each([
    ["UNCHECKED", how("UNCHECKED", { mode: 0o640 }), { mode: 0o640 }],
    ["GUARDED", how("GUARDED", { mode: 0o600 }), { mode: 0o600 }],
    ["EXCLUSIVE", exclusive("12345678"), { mode: 0o600 }],
    ["without attributes", how("GUARDED", {}), { mode: 0o600 }],
    ["with a size", how("GUARDED", { mode: 0o644, size: 5 }), { mode: 0o644, size: 5 }],
    ["with times", how("GUARDED", { mode: 0o644, atime: time, mtime: time }), { atime: time, mtime: time }]
  ] as const)("makes a file %s", ([, how, expected]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const before = yield* getattr(client, client.dir)
      const { dirWcc, obj, objAttributes, status } = ok(yield* call(client, how))
      modified(dirWcc, before, yield* getattr(client, client.dir))
      expect({ status, objAttributes }).toEqual({ status: "NFS3_OK", objAttributes: yield* getattr(client, obj!) })
      expect(objAttributes!.attributes).toMatchObject({
        type: "regular",
        nlink: 1,
        uid: 1000,
        gid: 1000,
        size: 0,
        ...expected
      })
      expect((yield* lookup(client, "file")).object).toEqual(obj)
    })
  )

  it.live("UNCHECKED takes a file that is there as it is, but for its size", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 0, "hello"))
      const before = yield* getattr(client, client.dir)
      const taken = ok(yield* call(client, how("UNCHECKED", { mode: 0o777 }), bob))
      unchanged(taken.dirWcc, before, yield* getattr(client, client.dir))
      expect(taken.obj).toEqual(file)
      expect(taken.objAttributes!.attributes).toMatchObject({ mode: 0o644, size: 5, uid: 1000 })
      const cut = ok(yield* call(client, how("UNCHECKED", { mode: 0o777, size: 2 })))
      expect(cut.objAttributes).toEqual(yield* getattr(client, file))
      expect(cut.objAttributes!.attributes).toMatchObject({ mode: 0o644, size: 2 })
      unchanged(cut.dirWcc, before, yield* getattr(client, client.dir))
    })
  )

  it.live("EXCLUSIVE takes the file that was made with its verifier, until somebody sets its attributes", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const first = ok(yield* call(client, exclusive("12345678")))
      const dir = yield* getattr(client, client.dir)
      const again = ok(yield* call(client, exclusive("12345678")))
      expect(again.obj).toEqual(first.obj)
      expect(again.objAttributes).toEqual(first.objAttributes)
      unchanged(again.dirWcc, dir, yield* getattr(client, client.dir))
      for (const verifier of ["12345679", "02345678", "\0\0\0\0\0\0\0\0"]) {
        expect((yield* call(client, exclusive(verifier))).status).toBe("NFS3ERR_EXIST")
      }
      ok(
        yield* client.nfs(Nfs.SETATTR, { object: first.obj!, newAttributes: { mode: 0o644 }, guard: undefined }, alice)
      )
      expect((yield* call(client, exclusive("12345678"))).status).toBe("NFS3ERR_EXIST")
    })
  )

  it.live("lets root choose owners, and nobody else", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const chosen = yield* create(client, "root's", { mode: 0o600, uid: 7, gid: 8 }, {})
      expect((yield* getattr(client, chosen)).attributes).toMatchObject({ uid: 7, gid: 8 })
      const ignored = yield* create(client, "alice's", { mode: 0o600, uid: 7, gid: 8 })
      expect((yield* getattr(client, ignored)).attributes).toMatchObject({ uid: 1000, gid: 1000 })
    })
  )
})

describe("MKDIR", () => {
  it.live("makes a directory", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const before = yield* getattr(client, client.dir)
      const where = { dir: client.dir, name: "dir" }
      const made = ok(yield* client.nfs(Nfs.MKDIR, { where, attributes: { mode: 0o1750 } }, alice))
      const after = yield* getattr(client, client.dir)
      modified(made.dirWcc, before, after)
      expect(after.attributes.nlink).toBe(before.attributes.nlink + 1)
      expect(made.objAttributes).toEqual(yield* getattr(client, made.obj!))
      expect(made.objAttributes!.attributes).toMatchObject({
        type: "directory",
        mode: 0o1750,
        nlink: 2,
        uid: 1000,
        gid: 1000
      })
      expect((yield* lookup(client, "dir")).object).toEqual(made.obj)
    })
  )

  it.live("makes one for its owner only when no mode is given", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const where = { dir: client.dir, name: "dir" }
      const made = ok(yield* client.nfs(Nfs.MKDIR, { where, attributes: {} }, alice))
      expect(made.objAttributes!.attributes.mode).toBe(0o700)
    })
  )
})

describe("SYMLINK", () => {
  it.live("makes a symbolic link", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const before = yield* getattr(client, client.dir)
      const made = ok(
        yield* client.nfs(
          Nfs.SYMLINK,
          {
            where: { dir: client.dir, name: "link" },
            symlink: { symlinkAttributes: { mode: 0o755 }, symlinkData: "caf\u00e9" }
          },
          alice
        )
      )
      modified(made.dirWcc, before, yield* getattr(client, client.dir))
      expect(made.objAttributes).toEqual(yield* getattr(client, made.obj!))
      // Its size is its target's in bytes.
      expect(made.objAttributes!.attributes).toMatchObject({ type: "symlink", nlink: 1, uid: 1000, gid: 1000, size: 5 })
      expect((yield* lookup(client, "link")).object).toEqual(made.obj)
    })
  )
})

describe("MKNOD", () => {
  const pipeAttributes = { mode: 0o640 }
  const spec = { major: 300, minor: 70_000 }
  const none = { major: 0, minor: 0 }

  it.live.each([
    ["a FIFO", { type: "NF3FIFO", pipeAttributes }, "fifo", none, alice, 1000],
    ["a socket", { type: "NF3SOCK", pipeAttributes }, "socket", none, alice, 1000],
    ["a character device", { type: "NF3CHR", devAttributes: pipeAttributes, spec }, "character", spec, undefined, 0],
    ["a block device", { type: "NF3BLK", devAttributes: pipeAttributes, spec }, "block", spec, undefined, 0]
  ] as const)("makes %s", ([, what, type, rdev, who, uid]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const before = yield* getattr(client, client.dir)
      const made = ok(yield* client.nfs(Nfs.MKNOD, { where: { dir: client.dir, name: "node" }, what }, who))
      modified(made.dirWcc, before, yield* getattr(client, client.dir))
      expect(made.objAttributes).toEqual(yield* getattr(client, made.obj!))
      expect(made.objAttributes!.attributes).toMatchObject({ type, rdev, mode: 0o640, nlink: 1, uid, size: 0 })
      expect((yield* lookup(client, "node")).object).toEqual(made.obj)
    })
  )
})

describe("REMOVE", () => {
  it.live("removes a file, and then its handle leads nowhere", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const before = yield* getattr(client, client.dir)
      const { dirWcc } = ok(yield* client.nfs(Nfs.REMOVE, { object: { dir: client.dir, name: "file" } }, bob))
      modified(dirWcc, before, yield* getattr(client, client.dir))
      expect(yield* status(client, "file")).toBe("NFS3ERR_NOENT")
      expect(yield* client.nfs(Nfs.GETATTR, { object: file })).toEqual({ status: "NFS3ERR_STALE" })
    })
  )

  it.live("removes one name of several", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* client.nfs(Nfs.LINK, { file, link: { dir: client.dir, name: "other" } }))
      const before = yield* getattr(client, file)
      ok(yield* client.nfs(Nfs.REMOVE, { object: { dir: client.dir, name: "file" } }))
      const { attributes } = yield* getattr(client, file)
      expect(attributes.nlink).toBe(1)
      isAfter(attributes.ctime, before.attributes.ctime)
      expect((yield* lookup(client, "other")).object).toEqual(file)
    })
  )
})

describe("RMDIR", () => {
  it.live("removes a directory, and then its handle leads nowhere", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const before = yield* getattr(client, client.dir)
      const { dirWcc } = ok(yield* client.nfs(Nfs.RMDIR, { object: { dir: client.dir, name: "dir" } }, bob))
      const after = yield* getattr(client, client.dir)
      modified(dirWcc, before, after)
      expect(after.attributes.nlink).toBe(before.attributes.nlink - 1)
      expect(yield* status(client, "dir")).toBe("NFS3ERR_NOENT")
      expect(yield* client.nfs(Nfs.GETATTR, { object: dir })).toEqual({ status: "NFS3ERR_STALE" })
      expect(yield* status(client, "..", dir)).toBe("NFS3ERR_STALE")
    })
  )
})

describe("RENAME", () => {
  const rename = (client: Session, name: string, to: Uint8Array, newName: string, from = client.dir) =>
    Effect.map(client.nfs(Nfs.RENAME, { from: { dir: from, name }, to: { dir: to, name: newName } }, alice), ok)

  it.live("gives a file another name", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "old")
      const before = yield* getattr(client, client.dir)
      const wcc = yield* rename(client, "old", client.dir, "new")
      const after = yield* getattr(client, client.dir)
      modified(wcc.fromdirWcc, before, after)
      modified(wcc.todirWcc, before, after)
      expect((yield* lookup(client, "new")).object).toEqual(file)
      expect(yield* status(client, "old")).toBe("NFS3ERR_NOENT")
    })
  )

  it.live("moves a file to another directory", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "old")
      const dir = yield* mkdir(client, "dir")
      const before = [yield* getattr(client, client.dir), yield* getattr(client, dir)] as const
      const wcc = yield* rename(client, "old", dir, "new")
      modified(wcc.fromdirWcc, before[0], yield* getattr(client, client.dir))
      modified(wcc.todirWcc, before[1], yield* getattr(client, dir))
      expect((yield* lookup(client, "new", dir)).object).toEqual(file)
      expect(yield* status(client, "old")).toBe("NFS3ERR_NOENT")
    })
  )

  it.live("moves a directory, whose parent is another one then", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const moved = yield* mkdir(client, "moved")
      const dir = yield* mkdir(client, "dir")
      const links = Effect.forEach([client.dir, dir], (object) =>
        Effect.map(getattr(client, object), ({ attributes }) => attributes.nlink)
      )
      expect(yield* links).toEqual([4, 2])
      yield* rename(client, "moved", dir, "moved")
      expect(yield* links).toEqual([3, 3])
      expect((yield* lookup(client, "..", moved)).object).toEqual(dir)
    })
  )

  it.live("replaces a file", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const target = yield* create(client, "target")
      ok(yield* client.nfs(Nfs.LINK, { file: target, link: { dir: client.dir, name: "kept" } }))
      yield* rename(client, "file", client.dir, "target")
      expect((yield* lookup(client, "target")).object).toEqual(file)
      expect((yield* lookup(client, "kept")).objAttributes!.attributes.nlink).toBe(1)
      expect(yield* status(client, "file")).toBe("NFS3ERR_NOENT")
    })
  )

  it.live("replaces an empty directory", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const target = yield* mkdir(client, "target")
      yield* rename(client, "dir", client.dir, "target")
      expect((yield* lookup(client, "target")).object).toEqual(dir)
      expect(yield* client.nfs(Nfs.GETATTR, { object: target })).toEqual({ status: "NFS3ERR_STALE" })
    })
  )

  it.live.each([
    ["its own name", "file"],
    ["another name of the same file", "other"]
  ] as const)("to %s does nothing", ([, newName]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      ok(yield* client.nfs(Nfs.LINK, { file, link: { dir: client.dir, name: "other" } }))
      const before = yield* getattr(client, client.dir)
      const wcc = yield* rename(client, "file", client.dir, newName)
      unchanged(wcc.fromdirWcc, before, yield* getattr(client, client.dir))
      unchanged(wcc.todirWcc, before, yield* getattr(client, client.dir))
      for (const name of ["file", "other"]) expect((yield* lookup(client, name)).object).toEqual(file)
    })
  )
})

describe("LINK", () => {
  it.live("gives a file one more name", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const dir = yield* mkdir(client, "dir")
      const before = [yield* getattr(client, file), yield* getattr(client, dir)] as const
      const linked = ok(yield* client.nfs(Nfs.LINK, { file, link: { dir, name: "link" } }, alice))
      const after = yield* getattr(client, file)
      expect(linked.fileAttributes).toEqual(after)
      expect(after.attributes).toEqual({ ...before[0].attributes, nlink: 2, ctime: after.attributes.ctime })
      isAfter(after.attributes.ctime, before[0].attributes.ctime)
      modified(linked.linkdirWcc, before[1], yield* getattr(client, dir))
      expect((yield* lookup(client, "link", dir)).object).toEqual(file)
    })
  )
})

/** A directory with files of all lengths of names, and their names. */
const populated = Effect.gen(function* () {
  const client = yield* session()
  const names = Array.from({ length: 100 }, (_, i) => `${i} ${"n".repeat((i * 7) % 50)}`)
  yield* Effect.forEach(names, (name) => create(client, name), { concurrency: 16 })
  return { client, names }
})

const zero = Buffer.alloc(8)

describe("READDIR", () => {
  const readdir = (client: Session, cookie: bigint, count: number, dir = client.dir) =>
    Effect.map(client.nfs(Nfs.READDIR, { dir, cookie, cookieverf: zero, count }), ok)

  it.live("lists everything once, in as many answers as it takes", () =>
    Effect.gen(function* () {
      const { client, names } = yield* populated
      for (const count of [200, 1000, 4096, 65_536]) {
        const listed: Array<string> = []
        const cookies = new Set<bigint>()
        let cookie = 0n
        for (let eof = false; !eof;) {
          const answer = yield* readdir(client, cookie, count)
          const length = Result.getOrThrow(Xdr.encode(Nfs.READDIR.result, answer)).length
          expect(length).toBeLessThanOrEqual(count)
          expect(answer.dirAttributes).toEqual(yield* getattr(client, client.dir))
          expect(answer.cookieverf).toHaveLength(8)
          for (const entry of answer.entries) {
            listed.push(entry.name)
            cookies.add(entry.cookie)
            const { fileid } = (yield* lookup(client, entry.name)).objAttributes!.attributes
            expect(entry.fileid).toBe(fileid)
          }
          cookie = answer.entries.at(-1)!.cookie
          eof = answer.eof
        }
        expect(listed.slice(0, 2)).toEqual([".", ".."])
        expect(listed.slice(2).toSorted()).toEqual(names.toSorted())
        expect(cookies.size).toBe(listed.length)
        expect(cookies.has(0n)).toBe(false)
      }
    })
  )

  it.live("lists an empty directory, and nothing after its end", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const { entries, eof } = yield* readdir(client, 0n, 4096, dir)
      expect(entries.map(({ name }) => name)).toEqual([".", ".."])
      expect(entries[0]!.fileid).toBe((yield* getattr(client, dir)).attributes.fileid)
      expect(entries[1]!.fileid).toBe((yield* getattr(client, client.dir)).attributes.fileid)
      expect(eof).toBe(true)
      expect(yield* readdir(client, entries[1]!.cookie, 4096, dir)).toMatchObject({ entries: [], eof: true })
    })
  )
})

describe("READDIRPLUS", () => {
  const readdirplus = (client: Session, cookie: bigint, dircount: number, maxcount: number, who?: CallOptions) =>
    client
      .nfs(Nfs.READDIRPLUS, { dir: client.dir, cookie, cookieverf: zero, dircount, maxcount }, who)
      .pipe(Effect.map(ok))

  it.live("lists everything once, with attributes and handles", () =>
    Effect.gen(function* () {
      const { client, names } = yield* populated
      // The first listing is an access that changes the directory's atime.
      yield* readdirplus(client, 0n, 4096, 4096)
      for (const [dircount, maxcount] of [
        [65_536, 400],
        [200, 65_536],
        [1, 65_536],
        [4096, 4096],
        [65_536, 65_536]
      ] as const) {
        const listed: Array<string> = []
        let cookie = 0n
        for (let eof = false; !eof;) {
          const answer = yield* readdirplus(client, cookie, dircount, maxcount)
          const length = Result.getOrThrow(Xdr.encode(Nfs.READDIRPLUS.result, answer)).length
          expect(length).toBeLessThanOrEqual(maxcount)
          expect(answer.dirAttributes).toEqual(yield* getattr(client, client.dir))
          const { entries } = answer
          if (entries.length > 1) {
            const { cookieverf, dirAttributes } = answer
            const plain = entries.map(({ cookie, fileid, name }) => ({ cookie, fileid, name }))
            const names = { status: "NFS3_OK", dirAttributes, cookieverf, entries: plain, eof: false } as const
            const without = Result.getOrThrow(Xdr.encode(Nfs.READDIR.result, { ...names, entries: [] })).length
            expect(Result.getOrThrow(Xdr.encode(Nfs.READDIR.result, names)).length - without).toBeLessThanOrEqual(
              dircount
            )
          }
          for (const { fileid, name, nameAttributes, nameHandle } of entries) {
            listed.push(name)
            const { objAttributes, object } = yield* lookup(client, name)
            expect({ nameAttributes, nameHandle }).toEqual({ nameAttributes: objAttributes, nameHandle: object })
            expect(fileid).toBe(objAttributes!.attributes.fileid)
          }
          cookie = entries.at(-1)!.cookie
          eof = answer.eof
        }
        expect(listed.slice(0, 2)).toEqual([".", ".."])
        expect(listed.slice(2).toSorted()).toEqual(names.toSorted())
      }
    })
  )

  it.live("tells those who may not search the directory its names only", () =>
    Effect.gen(function* () {
      const client = yield* session({ memory: { mode: 0o744 } })
      yield* create(client, "file", {}, {})
      const { entries } = yield* readdirplus(client, 0n, 4096, 4096, bob)
      expect(entries.map(({ name }) => name)).toEqual([".", "..", "file"])
      for (const { nameAttributes, nameHandle } of entries)
        expect([nameAttributes, nameHandle]).toEqual([undefined, undefined])
    })
  )
})

describe("FSSTAT", () => {
  it.live("tells what is used and what is free", () =>
    Effect.gen(function* () {
      const client = yield* session({ memory: { quota: { bytes: 1_000_000, inodes: 10 } } })
      const fsstat = Effect.map(client.nfs(Nfs.FSSTAT, { fsroot: client.dir }), ok)
      const objAttributes = yield* getattr(client, client.dir)
      const bytes = { tbytes: 1_000_000, fbytes: 1_000_000, abytes: 1_000_000 }
      const empty = yield* fsstat
      expect(empty).toEqual({
        status: "NFS3_OK",
        objAttributes,
        ...bytes,
        tfiles: 10,
        ffiles: 9,
        afiles: 9,
        invarsec: 0
      })
      const file = yield* create(client, "file")
      ok(yield* write(client, file, 0, "x".repeat(100_000)))
      const used = yield* fsstat
      expect(used).toMatchObject({ tbytes: 1_000_000, tfiles: 10, ffiles: 8, afiles: 8 })
      expect(used.fbytes).toBeLessThanOrEqual(900_000)
      expect(used.fbytes).toBeGreaterThan(800_000)
      expect(used.abytes).toBe(used.fbytes)
      ok(yield* client.nfs(Nfs.REMOVE, { object: { dir: client.dir, name: "file" } }))
      expect(yield* fsstat).toMatchObject({ ...bytes, ffiles: 9 })
    })
  )
})

describe("FSINFO", () => {
  it.live.each([
    [undefined, 1024 * 1024, 65_536],
    [16_384, 16_384, 16_384]
  ])("tells limits and preferences (maxTransfer %s)", ([maxTransfer, transfer, listing]) =>
    Effect.gen(function* () {
      const client = yield* session({ maxTransfer })
      expect(yield* client.nfs(Nfs.FSINFO, { fsroot: client.dir })).toEqual({
        status: "NFS3_OK",
        objAttributes: yield* getattr(client, client.dir),
        rtmax: transfer,
        rtpref: transfer,
        rtmult: 4096,
        wtmax: transfer,
        wtpref: transfer,
        wtmult: 4096,
        dtpref: listing,
        maxfilesize: expect.any(Number),
        timeDelta: { seconds: 0, nanoseconds: 1 },
        properties: Nfs.FSF3_LINK | Nfs.FSF3_SYMLINK | Nfs.FSF3_HOMOGENEOUS | Nfs.FSF3_CANSETTIME
      })
    })
  )

  it.live("tells how large files can be", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const { maxfilesize } = ok(yield* client.nfs(Nfs.FSINFO, { fsroot: client.dir }))
      const object = yield* create(client, "file")
      const resize = (size: number) => client.nfs(Nfs.SETATTR, { object, newAttributes: { size }, guard: undefined })
      ok(yield* resize(maxfilesize))
      expect((yield* getattr(client, object)).attributes.size).toBe(maxfilesize)
      expect((yield* resize(maxfilesize + 1)).status).toBe("NFS3ERR_FBIG")
      ok(yield* write(client, object, maxfilesize - 4, "last"))
      expect((yield* write(client, object, maxfilesize - 3, "last")).status).toBe("NFS3ERR_FBIG")
      expect(yield* read(client, object, maxfilesize - 4)).toMatchObject({ text: "last", eof: true })
    })
  )
})

describe("PATHCONF", () => {
  it.live("tells how names are treated", () =>
    Effect.gen(function* () {
      const client = yield* session({ memory: { linkMax: 1234 } })
      const object = yield* create(client, "file")
      expect(yield* client.nfs(Nfs.PATHCONF, { object })).toEqual({
        status: "NFS3_OK",
        objAttributes: yield* getattr(client, object),
        linkmax: 1234,
        nameMax: 255,
        noTrunc: true,
        chownRestricted: true,
        caseInsensitive: false,
        casePreserving: true
      })
    })
  )
})

describe("COMMIT", () => {
  it.live.each([
    ["all", 0, 0],
    ["a part", 2, 2],
    ["what is behind the end", 1_000_000, 5]
  ] as const)("commits %s", ([, offset, count]) =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      const { verf } = ok(yield* write(client, file, 0, "hello"))
      const before = yield* getattr(client, file)
      const { fileWcc, ...answer } = ok(yield* client.nfs(Nfs.COMMIT, { file, offset, count }, alice))
      expect(answer).toEqual({ status: "NFS3_OK", verf })
      unchanged(fileWcc, before, yield* getattr(client, file))
    })
  )
})
