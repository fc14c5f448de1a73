/** Files that are open: not more than there may be, and not for longer than they are used. */

import * as fs from "node:fs"
import { readdirSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { at, close, O_PATH, open as openPath } from "../../../src/filesystem/local/Fs.ts"
import * as Identities from "../../../src/filesystem/local/Identities.ts"
import { Inodes } from "../../../src/filesystem/local/Inodes.ts"
import { Mounts } from "../../../src/filesystem/local/Mounts.ts"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
import { allow, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { descriptorsIn, memory, open, place, type Way, ways } from "../../support/local.ts"

/** Descriptors take a moment to be closed: what they are when they are no more than `most`, or after a while. */
const few = (path: string, most: number): Effect.Effect<ReadonlyArray<string>> =>
  TestClock.withLive(
    Effect.gen(function* () {
      for (let i = 0; i < 100 && descriptorsIn(path).length > most; i++) yield* Effect.sleep("5 millis")
      return descriptorsIn(path)
    })
  )

const lookup = (served: Operations, name: string) =>
  Effect.map(served.lookup(served.root, name, allow), ({ file }) => file)

describe.each(Object.keys(ways) as Array<Way>)("open files, by %s", (way) => {
  it.effect("are no more than there may be, and all can be used", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const root = fs.openSync(path, fs.constants.O_RDONLY)
      yield* Effect.addFinalizer(() => Effect.sync(() => close(root)))
      const syscalls = yield* Syscalls
      const mounts = yield* Mounts.make(root, false)
      const identities = yield* Identities.make({ root, whole: false, mounts, syscalls, stateFile: undefined })
      const capacity = 20
      const inodes = yield* Inodes.make({
        identities,
        root,
        whole: false,
        prompt: true,
        insideFor: 1000,
        capacity: () => capacity
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => inodes.close()))
      const names = Array.from({ length: 10 * capacity }, (_, i) => `file${i}`)
      for (const name of names) writeFileSync(join(path, name), name)
      // Who was just made stays open for a moment where it could be mistaken otherwise.
      yield* TestClock.withLive(Effect.sleep("300 millis"))
      const held = { uses: 0 }
      const files = yield* Effect.forEach(names, (name) =>
        Effect.tap(inodes.adopt(openPath(held, at(root, name), O_PATH)), (inode) =>
          Effect.sync(() => inodes.note(inode, inodes.root, name))
        )
      )
      assert.isAtMost((yield* few(path, capacity + 2)).length, capacity + 2)
      // Those that were closed are opened again, others for them closed.
      for (let round = 0; round < 2; round++) {
        for (const file of files) {
          const { fileid } = yield* inodes.use(file, (inode) => inodes.attributes(inode))
          assert.strictEqual(fileid, file.fileid)
        }
      }
      assert.isAtMost((yield* few(path, capacity + 2)).length, capacity + 2)
      // All at once they are more, as all are used; later no more.
      yield* Effect.forEach(files, (file) => inodes.use(file, () => TestClock.withLive(Effect.sleep("20 millis"))), {
        concurrency: "unbounded",
        discard: true
      })
      yield* inodes.adopt(openPath(held, at(root, names[0]!), O_PATH))
      for (let i = 0; i < 31; i++) inodes.sweep()
      assert.isAtMost((yield* few(path, 1)).length, 1)
    }).pipe(Effect.provide(ways[way]))
  )

  it.effect("are closed when they are not used, for writing first", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const served = yield* open({ path, async: true }, ways[way])
      // The root's, once what the start looked at is closed.
      assert.strictEqual((yield* few(path, 1)).length, 1)
      const file = join(path, "file")
      const openOf = () => descriptorsIn(file).length
      const made = yield* served.create(served.root, "file", { _tag: "Guarded" }, give({}))
      yield* served.write(made.file, 0, [pattern(10)], "unstable", allow)
      assert.strictEqual(openOf(), 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(openOf(), 2)
      // Until that is committed, it must not be closed: who opens it later is not told that it could not be written.
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(openOf(), 2)
      yield* served.commit(made.file, 0, 0, allow)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* few(file, 1)).length, 1)
      yield* served.read(made.file, 0, 10, allow)
      assert.strictEqual(openOf(), 2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(openOf(), 2)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* few(path, 1)).length, 1)
      assert.strictEqual((yield* served.read(made.file, 0, 10, allow)).attributes.size, 10)
    })
  )

  it.live.skipIf(memory === undefined)("give their space back when they are removed", () =>
    Effect.gen(function* () {
      const { path } = yield* place(memory)
      const served = yield* open({ path, async: true }, ways[way])
      const size = 8 << 20
      const files: Array<File> = []
      for (const name of ["a", "b", "c"]) {
        const { file } = yield* served.create(served.root, name, { _tag: "Guarded" }, give({}))
        yield* served.write(file, 0, [Buffer.alloc(size, 1)], "unstable", allow)
        files.push(file)
      }
      yield* Effect.sleep("100 millis")
      const { bfree, bsize } = statfsSync(path)
      yield* served.remove(served.root, "a", allow)
      yield* served.rename(served.root, "c", served.root, "b", allow)
      let freed = 0
      for (let i = 0; i < 600 && freed < 2 * size; i++) {
        yield* Effect.sleep("5 millis")
        freed = (statfsSync(path).bfree - bfree) * bsize
      }
      assert.isAtLeast(freed, 2 * size)
      assert.deepStrictEqual(readdirSync(path), ["b"])
      assert.strictEqual((yield* served.getattr(files[2]!)).size, size)
      assert.deepStrictEqual((yield* lookup(served, "b")).key, files[2]!.key)
    })
  )
})
