import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ExportOptions, Exports, type Located } from "../../src/exports/Exports.ts"
import { SharedState } from "../../src/exports/SharedState.ts"
import { Filesystem, type Operations } from "../../src/filesystem/Filesystem.ts"
import { errors, is } from "../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"

const memory = Effect.runSync(MemoryFilesystem.make())

const make = (...exports: ReadonlyArray<Partial<ExportOptions>>) =>
  Exports.make(exports.map((options) => ({ path: "/", filesystem: memory, ...options }))).pipe(
    Effect.provide(SharedState.layer)
  )

/** Why these exports are refused. */
const objection = (...exports: ReadonlyArray<Partial<ExportOptions>>) =>
  Effect.map(Effect.flip(make(...exports)), (error) => error.message)

describe("Exports", () => {
  it.effect("are found by their path, however it is written", () =>
    Effect.gen(function* () {
      const exports = yield* make({ path: "/data//music/" }, { path: "/" })
      assert.deepStrictEqual(
        exports.all.map(({ path }) => path),
        ["/data/music", "/"]
      )
      for (const path of ["/data/music", "/data/music/", "//data///music//", "data/music"]) {
        assert.strictEqual(exports.byPath(path), exports.all[0], path)
      }
      for (const path of ["/", "", "//"]) assert.strictEqual(exports.byPath(path), exports.all[1], path)
      for (const path of ["/data", "/data/music/x", "/Data/music", "/data/./music", "/data/music/.."]) {
        assert.isUndefined(exports.byPath(path), path)
      }
    })
  )

  it.effect("are found by the handles of their files", () =>
    Effect.gen(function* () {
      const exports = yield* make({ path: "/a" }, { path: "/b", fsid: 7 })
      for (const share of exports.all) {
        const handle = share.handle(memory.root)
        assert.strictEqual(handle.length, share.handleLength)
        const located = exports.locate(handle)
        assert.isFalse(is(located))
        assert.deepInclude(located, { share })
        assert.strictEqual(yield* share.operations.resolve((located as Located).key), memory.root)
      }
      assert.strictEqual(exports.all[1]!.fsid, 7n)
      assert.notStrictEqual(exports.all[0]!.id, exports.all[1]!.id)
    })
  )

  it.effect("keep their handles in another order and beside others, and are STALE when they are gone", () =>
    Effect.gen(function* () {
      const before = yield* make({ path: "/a" }, { path: "/b" })
      const handle = before.byPath("/b")!.handle(memory.root)
      const after = yield* make({ path: "/b" }, { path: "/c" }, { path: "/a" })
      assert.deepInclude(after.locate(handle), { share: after.byPath("/b")! })
      const without = yield* make({ path: "/a" })
      assert.strictEqual(without.locate(handle), errors.ESTALE)
    }).pipe(Effect.provide(SharedState.layer))
  )

  it.effect("do not know what is no handle, or another server's", () =>
    Effect.gen(function* () {
      const exports = yield* make({})
      const other = yield* make({})
      assert.strictEqual(exports.locate(new Uint8Array(0)), errors.EBADHANDLE)
      assert.strictEqual(exports.locate(new Uint8Array(32)), errors.EBADHANDLE)
      assert.strictEqual(exports.locate(other.all[0]!.handle(memory.root)), errors.EBADHANDLE)
    })
  )

  it.effect("remember what a caller may do", () =>
    Effect.gen(function* () {
      const exports = yield* make({ path: "/a" }, { path: "/b", squash: "none" })
      const [squashed, trusting] = exports.all
      const claim = { _tag: "Sys", uid: 0, gid: 0, gids: [] } as const
      assert.strictEqual(squashed!.access(claim), squashed!.access(claim))
      const attributes = { ...(yield* memory.getattr(memory.root)), mode: 0o700 }
      assert.strictEqual(squashed!.access(claim).permissions(attributes), 0)
      assert.strictEqual(trusting!.access(claim).permissions(attributes), 7)
    })
  )

  it.effect("change nothing when they are read-only", () =>
    Effect.gen(function* () {
      const { operations } = (yield* make({ readOnly: true })).all[0]!
      const error = yield* Effect.flip(operations.mkdir(operations.root, "new", () => ({})))
      assert.strictEqual(error, errors.EROFS)
    })
  )

  it.effect("do not contradict each other or themselves", () =>
    Effect.gen(function* () {
      const longKey = { ...memory, root: { key: new Uint8Array(45) } } as Operations
      assert.match(yield* objection({ path: "/a" }, { path: "//a/" }), /^export \/\/a\/: .*another export/)
      assert.match(yield* objection({ path: "/a", fsid: 1 }, { path: "/b", fsid: 1 }), /^export \/b: .*\(1\) as \/a/)
      assert.match(yield* objection({ path: "data" }), /^export data: path: expected .*slash.*, got "data"$/)
      assert.match(yield* objection({ path: `/${"x".repeat(1024)}` }), /at most 1024 bytes/)
      assert.match(yield* objection({ path: "/a\0b" }), /none of them NUL/)
      assert.match(yield* objection({ fsid: 2 ** 32 }), /fsid/)
      assert.match(yield* objection({ fsid: 1.5 }), /fsid/)
      assert.match(yield* objection({ anonymousUid: -1 }), /anonymousUid/)
      assert.match(yield* objection({ anonymousGid: Number.NaN }), /anonymousGid/)
      assert.match(yield* objection({ filesystem: longKey }), /45 bytes, at most 44/)
    })
  )
})

describe("Exports.layer", () => {
  const events: Array<string> = []
  const counted = (name: string) =>
    Layer.effect(
      Filesystem,
      Effect.acquireRelease(
        Effect.tap(MemoryFilesystem.make(), () => Effect.sync(() => events.push(`+${name}`))),
        () => Effect.sync(() => events.push(`-${name}`))
      )
    )

  it.effect("builds each filesystem once and releases it", () =>
    Effect.gen(function* () {
      events.length = 0
      const shared = counted("shared")
      yield* Effect.gen(function* () {
        const { all } = yield* Exports
        assert.strictEqual(all[0]!.operations, all[2]!.operations)
        assert.notStrictEqual(all[0]!.operations, all[1]!.operations)
      }).pipe(
        Effect.provide(
          Exports.layer([
            { path: "/a", filesystem: shared },
            { path: "/b", filesystem: counted("own") },
            { path: "/c", filesystem: shared }
          ]).pipe(Layer.provide(SharedState.layer))
        )
      )
      assert.deepStrictEqual(events.toSorted(), ["+own", "+shared", "-own", "-shared"])
    })
  )

  it.effect("fails as its filesystems do", () =>
    Effect.gen(function* () {
      const broken = Layer.effect(Filesystem, Effect.fail("no disk" as const))
      const exports = Exports.layer([
        { path: "/a", filesystem: counted("own") },
        { path: "/b", filesystem: broken }
      ])
      const error = yield* Effect.flip(Effect.provide(Exports, exports))
      assert.strictEqual(error, "no disk")
    }).pipe(Effect.provide(SharedState.layer))
  )
})
