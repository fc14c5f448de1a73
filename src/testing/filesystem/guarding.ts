/** Guards of operations that change nothing: asked once, with what is, after types and before names matter. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Attributes } from "../../filesystem/Attributes.ts"
import type { Guard } from "../../filesystem/Filesystem.ts"
import { type Code, errors, type FilesystemError } from "../../filesystem/FilesystemError.ts"
import { fails, type Fixture, lasting, type Test } from "./Fixture.ts"
import { type Member, type Tree, walk } from "./Tree.ts"

interface Question {
  readonly name: string
  readonly run: (guard: Guard) => Effect.Effect<unknown, FilesystemError>
  /** What the type of the file makes of it; `undefined` when the guard decides. */
  readonly wrongType?: Code | undefined
  /** What it fails with when the guard lets it go on; it succeeds when there is none. */
  readonly otherwise?: Code
}

const request = { cookie: 0n, fits: () => true, attributes: true }

/** Every operation with a guard, on one file. */
const questions = ({ fs }: Fixture, { content: { type }, file }: Member): ReadonlyArray<Question> => {
  const notRegular = type === "directory" ? "EISDIR" : type === "symlink" ? "EINVAL" : undefined
  const notDirectory = type === "directory" ? undefined : "ENOTDIR"
  const notSymlink = type === "symlink" ? undefined : "EINVAL"
  return [
    {
      name: "lookup of nothing",
      run: (guard) => fs.lookup(file, "no such name", guard),
      wrongType: notDirectory,
      otherwise: "ENOENT"
    },
    { name: "parent", run: (guard) => fs.parent(file, guard), wrongType: notDirectory },
    { name: "readdir", run: (guard) => fs.readdir(file, request, guard), wrongType: notDirectory },
    { name: "read", run: (guard) => fs.read(file, 0, 10, guard), wrongType: notRegular },
    { name: "commit", run: (guard) => fs.commit(file, 0, 0, guard), wrongType: notRegular },
    { name: "readlink", run: (guard) => fs.readlink(file, guard), wrongType: notSymlink }
  ]
}

export const guarding = (test: Test, tree: Tree): void => {
  test("guards are asked once, about the file, unless its type alone decides", (at) =>
    Effect.gen(function* () {
      for (const member of yield* walk(at, tree)) {
        for (const { name, otherwise, run, wrongType } of questions(at, member)) {
          const asked: Array<Attributes> = []
          const answer = (verdict: FilesystemError | undefined) =>
            run((before) => {
              asked.push(before)
              return verdict
            })
          const what = `${name} of ${member.path}`
          yield* fails(answer(errors.EACCES), wrongType ?? "EACCES")
          const allowed = wrongType ?? otherwise
          if (allowed === undefined) yield* answer(undefined)
          else yield* fails(answer(undefined), allowed)
          const about = lasting(member.attributes)
          assert.deepStrictEqual(asked.map(lasting), wrongType === undefined ? [about, about] : [], what)
        }
      }
    }))

  test("the guard of a lookup is asked about the directory", (at) =>
    Effect.gen(function* () {
      const home = lasting(yield* at.attributes(at.home))
      for (const name of Object.keys(tree)) {
        const asked: Array<unknown> = []
        const guard: Guard = (before) => {
          asked.push(lasting(before))
          return asked.length === 1 ? errors.EACCES : undefined
        }
        const lookup = at.fs.lookup(at.home, name, guard)
        yield* fails(lookup, "EACCES")
        // An operation asks anew each time that it is run.
        yield* lookup
        assert.deepStrictEqual(asked, [home, home])
      }
    }))
}
