import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Grant } from "../../src/exports/Export.ts"
import { type ExportOptions, Exports } from "../../src/exports/Exports.ts"
import type { Located } from "../../src/exports/ExportTable.ts"
import { SharedState } from "../../src/exports/SharedState.ts"
import { Filesystem, type Operations } from "../../src/filesystem/Filesystem.ts"
import { errors, type FilesystemError, is } from "../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"

const memory = Effect.runSync(MemoryFilesystem.make())

const complete = (exports: ReadonlyArray<Partial<ExportOptions>>): ReadonlyArray<ExportOptions> =>
  exports.map((options) => ({ path: "/", filesystem: memory, ...options }))

const make = (...exports: ReadonlyArray<Partial<ExportOptions>>) =>
  Effect.map(Effect.provide(Exports.make(complete(exports)), SharedState.layer), (made) => ({
    current: made.current,
    replace: (...next: ReadonlyArray<Partial<ExportOptions>>) =>
      Effect.map(made.replace(complete(next)), () => made.current)
  }))

const client = (address = "192.0.2.1", port = 700) => ({ address, port })

/** What a caller may do where it may do something. */
const granted = (grant: Grant | FilesystemError): Grant => {
  if (is(grant)) throw new Error(grant.code)
  return grant
}

/** Why these exports are refused. */
const objection = (...exports: ReadonlyArray<Partial<ExportOptions>>) =>
  Effect.map(Effect.flip(make(...exports)), (error) => error.message)

describe("Exports", () => {
  it.effect("are found by their path, however it is written", () =>
    Effect.gen(function* () {
      const exports = yield* make({ path: "/data//music/" }, { path: "/" })
      assert.deepStrictEqual(
        exports.current.all.map(({ path }) => path),
        ["/data/music", "/"]
      )
      for (const path of ["/data/music", "/data/music/", "//data///music//", "data/music"]) {
        assert.strictEqual(exports.current.byPath(path), exports.current.all[0], path)
      }
      for (const path of ["/", "", "//"]) assert.strictEqual(exports.current.byPath(path), exports.current.all[1], path)
      for (const path of ["/data", "/data/music/x", "/Data/music", "/data/./music", "/data/music/.."]) {
        assert.isUndefined(exports.current.byPath(path), path)
      }
    })
  )

  it.effect("are found by the handles of their files", () =>
    Effect.gen(function* () {
      const exports = yield* make({ path: "/a" }, { path: "/b", fsid: 7 })
      for (const share of exports.current.all) {
        const handle = share.handle(memory.root)
        assert.strictEqual(handle.length, share.handleLength)
        const located = exports.current.locate(handle)
        assert.isFalse(is(located))
        assert.deepInclude(located, { share })
        assert.strictEqual(yield* share.operations.resolve((located as Located).key), memory.root)
      }
      assert.strictEqual(exports.current.all[1]!.fsid, 7n)
      assert.notStrictEqual(exports.current.all[0]!.id, exports.current.all[1]!.id)
    })
  )

  it.effect("keep their handles in another order and beside others, and are STALE when they are gone", () =>
    Effect.gen(function* () {
      const { current, replace } = yield* make({ path: "/a" }, { path: "/b" }, { path: "/old", fsid: 7 })
      const [a, b, old] = current.all.map((share) => share.handle(memory.root))
      const after = yield* replace({ path: "/new", fsid: 7 }, { path: "/b" }, { path: "/c" })
      assert.deepInclude(after.locate(b!), { share: after.byPath("/b")! })
      assert.deepInclude(after.locate(old!), { share: after.byPath("/new")! })
      assert.strictEqual(after.locate(a!), errors.ESTALE)
      // Whoever holds the table before sees all of it.
      assert.deepInclude(current.locate(a!), { share: current.byPath("/a")! })
    })
  )

  it.effect("stay as they are when those that are to replace them contradict themselves", () =>
    Effect.gen(function* () {
      const exports = yield* Effect.provide(Exports.make(complete([{ path: "/a" }])), SharedState.layer)
      const before = exports.current
      const error = yield* Effect.flip(exports.replace(complete([{ path: "/b" }, { path: "/b" }])))
      assert.match(error.message, /another export/)
      assert.strictEqual(exports.current, before)
    })
  )

  it.effect("have what is below them, but for what another one has", () =>
    Effect.gen(function* () {
      const { current } = yield* make({ path: "/data" }, { path: "/data/music/jazz" })
      const below = (path: string) => {
        const found = current.find(path)
        return found === undefined ? undefined : `${found.share.path}: ${found.below.join(" ")}`
      }
      assert.strictEqual(below("/data"), "/data: ")
      assert.strictEqual(below("//data/x//y/"), "/data: x y")
      assert.strictEqual(below("/data/music"), "/data: music")
      assert.strictEqual(below("/data/music/jazz"), "/data/music/jazz: ")
      assert.strictEqual(below("/data/music/jazz/1959"), "/data/music/jazz: 1959")
      assert.strictEqual(below("/data/music/jazzy"), "/data: music jazzy")
      for (const path of ["/", "/dat", "/database", "/data\0", `/data/${"x".repeat(1020)}`])
        assert.isUndefined(below(path))
      assert.strictEqual((yield* make({})).current.find("/x")?.below.join(), "x")
    })
  )

  it.effect("do not know what is no handle, or another server's", () =>
    Effect.gen(function* () {
      const exports = yield* make({})
      const other = yield* make({})
      assert.strictEqual(exports.current.locate(new Uint8Array(0)), errors.EBADHANDLE)
      assert.strictEqual(exports.current.locate(new Uint8Array(32)), errors.EBADHANDLE)
      assert.strictEqual(exports.current.locate(other.current.all[0]!.handle(memory.root)), errors.EBADHANDLE)
    })
  )

  it.effect("remember what a caller may do", () =>
    Effect.gen(function* () {
      const { current } = yield* make({ path: "/a" }, { path: "/b", squash: "none" })
      const [squashed, trusting] = current.all
      const claim = { _tag: "Sys", uid: 0, gid: 0, gids: [] } as const
      const peer = client()
      assert.strictEqual(squashed!.grant(peer, claim), squashed!.grant(peer, claim))
      const attributes = { ...(yield* memory.getattr(memory.root)), mode: 0o700 }
      assert.strictEqual(granted(squashed!.grant(peer, claim)).access.permissions(attributes), 0)
      assert.strictEqual(granted(trusting!.grant(peer, claim)).access.permissions(attributes), 7)
    })
  )

  it.effect("change nothing when they are read-only", () =>
    Effect.gen(function* () {
      const share = (yield* make({ readOnly: true })).current.all[0]!
      const { operations } = granted(share.grant(client(), { _tag: "None" }))
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
      // What is misspelt might have been what keeps clients out.
      const rules = [{ match: "10.0.0.0/8", Deny: true }]
      assert.match(yield* objection({ clients: rules }), /clients\[0\].Deny: expected one of match, deny/)
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
        const { all } = (yield* Exports).current
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
