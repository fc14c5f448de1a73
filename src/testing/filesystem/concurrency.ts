/** Operations at the same time. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { errors, type FilesystemError } from "../../filesystem/FilesystemError.ts"
import { failure, give, type Test } from "./Fixture.ts"

const times = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

const together = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.all(effects, { concurrency: "unbounded" })

/** How many of these effects succeed, and how the others fail. */
const outcomes = <A>(count: number, make: (i: number) => Effect.Effect<A, FilesystemError>) =>
  Effect.map(together(times(count, (i) => failure(make(i)))), (codes) => {
    const failed = codes.filter((code) => code !== "nothing")
    return { succeeded: count - failed.length, failed: new Set(failed) }
  })

export const concurrency = (test: Test): void => {
  test("one of many creates a name, removes it, or renames it", (at) =>
    Effect.gen(function* () {
      const created = yield* outcomes(30, () => at.create("a"))
      assert.strictEqual(created.succeeded, 1)
      assert.deepStrictEqual(created.failed, new Set(["EEXIST"] as const))
      const renamed = yield* outcomes(30, (i) => at.rename("a", `b${i}`))
      assert.strictEqual(renamed.succeeded, 1)
      assert.deepStrictEqual(renamed.failed, new Set(["ENOENT"] as const))
      const [name] = yield* at.names()
      const removed = yield* outcomes(30, () => at.remove(name!))
      assert.strictEqual(removed.succeeded, 1)
      assert.deepStrictEqual(removed.failed, new Set(["ENOENT"] as const))
      const made = yield* outcomes(30, () => at.mkdir("d"))
      assert.strictEqual(made.succeeded, 1)
    }))

  test("many create, and all are there", (at) =>
    Effect.gen(function* () {
      yield* together(times(200, (i) => at.create(`f${i}`)))
      assert.deepStrictEqual(yield* at.names(at.home, 13), times(200, (i) => `f${i}`).toSorted())
      yield* together(times(200, (i) => at.rename(`f${i}`, `g${i}`)))
      assert.deepStrictEqual(yield* at.names(), times(200, (i) => `g${i}`).toSorted())
      yield* together(times(200, (i) => at.remove(`g${i}`)))
      assert.isEmpty(yield* at.names())
    }))

  test("many write their parts of a file", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      const part = (i: number): Buffer => Buffer.alloc(5000, i + 1)
      yield* together(times(60, (i) => at.write(file, i * 5000, part(i))))
      assert.isTrue((yield* at.read(file)).equals(Buffer.concat(times(60, part))))
    }))

  test("a check and what it allows are one step", (at) =>
    Effect.gen(function* () {
      const file = yield* at.create("a")
      // Each adds one to the mode, provided that nobody else did since it looked.
      const increment: Effect.Effect<void, FilesystemError> = Effect.flatMap(at.attributes(file), ({ change, mode }) =>
        at.fs
          .setattr(file, (before) => (before.change === change ? { mode: mode + 1 } : errors.ENOTSYNC))
          .pipe(
            Effect.asVoid,
            Effect.catchIf(
              (error) => error.code === "ENOTSYNC",
              () => increment
            )
          )
      )
      yield* at.set(file, { mode: 0 })
      yield* together(times(40, () => increment))
      assert.strictEqual((yield* at.attributes(file)).mode, 40)
    }))

  test("directories moved crosswise never lose anybody", (at) =>
    Effect.gen(function* () {
      const [a, b] = [yield* at.mkdir("a"), yield* at.mkdir("b")]
      yield* together(
        times(20, (i) =>
          Effect.all([
            failure(at.rename("a", "x", at.home, b)),
            failure(at.rename("b", "x", at.home, a)),
            at.create(`f${i}`)
          ])
        )
      )
      // Whichever moved first, the other cannot move into what is below it.
      const names = yield* at.names()
      assert.strictEqual(names.filter((name) => name === "a" || name === "b").length, 1)
      const [outer, inner] = names.includes("a") ? [a, b] : [b, a]
      assert.deepStrictEqual((yield* at.lookup("x", outer)).file.key, inner.key)
      assert.deepStrictEqual((yield* at.fs.parent(inner, () => undefined)).file.key, outer.key)
    }))

  test("whatever is asked for at once comes to an end", (at) =>
    Effect.gen(function* () {
      // Directories in each other, files with names in several: all that could wait for each other.
      const outer = yield* at.mkdir("outer")
      const inner = yield* at.mkdir("inner", outer)
      const directories = [at.home, outer, inner]
      const file = yield* at.create("f")
      let seed = 1
      const any = (below: number) => (seed = (seed * 48_271) % 0x7fff_ffff) % below
      const directory = () => directories[any(3)]!
      const name = () => ["f", "g", "inner", "outer"][any(4)]!
      const operations = [
        () => at.rename(name(), name(), directory(), directory()),
        () => at.rename(name(), name(), directory(), directory()),
        () => at.link(file, name(), directory()),
        () => at.remove(name(), directory()),
        () => at.rmdir(name(), directory()),
        () => at.set(file, { mode: any(0o777) }),
        () => at.set(directory(), { mode: 0o755 }),
        () => at.fs.create(directory(), name(), { _tag: "Unchecked" }, give({ mode: 0o600, size: any(9) })),
        () => at.lookup(name(), directory()),
        () => at.write(file, 0, "content", "unstable"),
        () => at.list(directory(), 0n)
      ]
      yield* together(times(600, () => failure<unknown>(operations[any(operations.length)]!())))
      yield* at.names()
    }))

  test("EXCLUSIVE of two with different verifiers has one winner", (at) =>
    Effect.gen(function* () {
      const create = (verifier: number) =>
        at.fs.create(at.home, "a", { _tag: "Exclusive", verifier: Buffer.alloc(8, verifier) }, give({ mode: 0o600 }))
      const codes = yield* together(times(20, (i) => failure(create(i))))
      assert.strictEqual(codes.filter((code) => code === "nothing").length, 1)
    }))
}
