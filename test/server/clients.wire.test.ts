/** What real clients need (each test a way in which some server broke for its users), as far as a socket shows it. */

import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { compareTimes } from "../../src/filesystem/Attributes.ts"
import type { Operations, Stability } from "../../src/filesystem/Filesystem.ts"
import { fail } from "../../src/filesystem/FilesystemError.ts"
import { forward } from "../../src/filesystem/Forwarding.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { CallOptions } from "../../src/rpc/RpcClient.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { type Call, connect, ok } from "../support/nfs.ts"
import { alice, as, bob, type Session, session } from "../support/server.ts"

const getattr = (client: Session, object: Uint8Array) =>
  Effect.map(client.nfs(Nfs.GETATTR, { object }), (answer) => ok(answer).objAttributes.attributes)

const create = (client: Session, name: string, mode = 0o644, who: CallOptions = {}, dir = client.dir) =>
  client
    .nfs(Nfs.CREATE, { where: { dir, name }, how: { mode: "GUARDED", objAttributes: { mode } } }, who)
    .pipe(Effect.map((answer) => ok(answer).obj!))

const mkdir = (client: Session, name: string, mode = 0o755, who: CallOptions = {}, dir = client.dir) =>
  client
    .nfs(Nfs.MKDIR, { where: { dir, name }, attributes: { mode } }, who)
    .pipe(Effect.map((answer) => ok(answer).obj!))

const remove = (client: Session, name: string, dir = client.dir) =>
  Effect.map(client.nfs(Nfs.REMOVE, { object: { dir, name } }), ok)

const write = (client: Session, file: Uint8Array, offset: number, data: Uint8Array, who: CallOptions = {}) =>
  client.nfs(Nfs.WRITE, { file, offset, count: data.length, stable: "UNSTABLE", data: [data] }, who)

const zero = Buffer.alloc(8)

const readdir = (client: Session, cookie: bigint, count: number, cookieverf: Uint8Array = zero) =>
  Effect.map(client.nfs(Nfs.READDIR, { dir: client.dir, cookie, cookieverf, count }), ok)

const createMany = (client: Session, names: ReadonlyArray<string>) =>
  Effect.forEach(names, (name) => create(client, name), { concurrency: 32 })

const numbered = (count: number, prefix = "file") => Array.from({ length: count }, (_, i) => `${prefix} ${i}`)

describe("handles and identity", () => {
  it.live("a handle means its file across renames, and while others come and go", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "dir")
      const file = yield* create(client, "file", 0o644, {}, dir)
      const { fileid } = yield* getattr(client, file)
      yield* createMany(client, numbered(200))
      yield* Effect.forEach(numbered(200), (name) => remove(client, name), { concurrency: 32 })
      ok(yield* client.nfs(Nfs.RENAME, { from: { dir, name: "file" }, to: { dir: client.dir, name: "moved" } }))
      ok(yield* client.nfs(Nfs.RENAME, { from: { dir: client.dir, name: "dir" }, to: { dir: client.dir, name: "d" } }))
      expect(yield* getattr(client, file)).toMatchObject({ type: "regular", fileid })
      expect(yield* getattr(client, dir)).toMatchObject({ type: "directory" })
    })
  )

  it.live("a handle of what was removed never means another file", () =>
    Effect.gen(function* () {
      const client = yield* session({ memory: { quota: { inodes: 3 } } })
      const handles: Array<Uint8Array> = []
      for (let i = 0; i < 50; i++) {
        handles.push(yield* create(client, "file"))
        yield* remove(client, "file")
      }
      yield* create(client, "file")
      for (const object of handles) {
        expect(yield* client.nfs(Nfs.GETATTR, { object })).toEqual({ status: "NFS3ERR_STALE" })
        expect((yield* write(client, object, 0, Buffer.from("x"))).status).toBe("NFS3ERR_STALE")
      }
    })
  )

  it.live("numbers of files are their own, never 0, and stay", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const files = yield* createMany(client, numbered(100))
      const ids = yield* Effect.forEach([client.dir, ...files], (file) => getattr(client, file))
      const numbers = ids.map(({ fileid }) => fileid)
      expect(new Set(numbers).size).toBe(101)
      expect(numbers).not.toContain(0n)
      const from = { dir: client.dir, name: "file 0" }
      ok(yield* client.nfs(Nfs.RENAME, { from, to: { dir: client.dir, name: "file 1" } }))
      const what = { dir: client.dir, name: "file 1" }
      const { objAttributes } = ok(yield* client.nfs(Nfs.LOOKUP, { what }))
      expect(objAttributes!.attributes.fileid).toBe(numbers[1])
    })
  )

  it.live("all handles have one length, a multiple of 4, 64 bytes at most", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const handles = [client.dir, yield* mkdir(client, "dir"), yield* create(client, "file")]
      const lengths = new Set(handles.map((handle) => handle.length))
      expect(lengths.size).toBe(1)
      for (const length of lengths) {
        expect(length % 4).toBe(0)
        expect(length).toBeLessThanOrEqual(64)
      }
    })
  )

  it.live("no handle can be made up: a handle with any bit changed is refused", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file")
      for (let bit = 0; bit < file.length * 8; bit++) {
        const object = Buffer.from(file)
        object[bit >> 3]! ^= 1 << (bit & 7)
        expect(yield* client.nfs(Nfs.GETATTR, { object }), `bit ${bit}`).toEqual({ status: "NFS3ERR_BADHANDLE" })
      }
    })
  )

  it.live("a handle of another server is refused", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* session(), yield* session()]
      expect(yield* one.nfs(Nfs.GETATTR, { object: other.dir })).toEqual({ status: "NFS3ERR_BADHANDLE" })
    })
  )
})

describe("directories", () => {
  it.live("rm -rf, which removes while it lists, leaves nothing", () =>
    Effect.gen(function* () {
      const client = yield* session()
      yield* createMany(client, numbered(300))
      let cookie = 0n
      for (let eof = false; !eof;) {
        const answer = yield* readdir(client, cookie, 1000)
        for (const { name } of answer.entries) if (!name.startsWith(".")) yield* remove(client, name)
        cookie = answer.entries.at(-1)?.cookie ?? cookie
        eof = answer.eof
      }
      expect((yield* readdir(client, 0n, 65_536)).entries.map(({ name }) => name)).toEqual([".", ".."])
      const { attributes } = ok(yield* client.nfs(Nfs.GETATTR, { object: client.dir })).objAttributes
      expect(attributes.nlink).toBe(2)
    })
  )

  it.live("what stays is listed once, whatever else comes and goes meanwhile", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const staying = numbered(100, "staying")
      const going = numbered(100, "going")
      yield* createMany(
        client,
        staying.flatMap((name, i) => [name, going[i]!])
      )
      const listed: Array<string> = []
      let cookie = 0n
      let round = 0
      for (let eof = false; !eof; round++) {
        const answer = yield* readdir(client, cookie, 600)
        listed.push(...answer.entries.map(({ name }) => name))
        cookie = answer.entries.at(-1)!.cookie
        eof = answer.eof
        // Those that were just listed, those that are about to be, and new ones.
        for (const name of going.splice(0, 3)) yield* remove(client, name)
        for (const name of going.splice(-3)) yield* remove(client, name)
        if (round < 20) yield* create(client, `new ${round}`)
      }
      expect(round).toBeGreaterThan(10)
      expect(listed.filter((name) => name.startsWith("staying")).toSorted()).toEqual(staying.toSorted())
      expect(new Set(listed).size).toBe(listed.length)
    })
  )

  it.live("a listing goes on from the cookie of an entry that is gone", () =>
    Effect.gen(function* () {
      const client = yield* session()
      yield* createMany(client, ["a"])
      yield* createMany(client, ["b"])
      yield* createMany(client, ["c"])
      const { entries } = yield* readdir(client, 0n, 4096)
      expect(entries.map(({ name }) => name)).toEqual([".", "..", "a", "b", "c"])
      yield* remove(client, "b")
      const rest = yield* readdir(client, entries[3]!.cookie, 4096)
      expect(rest.entries.map(({ name }) => name)).toEqual(["c"])
    })
  )

  it.live("in the middle of a listing of a directory that changes, any verifier is accepted, zeros too", () =>
    Effect.gen(function* () {
      const client = yield* session()
      yield* createMany(client, numbered(10))
      const first = yield* readdir(client, 0n, 200)
      expect(first.eof).toBe(false)
      yield* create(client, "new")
      const { cookie } = first.entries.at(-1)!
      const rest = [
        yield* readdir(client, cookie, 4096, first.cookieverf),
        yield* readdir(client, cookie, 4096, zero),
        yield* readdir(client, cookie, 4096, Buffer.alloc(8, 0xff))
      ]
      for (const { entries } of rest) expect(entries).toEqual(rest[0]!.entries)
    })
  )

  it.live("no answer is longer than the client asked for, whatever it asked for", () =>
    Effect.gen(function* () {
      const client = yield* session()
      yield* createMany(client, ["a", "bb".repeat(20), "c".repeat(255), "d"])
      let listed = 0
      for (let count = 0; count < 1500; count += 7) {
        const args = { dir: client.dir, cookie: 0n, cookieverf: zero }
        const plain = yield* client.nfs(Nfs.READDIR, { ...args, count })
        const plus = yield* client.nfs(Nfs.READDIRPLUS, { ...args, dircount: 0xffff_ffff, maxcount: count })
        for (const [call, answer] of [
          [Nfs.READDIR, plain],
          [Nfs.READDIRPLUS, plus]
        ] as ReadonlyArray<[Call<unknown, unknown>, typeof plain | typeof plus]>) {
          if (answer.status !== "NFS3_OK") {
            expect(answer.status).toBe("NFS3ERR_TOOSMALL")
            // The smallest entry is ".".
            expect(count).toBeLessThan(call.number === Nfs.READDIR.number ? 136 : 264)
          } else {
            listed++
            expect(answer.entries.length).toBeGreaterThan(0)
            expect(answer.eof).toBe(answer.entries.length === 6)
            expect(Result.getOrThrow(Xdr.encode(call.result, answer)).length).toBeLessThanOrEqual(count)
          }
        }
      }
      expect(listed).toBeGreaterThan(300)
    })
  )

  it.live("an entry whose attributes cannot be had is listed without, and the listing goes on", () =>
    Effect.gen(function* () {
      const client = yield* session({
        change: (memory) =>
          forward(memory, {
            readdir: (directory, request, guard) =>
              Effect.map(memory.readdir(directory, request, guard), (listing) => ({
                ...listing,
                entries: listing.entries.map((entry) => (entry.name === "bad" ? { ...entry, found: undefined } : entry))
              }))
          })
      })
      yield* create(client, "a")
      yield* create(client, "bad")
      yield* create(client, "c")
      const list = { dir: client.dir, cookie: 2n, cookieverf: zero, dircount: 4096, maxcount: 4096 }
      const { entries, eof } = ok(yield* client.nfs(Nfs.READDIRPLUS, list))
      const told = entries.map(({ name, nameAttributes, nameHandle }) => [name, nameAttributes && nameHandle && true])
      expect(told).toEqual([
        ["a", true],
        ["bad", undefined],
        ["c", true]
      ])
      expect(eof).toBe(true)
    })
  )

  it.live('".." of the root is the root', () =>
    Effect.gen(function* () {
      const client = yield* session()
      const found = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: client.dir, name: ".." } }))
      expect(found.object).toEqual(client.dir)
      const { entries } = yield* readdir(client, 0n, 4096)
      expect(entries[0]!.fileid).toBe(entries[1]!.fileid)
    })
  )
})

describe("data", () => {
  it.live("the filesystem is told how stable data shall be, and the client how stable it is", () =>
    Effect.gen(function* () {
      const asked: Array<Stability> = []
      const client = yield* session({
        change: (memory) =>
          forward(memory, {
            write: (file, offset, data, stability, guard) => {
              asked.push(stability)
              return Effect.map(memory.write(file, offset, data, stability, guard), (r) => ({
                ...r,
                committed: stability
              }))
            }
          })
      })
      const file = yield* create(client, "file")
      for (const stable of ["UNSTABLE", "DATA_SYNC", "FILE_SYNC"] as const) {
        const args = { file, offset: 0, count: 1, stable, data: [Buffer.from("x")] }
        expect(ok(yield* client.nfs(Nfs.WRITE, args)).committed).toBe(stable)
      }
      expect(asked).toEqual(["unstable", "dataSync", "fileSync"])
    })
  )

  it.live("a sync that fails is reported", () =>
    Effect.gen(function* () {
      const client = yield* session({ change: (memory) => forward(memory, { commit: () => fail.EIO }) })
      const file = yield* create(client, "file")
      expect((yield* client.nfs(Nfs.COMMIT, { file, offset: 0, count: 0 })).status).toBe("NFS3ERR_IO")
    })
  )

  it.live("a short write is told as such", () =>
    Effect.gen(function* () {
      const client = yield* session({
        change: (memory) =>
          forward(memory, {
            write: (file, offset, data, stability, guard) =>
              memory.write(file, offset, [data[0]!.subarray(0, 3)], stability, guard)
          })
      })
      const file = yield* create(client, "file")
      expect(ok(yield* write(client, file, 0, Buffer.from("hello"))).count).toBe(3)
      expect((yield* getattr(client, file)).size).toBe(3)
    })
  )

  it.live.each([undefined, 65_536, 1_000_000])("as much as FSINFO says can be written and read (%s)", (maxTransfer) =>
    Effect.gen(function* () {
      const client = yield* session({ maxTransfer })
      const { rtmax, wtmax } = ok(yield* client.nfs(Nfs.FSINFO, { fsroot: client.dir }))
      expect(wtmax).toBe(maxTransfer ?? 1024 * 1024)
      const file = yield* create(client, "file")
      const data = Buffer.alloc(wtmax, "abcdefg")
      // With the longest credentials that there are.
      const who = as({ uid: 0, gid: 0, gids: Array.from({ length: 16 }, (_, i) => i) })
      expect(ok(yield* write(client, file, 0, data, who)).count).toBe(wtmax)
      const back = ok(yield* client.nfs(Nfs.READ, { file, offset: 0, count: rtmax }))
      expect(back).toMatchObject({ count: rtmax, eof: true })
      expect(Buffer.concat(back.data).equals(data)).toBe(true)
    })
  )
})

describe("attributes and caching", () => {
  it.live("every change of names changes the directory's times, and replies tell from when to when", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const { dir, nfs } = client
      const where = (name: string) => ({ dir, name })
      const file = yield* create(client, "file")
      let last = yield* getattr(client, dir)
      const pipe = { type: "NF3FIFO", pipeAttributes: {} } as const
      const changes = [
        nfs(Nfs.MKDIR, { where: where("dir"), attributes: {} }).pipe(Effect.map((answer) => ok(answer).dirWcc)),
        nfs(Nfs.MKNOD, { where: where("fifo"), what: pipe }).pipe(Effect.map((answer) => ok(answer).dirWcc)),
        nfs(Nfs.SYMLINK, { where: where("link"), symlink: { symlinkAttributes: {}, symlinkData: "x" } }).pipe(
          Effect.map((answer) => ok(answer).dirWcc)
        ),
        nfs(Nfs.LINK, { file, link: where("second") }).pipe(Effect.map((answer) => ok(answer).linkdirWcc)),
        nfs(Nfs.RENAME, { from: where("second"), to: where("third") }).pipe(
          Effect.map((answer) => ok(answer).fromdirWcc)
        ),
        nfs(Nfs.RENAME, { from: where("third"), to: where("link") }).pipe(Effect.map((answer) => ok(answer).todirWcc)),
        nfs(Nfs.REMOVE, { object: where("fifo") }).pipe(Effect.map((answer) => ok(answer).dirWcc)),
        nfs(Nfs.RMDIR, { object: where("dir") }).pipe(Effect.map((answer) => ok(answer).dirWcc))
      ]
      for (const change of changes) {
        const { after, before } = yield* change
        expect(before).toEqual({ size: last.size, mtime: last.mtime, ctime: last.ctime })
        const { attributes } = after!
        expect(compareTimes(attributes.mtime, last.mtime)).toBeGreaterThan(0)
        expect(compareTimes(attributes.ctime, last.ctime)).toBeGreaterThan(0)
        last = yield* getattr(client, dir)
        expect(attributes).toEqual(last)
      }
    })
  )

  it.live("times before and after are left out where somebody else may have changed something in between", () =>
    Effect.gen(function* () {
      const client = yield* session({
        change: (memory) =>
          forward(memory, {
            setattr: (file, guard) => Effect.map(memory.setattr(file, guard), (wcc) => ({ ...wcc, atomic: false }))
          })
      })
      const newAttributes = { mode: 0o700 }
      const { objWcc } = ok(yield* client.nfs(Nfs.SETATTR, { object: client.dir, newAttributes, guard: undefined }))
      expect(objWcc.before).toBeUndefined()
      expect(objWcc.after!.attributes).toEqual(yield* getattr(client, client.dir))
    })
  )

  it.live('"no such name" goes with the attributes that the directory had then', () =>
    Effect.gen(function* () {
      let late = Effect.void
      const client: Session = yield* session({
        change: (memory) =>
          forward(memory, {
            lookup: (directory, name, guard) =>
              Effect.ensuring(
                memory.lookup(directory, name, guard),
                Effect.suspend(() => late)
              )
          })
      })
      const before = yield* getattr(client, client.dir)
      // Somebody makes the name right after it was looked for in vain.
      late = Effect.asVoid(Effect.orDie(create(client, "late")))
      const answer = yield* client.nfs(Nfs.LOOKUP, { what: { dir: client.dir, name: "late" } })
      expect(answer).toMatchObject({ status: "NFS3ERR_NOENT", dirAttributes: { attributes: before } })
      expect((yield* getattr(client, client.dir)).mtime).not.toEqual(before.mtime)
    })
  )

  it.live("numbers that no client can count to are capped", () =>
    Effect.gen(function* () {
      const many = Number.POSITIVE_INFINITY
      const client = yield* session({
        change: (memory) =>
          forward(memory, {
            statfs: () =>
              Effect.succeed({
                totalBytes: many,
                freeBytes: 2 ** 70,
                availableBytes: -5,
                totalFiles: many,
                freeFiles: 1.5,
                availableFiles: 0
              })
          })
      })
      const answer = ok(yield* client.nfs(Nfs.FSSTAT, { fsroot: client.dir }))
      for (const n of [answer.tbytes, answer.fbytes, answer.tfiles]) {
        expect(n).toBeGreaterThan(2 ** 50)
        expect(n).toBeLessThan(2 ** 63)
      }
      expect([answer.abytes, answer.ffiles, answer.afiles]).toEqual([0, 1, 0])
    })
  )

  it.live("times that the protocol cannot carry become the nearest that it can, and guard as such", () =>
    Effect.gen(function* () {
      const seconds = { atime: -1, mtime: 2 ** 33, ctime: -(2 ** 40) }
      const at = (seconds: number) => ({ seconds, nanoseconds: 7 })
      const odd = (memory: Operations): Operations =>
        forward(memory, {
          getattr: (file) =>
            Effect.map(memory.getattr(file), (attributes) => ({
              ...attributes,
              atime: at(seconds.atime),
              mtime: at(seconds.mtime),
              ctime: at(seconds.ctime)
            })),
          setattr: (file, guard) => memory.setattr(file, (before) => guard({ ...before, ctime: at(seconds.ctime) }))
        })
      const client = yield* session({ change: odd })
      const { atime, ctime, mtime } = yield* getattr(client, client.dir)
      expect({ atime, ctime, mtime }).toEqual({ atime: at(0), ctime: at(0), mtime: at(0xffff_ffff) })
      const newAttributes = { mode: 0o700 }
      expect((yield* client.nfs(Nfs.SETATTR, { object: client.dir, newAttributes, guard: ctime })).status).toBe(
        "NFS3_OK"
      )
    })
  )
})

describe("permissions", () => {
  it.live("git writes an object that it has just made read-only: owners read and write through a handle", () =>
    Effect.gen(function* () {
      const client = yield* session()
      for (const mode of [0o444, 0o000]) {
        const file = yield* create(client, `${mode}`, mode, alice)
        ok(yield* write(client, file, 0, Buffer.from("x"), alice))
        ok(yield* client.nfs(Nfs.READ, { file, offset: 0, count: 1 }, alice))
        ok(yield* client.nfs(Nfs.COMMIT, { file, offset: 0, count: 0 }, alice))
        expect((yield* write(client, file, 0, Buffer.from("x"), bob)).status).toBe("NFS3ERR_ACCES")
        const { access } = ok(yield* client.nfs(Nfs.ACCESS, { object: file, access: 0x3f }, alice))
        expect(access).toBe(mode === 0 ? 0 : Nfs.ACCESS3_READ)
      }
    })
  )

  it.live("a program that may be executed, and not read, can be loaded", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "program", 0o711, alice)
      expect((yield* client.nfs(Nfs.READ, { file, offset: 0, count: 1 }, bob)).status).toBe("NFS3_OK")
    })
  )

  it.live("all 16 groups count", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const file = yield* create(client, "file", 0o640, alice)
      const gids = Array.from({ length: 16 }, (_, i) => 985 + i)
      expect(gids.at(-1)).toBe(1000)
      const read = (gids: ReadonlyArray<number>) =>
        Effect.map(client.nfs(Nfs.READ, { file, offset: 0, count: 1 }, as({ uid: 5, gid: 5, gids })), (a) => a.status)
      expect(yield* read(gids)).toBe("NFS3_OK")
      expect(yield* read(gids.slice(0, 15))).toBe("NFS3ERR_ACCES")
    })
  )

  it.live("setuid and setgid do not survive a write or a new owner", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const mode = (file: Uint8Array) => Effect.map(getattr(client, file), ({ mode }) => mode)
      const file = yield* create(client, "file", 0o6777, alice)
      expect(yield* mode(file)).toBe(0o6777)
      ok(yield* write(client, file, 0, Buffer.from("x"), bob))
      expect(yield* mode(file)).toBe(0o777)
      const given = yield* create(client, "given", 0o6755, alice)
      ok(yield* client.nfs(Nfs.SETATTR, { object: given, newAttributes: { uid: 1001 }, guard: undefined }))
      expect(yield* mode(given)).toBe(0o755)
    })
  )

  it.live("in a sticky directory everybody removes and renames their own", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "tmp", 0o1777)
      yield* create(client, "file", 0o666, alice, dir)
      const object = { dir, name: "file" }
      const rename = { from: object, to: { dir, name: "new" } }
      expect((yield* client.nfs(Nfs.REMOVE, { object }, bob)).status).toBe("NFS3ERR_PERM")
      expect((yield* client.nfs(Nfs.RENAME, rename, bob)).status).toBe("NFS3ERR_PERM")
      expect((yield* client.nfs(Nfs.RENAME, rename, alice)).status).toBe("NFS3_OK")
      expect((yield* client.nfs(Nfs.REMOVE, { object: { dir, name: "new" } }, alice)).status).toBe("NFS3_OK")
    })
  )

  it.live("what is made in a setgid directory has its group, and directories the bit", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const dir = yield* mkdir(client, "shared", 0o2777, as({ uid: 1, gid: 77 }))
      const file = yield* create(client, "file", 0o644, alice, dir)
      const below = yield* mkdir(client, "below", 0o755, alice, dir)
      expect(yield* getattr(client, file)).toMatchObject({ uid: 1000, gid: 77, mode: 0o644 })
      expect(yield* getattr(client, below)).toMatchObject({ uid: 1000, gid: 77, mode: 0o2755 })
    })
  )
})

describe("RPC", () => {
  it.live("one slow call holds back no other of its connection", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const client: Session = yield* session({
        change: (memory) =>
          forward(memory, {
            read: (...args) => Effect.andThen(Deferred.await(gate), memory.read(...args)),
            write: (...args) => Effect.andThen(Deferred.await(gate), memory.write(...args))
          })
      })
      const file = yield* create(client, "file")
      const read = yield* Effect.forkChild(client.nfs(Nfs.READ, { file, offset: 0, count: 1 }))
      const written = yield* Effect.forkChild(write(client, file, 0, Buffer.from("x")))
      yield* Effect.forEach(numbered(100), () => getattr(client, file), { concurrency: "unbounded" })
      yield* remove(client, "file")
      expect([read.pollUnsafe(), written.pollUnsafe()]).toEqual([undefined, undefined])
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(read)).status).toBe("NFS3ERR_STALE")
      expect((yield* Fiber.join(written)).status).toBe("NFS3ERR_STALE")
    })
  )

  it.live("every call that changes something is executed once, however often it is asked for", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const { dir, port } = client
      yield* createMany(client, ["remove", "rename", "file"])
      yield* mkdir(client, "rmdir")
      const file = yield* create(client, "subject")
      const where = (name: string) => ({ dir, name })
      const { ctime } = yield* getattr(client, file)
      const spec = { type: "NF3FIFO", pipeAttributes: {} } as const
      const symlink = { symlinkAttributes: {}, symlinkData: "target" }
      const setMode = { object: file, newAttributes: { mode: 0 }, guard: ctime }
      const data = { offset: 0, count: 1, stable: "UNSTABLE", data: [Buffer.from("x")] } as const
      const changes: ReadonlyArray<readonly [Call<any, any>, unknown]> = [
        [Nfs.SETATTR, setMode],
        [Nfs.WRITE, { file, ...data }],
        [Nfs.CREATE, { where: where("create"), how: { mode: "GUARDED", objAttributes: {} } }],
        [Nfs.MKDIR, { where: where("mkdir"), attributes: {} }],
        [Nfs.SYMLINK, { where: where("symlink"), symlink }],
        [Nfs.MKNOD, { where: where("mknod"), what: spec }],
        [Nfs.LINK, { file, link: where("link") }],
        [Nfs.RENAME, { from: where("rename"), to: where("renamed") }],
        [Nfs.REMOVE, { object: where("remove") }],
        [Nfs.RMDIR, { object: where("rmdir") }]
      ]
      let xid = 1
      for (const [call, args] of changes) {
        const options = { xid: xid++ }
        const answers: Array<unknown> = []
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { nfs } = yield* connect(port)
            answers.push(yield* nfs(call, args, options), yield* nfs(call, args, options))
          })
        )
        // That connection is closed: the client has come again.
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { nfs } = yield* connect(port)
            answers.push(yield* nfs(call, args, options))
          })
        )
        expect(answers[0], call.name).toMatchObject({ status: "NFS3_OK" })
        expect(answers[1], call.name).toEqual(answers[0])
        expect(answers[2], call.name).toEqual(answers[0])
      }
    })
  )
})

describe("names", () => {
  const odd = [
    "with space",
    "line\nbreak",
    "tab\t",
    "\\backslash",
    "caf\u00e9",
    "cafe\u0301",
    "\u{1f600}",
    "...",
    "-rf",
    "*",
    "x".repeat(255),
    "\u20ac".repeat(85),
    // Bytes that are not UTF-8.
    "\udcff",
    "a\udc80b\udcfec",
    "\udced\udca0\udc80",
    "\udcc3".repeat(255)
  ]

  it.live("of all kinds, and bytes that are none, survive a round trip", () =>
    Effect.gen(function* () {
      const client = yield* session()
      const handles = yield* Effect.forEach(odd, (name) => create(client, name))
      const { entries } = yield* readdir(client, 0n, 65_536)
      expect(entries.slice(2).map(({ name }) => name)).toEqual(odd)
      for (const [index, name] of odd.entries()) {
        const { object } = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: client.dir, name } }))
        expect(object, JSON.stringify(name)).toEqual(handles[index])
        yield* remove(client, name)
      }
      expect((yield* readdir(client, 0n, 65_536)).entries).toHaveLength(2)
    })
  )
})
