/** What a directory of the host remembers, and for how long. */

import { Buffer } from "node:buffer"
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, fails, failure } from "../../../src/testing/filesystem/Fixture.ts"
import { open, place, type Way, ways } from "../../support/local.ts"

const LIFE = 200

/** Later than what is remembered now. */
const later = Effect.sleep(LIFE + 50)

/** Names of a directory that has just been changed are not remembered. */
const settled = Effect.sleep(50)

describe.each(Object.keys(ways) as Array<Way>)("what is remembered of a directory, by %s", (way) => {
  const served = Effect.gen(function* () {
    const { outside, path } = yield* place()
    mkdirSync(join(path, "directory"))
    writeFileSync(join(path, "directory", "file"), "content")
    yield* settled
    const fs = yield* open({ path, cacheLife: LIFE }, ways[way])
    const { file: directory } = yield* fs.lookup(fs.root, "directory", allow)
    const { file } = yield* fs.lookup(directory, "file", allow)
    return { path, outside, fs, directory, file }
  })

  it.live("what is changed on the host shows within its life", () =>
    Effect.gen(function* () {
      const { directory, file, fs, path } = yield* served
      yield* fails(fs.lookup(directory, "new", allow), "ENOENT")
      writeFileSync(join(path, "directory", "file"), "more content")
      writeFileSync(join(path, "directory", "new"), "")
      yield* later
      assert.strictEqual((yield* fs.getattr(file)).size, 12)
      const { attributes } = yield* fs.lookup(directory, "new", allow)
      assert.strictEqual(attributes.size, 0)
    })
  )

  it.live("data are as they are on the host", () =>
    Effect.gen(function* () {
      const { file, fs, path } = yield* served
      for (const content of ["content", "changed", "again, and longer"]) {
        writeFileSync(join(path, "directory", "file"), content)
        const { attributes, data, eof } = yield* fs.read(file, 0, 100, allow)
        assert.strictEqual(Buffer.concat(data).toString(), content)
        assert.deepInclude({ ...attributes, eof }, { size: content.length, eof: true })
        assert.strictEqual((yield* fs.getattr(file)).size, content.length)
      }
    })
  )

  it.live("what a client removes is stale at once, what goes on the host within its life", () =>
    Effect.gen(function* () {
      const { directory, file, fs, outside, path } = yield* served
      const gone = (key: Uint8Array) =>
        failure(Effect.flatMap(fs.resolve(key), (file): Effect.Effect<unknown, FilesystemError> => fs.getattr(file)))
      // Without handles it is looked for first.
      const stale = (key: Uint8Array) =>
        Effect.repeat(gone(key), {
          until: (code) => code !== "EAGAIN",
          schedule: Schedule.spaced("20 millis")
        })
      yield* fs.remove(directory, "file", allow)
      assert.strictEqual(yield* gone(file.key), "ESTALE")
      for (const name of ["removed", "moved"]) writeFileSync(join(path, "directory", name), "")
      const { file: removed } = yield* fs.lookup(directory, "removed", allow)
      const { file: moved } = yield* fs.lookup(directory, "moved", allow)
      for (let i = 0; i < 2; i++) {
        yield* fs.getattr(yield* fs.resolve(removed.key))
        yield* fs.getattr(yield* fs.resolve(moved.key))
      }
      rmSync(join(path, "directory", "removed"))
      renameSync(join(path, "directory", "moved"), join(outside, "moved"))
      yield* later
      assert.strictEqual(yield* stale(removed.key), "ESTALE")
      assert.strictEqual(yield* stale(moved.key), "ESTALE")
    })
  )
})
