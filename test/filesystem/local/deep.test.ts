/** Files whose paths are longer than the system can tell or be told (4,096 bytes). */

import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { allow, fails, give } from "../../../src/testing/filesystem/Fixture.ts"
import { run } from "../../support/commands.ts"
import { open, patient, place, type Way, ways } from "../../support/local.ts"

const NAME = "d".repeat(250)

/** 24 names of 250 bytes. */
const DEPTH = 24

const listing = { cookie: 0n, fits: () => true, attributes: true }

/** All descriptors of this process, when none is being closed any more. */
const settled = Effect.gen(function* () {
  const count = () => readdirSync("/proc/self/fd").length
  for (let before = -1; before !== count();) {
    before = count()
    yield* Effect.sleep("50 millis")
  }
  return count()
})

/** A chain of directories from the root down; the last ones are too deep for their paths. */
const chain = Effect.fnUntraced(function* (fs: Operations, depth = DEPTH) {
  const directories: Array<File> = [fs.root]
  for (let i = 0; i < depth; i++) {
    const { file } = yield* fs.mkdir(directories[i]!, NAME, give({ mode: 0o755 }))
    directories.push(file)
  }
  return directories
})

describe.each(Object.keys(ways) as Array<Way>)("paths of 6,000 bytes, by %s", (way) => {
  it.live("files are made, listed, read, moved, found again and removed", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      const directories = yield* chain(fs)
      const last = directories.at(-1)!
      const { file } = yield* fs.create(last, "file", { _tag: "Guarded" }, give({}))
      yield* fs.write(file, 0, [Buffer.from("content")], "unstable", allow)
      yield* fs.symlink(last, "link", "target", give({}))
      const { entries } = yield* fs.readdir(last, listing, allow)
      assert.deepStrictEqual(Object.fromEntries(entries.map(({ found, name }) => [name, found?.attributes.type])), {
        file: "regular",
        link: "symlink"
      })
      const { data } = yield* fs.read(file, 0, 100, allow)
      assert.strictEqual(Buffer.concat(data).toString(), "content")
      assert.deepStrictEqual((yield* fs.parent(last, allow)).file.key, directories.at(-2)!.key)
      assert.deepStrictEqual((yield* fs.lookup(directories.at(-2)!, NAME, allow)).file.key, last.key)

      // By somebody who knows nothing yet, and when it has to be looked at again whether they are inside.
      const later = yield* open({ path, async: true }, ways[way])
      for (const served of [later, fs, later]) {
        for (const { key } of [file, last]) assert.deepStrictEqual((yield* patient(served.resolve(key))).key, key)
        yield* Effect.sleep("1100 millis")
      }

      yield* fs.rename(last, "file", fs.root, "file", allow)
      yield* fs.rename(fs.root, "file", last, "file", allow)
      for (const name of ["file", "link"]) yield* fs.remove(last, name, allow)
      for (const directory of directories.slice(0, -1).reverse()) yield* fs.rmdir(directory, NAME, allow)
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.live("what became too deep by a rename above is served on, and costs no descriptors", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      const { file: top } = yield* fs.mkdir(fs.root, "top", give({ mode: 0o755 }))
      let bottom = top
      for (let i = 0; i < 12; i++) bottom = (yield* fs.mkdir(bottom, NAME, give({ mode: 0o755 }))).file
      const { file } = yield* fs.create(bottom, "file", { _tag: "Guarded" }, give({}))
      const directories = yield* chain(fs, 12)
      yield* fs.rename(fs.root, "top", directories.at(-1)!, "top", allow)
      yield* Effect.sleep("1100 millis")
      const later = yield* open({ path, async: true }, ways[way])
      for (const served of [fs, later]) {
        assert.deepStrictEqual((yield* patient(served.resolve(file.key))).key, file.key)
        const before = yield* settled
        for (let i = 0; i < 20; i++) {
          yield* patient(served.resolve(file.key))
          yield* patient(served.resolve(bottom.key))
          yield* served.readdir(bottom, listing, allow)
        }
        assert.isAtMost(yield* settled, before + 2)
      }
    })
  )

  it.live("what is moved out of the export from there, or lies deep outside, is stale", () =>
    Effect.gen(function* () {
      const { outside, path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      const directories = yield* chain(fs)
      const last = directories.at(-1)!
      const { file } = yield* fs.create(last, "file", { _tag: "Guarded" }, give({}))
      // Its path is as long there.
      const { code } = yield* run("mv", [join(path, NAME), join(outside, NAME)])
      assert.strictEqual(code, 0)
      yield* Effect.sleep("1100 millis")
      const before = yield* settled
      for (let i = 0; i < 10; i++) {
        yield* fails(patient(fs.resolve(file.key)), "ESTALE")
        yield* fails(patient(fs.resolve(last.key)), "ESTALE")
        yield* fails(fs.parent(last, allow), "ESTALE")
      }
      assert.isAtMost(yield* settled, before)
    })
  )
})
