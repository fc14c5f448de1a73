/** GETATTR, SETATTR, FSSTAT. */

import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Attributes, SetAttributes, Time } from "../../filesystem/Attributes.ts"
import { errors } from "../../filesystem/FilesystemError.ts"
import { assertChanged, fails, type Fixture, give, pattern, refuse, type Test, time } from "./Fixture.ts"

/** The filesystem's own idea of `time`. */
const rounded = ({ fs }: Fixture, value: Time): bigint => {
  const delta = time(fs.properties.timeDelta)
  return (time(value) / delta) * delta
}

const assertTime = (at: Fixture, actual: Time, expected: Time): void =>
  assert.strictEqual(rounded(at, actual), rounded(at, expected))

/** Clocks of filesystems may tick as slowly as every 10 ms, and some hold but seconds. */
const assertRecent = (at: Fixture, actual: Time, since: number): void => {
  const slack = 20 + Number(time(at.fs.properties.timeDelta)) / 1e6
  assert.isAtLeast(Number(time(actual)) / 1e6, since - slack)
  assert.isAtMost(Number(time(actual)) / 1e6, Date.now() + slack)
}

export const attributes = (test: Test): void => {
  test("a new file is empty and new", (at) =>
    Effect.gen(function* () {
      const since = yield* Clock.currentTimeMillis
      const made = yield* at.fs.create(at.home, "a", { _tag: "Guarded" }, give({ mode: 0o640 }))
      const { atime, ctime, fileid, mode, mtime, nlink, rdev, size, type, used } = made.attributes
      assert.deepStrictEqual(
        { mode, nlink, rdev, size, type, used },
        { mode: 0o640, nlink: 1, rdev: { major: 0, minor: 0 }, size: 0, type: "regular", used: 0 }
      )
      assert.isTrue(fileid > 0n)
      for (const each of [atime, ctime, mtime]) assertRecent(at, each, since)
      assert.deepStrictEqual(yield* at.attributes(made.file), made.attributes)
    }))

  test("file ids differ and stay", (at) =>
    Effect.gen(function* () {
      const ids = new Set<bigint>()
      for (let i = 0; i < 50; i++) {
        const file = i % 2 === 0 ? yield* at.create(`f${i}`) : yield* at.mkdir(`d${i}`)
        const { fileid } = yield* at.attributes(file)
        yield* at.set(file, { mode: 0o700 })
        assert.strictEqual((yield* at.attributes(file)).fileid, fileid)
        ids.add(fileid)
      }
      assert.strictEqual(ids.size, 50)
      for (const { fileid } of yield* at.entries()) assert.isTrue(ids.has(fileid))
    }))

  test("a new file gets the owner that its guard gives", (at) =>
    Effect.gen(function* () {
      if (!at.has("ownership")) return
      const set = { mode: 0o644, uid: 1234, gid: 5678 }
      const made = yield* at.fs.create(at.home, "a", { _tag: "Unchecked" }, give(set))
      assert.deepInclude(made.attributes, set)
      assert.deepInclude((yield* at.fs.mkdir(at.home, "d", give({ ...set, mode: 0o755 }))).attributes, {
        uid: 1234,
        gid: 5678
      })
    }))

  test("a mode has 12 bits, and they are kept", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      for (const mode of [0, 0o777, 0o1000, 0o4755, 0o2750, 0o600]) {
        const { after, before } = yield* at.set(file, { mode })
        assert.strictEqual(after.mode, mode)
        assertChanged(before, after)
        assert.deepStrictEqual(yield* at.attributes(file), after)
      }
    }))

  test("an owner can be given, one part at a time", (at) =>
    Effect.gen(function* () {
      if (!at.has("ownership")) return
      const file = yield* at.create("a")
      const before = (yield* at.set(file, { uid: 7, gid: 8 })).after
      assert.deepInclude(before, { uid: 7, gid: 8 })
      assert.deepInclude((yield* at.set(file, { uid: 4_000_000_000 })).after, { uid: 4_000_000_000, gid: 8 })
      assert.deepInclude((yield* at.set(file, { gid: 9 })).after, { uid: 4_000_000_000, gid: 9 })
    }))

  test("times are set to the filesystem's resolution", (at) =>
    Effect.gen(function* () {
      const times: ReadonlyArray<readonly [atime: Time, mtime: Time]> = [
        [
          { seconds: 0, nanoseconds: 0 },
          { seconds: 0, nanoseconds: 999_999_999 }
        ],
        [
          { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
          { seconds: 1_600_000_000, nanoseconds: 987_654_321 }
        ],
        [
          { seconds: 4_102_444_800, nanoseconds: 1 },
          { seconds: 4_294_967_295, nanoseconds: 0 }
        ]
      ]
      for (const file of [yield* at.create("a"), yield* at.mkdir("d")]) {
        for (const [atime, mtime] of times) {
          const { after, before } = yield* at.set(file, { atime, mtime })
          assertTime(at, after.atime, atime)
          assertTime(at, after.mtime, mtime)
          assertChanged(before, after)
          const later = (yield* at.set(file, { mtime: atime })).after
          assertTime(at, later.atime, atime)
          assertTime(at, later.mtime, atime)
        }
      }
    }))

  test("times are set to now", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const past = { seconds: 1_000_000, nanoseconds: 5 }
      yield* at.set(file, { atime: past, mtime: past })
      const since = yield* Clock.currentTimeMillis
      const first = (yield* at.set(file, { atime: "now" })).after
      assertRecent(at, first.atime, since)
      assertTime(at, first.mtime, past)
      const second = (yield* at.set(file, { mtime: "now" })).after
      assertRecent(at, second.mtime, since)
    }))

  test("setting nothing changes nothing", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const before = yield* at.attributes(file)
      for (const set of [{}, { mode: undefined, size: undefined, atime: undefined }]) {
        assert.deepStrictEqual((yield* at.set(file, set)).after, before)
      }
      assert.deepStrictEqual(yield* at.attributes(file), before)
    }))

  test("several attributes are set in one step", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const mtime = { seconds: 1_234_567_890, nanoseconds: 0 }
      const { after } = yield* at.set(file, { mode: 0o711, size: 3, mtime })
      assert.deepInclude(after, { mode: 0o711, size: 3 })
      assertTime(at, after.mtime, mtime)
      assert.strictEqual(yield* at.text(file), "con")
    }))

  test("a size cuts off or adds zeros", (at) =>
    Effect.gen(function* () {
      const content = pattern(100_000)
      const file = yield* at.file("a", content)
      for (const size of [65_537, 65_536, 40_000, 4096, 1, 0]) {
        yield* at.age(file)
        const { after, before } = yield* at.set(file, { size })
        assert.strictEqual(after.size, size)
        assertChanged(before, after)
        at.assertModified(after)
        assert.isTrue((yield* at.read(file)).equals(content.subarray(0, size)), `cut to ${size}`)
        // What was cut off does not come back.
        yield* at.set(file, { size: size + 50_000 })
        const grown = yield* at.read(file)
        assert.strictEqual(grown.length, size + 50_000)
        assert.isTrue(grown.subarray(0, size).equals(content.subarray(0, size)))
        assert.isTrue(grown.subarray(size).every((byte) => byte === 0))
      }
    }))

  test("the same size again keeps the content and counts as a change", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      yield* at.age(file)
      const { after, before } = yield* at.set(file, { size: 7 })
      assertChanged(before, after)
      at.assertModified(after)
      assert.strictEqual(yield* at.text(file), "content")
    }))

  test("only regular files have a size to set", (at) =>
    Effect.gen(function* () {
      yield* fails(at.set(at.home, { size: 0 }), "EISDIR")
      if (at.has("symlinks")) yield* fails(at.set(yield* at.symlink("l", "target"), { size: 0 }), "EINVAL")
      if (!at.has("specialFiles")) return
      const fifo = yield* at.fs.mknod(at.home, "p", { type: "fifo" }, give({ mode: 0o600 }))
      yield* fails(at.set(fifo.file, { size: 0 }), "EINVAL")
    }))

  test("a size beyond the largest file is refused and changes nothing", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const { maxFileSize } = at.fs.properties
      for (const size of [maxFileSize + 1, Number.MAX_SAFE_INTEGER]) {
        yield* at.unchanged(at.home, fails(at.set(file, { size, mode: 0 }), "EFBIG"))
        const create = at.fs.create(at.home, "b", { _tag: "Unchecked" }, give({ size }))
        yield* at.unchanged(at.home, fails(create, "EFBIG"))
      }
    }))

  test("the guard sees what is, and its refusal changes nothing", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const current = yield* at.attributes(file)
      const seen: Array<Attributes> = []
      const onlyIf = (ctime: Time, set: SetAttributes) =>
        at.fs.setattr(file, (before) => {
          seen.push(before)
          return time(before.ctime) === time(ctime) ? set : errors.ENOTSYNC
        })
      yield* at.unchanged(at.home, fails(onlyIf({ seconds: 1, nanoseconds: 1 }, { size: 1 }), "ENOTSYNC"))
      yield* at.unchanged(at.home, fails(at.fs.setattr(file, refuse("EPERM")), "EPERM"))
      const { after, before } = yield* onlyIf(current.ctime, { size: 1 })
      assert.deepStrictEqual(seen, [current, current])
      assert.deepStrictEqual(before, current)
      assert.strictEqual(after.size, 1)
    }))

  test("statfs shows what files take", (at) =>
    Effect.gen(function* () {
      const { fs } = at
      // Who cannot tell has some all the same: clients do not mount what has none.
      if (!at.has("space")) return assert.isAbove((yield* fs.statfs(fs.root)).availableBytes, 0)
      const size = 4 << 20
      // Others who use the same device may be giving space back meanwhile: one time it must show.
      let shown = false
      for (let i = 0; i < 10 && !shown; i++) {
        const before = yield* fs.statfs(fs.root)
        for (const value of Object.values(before)) assert.isTrue(Number.isSafeInteger(value) && value >= 0)
        assert.isAtLeast(before.totalBytes, before.freeBytes)
        assert.isAtLeast(before.freeBytes, before.availableBytes)
        assert.isAtLeast(before.totalFiles, before.freeFiles)
        const file = yield* at.file("a", pattern(size))
        yield* fs.commit(file, 0, 0, () => undefined)
        assert.isAtLeast((yield* at.attributes(file)).used, size)
        const during = yield* fs.statfs(file)
        assert.strictEqual(during.totalBytes, before.totalBytes)
        shown = before.freeBytes - during.freeBytes >= size / 2
        yield* at.remove("a")
        // Nor need it be given back at once.
        if (!shown) yield* Effect.sleep("50 millis")
      }
      assert.isTrue(shown)
    }))
}
