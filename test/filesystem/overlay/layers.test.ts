/** What is written where: copy-up, whiteouts, opaque and renamed directories. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Attributes } from "../../../src/filesystem/Attributes.ts"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Overlay from "../../../src/filesystem/overlay/Overlay.ts"
import { allow, fails, Fixture, pattern, time } from "../../../src/testing/filesystem/Fixture.ts"

interface Both {
  readonly at: Fixture
  readonly upper: Fixture
  readonly lower: Fixture
  /** The same after a restart. */
  readonly again: Effect.Effect<Fixture, FilesystemError, Scope.Scope>
}

/** An overlay over what `fill` makes. */
const overlay = (
  title: string,
  fill: (lower: Fixture) => Effect.Effect<unknown, FilesystemError>,
  body: (both: Both) => Effect.Effect<void, FilesystemError, Scope.Scope>,
  seen: (fs: Operations) => Operations = (fs) => fs
) =>
  it.live(title, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const [upper, lower] = [yield* MemoryFilesystem.make(), yield* MemoryFilesystem.make()]
        yield* fill(Fixture.over(lower))
        const start = Effect.map(Overlay.make({ upper: seen(upper), lower: seen(lower) }), (fs) => Fixture.over(fs))
        yield* body({
          at: yield* start,
          upper: Fixture.over(upper),
          lower: Fixture.over(lower),
          again: start
        })
      })
    )
  )

const oneFile = (lower: Fixture) => lower.file("a", "content")

const tree = (lower: Fixture) =>
  Effect.gen(function* () {
    const d = yield* lower.mkdir("d")
    yield* lower.file("a", "a", d)
    yield* lower.file("b", "b", d)
    yield* lower.file("c", "c", yield* lower.mkdir("e", d))
  })

const look = (at: Fixture, ...path: ReadonlyArray<string>): Effect.Effect<File, FilesystemError> =>
  Effect.reduce(
    path,
    () => at.home,
    (directory, name) => Effect.map(at.lookup(name, directory), ({ file }) => file)
  )

describe("copying up", () => {
  overlay("reading copies nothing", tree, ({ at, upper }) =>
    Effect.gen(function* () {
      const file = yield* look(at, "d", "e", "c")
      assert.strictEqual(yield* at.text(file), "c")
      yield* at.fs.commit(file, 0, 0, allow)
      yield* at.set(file, {})
      yield* at.fs.write(file, 0, [], "fileSync", allow)
      yield* at.entries(yield* look(at, "d"), 1, true)
      assert.deepStrictEqual(yield* upper.names(), [".wh..wh..work"])
    })
  )

  overlay("what is refused copies nothing", tree, ({ at, upper }) =>
    Effect.gen(function* () {
      const [file, d] = [yield* look(at, "d", "a"), yield* look(at, "d")]
      const refused = () => errors.EACCES
      yield* fails(at.fs.setattr(file, refused), "EACCES")
      yield* fails(at.fs.write(file, 0, [pattern(3)], "fileSync", refused), "EACCES")
      yield* fails(at.fs.create(d, "new", { _tag: "Guarded" }, refused), "EACCES")
      yield* fails(at.fs.create(d, "a", { _tag: "Unchecked" }, refused), "EACCES")
      yield* fails(at.fs.remove(d, "a", refused), "EACCES")
      yield* fails(at.fs.rmdir(d, "e", refused), "EACCES")
      yield* fails(at.fs.rename(d, "a", d, "z", refused), "EACCES")
      yield* fails(at.fs.link(file, d, "z", refused), "EACCES")
      yield* fails(at.mkdir("e", d), "EEXIST")
      yield* fails(at.create("a", d), "EEXIST")
      yield* fails(at.rmdir("d"), "ENOTEMPTY")
      yield* fails(at.rename("e", "b", d), "ENOTDIR")
      assert.deepStrictEqual(yield* upper.names(), [".wh..wh..work"])
    })
  )

  overlay("the first change copies the file and the directories on the way to it", tree, ({ at, lower, upper }) =>
    Effect.gen(function* () {
      const file = yield* look(at, "d", "e", "c")
      const before = yield* at.attributes(file)
      yield* at.write(file, 1, "hanged")
      assert.strictEqual(yield* at.text(file), "changed")
      assert.strictEqual(yield* upper.text(yield* look(upper, "d", "e", "c")), "changed")
      assert.strictEqual(yield* lower.text(yield* look(lower, "d", "e", "c")), "c")
      assert.deepStrictEqual(yield* upper.names(yield* look(upper, "d")), ["e"])
      assert.deepStrictEqual(yield* at.names(yield* look(at, "d")), ["a", "b", "e"])
      const after = yield* at.attributes(file)
      assert.strictEqual(after.fileid, before.fileid)
      assert.isTrue(after.change > before.change)
      assert.isEmpty(yield* upper.names(yield* look(upper, ".wh..wh..work")))
    })
  )

  overlay("attributes stay, those of the directories, too", tree, ({ at, lower }) =>
    Effect.gen(function* () {
      const past = { seconds: 1_000_000_000, nanoseconds: 7 }
      const paths = [["d", "e", "c"], ["d", "e"], ["d"], []]
      for (const path of paths) {
        const file = yield* look(lower, ...path)
        // Changed more often than a copy could be.
        for (let i = 0; i < 50; i++) yield* lower.set(file, { mode: 0o751, uid: 3, gid: 4, mtime: past })
      }
      const files = yield* Effect.forEach(paths, (path) => look(at, ...path))
      const [before, listed] = [
        yield* Effect.forEach(files, (file) => at.attributes(file)),
        yield* at.entries(files[1])
      ]
      yield* at.set(files[0]!, { gid: 5 })
      for (const [i, file] of files.entries()) {
        const { change, fileid, gid, mode, mtime, type, uid } = yield* at.attributes(file)
        assert.deepInclude(before[i], { fileid, mode, mtime, type, uid, gid: i === 0 ? 4 : gid })
        if (i < 3) assert.isTrue(change > before[i]!.change)
        if (i < 3) assert.strictEqual(time(mtime), time(past))
      }
      assert.deepStrictEqual(yield* at.entries(files[1]), listed)
    })
  )

  overlay("a handle and a listing from before go on", tree, ({ at }) =>
    Effect.gen(function* () {
      const d = yield* look(at, "d")
      const file = yield* look(at, "d", "a")
      const first = yield* at.list(d, 0n, 1)
      for (const name of ["a", "b"]) yield* at.write(yield* look(at, "d", name), 0, "new")
      const rest = yield* at.entriesAfter(first.entries[0]!.cookie, d)
      assert.deepStrictEqual([...first.entries, ...rest].map(({ name }) => name).toSorted(), ["a", "b", "e"])
      assert.strictEqual(yield* at.text(yield* at.fs.resolve(file.key)), "new")
    })
  )

  overlay(
    "many who write at once share one copy, and all of it arrives",
    (lower) => lower.file("a", pattern(3_000_000)),
    ({ at, lower }) =>
      Effect.gen(function* () {
        const file = yield* look(at, "a")
        const expected = Buffer.from(pattern(3_000_000))
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i * 150_000),
          (offset) => at.write(file, offset, "changed"),
          { concurrency: "unbounded" }
        )
        for (let offset = 0; offset < 3_000_000; offset += 150_000) expected.write("changed", offset)
        assert.isTrue((yield* at.read(file, 0, 4_000_000)).equals(expected))
        assert.isTrue((yield* lower.read(yield* look(lower, "a"), 0, 4_000_000)).equals(pattern(3_000_000)))
      }),
    // As on a disk, where others come in between.
    (fs) =>
      forward(fs, {
        read: (...given) => Effect.andThen(Effect.yieldNow, fs.read(...given)),
        write: (...given) => Effect.andThen(Effect.yieldNow, fs.write(...given)),
        rename: (...given) => Effect.andThen(Effect.yieldNow, fs.rename(...given))
      })
  )

  overlay(
    "holes stay holes",
    (lower) => Effect.flatMap(lower.file("a", "begin"), (file) => lower.write(file, 50_000_000, "end")),
    ({ at }) =>
      Effect.gen(function* () {
        const file = yield* look(at, "a")
        yield* at.set(file, { mode: 0o600 })
        const { size, used } = yield* at.attributes(file)
        assert.strictEqual(size, 50_000_003)
        assert.isBelow(used, 3 << 20)
        assert.strictEqual((yield* at.read(file, 49_999_999, 10)).toString(), "\0end")
      })
  )

  overlay(
    "a copy that fails leaves nothing",
    (lower) => lower.file("a", pattern(3_000_000)),
    ({ at, upper }) =>
      Effect.gen(function* () {
        const file = yield* look(at, "a")
        yield* fails(at.write(file, 0, "x"), "ENOSPC")
        assert.isTrue((yield* at.read(file, 0, 4_000_000)).equals(pattern(3_000_000)))
        assert.isEmpty(yield* upper.names(yield* look(upper, ".wh..wh..work")))
      }),
    (fs) =>
      forward(fs, {
        write: (file, offset, ...given) =>
          offset > 2_000_000 ? Effect.fail(errors.ENOSPC) : fs.write(file, offset, ...given)
      })
  )

  overlay(
    "a symbolic link is copied, also where links keep what they are made with",
    (lower) => Effect.andThen(lower.symlink("l", "nowhere"), lower.create("a")),
    ({ at }) =>
      Effect.gen(function* () {
        const link = yield* look(at, "l")
        yield* at.rename("l", "moved")
        assert.deepStrictEqual((yield* at.lookup("moved")).file.key, link.key)
        assert.strictEqual((yield* at.fs.readlink(link, allow)).target, "nowhere")
        // Files are not forgiven.
        yield* fails(at.set(yield* look(at, "a"), { mode: 0o600 }), "ENOTSUP")
      }),
    (fs) =>
      forward(fs, {
        setattr: (file, guard) =>
          Effect.flatMap(fs.getattr(file), ({ type }) =>
            type === "directory" ? fs.setattr(file, guard) : Effect.fail(errors.ENOTSUP)
          )
      })
  )

  overlay(
    "a copy of which nothing is written fails",
    oneFile,
    ({ at }) => Effect.flatMap(look(at, "a"), (file) => fails(at.write(file, 0, "x"), "EIO")),
    (fs) =>
      forward(fs, {
        write: (file, offset, _data, ...given) => fs.write(file, offset, [], ...given)
      })
  )

  overlay(
    "a file that is removed while it is copied stays removed",
    oneFile,
    ({ at }) =>
      Effect.gen(function* () {
        const file = yield* look(at, "a")
        const write = yield* Effect.forkChild(fails(at.write(file, 0, "x"), "ESTALE"), { startImmediately: true })
        yield* at.remove("a")
        yield* Fiber.join(write)
        yield* fails(at.lookup("a"), "ENOENT")
        assert.isEmpty(yield* at.names())
      }),
    (fs) => forward(fs, { read: (...given) => Effect.delay(fs.read(...given), "20 millis") })
  )

  overlay(
    "a lower file with two names becomes two files",
    (lower) => Effect.flatMap(lower.file("a", "content"), (file) => lower.link(file, "b")),
    ({ at }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* look(at, "a"), yield* look(at, "b")]
        assert.notDeepEqual(a.key, b.key)
        yield* at.write(a, 0, "C")
        assert.deepStrictEqual([yield* at.text(a), yield* at.text(b)], ["Content", "content"])
        assert.deepStrictEqual([(yield* at.attributes(a)).nlink, (yield* at.attributes(b)).nlink], [1, 1])
        yield* at.link(a, "c")
        assert.strictEqual((yield* at.attributes(a)).nlink, 2)
      })
  )
})

describe("hiding", () => {
  overlay("what is removed stays removed, and comes back empty", tree, ({ again, at, lower, upper }) =>
    Effect.gen(function* () {
      const d = yield* look(at, "d")
      yield* at.remove("a", d)
      assert.deepStrictEqual(yield* at.names(d), ["b", "e"])
      assert.deepStrictEqual(yield* upper.names(yield* look(upper, "d")), [".wh.a"])
      const after = yield* again
      assert.deepStrictEqual(yield* after.names(yield* look(after, "d")), ["b", "e"])
      const file = yield* at.create("a", d)
      assert.strictEqual(yield* at.text(file), "")
      yield* at.remove("a", d)
      yield* fails(at.lookup("a", d), "ENOENT")
      assert.deepStrictEqual(yield* lower.names(yield* look(lower, "d")), ["a", "b", "e"])
    })
  )

  overlay("a directory that is made again has nothing of the lower one", tree, ({ again, at }) =>
    Effect.gen(function* () {
      const d = yield* look(at, "d")
      yield* at.remove("c", yield* look(at, "d", "e"))
      yield* at.rmdir("e", d)
      const e = yield* at.mkdir("e", d)
      assert.isEmpty(yield* at.names(e))
      yield* fails(at.lookup("c", e), "ENOENT")
      const after = yield* again
      assert.isEmpty(yield* after.names(yield* look(after, "d", "e")))
    })
  )

  overlay("a renamed directory takes along what is below, also through a restart", tree, ({ again, at, upper }) =>
    Effect.gen(function* () {
      const d = yield* look(at, "d")
      const c = yield* look(at, "d", "e", "c")
      yield* at.rename("d", "moved")
      yield* at.mkdir("d")
      yield* at.rename("e", "inner", d, at.home)
      assert.deepStrictEqual(yield* at.names(), ["d", "inner", "moved"])
      assert.strictEqual(yield* at.text(c), "c")
      // Nothing was copied for that but directories.
      assert.deepStrictEqual(
        (yield* upper.names(yield* look(upper, "moved"))).filter((name) => !name.startsWith(".wh.")),
        []
      )
      for (const one of [at, yield* again]) {
        assert.isEmpty(yield* one.names(yield* look(one, "d")))
        assert.deepStrictEqual(yield* one.names(yield* look(one, "moved")), ["a", "b"])
        assert.strictEqual(yield* one.text(yield* look(one, "inner", "c")), "c")
      }
    })
  )

  overlay(
    "a long name is hidden as well",
    (lower) => lower.file("x".repeat(255), "content"),
    ({ again, at }) =>
      Effect.gen(function* () {
        yield* at.remove("x".repeat(255))
        for (const one of [at, yield* again]) assert.isEmpty(yield* one.names())
      })
  )

  overlay(
    "the overlay's own names are nobody else's",
    (lower) => lower.file(".wh.below", "x"),
    ({ at }) =>
      Effect.gen(function* () {
        assert.isEmpty(yield* at.names())
        yield* at.create("a")
        for (const name of [".wh.below", ".wh.a", ".wh..wh..work", ".wh..wh..origin"]) {
          yield* fails(at.lookup(name), "ENOENT")
          yield* fails(at.create(name), "EINVAL")
          yield* fails(at.mkdir(name), "EINVAL")
          yield* fails(at.rename("a", name), "EINVAL")
          yield* fails(at.link(yield* look(at, "a"), name), "EINVAL")
          yield* fails(at.remove(name), "ENOENT")
          yield* fails(at.rmdir(name), "ENOENT")
          yield* fails(at.rename(name, "b"), "ENOENT")
        }
        assert.deepStrictEqual(yield* at.names(), ["a"])
      })
  )

  overlay("handles are stale after a restart, but for the root's", oneFile, ({ again, at }) =>
    Effect.gen(function* () {
      const file = yield* look(at, "a")
      const after = yield* again
      yield* fails(after.fs.resolve(file.key), "ESTALE")
      assert.strictEqual(yield* after.fs.resolve(at.fs.root.key), after.fs.root)
    })
  )

  overlay("what a crash left in the making is gone after it", oneFile, ({ again, at, upper }) =>
    Effect.gen(function* () {
      const work = yield* look(upper, ".wh..wh..work")
      yield* upper.create("17", work)
      yield* upper.mkdir("18", work)
      const after = yield* again
      assert.isEmpty(yield* upper.names(work))
      yield* after.write(yield* look(after, "a"), 0, "C")
      assert.strictEqual(yield* after.text(yield* look(after, "a")), "Content")
      assert.strictEqual((yield* at.attributes(at.fs.root)).nlink, 2)
    })
  )
})

describe("links of a directory", () => {
  /** Shows one link for each directory, as what does not count their subdirectories. */
  const uncounted = (fs: Operations): Operations => {
    const one = (attributes: Attributes): Attributes =>
      attributes.type === "directory" ? { ...attributes, nlink: 1 } : attributes
    return forward(fs, {
      getattr: (file) => Effect.map(fs.getattr(file), one),
      lookup: (...given) =>
        Effect.map(fs.lookup(...given), (found) => ({ ...found, attributes: one(found.attributes) }))
    })
  }

  const counted = (fs: Operations): Operations => fs

  it.live.each([
    { title: "are never fewer than it should have", above: counted, below: counted, links: [4, 3, 4] },
    { title: "are unknown when those below are", above: counted, below: uncounted, links: [1, 1, 1] },
    { title: "are unknown when those above are", above: uncounted, below: counted, links: [1, 1, 1] }
  ])("$title", ({ above, below, links }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const [upper, lower] = [yield* MemoryFilesystem.make(), yield* MemoryFilesystem.make()]
        yield* tree(Fixture.over(lower))
        const at = Fixture.over(yield* Overlay.make({ upper: above(upper), lower: below(lower) }))
        const linksOf = (file: File) => Effect.map(at.attributes(file), ({ nlink }) => nlink)
        const d = yield* look(at, "d")
        // Both have it from now on.
        yield* at.create("new", d)
        const before = [yield* linksOf(at.home), yield* linksOf(d)]
        yield* at.mkdir("f", d)
        assert.deepStrictEqual([...before, yield* linksOf(d)], links)
      })
    )
  )
})
