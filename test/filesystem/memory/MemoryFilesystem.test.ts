import { Buffer } from "node:buffer"
import { totalmem } from "node:os"
import { assert, describe, it, vi } from "@effect/vitest"
import { filesystemConformance } from "effect-nfs/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import {
  allow,
  fails,
  Fixture,
  give,
  pattern,
  type Test,
  testIn,
  time
} from "../../../src/testing/filesystem/Fixture.ts"

filesystemConformance("MemoryFilesystem", MemoryFilesystem.layer())

const KiB = 1024

const withOptions = (options: MemoryFilesystem.Options): Test => testIn(MemoryFilesystem.layer(options))

const test = withOptions({})

const free = ({ fs }: Fixture) => Effect.map(fs.statfs(fs.root), ({ freeBytes, freeFiles }) => [freeBytes, freeFiles])

describe("space", () => {
  test("the default is half of the memory and at most a million files", ({ fs }) =>
    Effect.gen(function* () {
      const { totalBytes, totalFiles } = yield* fs.statfs(fs.root)
      assert.isAtMost(totalBytes, totalmem() / 2)
      assert.isAbove(totalBytes, 0)
      assert.isAtMost(totalFiles, 1_000_000)
      assert.isAbove(totalFiles, 10_000)
    }))

  const small = withOptions({ quota: { bytes: 100 * KiB, inodes: 6 } })

  small("what does not fit is refused, and nothing of it happens", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", pattern(60 * KiB))
      const link = yield* at.symlink("l", "target")
      const refused: ReadonlyArray<Effect.Effect<unknown, FilesystemError>> = [
        at.write(file, 60 * KiB, pattern(60 * KiB)),
        at.write(file, 1e9, pattern(60 * KiB)),
        at.symlink("s", "x".repeat(60 * KiB))
      ]
      for (const operation of refused) yield* at.unchanged(at.home, fails(operation, "ENOSPC"))
      assert.isTrue((yield* at.read(file)).equals(pattern(60 * KiB)))
      assert.strictEqual((yield* at.fs.readlink(link, allow)).target, "target")
      // What fits still does.
      yield* at.write(file, 60 * KiB, pattern(30 * KiB))
    })
  )

  small("a full filesystem can be worked in, and emptied", (at) =>
    Effect.gen(function* () {
      const before = yield* free(at)
      const file = yield* at.create("a")
      yield* at.create("b")
      for (let size = 64 * KiB; size >= 512; size /= 2) {
        const { size: end } = yield* at.attributes(file)
        yield* Effect.ignore(at.write(file, end, pattern(size)))
      }
      // Space is given out in pages at most.
      const [bytes] = yield* free(at)
      assert.isBelow(bytes!, 32 * KiB)
      yield* at.unchanged(at.home, fails(at.write(yield* at.fs.resolve(file.key), 1e6, "more"), "ENOSPC"))
      yield* at.write(file, 1000, pattern(40 * KiB, 7))
      assert.isTrue((yield* at.read(file, 1000, 40 * KiB)).equals(pattern(40 * KiB, 7)))
      yield* at.rename("b", "x".repeat(255))
      yield* at.rename("x".repeat(255), "b")
      yield* at.rename("b", "a")
      yield* at.remove("a")
      assert.deepStrictEqual(yield* free(at), before)
    })
  )

  small("there are no more inodes than allowed", (at) =>
    Effect.gen(function* () {
      const { fs, home } = at
      const before = yield* free(at)
      const file = yield* at.create("a")
      yield* at.mkdir("d")
      yield* at.symlink("l", "target")
      yield* fs.mknod(home, "p", { type: "fifo" }, give({}))
      assert.strictEqual((yield* fs.statfs(home)).freeFiles, 0)
      const more: ReadonlyArray<Effect.Effect<unknown, FilesystemError>> = [
        at.create("more"),
        fs.create(home, "more", { _tag: "Exclusive", verifier: Buffer.alloc(8) }, give({})),
        at.mkdir("more"),
        at.symlink("more", "target"),
        fs.mknod(home, "more", { type: "socket" }, give({}))
      ]
      for (const operation of more) yield* at.unchanged(home, fails(operation, "ENOSPC"))
      // Another name is no other inode.
      yield* at.link(file, "more")
      yield* at.remove("more")
      for (const name of ["a", "l", "p"]) yield* at.remove(name)
      yield* at.rmdir("d")
      assert.deepStrictEqual(yield* free(at), before)
    })
  )

  withOptions({ quota: { bytes: 300 } })("names take space, too", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      yield* at.unchanged(at.home, fails(at.create("b"), "ENOSPC"))
      yield* at.unchanged(at.home, fails(at.mkdir("b"), "ENOSPC"))
      yield* at.unchanged(at.home, fails(at.link(file, "b"), "ENOSPC"))
      yield* at.remove("a")
      yield* at.create("b")
    })
  )

  test("a file takes what it holds: little when it is small, nothing where it is a hole", (at) =>
    Effect.gen(function* () {
      const used = (file: Fixture["home"]) => Effect.map(at.attributes(file), (attributes) => attributes.used)
      const file = yield* at.file("a", pattern(100))
      assert.strictEqual(yield* used(file), 512)
      yield* at.set(file, { size: 2 ** 50 })
      assert.strictEqual(yield* used(file), 512)
      yield* at.write(file, 2 ** 49, "x")
      assert.strictEqual(yield* used(file), 512 + 4096)
      yield* at.write(file, 2 ** 50, pattern(1 << 20))
      assert.isAtMost(yield* used(file), 8192 + (1 << 20) + 64 * KiB)
      yield* at.set(file, { size: 2 ** 50 + 512 })
      assert.strictEqual(yield* used(file), 512 + 4096 + 512)
      yield* at.set(file, { size: 10 })
      assert.strictEqual(yield* used(file), 512)
      assert.isTrue((yield* at.read(file)).equals(pattern(10)))
      yield* at.set(file, { size: 0 })
      assert.strictEqual(yield* used(file), 0)
    }))

  test("a file that grows bit by bit is not mostly air", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      for (let i = 0; i < 100; i++) yield* at.write(file, i * 100, pattern(100))
      assert.isAtMost((yield* at.attributes(file)).used, 20_000)
      for (let i = 100; i < 10_000; i++) yield* at.write(file, i * 100, pattern(100))
      assert.isAtMost((yield* at.attributes(file)).used, 1_000_000 + 32 * KiB)
    }))
})

describe("instances", () => {
  it.effect("only the root's key means something to another instance, as after a restart", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* MemoryFilesystem.make(), yield* MemoryFilesystem.make()]
      for (const fs of [one, other]) yield* fs.create(fs.root, "a", { _tag: "Guarded" }, give({}))
      const { file } = yield* one.lookup(one.root, "a", allow)
      assert.strictEqual(file.key.length, 16)
      yield* fails(other.resolve(file.key), "ESTALE")
      assert.strictEqual(yield* other.resolve(one.root.key), other.root)
      // The root's instance does not open other numbers, nor the other way round.
      yield* fails(one.resolve(Buffer.concat([one.root.key.subarray(0, 8), file.key.subarray(8)])), "ESTALE")
      yield* fails(one.resolve(Buffer.concat([file.key.subarray(0, 8), one.root.key.subarray(8)])), "ESTALE")
    })
  )

  it.effect("a layer makes a new instance each time that it is built", () =>
    Effect.gen(function* () {
      const layer = MemoryFilesystem.layer()
      const key = Effect.map(Fixture.make(new Set()), ({ home }) => Buffer.from(home.key).toString("hex"))
      const built = Effect.provide(key, layer, { local: true })
      assert.notStrictEqual(yield* built, yield* built)
    })
  )

  test("everybody may work in the root, unless told otherwise", ({ fs }) =>
    Effect.map(fs.getattr(fs.root), (root) => assert.deepInclude(root, { mode: 0o777, uid: 0, gid: 0, fileid: 1n })))

  withOptions({ mode: 0o1750, uid: 5, gid: 6 })("the root is as told", ({ fs }) =>
    Effect.map(fs.getattr(fs.root), (root) => assert.deepInclude(root, { mode: 0o1750, uid: 5, gid: 6 }))
  )
})

describe("links", () => {
  const few = withOptions({ linkMax: 4 })

  few("a directory has at most linkMax links", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      yield* at.mkdir("e")
      yield* at.mkdir("f", d)
      yield* at.unchanged(at.home, fails(at.mkdir("more"), "EMLINK"))
      yield* at.unchanged(at.home, fails(at.rename("f", "more", d, at.home), "EMLINK"))
      // Neither a new name in the same directory nor taking another one's place needs a link more.
      yield* at.rename("e", "g")
      yield* at.rename("f", "g", d, at.home)
      yield* at.create("more")
    })
  )
})

/** Sets the machine's clock, as far as this process sees it. */
const setClock = (milliseconds: number): void => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + milliseconds })
}

describe("times", () => {
  test("every change is later than the one before", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      let last = yield* at.attributes(file)
      for (let i = 0; i < 5000; i++) {
        const { after } = i % 2 === 0 ? yield* at.set(file, { mode: i & 0o777 }) : (yield* at.write(file, 0, "x")).wcc
        assert.isTrue(time(after.ctime) > time(last.ctime))
        assert.strictEqual(after.change, last.change + 1n)
        last = after
      }
      const now = yield* Clock.currentTimeMillis
      assert.isBelow(Math.abs(Number(time(last.ctime)) / 1e6 - now), 1000)
    }))

  test("a clock that is set back does not turn the order of changes round", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const { ctime } = yield* at.attributes(file)
      setClock(-3_600_000)
      try {
        const { after } = yield* at.set(file, { mode: 0 })
        assert.strictEqual(time(after.ctime), time(ctime) + 1n)
        const other = yield* at.attributes(yield* at.create("b"))
        assert.isBelow(other.ctime.seconds, ctime.seconds - 3500)
      } finally {
        vi.useRealTimers()
      }
    }))

  test("the first access after a change, or after a day, is noted", (at) =>
    Effect.gen(function* () {
      const link = yield* at.symlink("l", "target")
      const file = yield* at.file("a", "content")
      const accesses = [
        [file, at.read(file)],
        [link, at.fs.readlink(link, allow)],
        [at.home, at.list(at.home, 0n)]
      ] as const
      for (const [of, access] of accesses) {
        const atime = Effect.map(at.attributes(of), (attributes) => time(attributes.atime))
        const before = yield* atime
        yield* access
        const first = yield* atime
        assert.isTrue(first > before)
        yield* access
        assert.strictEqual(yield* atime, first)
        yield* at.set(of, { mode: 0o700 })
        yield* access
        assert.isTrue((yield* atime) > first)
        setClock(86_500_000)
        yield* access
        vi.useRealTimers()
        assert.isTrue((yield* atime) > first)
      }
    }))
})

describe("large directories", () => {
  test("each step of a listing costs the same, wherever it goes on", (at) =>
    Effect.gen(function* () {
      const count = 200_000
      for (let i = 0; i < count; i++) yield* at.create(`f${i}`)
      // One entry at a time: with a cost that grew with the position, this would take minutes.
      let cookie = 0n
      let listed = 0
      for (let eof = false; !eof; listed++) {
        const listing = yield* at.list(at.home, cookie, 1)
        eof = listing.eof
        cookie = listing.entries[0]!.cookie
      }
      assert.strictEqual(listed, count)
    }))

  test("names that come and go leave nothing behind", (at) =>
    Effect.gen(function* () {
      yield* at.create("stays")
      yield* at.create("f0")
      // Always the one before the last goes, so that the gap is never at the end.
      for (let i = 1; i < 100_000; i++) {
        yield* at.create(`f${i}`)
        yield* at.remove(`f${i - 1}`)
        const { entries } = yield* at.list(at.home, 0n)
        assert.strictEqual(entries.length, 2)
      }
    }))
})
