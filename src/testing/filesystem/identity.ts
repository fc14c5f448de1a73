/** Keys name files for ever. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File } from "../../filesystem/Filesystem.ts"
import { allow, fails, type Test } from "./Fixture.ts"

const hex = ({ key }: File): string => Buffer.from(key).toString("hex")

export const identity = (test: Test): void => {
  test("lookup, creation and listing agree on the key", (at) =>
    Effect.gen(function* () {
      const made = yield* at.create("a")
      const [entry] = yield* at.entries(at.home, Infinity, true)
      assert.strictEqual(hex((yield* at.lookup("a")).file), hex(made))
      assert.strictEqual(hex(entry!.found!.file), hex(made))
    }))

  test("a key survives a rename, of the file and of its directory", (at) =>
    Effect.gen(function* () {
      const directory = yield* at.mkdir("d")
      const file = yield* at.file("a", "content", directory)
      const { fileid } = yield* at.attributes(file)
      yield* at.rename("a", "b", directory)
      yield* at.rename("d", "e")
      yield* at.rename("b", "c", directory, at.home)
      const resolved = yield* at.resolve(file.key)
      assert.strictEqual((yield* at.attributes(resolved)).fileid, fileid)
      assert.strictEqual(yield* at.text(resolved), "content")
      assert.strictEqual(yield* at.text(file), "content")
      assert.strictEqual(hex((yield* at.lookup("c")).file), hex(file))
    }))

  test("the key of a removed file is stale", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const directory = yield* at.mkdir("d")
      yield* at.remove("a")
      yield* at.rmdir("d")
      yield* fails(at.resolve(file.key), "ESTALE")
      yield* fails(at.resolve(directory.key), "ESTALE")
    }))

  test("the key of a replaced file is stale", (at) =>
    Effect.gen(function* () {
      const replaced = yield* at.create("a")
      const winner = yield* at.create("b")
      yield* at.rename("b", "a")
      yield* fails(at.resolve(replaced.key), "ESTALE")
      assert.strictEqual(hex((yield* at.lookup("a")).file), hex(winner))
    }))

  test("a new file never has the key of an earlier one", (at) =>
    Effect.gen(function* () {
      const seen = new Set<string>()
      for (let i = 0; i < 100; i++) {
        const file = yield* at.create("a")
        const directory = yield* at.mkdir("d")
        assert.isFalse(seen.has(hex(file)) || seen.has(hex(directory)))
        seen.add(hex(file)).add(hex(directory))
        yield* at.remove("a")
        yield* at.rmdir("d")
      }
    }))

  test("every operation on a removed file is stale", (at) =>
    Effect.gen(function* () {
      const { fs } = at
      const file = yield* at.file("a", "content")
      yield* at.remove("a")
      yield* fails(fs.getattr(file), "ESTALE")
      yield* fails(at.set(file, { mode: 0o600 }), "ESTALE")
      yield* fails(at.read(file), "ESTALE")
      yield* fails(at.write(file, 0, "x"), "ESTALE")
      yield* fails(fs.commit(file, 0, 0, allow), "ESTALE")
      yield* fails(fs.statfs(file), "ESTALE")
      yield* fails(at.link(file, "b"), at.has("hardLinks") ? "ESTALE" : "ENOTSUP")
      assert.isEmpty(yield* at.names())
    }))

  test("every operation in a removed directory is stale", (at) =>
    Effect.gen(function* () {
      const { fs } = at
      const gone = yield* at.mkdir("d")
      const file = yield* at.create("a")
      yield* at.rmdir("d")
      yield* fails(fs.getattr(gone), "ESTALE")
      yield* fails(at.lookup("x", gone), "ESTALE")
      yield* fails(fs.parent(gone, allow), "ESTALE")
      yield* fails(at.list(gone, 0n), "ESTALE")
      yield* fails(at.create("x", gone), "ESTALE")
      yield* fails(at.mkdir("x", gone), "ESTALE")
      yield* fails(at.remove("x", gone), "ESTALE")
      yield* fails(at.rmdir("x", gone), "ESTALE")
      yield* fails(at.link(file, "x", gone), at.has("hardLinks") ? "ESTALE" : "ENOTSUP")
      yield* fails(at.rename("a", "x", at.home, gone), "ESTALE")
      yield* fails(at.rename("x", "b", gone, at.home), "ESTALE")
      assert.deepStrictEqual(yield* at.names(), ["a"])
    }))
}
