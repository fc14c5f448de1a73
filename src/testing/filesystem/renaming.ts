/** RENAME, as POSIX has it. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File } from "../../filesystem/Filesystem.ts"
import { allow, assertChanged, fails, type Fixture, lasting, type Test, time } from "./Fixture.ts"

/** Renames, and asserts that the attributes before and after are true, and that the file has the new name only. */
const renames = (at: Fixture, name: string, newName: string, from: File, to: File) =>
  Effect.gen(function* () {
    yield* at.age(from)
    yield* at.age(to)
    const before = [yield* at.attributes(from), yield* at.attributes(to)] as const
    const { attributes, file } = yield* at.lookup(name, from)
    const wcc = yield* at.rename(name, newName, from, to)
    for (const [i, [one, directory]] of (
      [
        [wcc.from, from],
        [wcc.to, to]
      ] as const
    ).entries()) {
      if (one.atomic) assert.deepStrictEqual(lasting(one.before), lasting(before[i]!))
      assert.deepStrictEqual(lasting(one.after), lasting(yield* at.attributes(directory)))
      assertChanged(before[i]!, one.after)
      at.assertModified(one.after)
    }
    yield* fails(at.lookup(name, from), "ENOENT")
    const found = yield* at.lookup(newName, to)
    assert.deepStrictEqual(found.file.key, file.key)
    assert.strictEqual(found.attributes.fileid, attributes.fileid)
    assert.strictEqual(time(found.attributes.mtime), time(attributes.mtime))
    assertChanged(attributes, found.attributes)
  })

export const renaming = (test: Test): void => {
  test("to a new name, here and elsewhere", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      yield* at.file("a", "content")
      yield* renames(at, "a", "b", at.home, at.home)
      yield* renames(at, "b", "c", at.home, d)
      yield* renames(at, "c", "a", d, at.home)
      assert.strictEqual(yield* at.text((yield* at.lookup("a")).file), "content")
    }))

  test("over a file", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      yield* at.file("a", "winner")
      const loser = yield* at.file("b", "loser", d)
      yield* renames(at, "a", "b", at.home, d)
      yield* fails(at.attributes(loser), "ESTALE")
      assert.deepStrictEqual(yield* at.names(d), ["b"])
      assert.strictEqual(yield* at.text((yield* at.lookup("b", d)).file), "winner")
    }))

  test("over a symbolic link, not over what it points to", (at) =>
    Effect.gen(function* () {
      if (!at.has("symlinks")) return
      yield* at.file("a", "a")
      yield* at.file("target", "target")
      yield* at.symlink("l", "target")
      yield* renames(at, "a", "l", at.home, at.home)
      assert.deepStrictEqual(yield* at.names(), ["l", "target"])
      assert.strictEqual((yield* at.lookup("l")).attributes.type, "regular")
    }))

  test("a symbolic link is renamed itself, also one that leads nowhere", (at) =>
    Effect.gen(function* () {
      if (!at.has("symlinks")) return
      const d = yield* at.mkdir("d")
      const file = yield* at.file("f", "content")
      const inner = yield* at.file("inner", "inner", d)
      const loser = yield* at.file("loser", "loser")
      for (const target of ["f", "d", "nowhere"]) {
        const link = yield* at.symlink("l", target)
        const { fileid } = yield* at.attributes(link)
        const isItself = (name: string, directory: File) =>
          Effect.gen(function* () {
            const found = yield* at.lookup(name, directory)
            assert.deepStrictEqual(found.file.key, link.key)
            assert.strictEqual(found.attributes.fileid, fileid)
            assert.strictEqual(found.attributes.type, "symlink")
            assert.strictEqual((yield* at.fs.readlink(link, allow)).target, target)
          })
        yield* at.rename("l", "m")
        yield* isItself("m", at.home)
        assert.deepStrictEqual(yield* at.names(), ["d", "f", "loser", "m"])
        yield* at.rename("m", "n", at.home, d)
        yield* isItself("n", d)
        assert.deepStrictEqual(yield* at.names(), ["d", "f", "loser"])
        assert.deepStrictEqual(yield* at.names(d), ["inner", "n"])
        yield* at.remove("n", d)
      }
      const link = yield* at.symlink("l", "f")
      yield* at.rename("l", "loser")
      yield* fails(at.attributes(loser), "ESTALE")
      assert.deepStrictEqual((yield* at.lookup("loser")).file.key, link.key)
      assert.deepStrictEqual(yield* at.names(), ["d", "f", "loser"])
      assert.deepStrictEqual((yield* at.lookup("f")).file.key, file.key)
      assert.deepStrictEqual([yield* at.text(file), yield* at.text(inner)], ["content", "inner"])
    }))

  test("a directory, with all that is in it", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      const e = yield* at.mkdir("e")
      const file = yield* at.file("a", "content", d)
      yield* renames(at, "d", "f", at.home, e)
      assert.deepStrictEqual((yield* at.lookup("a", (yield* at.lookup("f", e)).file)).file.key, file.key)
    }))

  test("a directory over an empty one", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      const e = yield* at.mkdir("e")
      yield* at.create("a", d)
      yield* renames(at, "d", "e", at.home, at.home)
      assert.deepStrictEqual(yield* at.names(d), ["a"])
      yield* fails(at.attributes(e), "ESTALE")
      if (at.has("linkCounts")) assert.strictEqual((yield* at.attributes(at.home)).nlink, 3)
      const f = yield* at.mkdir("f")
      const g = yield* at.mkdir("g", f)
      yield* renames(at, "e", "g", at.home, f)
      yield* fails(at.attributes(g), "ESTALE")
      assert.deepStrictEqual((yield* at.fs.parent(d, () => undefined)).file.key, f.key)
      if (!at.has("linkCounts")) return
      assert.deepStrictEqual([(yield* at.attributes(at.home)).nlink, (yield* at.attributes(f)).nlink], [3, 3])
    }))

  test("not a directory over one that holds something", (at) =>
    Effect.gen(function* () {
      yield* at.mkdir("d")
      yield* at.create("a", yield* at.mkdir("e"))
      yield* at.unchanged(at.home, fails(at.rename("d", "e"), "ENOTEMPTY"))
    }))

  test("not a file over a directory, nor a directory over a file", (at) =>
    Effect.gen(function* () {
      yield* at.mkdir("d")
      yield* at.create("a")
      yield* at.unchanged(at.home, fails(at.rename("a", "d"), "EISDIR"))
      yield* at.unchanged(at.home, fails(at.rename("d", "a"), "ENOTDIR"))
      if (!at.has("symlinks")) return
      yield* at.symlink("l", "d")
      yield* at.unchanged(at.home, fails(at.rename("d", "l"), "ENOTDIR"))
      yield* at.unchanged(at.home, fails(at.rename("l", "d"), "EISDIR"))
    }))

  test("not a directory into itself or below", (at) =>
    Effect.gen(function* () {
      const d = yield* at.mkdir("d")
      const e = yield* at.mkdir("e", d)
      const f = yield* at.mkdir("f", e)
      for (const place of [d, e, f]) {
        yield* at.unchanged(at.home, at.unchanged(place, fails(at.rename("d", "x", at.home, place), "EINVAL")))
      }
      // What it is renamed to being there already is no other case.
      yield* at.unchanged(d, fails(at.rename("d", "e", at.home, d), "EINVAL"))
      // Upwards is another matter: what is above is never empty.
      yield* at.unchanged(at.home, fails(at.rename("f", "d", e, at.home), "ENOTEMPTY"))
    }))

  test("not what is not there", (at) =>
    Effect.gen(function* () {
      yield* at.create("a")
      yield* at.unchanged(at.home, fails(at.rename("x", "y"), "ENOENT"))
      yield* at.unchanged(at.home, fails(at.rename("x", "a"), "ENOENT"))
      yield* at.unchanged(at.home, fails(at.rename("x", "x"), "ENOENT"))
    }))

  test("to its own name does nothing", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      yield* at.mkdir("d")
      yield* at.unchanged(at.home, at.rename("a", "a"))
      yield* at.unchanged(at.home, at.rename("d", "d"))
      assert.strictEqual(yield* at.text(file), "content")
    }))

  test("to another name of the same file does nothing", (at) =>
    Effect.gen(function* () {
      if (!at.has("hardLinks")) return
      const d = yield* at.mkdir("d")
      const file = yield* at.file("a", "content")
      yield* at.link(file, "b")
      yield* at.link(file, "c", d)
      yield* at.unchanged(at.home, at.rename("a", "b"))
      yield* at.unchanged(d, at.unchanged(at.home, at.rename("a", "c", at.home, d)))
      assert.strictEqual((yield* at.attributes(file)).nlink, 3)
    }))
}
