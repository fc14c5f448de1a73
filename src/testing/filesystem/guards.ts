/** Guards: asked once, with what is, before names matter; what they refuse does not happen. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Attributes, SetAttributes } from "../../filesystem/Attributes.ts"
import type { File, RenameSituation } from "../../filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../../filesystem/FilesystemError.ts"
import { bytes, fails, type Fixture, lasting, type Test } from "./Fixture.ts"

/** What a guard was asked about: numbers of files tell who they are. */
type Asked = ReadonlyArray<bigint | undefined>

interface Guarded {
  readonly name: string
  /** Runs the operation with a guard; `ask` notes who it is asked about, and gives its answer. */
  readonly run: (
    ask: (...who: ReadonlyArray<Attributes | undefined>) => FilesystemError | undefined
  ) => Effect.Effect<unknown, FilesystemError>
  /** Whom the guard must be asked about. */
  readonly about: Asked
  /** What the operation says when the guard lets it go on; it succeeds when there is none. */
  readonly otherwise?: FilesystemError["code"]
}

const unset: SetAttributes = {}

const situation = ({ from, source, target, to }: RenameSituation): ReadonlyArray<Attributes | undefined> => [
  from,
  source,
  to,
  target
]

/** Every operation with a guard, on names that are there and names that are not. */
const operations = (at: Fixture) =>
  Effect.gen(function* () {
    const { fs, home } = at
    const file = yield* at.file("a", "content")
    const directory = yield* at.mkdir("d")
    const full = yield* at.mkdir("full")
    yield* at.create("x", full)
    const idOf = (of: File) => Effect.map(fs.getattr(of), ({ fileid }) => fileid)
    const [a, d, f, h] = [yield* idOf(file), yield* idOf(directory), yield* idOf(full), yield* idOf(home)]
    const list = { cookie: 0n, fits: () => true, attributes: true }
    const guarded: Array<Guarded> = [
      { name: "setattr", about: [a], run: (ask) => fs.setattr(file, (before) => ask(before) ?? { mode: 0o600 }) },
      { name: "lookup", about: [h], run: (ask) => fs.lookup(home, "a", ask) },
      { name: "lookup of nothing", about: [h], run: (ask) => fs.lookup(home, "no", ask), otherwise: "ENOENT" },
      { name: "parent", about: [d], run: (ask) => fs.parent(directory, ask) },
      { name: "read", about: [a], run: (ask) => fs.read(file, 0, 10, ask) },
      { name: "write", about: [a], run: (ask) => fs.write(file, 0, [bytes("C")], "fileSync", ask) },
      { name: "commit", about: [a], run: (ask) => fs.commit(file, 0, 0, ask) },
      { name: "readdir", about: [h], run: (ask) => fs.readdir(home, list, ask) },
      {
        name: "create",
        about: [h, undefined],
        run: (ask) => fs.create(home, "new1", { _tag: "Guarded" }, (...who) => ask(...who) ?? unset)
      },
      {
        name: "create on a file",
        about: [h, a],
        run: (ask) => fs.create(home, "a", { _tag: "Unchecked" }, (...who) => ask(...who) ?? { size: 0 })
      },
      {
        name: "guarded create on a file",
        about: [h, a],
        run: (ask) => fs.create(home, "a", { _tag: "Guarded" }, (...who) => ask(...who) ?? unset),
        otherwise: "EEXIST"
      },
      {
        name: "exclusive create on a file",
        about: [h, a],
        run: (ask) =>
          fs.create(home, "a", { _tag: "Exclusive", verifier: bytes("verifier") }, (...who) => ask(...who) ?? unset),
        otherwise: "EEXIST"
      },
      {
        name: "mkdir",
        about: [h, undefined],
        run: (ask) => fs.mkdir(home, "new2", (...who) => ask(...who) ?? unset)
      },
      {
        name: "mkdir on a directory",
        about: [h, d],
        run: (ask) => fs.mkdir(home, "d", (...who) => ask(...who) ?? unset),
        otherwise: "EEXIST"
      },
      { name: "remove", about: [h, a], run: (ask) => fs.remove(home, "a", ask) },
      {
        name: "remove of nothing",
        about: [h, undefined],
        run: (ask) => fs.remove(home, "no", ask),
        otherwise: "ENOENT"
      },
      { name: "remove of a directory", about: [h, d], run: (ask) => fs.remove(home, "d", ask), otherwise: "EISDIR" },
      { name: "rmdir", about: [h, d], run: (ask) => fs.rmdir(home, "d", ask) },
      { name: "rmdir of nothing", about: [h, undefined], run: (ask) => fs.rmdir(home, "no", ask), otherwise: "ENOENT" },
      { name: "rmdir of a file", about: [h, a], run: (ask) => fs.rmdir(home, "a", ask), otherwise: "ENOTDIR" },
      { name: "rmdir of much", about: [h, f], run: (ask) => fs.rmdir(home, "full", ask), otherwise: "ENOTEMPTY" },
      {
        name: "rename",
        about: [h, a, f, undefined],
        run: (ask) => fs.rename(home, "a", full, "new3", (about) => ask(...situation(about)))
      },
      {
        name: "rename over",
        about: [h, d, h, f],
        run: (ask) => fs.rename(home, "d", home, "full", (about) => ask(...situation(about))),
        otherwise: "ENOTEMPTY"
      },
      {
        name: "rename of nothing",
        about: [h, undefined, h, a],
        run: (ask) => fs.rename(home, "no", home, "a", (about) => ask(...situation(about))),
        otherwise: "ENOENT"
      }
    ]
    if (at.has("hardLinks")) {
      guarded.push({ name: "link", about: [h, a], run: (ask) => fs.link(file, home, "new4", ask) })
      guarded.push({
        name: "link on a file",
        about: [h, a],
        run: (ask) => fs.link(file, home, "a", ask),
        otherwise: "EEXIST"
      })
    }
    if (at.has("symlinks")) {
      const link = yield* at.symlink("l", "target")
      guarded.push({ name: "readlink", about: [yield* idOf(link)], run: (ask) => fs.readlink(link, ask) })
      guarded.push({
        name: "symlink",
        about: [h, undefined],
        run: (ask) => fs.symlink(home, "new5", "target", (...who) => ask(...who) ?? unset)
      })
    }
    if (at.has("specialFiles")) {
      guarded.push({
        name: "mknod",
        about: [h, undefined],
        run: (ask) => fs.mknod(home, "new6", { type: "fifo" }, (...who) => ask(...who) ?? unset)
      })
    }
    return guarded
  })

const ids = (who: ReadonlyArray<Attributes | undefined>): Asked => who.map((attributes) => attributes?.fileid)

export const guards = (test: Test): void => {
  test("what a guard refuses fails with its error and changes nothing", (at) =>
    Effect.gen(function* () {
      for (const { about, name, run } of yield* operations(at)) {
        const asked: Array<Asked> = []
        const refusing = run((...who) => {
          asked.push(ids(who))
          return errors.EACCES
        })
        yield* at.unchanged(at.home, fails(refusing, "EACCES"))
        assert.deepStrictEqual(asked, [about], name)
      }
    }))

  test("what a guard allows happens, or fails for its own reasons", (at) =>
    Effect.gen(function* () {
      for (const { name } of yield* operations(at)) {
        // Each in a directory of its own, as one takes away what the next one needs.
        const own = at.in(yield* at.mkdir(`for ${name}`))
        const { about, otherwise, run } = (yield* operations(own)).find((operation) => operation.name === name)!
        const asked: Array<Asked> = []
        const allowing = run((...who) => {
          asked.push(ids(who))
          return undefined
        })
        if (otherwise === undefined) yield* allowing
        else yield* own.unchanged(own.home, fails(allowing, otherwise))
        assert.deepStrictEqual(asked, [about], name)
      }
    }))

  test("a guard is asked about the very state that it decides on", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      const home = yield* at.attributes(at.home)
      const current = yield* at.attributes(file)
      yield* at.fs.remove(at.home, "a", (directory, target) => {
        assert.deepStrictEqual([lasting(directory), target], [lasting(home), current])
        return undefined
      })
    }))

  test("an operation asks anew each time that it is run", (at) =>
    Effect.gen(function* () {
      let verdict: FilesystemError | undefined = errors.EACCES
      const lookup = at.fs.lookup(at.home, "a", () => verdict)
      yield* fails(lookup, "EACCES")
      verdict = undefined
      yield* fails(lookup, "ENOENT")
      const { key } = yield* at.create("a")
      assert.deepStrictEqual((yield* lookup).file.key, key)
    }))
}
