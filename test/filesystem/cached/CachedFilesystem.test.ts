import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import * as CachedFilesystem from "../../../src/filesystem/cached/CachedFilesystem.ts"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { errors } from "../../../src/filesystem/FilesystemError.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { allow, fails, give } from "../../../src/testing/filesystem/Fixture.ts"
import { type Fails, later } from "./History.ts"

const list = { cookie: 0n, fits: () => true, attributes: true }

/** What is read of files and names here. */
const reads = ["resolve", "getattr", "lookup", "parent"] as const

/** A filesystem in memory and what remembers it, long after it was made; `asked` is what was asked below. */
const remembering = Effect.fnUntraced(function* (
  options: CachedFilesystem.Options,
  overrides: (fs: Operations) => Partial<Operations> = () => ({})
) {
  yield* TestClock.setTime(yield* later)
  const below = yield* MemoryFilesystem.make()
  const asked: Array<string> = []
  const watched = forward(
    below,
    Object.fromEntries(
      reads.map((name) => [
        name,
        (...args: ReadonlyArray<unknown>) =>
          Effect.suspend(() => {
            asked.push(name)
            return (below[name] as (...args: ReadonlyArray<unknown>) => Fails<unknown>)(...args)
          })
      ])
    )
  )
  const fs = yield* CachedFilesystem.make(forward(watched, overrides(watched)), options)
  return { asked, below, fs }
})

const make = (fs: Operations, directory: File, name: string) =>
  fs.create(directory, name, { _tag: "Guarded" }, give({ mode: 0o600 }))

/** `directory/file`, `directory/linked` with two names, `directory/inner/`, `other/`. */
const plant = Effect.fnUntraced(function* (fs: Operations) {
  const { file: directory } = yield* fs.mkdir(fs.root, "directory", give({}))
  const { file: other } = yield* fs.mkdir(fs.root, "other", give({}))
  const { file } = yield* make(fs, directory, "file")
  const { file: linked } = yield* make(fs, directory, "linked")
  yield* fs.link(linked, directory, "again", allow)
  const { file: inner } = yield* fs.mkdir(directory, "inner", give({}))
  return { root: fs.root, directory, other, file, linked, inner }
})
type Planted = Effect.Success<ReturnType<typeof plant>>

const names = ["file", "linked", "again", "inner", "new", "directory", "other"]

const answer = <A>(effect: Fails<A>): Effect.Effect<unknown> =>
  Effect.match(effect, { onFailure: ({ code }) => code, onSuccess: (value) => value })

/** All that can be asked about the planted files by their keys, without the files themselves. */
const everything = Effect.fnUntraced(function* (fs: Operations, { root: _, ...planted }: Planted) {
  const answers: Record<string, unknown> = {}
  for (const [what, { key }] of Object.entries({ ...planted, root: fs.root })) {
    const file = yield* Effect.result(fs.resolve(key))
    if (file._tag === "Failure") {
      answers[what] = file.failure.code
      continue
    }
    answers[what] = yield* answer(fs.getattr(file.success))
    answers[`${what}/..`] = yield* answer(Effect.map(fs.parent(file.success, allow), bare))
    for (const name of names) {
      answers[`${what}/${name}`] = yield* answer(Effect.map(fs.lookup(file.success, name, allow), bare))
    }
  }
  return answers
})

const bare = <A extends { readonly file: File }>({ file, ...rest }: A) => ({ ...rest, key: Buffer.from(file.key) })

describe("CachedFilesystem", () => {
  it.effect("asks once in its life, and again after it", () =>
    Effect.gen(function* () {
      const { asked, below, fs } = yield* remembering({ life: "1 second" })
      const planted = yield* plant(below)
      const before = yield* everything(fs, planted)
      // Files are found by their keys a second time, when their numbers are known.
      assert.deepStrictEqual(yield* everything(fs, planted), before)
      asked.length = 0
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(yield* everything(fs, planted), before)
      assert.deepStrictEqual(
        asked.filter((name) => name === "getattr" || name === "resolve"),
        []
      )
      // What is no directory has no names to remember.
      const [directories, files] = [4, 2]
      assert.strictEqual(asked.length, files * (names.length + 1))
      assert.strictEqual(Object.keys(planted).length, directories + files)
      yield* TestClock.adjust(499)
      const { size } = yield* fs.getattr(yield* fs.resolve(planted.file.key))
      yield* below.write(yield* below.resolve(planted.file.key), 0, [Buffer.from("more")], "unstable", allow)
      yield* make(below, planted.directory, "new")
      assert.strictEqual((yield* fs.getattr(yield* fs.resolve(planted.file.key))).size, size)
      yield* fails(fs.lookup(yield* fs.resolve(planted.directory.key), "new", allow), "ENOENT")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* everything(fs, planted), yield* everything(below, planted))
    })
  )

  it.effect("asks each time when its life is nothing", () =>
    Effect.gen(function* () {
      const { asked, fs } = yield* remembering({ life: 0 })
      for (let i = 0; i < 3; i++) yield* fs.getattr(yield* fs.resolve(fs.root.key))
      assert.strictEqual(asked.length, 6)
    })
  )

  const mutations: Readonly<Record<string, (fs: Operations, at: Planted) => Fails<unknown>>> = {
    setattr: (fs, { file }) => fs.setattr(file, give({ mode: 0o640 })),
    write: (fs, { file }) => fs.write(file, 0, [Buffer.from("data")], "unstable", allow),
    "write to a file with two names": (fs, { linked }) => fs.write(linked, 9, [Buffer.from("d")], "unstable", allow),
    create: (fs, { directory }) => make(fs, directory, "new"),
    "create that cuts off": (fs, { directory }) =>
      fs.create(directory, "linked", { _tag: "Unchecked" }, give({ size: 10 })),
    mkdir: (fs, { directory }) => fs.mkdir(directory, "new", give({})),
    symlink: (fs, { directory }) => fs.symlink(directory, "new", "target", give({})),
    mknod: (fs, { directory }) => fs.mknod(directory, "new", { type: "fifo" }, give({})),
    remove: (fs, { directory }) => fs.remove(directory, "file", allow),
    "remove one name of two": (fs, { directory }) => fs.remove(directory, "again", allow),
    rmdir: (fs, { directory }) => fs.rmdir(directory, "inner", allow),
    link: (fs, { file, other }) => fs.link(file, other, "new", allow),
    "rename in a directory": (fs, { directory }) => fs.rename(directory, "file", directory, "new", allow),
    "rename to another directory": (fs, { directory, other }) => fs.rename(directory, "file", other, "new", allow),
    "rename over a file": (fs, { directory }) => fs.rename(directory, "file", directory, "again", allow),
    "rename over the last name": (fs, { directory }) => fs.rename(directory, "linked", directory, "file", allow),
    "rename of a directory": (fs, { directory, other }) => fs.rename(directory, "inner", other, "new", allow),
    "rename over a directory": (fs, { directory, root }) => fs.rename(directory, "inner", root, "other", allow),
    "a change that fails": (fs, { root }) => Effect.ignore(fs.rmdir(root, "directory", allow))
  }

  it.effect.each(Object.keys(mutations))("shows at once: %s", (name) =>
    Effect.gen(function* () {
      const { below, fs } = yield* remembering({ life: "1 hour" })
      const planted = yield* plant(below)
      for (let i = 0; i < 2; i++) yield* everything(fs, planted)
      const known = yield* Effect.all({
        ...Object.fromEntries(Object.entries(planted).map(([what, { key }]) => [what, fs.resolve(key)]))
      })
      yield* mutations[name]!(fs, { ...(known as unknown as Planted), root: fs.root })
      const now = yield* everything(below, planted)
      assert.deepStrictEqual(yield* everything(fs, planted), now)
      assert.deepStrictEqual(yield* everything(fs, planted), now)
    })
  )

  it.effect("answers guards about what it answers with, and remembers nothing of those who are refused", () =>
    Effect.gen(function* () {
      const { below, fs } = yield* remembering({ life: "1 hour" })
      const { directory } = yield* plant(below)
      const at = yield* fs.resolve(directory.key)
      const hidden = () => errors.ENOENT
      yield* fails(fs.lookup(at, "file", hidden), "ENOENT")
      const found = yield* fs.lookup(at, "file", allow)
      yield* fails(
        fs.lookup(at, "file", () => errors.EACCES),
        "EACCES"
      )
      yield* make(below, directory, "new")
      // The absence of a name goes with the attributes of the time.
      const asked: Array<unknown> = []
      yield* fails(fs.lookup(at, "absent", allow), "ENOENT")
      yield* fails(
        fs.lookup(at, "absent", (before) => {
          asked.push(before)
          return undefined
        }),
        "ENOENT"
      )
      assert.deepStrictEqual(asked, [yield* fs.getattr(at)])
      assert.notDeepEqual(found.directory, yield* fs.getattr(at))
    })
  )

  it.effect("does not remember names of a directory that has changed only just", () =>
    Effect.gen(function* () {
      const { asked, below, fs } = yield* remembering({ life: "1 hour" })
      yield* plant(below)
      const { ctime } = yield* below.getattr(below.root)
      yield* TestClock.setTime(ctime.seconds * 1000 + ctime.nanoseconds / 1e6 + 10)
      for (let i = 0; i < 2; i++) yield* fs.lookup(fs.root, "directory", allow)
      assert.deepStrictEqual(asked, ["lookup", "lookup"])
    })
  )

  /** A filesystem that answers `name` when it is let. */
  const held = (name: "getattr" | "resolve" | "setattr", gate: Deferred.Deferred<void>) => (fs: Operations) => {
    const operation = fs[name] as (...args: ReadonlyArray<unknown>) => Fails<unknown>
    return {
      [name]: (...args: ReadonlyArray<unknown>) => Effect.tap(operation(...args), () => Deferred.await(gate))
    }
  }

  it.effect("does not remember what was read before a change and answered after it", () =>
    Effect.gen(function* () {
      const gate = Deferred.makeUnsafe<void>()
      const { below, fs } = yield* remembering({ life: "1 second" }, held("getattr", gate))
      yield* plant(below)
      const { file: parent } = yield* fs.lookup(fs.root, "directory", allow)
      const { file } = yield* fs.lookup(parent, "linked", allow)
      yield* TestClock.adjust("2 seconds")
      const before = yield* Effect.forkChild(fs.getattr(file), { startImmediately: true })
      yield* fs.remove(parent, "again", allow)
      Deferred.doneUnsafe(gate, Exit.void)
      yield* Fiber.join(before)
      assert.strictEqual((yield* fs.getattr(file)).nlink, 1)
    })
  )

  it.effect("does not go back to what was read earlier and answered later", () =>
    Effect.gen(function* () {
      const gate = Deferred.makeUnsafe<void>()
      const { below, fs } = yield* remembering({ life: "1 second" }, held("getattr", gate))
      const { directory } = yield* plant(below)
      const { file: parent } = yield* fs.lookup(fs.root, "directory", allow)
      yield* TestClock.adjust("2 seconds")
      const before = yield* Effect.forkChild(fs.getattr(parent), { startImmediately: true })
      yield* make(below, directory, "new")
      yield* TestClock.adjust(1)
      const { attributes } = yield* fs.lookup(fs.root, "directory", allow)
      Deferred.doneUnsafe(gate, Exit.void)
      yield* Fiber.join(before)
      assert.deepStrictEqual(yield* fs.getattr(parent), attributes)
    })
  )

  it.effect("follows a name again after its life, though the directory is the same", () =>
    Effect.gen(function* () {
      const { asked, below, fs } = yield* remembering({ life: "1 second" })
      yield* plant(below)
      const { file } = yield* fs.lookup(fs.root, "directory", allow)
      yield* TestClock.adjust("1 second")
      yield* fs.getattr(fs.root)
      yield* fs.getattr(file)
      asked.length = 0
      yield* fs.lookup(fs.root, "directory", allow)
      assert.deepStrictEqual(asked, ["lookup"])
    })
  )

  it.effect("does not find by its key what was looked for before it was removed", () =>
    Effect.gen(function* () {
      const gate = Deferred.makeUnsafe<void>()
      const { below, fs } = yield* remembering({ life: "1 second" }, held("resolve", gate))
      yield* plant(below)
      const { file: directory } = yield* fs.lookup(fs.root, "directory", allow)
      const { file } = yield* fs.lookup(directory, "file", allow)
      yield* TestClock.adjust("2 seconds")
      const before = yield* Effect.forkChild(fs.resolve(file.key), { startImmediately: true })
      yield* fs.remove(directory, "file", allow)
      Deferred.doneUnsafe(gate, Exit.void)
      yield* Fiber.join(before)
      yield* fails(fs.resolve(file.key), "ESTALE")
    })
  )

  it.effect("sees a change through, and remembers nothing while it goes on", () =>
    Effect.gen(function* () {
      const begun = Deferred.makeUnsafe<void>()
      const gate = Deferred.makeUnsafe<void>()
      // It allows the change first, and makes it later, whoever waits for that.
      const { below, fs } = yield* remembering({ life: "1 hour" }, (fs) => ({
        setattr: (file, guard) =>
          Effect.flatMap(fs.getattr(file), (before) => {
            guard(before)
            Deferred.doneUnsafe(begun, Exit.void)
            return Effect.andThen(Deferred.await(gate), fs.setattr(file, guard))
          })
      }))
      const { file: key } = yield* plant(below)
      const file = yield* fs.resolve(key.key)
      const { mode } = yield* fs.getattr(file)
      const changing = yield* Effect.forkChild(fs.setattr(file, give({ mode: 0o444 })), { startImmediately: true })
      yield* Deferred.await(begun)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(changing), { startImmediately: true })
      assert.strictEqual((yield* fs.getattr(file)).mode, mode)
      Deferred.doneUnsafe(gate, Exit.void)
      yield* Fiber.await(interrupting)
      assert.strictEqual((yield* fs.getattr(file)).mode, 0o444)
    })
  )

  it.effect("remembers so many files and names at most, those that were used last", () =>
    Effect.gen(function* () {
      const { asked, below, fs } = yield* remembering({ life: "1 hour", capacity: 10 })
      for (let i = 0; i < 30; i++) yield* make(below, below.root, `n${i}`)
      for (let i = 0; i < 30; i++) {
        yield* fs.lookup(fs.root, `n${i}`, allow)
        yield* fails(fs.lookup(fs.root, `absent${i}`, allow), "ENOENT")
        yield* fs.lookup(fs.root, "n0", allow)
      }
      const { attributes, files, names } = yield* fs.stats
      assert.deepStrictEqual(files, { ...files, evictions: 20, entries: 10 })
      assert.deepStrictEqual(names, { hits: 30, misses: 60, evictions: 50, entries: 10 })
      assert.deepStrictEqual(attributes, { hits: 0, misses: 0 })
      asked.length = 0
      yield* fs.lookup(fs.root, "n0", allow)
      assert.deepStrictEqual(asked, [])
      yield* fs.lookup(fs.root, "n1", allow)
      assert.deepStrictEqual(asked, ["lookup"])
    })
  )

  it.effect("lists a directory without another look at files that are known", () =>
    Effect.gen(function* () {
      const looked: Array<bigint> = []
      const { below, fs } = yield* remembering({ life: "1 hour" }, (fs) => ({
        readdir: (directory, request, guard) =>
          Effect.map(fs.readdir(directory, request, guard), (listing) => ({
            ...listing,
            entries: listing.entries.map((entry) => {
              if (request.known?.(entry.fileid) === true) return { ...entry, found: undefined }
              looked.push(entry.fileid)
              return entry
            })
          }))
      }))
      const planted = yield* plant(below)
      const directory = yield* fs.resolve(planted.directory.key)
      const first = yield* fs.readdir(directory, list, allow)
      assert.strictEqual(looked.length, 4)
      looked.length = 0
      assert.deepStrictEqual(yield* fs.readdir(directory, list, allow), first)
      assert.deepStrictEqual(looked, [])
      yield* fs.setattr(yield* fs.resolve(planted.file.key), give({ mode: 0o400 }))
      const then = yield* below.readdir(planted.directory, list, allow)
      const now = yield* fs.readdir(directory, list, allow)
      assert.deepStrictEqual(
        now.entries.map(({ found }) => found!.attributes),
        then.entries.map(({ found }) => found!.attributes)
      )
    })
  )

  it.effect("lists what is known as of when it was asked, however long that takes", () =>
    Effect.gen(function* () {
      const { below, fs } = yield* remembering({ life: "1 second" }, (fs) => ({
        readdir: (directory, request, guard) =>
          Effect.map(fs.readdir(directory, request, guard), (listing) => ({
            ...listing,
            entries: listing.entries.map((entry) =>
              request.known?.(entry.fileid) === true ? { ...entry, found: undefined } : entry
            )
          })).pipe(Effect.delay("400 millis"))
      }))
      const planted = yield* plant(below)
      const directory = yield* fs.resolve(planted.directory.key)
      const listing = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(fs.readdir(directory, list, allow))
        yield* TestClock.adjust("400 millis")
        return (yield* Fiber.join(fiber)).entries.map(({ found }) => found?.attributes)
      })
      const first = yield* listing
      // Known when the third was asked for, too old when it is answered.
      for (let i = 0; i < 2; i++) assert.deepStrictEqual(yield* listing, first)
    })
  )

  it.effect("counts", () =>
    Effect.gen(function* () {
      const { fs } = yield* remembering({ name: "counted" })
      for (let i = 0; i < 4; i++) yield* fs.getattr(fs.root)
      yield* TestClock.adjust("1 second")
      const hits = (yield* Metric.snapshot).find(
        ({ attributes, id }) =>
          id === "filesystem_cache_lookups" &&
          attributes?.["cache"] === "counted" &&
          attributes["kind"] === "attributes" &&
          attributes["outcome"] === "hit"
      )
      assert.deepInclude(hits?.state, { count: 3 })
    })
  )
})
