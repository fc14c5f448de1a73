/** LINK. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { assertChanged, fails, give, lasting, type Test, time } from "./Fixture.ts"

export const links = (test: Test): void => {
  test("a file has as many links as names", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      if (!at.has("hardLinks")) {
        assert.strictEqual(at.fs.properties.linkMax, 1)
        return yield* at.unchanged(at.home, fails(at.link(file, "b"), "ENOTSUP"))
      }
      const directory = yield* at.mkdir("d")
      let before = yield* at.attributes(file)
      for (const [i, [name, place]] of (
        [
          ["b", at.home],
          ["c", at.home],
          ["a", directory]
        ] as const
      ).entries()) {
        const beforePlace = yield* at.attributes(place)
        const linked = yield* at.link(file, name, place)
        assert.strictEqual(linked.attributes.nlink, i + 2)
        assert.deepStrictEqual(linked.attributes, yield* at.attributes(file))
        assertChanged(before, linked.attributes)
        assert.strictEqual(time(linked.attributes.mtime), time(before.mtime))
        if (linked.directory.atomic) assert.deepStrictEqual(lasting(linked.directory.before), lasting(beforePlace))
        assert.deepStrictEqual(lasting(linked.directory.after), lasting(yield* at.attributes(place)))
        assertChanged(beforePlace, linked.directory.after)
        assert.deepStrictEqual((yield* at.lookup(name, place)).file.key, file.key)
        before = linked.attributes
      }
      yield* at.write((yield* at.lookup("c")).file, 0, "C")
      assert.strictEqual(yield* at.text((yield* at.lookup("a", directory)).file), "Content")
    }))

  test("a file lives as long as its last name", (at) =>
    Effect.gen(function* () {
      if (!at.has("hardLinks")) return
      const file = yield* at.file("last", "content")
      // As fast as can be: a clock may stand still meanwhile.
      const names = Array.from({ length: 10 }, (_, i) => `${i}`)
      for (const name of names) yield* at.link(file, name)
      let before = yield* at.attributes(file)
      for (const [i, name] of names.entries()) {
        yield* at.remove(name)
        const after = yield* at.attributes(file)
        assert.strictEqual(after.nlink, names.length - i)
        assertChanged(before, after)
        before = after
      }
      assert.strictEqual(yield* at.text(yield* at.resolve(file.key)), "content")
      yield* at.remove("last")
      yield* fails(at.resolve(file.key), "ESTALE")
    }))

  test("replacing one name keeps the file under the others", (at) =>
    Effect.gen(function* () {
      if (!at.has("hardLinks")) return
      const file = yield* at.file("a", "content")
      yield* at.link(file, "b")
      const other = yield* at.file("c", "other")
      const before = yield* at.attributes(file)
      yield* at.rename("c", "a")
      const after = yield* at.attributes(file)
      if (at.has("linkCounts")) {
        assert.strictEqual(after.nlink, 1)
        assertChanged(before, after)
      }
      assert.deepStrictEqual((yield* at.lookup("b")).file.key, file.key)
      assert.deepStrictEqual((yield* at.lookup("a")).file.key, other.key)
    }))

  test("a taken name stays with its file", (at) =>
    Effect.gen(function* () {
      if (!at.has("hardLinks")) return
      const file = yield* at.create("a")
      yield* at.create("b")
      yield* at.mkdir("d")
      for (const name of ["a", "b", "d"]) yield* at.unchanged(at.home, fails(at.link(file, name), "EEXIST"))
    }))

  test("directories have one name", (at) =>
    Effect.gen(function* () {
      const directory = yield* at.mkdir("d")
      yield* at.unchanged(at.home, fails(at.link(directory, "e"), "EPERM", "ENOTSUP"))
    }))

  test("symbolic links and special files have links, too", (at) =>
    Effect.gen(function* () {
      if (!at.has("hardLinks")) return
      if (at.has("symlinks")) {
        const link = yield* at.symlink("l", "target")
        const { attributes } = yield* at.link(link, "m")
        assert.deepInclude(attributes, { type: "symlink", nlink: 2 })
      }
      if (!at.has("specialFiles")) return
      const { file } = yield* at.fs.mknod(at.home, "p", { type: "fifo" }, give({ mode: 0o600 }))
      assert.deepInclude((yield* at.link(file, "q")).attributes, { type: "fifo", nlink: 2 })
    }))

  test("there are no more links than linkMax", (at) =>
    Effect.gen(function* () {
      const { linkMax } = at.fs.properties
      if (!at.has("hardLinks") || linkMax > 1000) return
      const file = yield* at.create("a")
      for (let i = 1; i < linkMax; i++) yield* at.link(file, `a${i}`)
      yield* at.unchanged(at.home, fails(at.link(file, "more"), "EMLINK"))
    }))
}
