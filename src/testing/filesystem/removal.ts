/** REMOVE, RMDIR. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Wcc } from "../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../filesystem/FilesystemError.ts"
import { assertChanged, fails, type Fixture, give, lasting, type Test } from "./Fixture.ts"

/** Removes something from `home`, and asserts that its attributes before and after are true. */
const removes = (at: Fixture, removal: Effect.Effect<Wcc, FilesystemError>): Effect.Effect<void, FilesystemError> =>
  Effect.gen(function* () {
    const before = yield* at.age(at.home)
    const wcc = yield* removal
    if (wcc.atomic) assert.deepStrictEqual(lasting(wcc.before), lasting(before))
    assert.deepStrictEqual(lasting(wcc.after), lasting(yield* at.attributes(at.home)))
    assertChanged(before, wcc.after)
    at.assertModified(wcc.after)
  })

export const removal = (test: Test): void => {
  test("a removed name is gone, the others stay", (at) =>
    Effect.gen(function* () {
      for (const name of ["a", "b", "c"]) yield* at.create(name)
      yield* removes(at, at.remove("b"))
      yield* fails(at.lookup("b"), "ENOENT")
      yield* fails(at.remove("b"), "ENOENT")
      assert.deepStrictEqual(yield* at.names(), ["a", "c"])
      yield* at.create("b")
      assert.deepStrictEqual(yield* at.names(), ["a", "b", "c"])
    }))

  test("symbolic links and special files are removed, not what they stand for", (at) =>
    Effect.gen(function* () {
      yield* at.file("a", "content")
      if (at.has("symlinks")) {
        yield* at.symlink("l", "a")
        yield* removes(at, at.remove("l"))
      }
      if (at.has("specialFiles")) {
        yield* at.fs.mknod(at.home, "p", { type: "fifo" }, give({ mode: 0o600 }))
        yield* removes(at, at.remove("p"))
      }
      assert.deepStrictEqual(yield* at.names(), ["a"])
    }))

  test("REMOVE is not for directories", (at) =>
    Effect.gen(function* () {
      yield* at.mkdir("d")
      yield* at.unchanged(at.home, fails(at.remove("d"), "EISDIR"))
    }))

  test("an empty directory is removed", (at) =>
    Effect.gen(function* () {
      yield* at.mkdir("d")
      yield* removes(at, at.rmdir("d"))
      yield* fails(at.rmdir("d"), "ENOENT")
      assert.isEmpty(yield* at.names())
    }))

  test("a directory that holds something is not", (at) =>
    Effect.gen(function* () {
      const directory = yield* at.mkdir("d")
      yield* at.create("a", directory)
      yield* at.unchanged(at.home, fails(at.rmdir("d"), "ENOTEMPTY"))
      yield* at.remove("a", directory)
      yield* at.rmdir("d")
    }))

  test("RMDIR is for directories only", (at) =>
    Effect.gen(function* () {
      yield* at.create("a")
      yield* at.unchanged(at.home, fails(at.rmdir("a"), "ENOTDIR"))
      if (!at.has("symlinks")) return
      yield* at.mkdir("d")
      yield* at.symlink("l", "d")
      yield* at.unchanged(at.home, fails(at.rmdir("l"), "ENOTDIR"))
    }))
}
