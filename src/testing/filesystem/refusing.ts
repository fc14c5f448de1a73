/** Mutations of what nobody can change: all fail with EROFS, whatever they are about, and nothing changes. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { CreateHow, File, Operations } from "../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../filesystem/FilesystemError.ts"
import { allow, bytes, fails, type Fixture, lasting, type Test } from "./Fixture.ts"
import { type Tree, walk } from "./Tree.ts"

/** Asserts that nobody asks this guard: there is nothing to allow. */
const unasked = (): never => assert.fail("a guard was asked about what is impossible")

type Mutation = Exclude<
  keyof Operations,
  | "properties"
  | "root"
  | "resolve"
  | "getattr"
  | "lookup"
  | "parent"
  | "readlink"
  | "read"
  | "readdir"
  | "statfs"
  | "commit"
>

const hows: ReadonlyArray<CreateHow> = [
  { _tag: "Unchecked" },
  { _tag: "Guarded" },
  { _tag: "Exclusive", verifier: bytes("verifier") }
]

type Attempts = ReadonlyArray<Effect.Effect<unknown, FilesystemError>>

/** Every operation that changes something (leaving one out does not compile), on a file and a name in its directory. */
const mutations = (fs: Operations, directory: File, name: string, file: File): Record<Mutation, Attempts> => ({
  setattr: [fs.setattr(file, unasked)],
  write: [fs.write(file, 0, [bytes("x")], "fileSync", unasked), fs.write(file, 0, [], "unstable", unasked)],
  create: hows.map((how) => fs.create(directory, name, how, unasked)),
  mkdir: [fs.mkdir(directory, name, unasked)],
  symlink: [fs.symlink(directory, name, "target", unasked)],
  mknod: [fs.mknod(directory, name, { type: "fifo" }, unasked)],
  remove: [fs.remove(directory, name, unasked)],
  rmdir: [fs.rmdir(directory, name, unasked)],
  rename: [
    fs.rename(directory, name, directory, "other", unasked),
    fs.rename(directory, name, directory, name, unasked)
  ],
  link: [fs.link(file, directory, name, unasked)]
})

/** All that can be seen of the tree. */
const state = (at: Fixture, tree: Tree) =>
  Effect.gen(function* () {
    const members = yield* walk(at, tree)
    const contents = yield* Effect.forEach(
      members,
      ({ content: { type }, file }): Effect.Effect<unknown, FilesystemError> =>
        type === "directory"
          ? at.names(file)
          : type === "regular"
            ? at.read(file)
            : Effect.map(at.fs.readlink(file, allow), ({ target }) => target)
    )
    return [yield* at.names(), contents, members.map(({ attributes }) => lasting(attributes))]
  })

export const refusing = (test: Test, tree: Tree): void => {
  test("every change is refused, and does not happen", (at) =>
    Effect.gen(function* () {
      const before = yield* state(at, tree)
      const { fs, home } = at
      for (const { directory, file, name } of yield* walk(at, tree)) {
        for (const attempt of Object.values(mutations(fs, directory, name, file)).flat()) yield* fails(attempt, "EROFS")
      }
      for (const attempt of Object.values(mutations(fs, home, "new", home)).flat()) yield* fails(attempt, "EROFS")
      assert.deepStrictEqual(yield* state(at, tree), before)
    }))
}
