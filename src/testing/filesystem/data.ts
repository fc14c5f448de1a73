/** READ, WRITE, COMMIT. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Stability } from "../../filesystem/Filesystem.ts"
import { allow, assertChanged, bytes, fails, give, pattern, type Test, time } from "./Fixture.ts"

const MiB = 1 << 20

export const data = (test: Test): void => {
  test("what is written is read", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const before = yield* at.age(file)
      const { committed, count, wcc } = yield* at.fs.write(file, 0, [bytes("content")], "unstable", allow)
      assert.isAtLeast(count, 1)
      assert.include(["unstable", "dataSync", "fileSync"], committed)
      if (wcc.atomic) assert.deepStrictEqual(wcc.before, before)
      assert.deepStrictEqual(wcc.after, yield* at.attributes(file))
      assert.strictEqual(wcc.after.size, count)
      assert.isAbove(wcc.after.used, 0)
      assertChanged(before, wcc.after)
      at.assertModified(wcc.after)
      yield* at.write(file, 0, "content")
      const result = yield* at.fs.read(file, 0, 100, allow)
      assert.strictEqual(Buffer.concat(result.data).toString(), "content")
      assert.deepInclude(result.attributes, { size: 7, type: "regular" })
    }))

  test("many pieces are one write", (at) =>
    Effect.gen(function* () {
      const content = pattern(300_000)
      const pieces: Array<Uint8Array> = []
      const sizes = [1, 511, 0, 4096, 32_768, 3, 65_537, 1024, 200]
      for (let start = 0, i = 0; start < content.length; start += sizes[i++ % sizes.length]!) {
        pieces.push(content.subarray(start, start + sizes[i % sizes.length]!))
      }
      const file = yield* at.create("a")
      const { count } = yield* at.fs.write(file, 5, pieces, "fileSync", allow)
      assert.isTrue((yield* at.read(file)).equals(Buffer.concat([Buffer.alloc(5), content.subarray(0, count)])))
    }))

  test("large data arrives whole, at any offset", (at) =>
    Effect.gen(function* () {
      const content = pattern(3 * MiB + 12_345)
      const file = yield* at.file("a", content)
      assert.isTrue((yield* at.read(file, 0, 4 * MiB)).equals(content))
      for (const [offset, count] of [
        [0, 1],
        [4095, 2],
        [32_767, 3],
        [65_535, 65_538],
        [MiB - 1, MiB + 2]
      ] as const) {
        assert.isTrue((yield* at.read(file, offset, count)).equals(content.subarray(offset, offset + count)))
      }
    }))

  test("overwriting changes what it covers, and nothing else", (at) =>
    Effect.gen(function* () {
      const content = pattern(200_000)
      const file = yield* at.file("a", content)
      for (const [offset, length] of [
        [0, 10],
        [32_760, 16],
        [65_536, 32_768],
        [100_001, 70_000],
        [199_990, 10]
      ] as const) {
        const patch = pattern(length, offset + 2)
        yield* at.write(file, offset, patch)
        patch.copy(content, offset)
        assert.isTrue((yield* at.read(file)).equals(content), `${length} bytes at ${offset}`)
      }
    }))

  test("a file grows by small pieces", (at) =>
    Effect.gen(function* () {
      const content = pattern(100_000)
      const file = yield* at.create("a")
      for (let at_ = 0; at_ < content.length; at_ += 997) {
        yield* at.write(file, at_, content.subarray(at_, at_ + 997), "unstable")
      }
      yield* at.fs.commit(file, 0, 0, allow)
      assert.isTrue((yield* at.read(file)).equals(content))
    }))

  test("what was never written reads as zeros", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      yield* at.write(file, 100_000, "end")
      const expected = Buffer.concat([Buffer.alloc(100_000), bytes("end")])
      assert.isTrue((yield* at.read(file)).equals(expected))
      yield* at.write(file, 50_000, "middle")
      expected.write("middle", 50_000)
      assert.isTrue((yield* at.read(file)).equals(expected))
      assert.strictEqual((yield* at.attributes(file)).size, 100_003)
    }))

  test("offsets beyond 32 bits", (at) =>
    Effect.gen(function* () {
      if (!at.has("sparseFiles")) return
      const file = yield* at.create("a")
      const marks = [2 ** 31 - 2, 2 ** 32 - 2, 2 ** 40].filter((mark) => mark + 4 <= at.fs.properties.maxFileSize)
      // Where files cannot be that long, it is enough that they say so.
      if (marks.length === 0) return yield* fails(at.write(file, 2 ** 31 - 2, "@31!"), "EFBIG")
      for (const mark of marks) yield* at.write(file, mark, `@${Math.log2(mark) | 0}!`)
      for (const mark of marks) {
        assert.strictEqual((yield* at.read(file, mark, 4)).toString(), `@${Math.log2(mark) | 0}!`)
        assert.strictEqual((yield* at.read(file, mark - 2, 4)).toString(), `\0\0@${String(Math.log2(mark) | 0)[0]}`)
      }
      const { size, used } = yield* at.attributes(file)
      assert.strictEqual(size, marks.at(-1)! + 4)
      assert.isBelow(used, MiB, "holes cost nothing")
    }))

  test("nothing is written beyond the largest file", (at) =>
    Effect.gen(function* () {
      const { maxFileSize } = at.fs.properties
      const file = yield* at.file("a", "content")
      yield* at.unchanged(at.home, fails(at.write(file, maxFileSize, "x"), "EFBIG"))
      yield* at.unchanged(at.home, fails(at.write(file, Number.MAX_SAFE_INTEGER, "x"), "EFBIG"))
    }))

  test("writing nothing changes nothing", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const before = yield* at.attributes(file)
      for (const data of [[], [new Uint8Array(0)]]) {
        const { count, wcc } = yield* at.fs.write(file, 100, data, "fileSync", allow)
        assert.strictEqual(count, 0)
        assert.deepStrictEqual(wcc.after, before)
      }
    }))

  test("a write keeps to no longer than its operation what it is given", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const content = pattern(100_000)
      const chunk = Buffer.from(content)
      yield* at.write(file, 0, chunk)
      chunk.fill(0)
      assert.isTrue((yield* at.read(file)).equals(content))
    }))

  test("what was read stays as it was", (at) =>
    Effect.gen(function* () {
      for (const count of [100, 4096, 20_000, 300_000]) {
        const name = `f${count}`
        const content = pattern(300_000)
        const file = yield* at.file(name, content)
        for (const change of [
          at.write(file, 0, Buffer.alloc(300_000, 0xee)),
          at.set(file, { size: 50 }),
          at.write(file, 10, "patch"),
          at.remove(name)
        ]) {
          const { data } = yield* at.fs.read(file, 0, count, allow)
          const copy = Buffer.concat(data)
          yield* change
          assert.isTrue(Buffer.concat(data).equals(copy))
        }
      }
    }))

  test("memory that was given to read into is its giver's again", (at) =>
    Effect.gen(function* () {
      const content = pattern(100_000)
      const file = yield* at.file("a", content)
      for (const count of [100, 40_000, 100_000]) {
        const given: Array<Buffer> = []
        const allocate = (length: number): Buffer => {
          given.push(Buffer.alloc(length, 0xee))
          return given.at(-1)!
        }
        const { data } = yield* at.fs.read(file, 0, count, allow, allocate)
        assert.isTrue(Buffer.concat(data).equals(content.subarray(0, count)))
        for (const memory of given) memory.fill(0)
      }
      assert.isTrue(Buffer.concat((yield* at.fs.read(file, 0, 100_000, allow)).data).equals(content))
    }))

  test("a write may set attributes in the same step", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      yield* at.set(file, { mode: 0o4755 })
      const { wcc } = yield* at.fs.write(file, 0, [bytes("C")], "fileSync", (before) => ({ mode: before.mode & 0o777 }))
      assert.strictEqual(wcc.after.mode, 0o755)
      assert.strictEqual((yield* at.attributes(file)).mode, 0o755)
      assert.strictEqual(yield* at.text(file), "Content")
    }))

  test("writes are as stable as was asked for, or more", (at) =>
    Effect.gen(function* () {
      const order: ReadonlyArray<Stability> = ["unstable", "dataSync", "fileSync"]
      const file = yield* at.create("a")
      for (const [i, stability] of order.entries()) {
        const { committed } = yield* at.write(file, i, "x", stability)
        assert.isAtLeast(order.indexOf(committed), i)
      }
      const before = yield* at.attributes(file)
      const { after } = yield* at.fs.commit(file, 0, 0, allow)
      assert.deepStrictEqual(after, before)
      yield* at.fs.commit(file, 1, 1, allow)
      yield* at.fs.commit(file, 1000, 1000, allow)
    }))

  test("only regular files have data", (at) =>
    Effect.gen(function* () {
      yield* fails(at.fs.read(at.home, 0, 1, allow), "EISDIR")
      yield* fails(at.write(at.home, 0, "x"), "EISDIR")
      yield* fails(at.fs.commit(at.home, 0, 0, allow), "EISDIR")
      if (!at.has("symlinks")) return
      const link = yield* at.symlink("l", "target")
      yield* fails(at.fs.read(link, 0, 1, allow), "EINVAL")
      yield* fails(at.write(link, 0, "x"), "EINVAL")
      yield* fails(at.fs.commit(link, 0, 0, allow), "EINVAL")
    }))

  test("a read after a change moves atime, and nothing else", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const before = yield* at.attributes(file)
      const { attributes } = yield* at.fs.read(file, 0, 7, allow)
      assert.isTrue(time(attributes.atime) >= time(before.atime))
      assert.deepStrictEqual({ ...attributes, atime: before.atime }, before)
    }))

  test("mode does not concern the filesystem", (at) =>
    Effect.gen(function* () {
      if (!at.has("anyMode")) return
      const made = yield* at.fs.create(at.home, "a", { _tag: "Guarded" }, give({ mode: 0 }))
      yield* at.write(made.file, 0, "content")
      assert.strictEqual(yield* at.text(made.file), "content")
    }))
}
