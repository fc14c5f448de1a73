import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as CachedFilesystem from "../../src/filesystem/cached/CachedFilesystem.ts"
import type { Operations } from "../../src/filesystem/Filesystem.ts"
import { errors, fail } from "../../src/filesystem/FilesystemError.ts"
import { forward } from "../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { known, prompt, step } from "../../src/filesystem/Step.ts"
import { allow } from "../../src/testing/filesystem/Fixture.ts"

/** A filesystem whose `getattr` is this one. */
const having = (getattr: Operations["getattr"]) => Effect.map(MemoryFilesystem.make(), (fs) => forward(fs, { getattr }))

describe("an operation that is a step", () => {
  it.effect("does nothing before it is run, and can be run again", () =>
    Effect.gen(function* () {
      let taken = 0
      const operation = step((by: number) => ({ taken: (taken += by) }))
      const effect = operation(2)
      assert.strictEqual(taken, 0)
      assert.deepStrictEqual(yield* effect, { taken: 2 })
      assert.deepStrictEqual(yield* effect, { taken: 4 })
    })
  )

  it.effect("fails with the error that it gives", () =>
    Effect.gen(function* () {
      const operation = step((): object | typeof errors.EIO => errors.EIO)
      assert.strictEqual(yield* Effect.flip(operation()), errors.EIO)
    })
  )

  it.effect("is asked in the ordinary way for what it does not know at once", () =>
    Effect.gen(function* () {
      const operation = known(
        (n: number) => (n > 1 ? { n } : n === 1 ? errors.ENOENT : undefined),
        (n) => Effect.as(Effect.yieldNow, { n: n + 100 })
      )
      assert.deepStrictEqual(yield* operation(2), { n: 2 })
      assert.strictEqual(yield* Effect.flip(operation(1)), errors.ENOENT)
      assert.deepStrictEqual(yield* operation(0), { n: 100 })
    })
  )
})

describe("prompt", () => {
  it.effect("has steps taken when they are called", () =>
    Effect.gen(function* () {
      const fs = prompt(yield* MemoryFilesystem.make())
      const made = fs.mkdir(fs.root, "d", () => ({ mode: 0o700 }))
      assert.isTrue(Exit.isExit(made))
      const again = fs.mkdir(fs.root, "d", () => ({}))
      assert.strictEqual(yield* Effect.flip(again), errors.EEXIST)
      const found = fs.lookup(fs.root, "d", allow)
      assert.isTrue(Exit.isExit(found))
      assert.strictEqual((yield* found).attributes.mode, 0o700)
      assert.strictEqual(yield* Effect.flip(fs.lookup(fs.root, "d", () => errors.EACCES)), errors.EACCES)
    })
  )

  it.effect("leaves what is no step as it is, also where it took the place of one", () =>
    Effect.gen(function* () {
      let asked = 0
      const fs = prompt(
        yield* having(() => {
          asked++
          return Effect.suspend(() => fail.EIO)
        })
      )
      const effect = fs.getattr(fs.root)
      assert.isFalse(Exit.isExit(effect))
      assert.strictEqual(asked, 1)
      assert.strictEqual(yield* Effect.flip(effect), errors.EIO)
    })
  )

  it.effect("asks a filesystem that remembers for what it has not seen in the ordinary way, and then no more", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryFilesystem.make()
      const cached = yield* CachedFilesystem.make(memory)
      const fs = prompt(cached)
      const first = fs.getattr(fs.root)
      assert.isFalse(Exit.isExit(first))
      const attributes = yield* first
      const second = fs.getattr(fs.root)
      assert.isTrue(Exit.isExit(second))
      assert.strictEqual(yield* second, attributes)
      const stats = yield* cached.stats
      assert.deepStrictEqual([stats.attributes.misses, stats.attributes.hits], [1, 1])
    })
  )

  it.effect("calls the methods of a class as methods", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryFilesystem.make()
      class Counting {
        asked = 0
        readonly nothing = undefined
        readonly root = memory.root
        readonly properties = memory.properties
        getattr(file: typeof memory.root) {
          this.asked++
          return memory.getattr(file)
        }
      }
      const counting = new Counting()
      const fs = prompt(counting as unknown as Operations)
      assert.strictEqual((yield* fs.getattr(fs.root)).type, "directory")
      assert.strictEqual(counting.asked, 1)
    })
  )
})
