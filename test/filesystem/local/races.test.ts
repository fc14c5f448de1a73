/** Who works on the same files at the same time, and is interrupted: nothing is mixed up, stays open or stays taken. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { Code, FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, failure, fails, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { closed, open, place, type Way, ways } from "../../support/local.ts"

const create = (fs: Operations, directory: File, name: string) =>
  Effect.map(fs.create(directory, name, { _tag: "Unchecked" }, give({ mode: 0o644 })), ({ file }) => file)

const read = (fs: Operations, file: File) =>
  Effect.map(fs.read(file, 0, 1 << 20, allow), ({ data }) => Buffer.concat(data))

/** Numbers between 0 and 1 that are the same each time (xorshift32). */
const randomFrom = (seed: number) => () => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return (seed >>> 0) / 2 ** 32
}

/** A few directories, and all files that there ever were. */
interface World {
  readonly fs: Operations
  readonly directories: ReadonlyArray<File>
  readonly known: Array<File>
}

/** One of all operations, on some of the files. */
const someOperation = (
  { directories, fs, known }: World,
  random: () => number
): Effect.Effect<unknown, FilesystemError> => {
  const pick = (limit: number) => Math.floor(random() * limit)
  const directory = directories[pick(directories.length)]!
  const other = directories[pick(directories.length)]!
  const file = known[pick(known.length)]!
  const [name, newName] = [`n${pick(5)}`, `n${pick(5)}`]
  const remember = <A extends { readonly file: File }>(made: Effect.Effect<A, FilesystemError>) =>
    Effect.tap(made, ({ file }) => Effect.sync(() => known.push(file)))
  const operations: ReadonlyArray<() => Effect.Effect<unknown, FilesystemError>> = [
    () => remember(fs.lookup(directory, name, allow)),
    () => remember(fs.create(directory, name, { _tag: "Unchecked" }, give({ size: pick(5000) }))),
    () => remember(fs.symlink(directory, name, newName, give({}))),
    () => fs.remove(directory, name, allow),
    () => fs.rename(directory, name, other, newName, allow),
    () => fs.link(file, directory, name, allow),
    () => fs.write(file, pick(10_000), [pattern(pick(5000))], random() < 0.1 ? "fileSync" : "unstable", allow),
    () => fs.write(file, 0, [pattern(10)], "unstable", give({ mode: 0o600 })),
    () => fs.read(file, pick(10_000), pick(10_000), allow),
    () => fs.setattr(file, give({ mode: 0o600 + pick(64), mtime: "now" })),
    () => fs.setattr(file, give({ size: pick(10_000) })),
    () => fs.commit(file, 0, 0, allow),
    () => fs.getattr(file),
    () => fs.readlink(file, allow),
    () => Effect.flatMap(fs.resolve(file.key), (file) => fs.getattr(file)),
    () => fs.readdir(directory, { cookie: 0n, fits: () => true, attributes: random() < 0.5 }, allow),
    () => fs.parent(directory, allow)
  ]
  return operations[pick(operations.length)]!()
}

/** What may become of them; anything else is a bug. */
const EXPECTED: ReadonlyArray<Code> = [
  "ENOENT",
  "EEXIST",
  "ENOTDIR",
  "EISDIR",
  "EINVAL",
  "EPERM",
  "ESTALE",
  "EAGAIN",
  "ENOTSUP"
]

describe.each(Object.keys(ways) as Array<Way>)("operations at once, by %s", (way) => {
  it.live(
    "thousands of them, half of them interrupted, leave nothing open and nothing taken",
    () =>
      Effect.gen(function* () {
        const { path } = yield* place()
        const scope = yield* Scope.make()
        const fs = yield* open({ path, async: true }, ways[way]).pipe(Scope.provide(scope))
        const random = randomFrom(7919)
        const directories: Array<File> = [fs.root]
        for (const name of ["d0", "d1", "d2"]) directories.push((yield* fs.mkdir(fs.root, name, give({}))).file)
        const world: World = { fs, directories, known: [yield* create(fs, fs.root, "n0")] }
        const one = Effect.gen(function* () {
          const fiber = yield* someOperation(world, random).pipe(
            // In small steps, so that others and interruptions come between almost any two of them.
            Effect.provideService(References.MaxOpsBeforeYield, 12 + Math.floor(random() * 50)),
            Effect.exit,
            Effect.forkChild
          )
          for (let steps = Math.floor(random() * 8); steps > 0; steps--) yield* Effect.yieldNow
          if (random() < 0.5) return yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.join(fiber)
          if (Exit.isSuccess(exit)) return
          const error = Cause.squash(exit.cause) as FilesystemError
          assert.include(EXPECTED, error.code, Cause.pretty(exit.cause))
        })
        yield* Effect.forEach(Array.from({ length: 3000 }), () => one, { concurrency: 32, discard: true })

        // Each file can still be worked on by one alone, and each directory.
        for (const file of [...directories, ...world.known]) {
          const outcome = yield* Effect.timeout(failure(fs.setattr(file, give({ mode: 0o755 }))), "5 seconds")
          assert.include(["nothing", "ESTALE", "EAGAIN"], outcome)
        }
        for (const directory of directories) yield* Effect.timeout(create(fs, directory, "last"), "5 seconds")
        yield* Scope.close(scope, Exit.void)
        yield* closed(path)
      }),
    60_000
  )

  it.live("a file is found under its old name or its new one", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      const { file: other } = yield* fs.mkdir(fs.root, "other", give({}))
      const file = yield* create(fs, fs.root, "file")
      const places = [
        [fs.root, "file"],
        [other, "file"],
        [other, "elsewhere"]
      ] as const
      let done = false
      const move = Effect.gen(function* () {
        for (let i = 0; i < 300; i++) {
          const [from, name] = places[i % 3]!
          const [to, newName] = places[(i + 1) % 3]!
          yield* fs.rename(from, name, to, newName, allow)
        }
        done = true
      })
      const look = Effect.gen(function* () {
        while (!done) {
          for (const [directory, name] of places) {
            const found = yield* Effect.option(fs.lookup(directory, name, allow))
            if (found._tag === "Some") assert.deepStrictEqual(found.value.file.key, file.key)
          }
          assert.strictEqual((yield* fs.getattr(file)).nlink, 1)
          const resolved = yield* fs.resolve(file.key)
          assert.deepStrictEqual(resolved.key, file.key)
        }
      })
      yield* Effect.all([move, look, look], { concurrency: "unbounded" })
    })
  )

  it.live("who reads a file that is removed gets what it held, or ESTALE", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      for (let i = 0; i < 100; i++) {
        const file = yield* create(fs, fs.root, "file")
        const content = pattern(50_000, i)
        yield* fs.write(file, 0, [content], "unstable", allow)
        const reads = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 8 }), () => Effect.result(read(fs, file)), { concurrency: 8 })
        )
        if (i % 2 === 0) yield* Effect.yieldNow
        yield* fs.remove(fs.root, "file", allow)
        // What takes its place must not show.
        const next = yield* create(fs, fs.root, "next")
        yield* fs.write(next, 0, [pattern(50_000, -1)], "unstable", allow)
        for (const outcome of yield* Fiber.join(reads)) {
          if (outcome._tag === "Success") assert.isTrue(outcome.success.equals(content))
          else assert.strictEqual(outcome.failure.code, "ESTALE")
        }
        yield* fails(read(fs, file), "ESTALE")
        yield* fails(fs.resolve(file.key), "ESTALE")
        yield* fs.remove(fs.root, "next", allow)
      }
    })
  )

  it.live("a write is before a new size, or after it", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      const file = yield* create(fs, fs.root, "file")
      for (let i = 0; i < 100; i++) {
        yield* fs.setattr(file, give({ size: 0 }))
        const [cut, written] = yield* Effect.all(
          [fs.setattr(file, give({ size: 10 })), fs.write(file, 0, [pattern(1000, i)], "unstable", allow)],
          { concurrency: "unbounded" }
        )
        assert.strictEqual(written.count, 1000)
        const content = yield* read(fs, file)
        const expected = pattern(1000, i)
        if (content.length === 10) assert.isTrue(content.equals(expected.subarray(0, 10)))
        else assert.isTrue(content.equals(expected))
        assert.strictEqual(cut.after.size, 10)
      }
    })
  )
})
