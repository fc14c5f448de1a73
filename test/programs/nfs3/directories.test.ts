import { assert, describe, it } from "@effect/vitest"
import { text } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { GETATTR, READDIR, READDIRPLUS } from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { encode } from "../codecs.ts"
import { alice, assertTold, bob, forged, goneFrom, make, makeFor, MAX_TRANSFER, type Server } from "./Server.ts"

const cookieverf = new Uint8Array(8)

const readdir = (dir: Uint8Array, cookie = 0n, count = 10_000) => ({ dir, cookie, cookieverf, count })

const readdirplus = (dir: Uint8Array, cookie = 0n, maxcount = 10_000, dircount = maxcount) => ({
  dir,
  cookie,
  cookieverf,
  dircount,
  maxcount
})

interface Listing {
  readonly entries: ReadonlyArray<{ readonly name: string; readonly fileid: bigint; readonly cookie: bigint }>
  readonly eof: boolean
}

/** All entries of a directory, listed in replies of at most `count` bytes, each of which holds to that. */
const listAll = Effect.fnUntraced(function* (
  server: Server,
  call: "READDIR" | "READDIRPLUS",
  dir: Uint8Array,
  count: number,
  dircount: number
) {
  const entries: Array<Listing["entries"][number]> = []
  for (;;) {
    const cookie = entries.at(-1)?.cookie ?? 0n
    let reply: Listing
    let length: number
    if (call === "READDIR") {
      const result = yield* server.ok(READDIR, readdir(dir, cookie, count))
      length = encode(READDIR.result, result).length
      reply = result
    } else {
      const result = yield* server.ok(READDIRPLUS, readdirplus(dir, cookie, count, dircount))
      length = encode(READDIRPLUS.result, result).length
      reply = result
    }
    assert.isAtMost(length, count)
    entries.push(...reply.entries)
    if (reply.eof) return entries
    assert.isNotEmpty(reply.entries)
  }
})

const names = (listing: Listing["entries"]) => listing.map(({ name }) => name)

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

for (const call of ["READDIR", "READDIRPLUS"] as const) {
  describe(call, () => {
    it.effect.prop(
      "lists each entry once, in replies no longer than asked for",
      [Arbitrary.array(text(255), { maxLength: 60 }), between(600, 5000), between(0, 2000)],
      ([texts, count, dircount]) =>
        Effect.gen(function* () {
          const server = yield* make
          const dir = yield* server.directory("directory")
          const { file } = yield* server.fs.lookup(server.fs.root, "directory", () => undefined)
          const wanted = new Set(
            texts.map((text) => text.replaceAll(/[/\0]/g, "_")).filter((name) => !/^\.{0,2}$/.test(name))
          )
          for (const name of wanted) yield* server.fs.mkdir(file, name, () => ({}))
          const entries = yield* listAll(server, call, dir, count, dircount)
          assert.deepStrictEqual(names(entries).toSorted(), [".", "..", ...wanted].toSorted())
          assert.strictEqual(new Set(entries.map(({ cookie }) => cookie)).size, entries.length)
        }),
      { arbitrary: { runs: 60, size: 60 } }
    )

    const list = (server: Server, dir: Uint8Array, cookie?: bigint, count?: number, by = alice) =>
      call === "READDIR"
        ? Effect.map(server.ok(READDIR, readdir(dir, cookie, count), by), (result): Listing => result)
        : Effect.map(server.ok(READDIRPLUS, readdirplus(dir, cookie, count), by), (result): Listing => result)

    const fails = (
      status: "TOOSMALL" | "ACCES" | "NOTDIR" | "STALE" | "BADHANDLE",
      server: Server,
      dir: Uint8Array,
      cookie = 0n,
      count = 10_000
    ) =>
      call === "READDIR"
        ? Effect.map(
            server.fails(`NFS3ERR_${status}`, READDIR, readdir(dir, cookie, count), bob),
            (r) => r.dirAttributes
          )
        : Effect.map(
            server.fails(`NFS3ERR_${status}`, READDIRPLUS, readdirplus(dir, cookie, count), bob),
            (r) => r.dirAttributes
          )

    it.effect("begins with . and .., which have the right fileids", () =>
      Effect.gen(function* () {
        const server = yield* make
        const dir = yield* server.directory("directory")
        const fileid = (object: Uint8Array) =>
          Effect.map(server.ok(GETATTR, { object }), ({ objAttributes }) => objAttributes.attributes.fileid)
        const [itself, above] = [yield* fileid(dir), yield* fileid(server.root)]
        const inDirectory = yield* list(server, dir)
        assert.deepStrictEqual(names(inDirectory.entries), [".", ".."])
        assert.deepStrictEqual(
          inDirectory.entries.map(({ fileid }) => fileid),
          [itself, above]
        )
        assert.deepStrictEqual(
          inDirectory.entries.map(({ cookie }) => cookie),
          [1n, 2n]
        )
        assert.isTrue(inDirectory.eof)
        const inRoot = yield* list(server, server.root)
        assert.deepStrictEqual(names(inRoot.entries), [".", "..", "directory"])
        assert.deepStrictEqual(
          inRoot.entries.map(({ fileid }) => fileid),
          [above, above, itself]
        )
      })
    )

    it.effect("goes on after any cookie, also when the directory changed, and takes any verifier", () =>
      Effect.gen(function* () {
        const server = yield* make
        for (const name of ["a", "b", "c", "d"]) yield* server.file(name)
        const all = (yield* list(server, server.root)).entries
        for (const [i, { cookie }] of all.entries()) {
          const rest = yield* list(server, server.root, cookie)
          assert.deepStrictEqual(names(rest.entries), names(all.slice(i + 1)))
          assert.isTrue(rest.eof)
        }
        const afterB = all[3]!.cookie
        for (const name of ["a", "b"]) yield* server.fs.remove(server.fs.root, name, () => undefined)
        yield* server.file("e")
        assert.deepStrictEqual(names((yield* list(server, server.root, afterB)).entries), ["c", "d", "e"])
        const other = { ...readdir(server.root, afterB), cookieverf: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }
        const { entries, cookieverf } = yield* server.ok(READDIR, other)
        assert.deepStrictEqual(names(entries), ["c", "d", "e"])
        assert.deepStrictEqual(Uint8Array.from(cookieverf), new Uint8Array(8))
        yield* list(server, server.root, 0xffff_ffff_ffff_ffffn)
      })
    )

    it.effect("asks the filesystem for its own cookies only", () =>
      Effect.gen(function* () {
        const fs = yield* MemoryFilesystem.make()
        const asked: Array<bigint> = []
        const watched: Operations = {
          ...fs,
          readdir: (directory, request, guard) => {
            asked.push(request.cookie)
            return fs.readdir(directory, request, guard)
          }
        }
        const server = yield* makeFor(watched, fs)
        for (const cookie of [0n, 1n, 2n, 3n, 2n ** 64n - 1n]) yield* list(server, server.root, cookie)
        assert.deepStrictEqual(asked, [0n, 0n, 0n, 3n, 2n ** 64n - 1n])
      })
    )

    it.effect("is TOOSMALL when not even one entry fits, and never else", () =>
      Effect.gen(function* () {
        const server = yield* make
        yield* server.file("x".repeat(255))
        const { entries } = yield* list(server, server.root)
        for (const { cookie, name } of [{ cookie: 0n, name: "." }, ...entries].slice(0, -1)) {
          let least = 0
          for (let count = 0; count < 1000 && least === 0; count++) {
            const status =
              call === "READDIR"
                ? (yield* server.call(READDIR, readdir(server.root, cookie, count))).status
                : (yield* server.call(READDIRPLUS, readdirplus(server.root, cookie, count))).status
            if (status === "NFS3_OK") least = count
            else assert.strictEqual(status, "NFS3ERR_TOOSMALL")
          }
          const { entries } = yield* list(server, server.root, cookie, least)
          assert.strictEqual(entries.length, 1, name)
        }
        assertTold(yield* fails("TOOSMALL", server, server.root, 0n, 50))
        // At the end nothing has to fit but the end.
        const { entries: none, eof } = yield* list(server, server.root, entries.at(-1)!.cookie, 108)
        assert.deepStrictEqual([none, eof], [[], true])
        yield* fails("TOOSMALL", server, server.root, entries.at(-1)!.cookie, 107)
      })
    )

    it.effect("gives no more than its own limit", () =>
      Effect.gen(function* () {
        const server = yield* make
        for (let i = 0; i < 700; i++) yield* server.fs.mkdir(server.fs.root, `${i}`.padEnd(200), () => ({}))
        const { entries, eof } = yield* list(server, server.root, 0n, 0xffff_ffff)
        assert.isFalse(eof)
        assert.isAtMost(entries.length * 200, MAX_TRANSFER)
      })
    )

    it.effect("refuses", () =>
      Effect.gen(function* () {
        const server = yield* make
        assertTold(yield* fails("ACCES", server, yield* server.directory("closed", { mode: 0o711 })))
        assertTold(yield* fails("ACCES", server, yield* server.directory("shut", { mode: 0o711 }), 2n))
        assertTold(yield* fails("NOTDIR", server, yield* server.file("file")))
        yield* fails("STALE", server, goneFrom(server))
        yield* fails("BADHANDLE", server, forged)
      })
    )
  })
}

describe("READDIRPLUS", () => {
  it.effect("gives each entry's attributes and handle", () =>
    Effect.gen(function* () {
      const server = yield* make
      const file = yield* server.file("file", {}, "123")
      const directory = yield* server.directory("directory")
      const { entries } = yield* server.ok(READDIRPLUS, readdirplus(directory))
      assert.deepStrictEqual(
        entries.map(({ nameHandle }) => nameHandle),
        [directory, server.root]
      )
      // The first listing counts as an access.
      yield* server.ok(READDIR, readdir(server.root))
      const inRoot = yield* server.ok(READDIRPLUS, readdirplus(server.root))
      assert.deepStrictEqual(
        inRoot.entries.map(({ nameHandle }) => nameHandle),
        [server.root, server.root, file, directory]
      )
      for (const { fileid, nameAttributes, nameHandle } of inRoot.entries) {
        const { objAttributes } = yield* server.ok(GETATTR, { object: nameHandle! })
        assert.deepStrictEqual(nameAttributes, objAttributes)
        assert.strictEqual(fileid, objAttributes.attributes.fileid)
      }
    })
  )

  it.effect("gives names only to those who may read a directory but not search it", () =>
    Effect.gen(function* () {
      const server = yield* make
      const dir = yield* server.directory("directory", { mode: 0o744 })
      const { file } = yield* server.fs.lookup(server.fs.root, "directory", () => undefined)
      yield* server.fs.mkdir(file, "inside", () => ({}))
      const { entries } = yield* server.ok(READDIRPLUS, readdirplus(dir), bob)
      assert.deepStrictEqual(names(entries), [".", "..", "inside"])
      for (const entry of entries) {
        assert.isUndefined(entry.nameAttributes)
        assert.isUndefined(entry.nameHandle)
      }
    })
  )

  it.effect("goes on where the attributes of one entry cannot be had", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      for (const name of ["a", "b", "c"]) yield* fs.mkdir(fs.root, name, () => ({}))
      const broken: Operations = {
        ...fs,
        readdir: (directory, request, guard) =>
          Effect.map(fs.readdir(directory, request, guard), (listing) => ({
            ...listing,
            entries: listing.entries.map((entry) => (entry.name === "b" ? { ...entry, found: undefined } : entry))
          }))
      }
      const server = yield* makeFor(broken, fs)
      const { entries, eof } = yield* server.ok(READDIRPLUS, readdirplus(server.root, 2n))
      assert.deepStrictEqual(names(entries), ["a", "b", "c"])
      assert.deepStrictEqual(
        entries.map(({ nameAttributes }) => nameAttributes === undefined),
        [false, true, false]
      )
      assert.deepStrictEqual(
        entries.map(({ nameHandle }) => nameHandle === undefined),
        [false, true, false]
      )
      assert.isTrue(eof)
    })
  )

  it.effect("gives no more names than dircount has room for, but always one", () =>
    Effect.gen(function* () {
      const server = yield* make
      for (let i = 0; i < 20; i++) yield* server.fs.mkdir(server.fs.root, `name${i + 10}`, () => ({}))
      const listed = (dircount: number) =>
        Effect.map(
          server.ok(READDIRPLUS, readdirplus(server.root, 2n, 60_000, dircount)),
          ({ entries }) => entries.length
        )
      // A name of six bytes takes 8 with its padding, and 24 with the rest.
      assert.strictEqual(yield* listed(0), 1)
      assert.strictEqual(yield* listed(32), 1)
      assert.strictEqual(yield* listed(64), 2)
      assert.strictEqual(yield* listed(95), 2)
      assert.strictEqual(yield* listed(10_000), 20)
    })
  )
})
