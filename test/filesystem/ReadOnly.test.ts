import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File, Operations } from "../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { readOnly } from "../../src/filesystem/ReadOnly.ts"
import { allow, fails, give } from "../conformance/filesystem/Fixture.ts"

const below = Effect.gen(function* () {
  const fs = yield* MemoryFilesystem.make()
  const { file } = yield* fs.create(fs.root, "a", { _tag: "Guarded" }, give({ mode: 0o644 }))
  yield* fs.write(file, 0, [Buffer.from("content")], "fileSync", allow)
  const { file: link } = yield* fs.symlink(fs.root, "l", "target", give({}))
  return { fs, file, link }
})

/** Asserts that nobody asks this guard. */
const unasked = (): never => assert.fail("asked")

/** Every operation that changes something: leaving one out does not compile. */
const changes = (
  fs: Operations,
  file: File
): Record<
  Exclude<
    keyof Operations,
    | "properties"
    | "root"
    | "resolve"
    | "getattr"
    | "lookup"
    | "parent"
    | "readlink"
    | "read"
    | "readdir"
    | "statfs"
    | "commit"
  >,
  Effect.Effect<unknown, FilesystemError>
> => ({
  setattr: fs.setattr(file, unasked),
  write: fs.write(file, 0, [Buffer.from("x")], "fileSync", unasked),
  create: fs.create(fs.root, "a", { _tag: "Unchecked" }, unasked),
  mkdir: fs.mkdir(fs.root, "d", unasked),
  symlink: fs.symlink(fs.root, "s", "target", unasked),
  mknod: fs.mknod(fs.root, "p", { type: "fifo" }, unasked),
  remove: fs.remove(fs.root, "a", unasked),
  rmdir: fs.rmdir(fs.root, "a", unasked),
  rename: fs.rename(fs.root, "a", fs.root, "b", unasked),
  link: fs.link(file, fs.root, "b", unasked)
})

describe("readOnly", () => {
  it.effect("every change is refused, and does not happen", () =>
    Effect.gen(function* () {
      const { file, fs } = yield* below
      const state = Effect.all([fs.getattr(file), fs.getattr(fs.root)])
      const before = yield* state
      for (const change of Object.values(changes(readOnly(fs), file))) yield* fails(change, "EROFS")
      assert.deepStrictEqual(yield* state, before)
    })
  )

  it.effect("everything else is as it is below", () =>
    Effect.gen(function* () {
      const { file, fs, link } = yield* below
      const above = readOnly(fs)
      assert.strictEqual(above.root, fs.root)
      assert.strictEqual(above.properties, fs.properties)
      assert.strictEqual(yield* above.resolve(file.key), file)
      const list = { cookie: 0n, fits: () => true, attributes: true }
      for (const [one, other] of [
        [above.getattr(file), fs.getattr(file)],
        [above.lookup(fs.root, "a", allow), fs.lookup(fs.root, "a", allow)],
        [above.parent(fs.root, allow), fs.parent(fs.root, allow)],
        [above.readlink(link, allow), fs.readlink(link, allow)],
        [above.read(file, 2, 3, allow), fs.read(file, 2, 3, allow)],
        [above.readdir(fs.root, list, allow), fs.readdir(fs.root, list, allow)],
        [above.statfs(file), fs.statfs(file)],
        [above.commit(file, 0, 0, allow), fs.commit(file, 0, 0, allow)]
      ] as ReadonlyArray<readonly [Effect.Effect<unknown, FilesystemError>, Effect.Effect<unknown, FilesystemError>]>) {
        assert.deepStrictEqual(yield* one, yield* other)
      }
    })
  )
})
