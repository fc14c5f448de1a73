/** READDIR of directories that nobody changes. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type File, FIRST_COOKIE } from "../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../filesystem/FilesystemError.ts"
import { allow, type Fixture, lasting, type Test } from "./Fixture.ts"
import { type Tree, walk } from "./Tree.ts"

/** A directory, and how many entries it has. */
interface Listed {
  readonly directory: File
  readonly names: ReadonlyArray<string>
}

const directoriesOf = (at: Fixture, tree: Tree): Effect.Effect<ReadonlyArray<Listed>, FilesystemError> =>
  Effect.map(walk(at, tree), (members) => [
    { directory: at.home, names: Object.keys(tree).toSorted() },
    ...members.flatMap(({ content, file }) =>
      content.type === "directory" ? [{ directory: file, names: Object.keys(content.tree).toSorted() }] : []
    )
  ])

export const listing = (test: Test, tree: Tree): void => {
  /** A test for each directory of the tree. */
  const testEach = (
    title: string,
    body: (at: Fixture, directory: File, names: ReadonlyArray<string>) => Effect.Effect<void, FilesystemError>
  ): void =>
    test(title, (at) =>
      Effect.flatMap(directoriesOf(at, tree), (all) =>
        Effect.forEach(all, ({ directory, names }) => body(at, directory, names), { discard: true })
      )
    )

  testEach("every entry is listed once, in portions of any size", (at, directory, names) =>
    Effect.gen(function* () {
      for (const portion of [1, 2, 7, names.length - 1, names.length, names.length + 1, Infinity]) {
        if (portion < 1) continue
        assert.deepStrictEqual(yield* at.names(directory, portion), names, `portions of ${portion}`)
      }
    })
  )

  testEach("an entry has its own cookie, its file's id, and what was asked for", (at, directory, names) =>
    Effect.gen(function* () {
      const bare = yield* at.entries(directory)
      const full = yield* at.entries(directory, Infinity, true)
      assert.strictEqual(new Set(bare.map(({ cookie }) => cookie)).size, names.length)
      for (const [i, { cookie, fileid, found, name }] of full.entries()) {
        assert.isTrue(cookie >= FIRST_COOKIE && cookie < 2n ** 64n)
        const file = yield* at.lookup(name, directory)
        assert.strictEqual(fileid, file.attributes.fileid)
        assert.deepStrictEqual(found && lasting(found.attributes), lasting(file.attributes))
        assert.deepStrictEqual(found?.file.key, file.file.key)
        assert.deepInclude(bare[i], { name, cookie, fileid })
        assert.isUndefined(bare[i]!.found)
      }
    })
  )

  testEach("the cookies of . and .. mean the beginning", (at, directory) =>
    Effect.gen(function* () {
      const all = (yield* at.list(directory, 0n)).entries
      assert.deepStrictEqual((yield* at.list(directory, 1n)).entries, all)
      assert.deepStrictEqual((yield* at.list(directory, 2n)).entries, all)
    })
  )

  testEach("a listing ends before the first entry that does not fit", (at, directory, names) =>
    Effect.gen(function* () {
      for (const portion of [0, 1, Math.floor(names.length / 2), names.length - 1]) {
        if (portion < 0 || portion >= names.length) continue
        const asked: Array<string> = []
        const fits = (name: string) => asked.push(name) <= portion
        const { entries, eof } = yield* at.fs.readdir(directory, { cookie: 0n, fits, attributes: false }, allow)
        assert.isFalse(eof)
        // Each was asked for once, in order, and the one that does not fit is the last one asked for.
        assert.deepStrictEqual(
          entries.map(({ name }) => name),
          asked.slice(0, portion)
        )
        assert.strictEqual(asked.length, portion + 1)
        const rest = yield* at.list(directory, entries.at(-1)?.cookie ?? 0n)
        assert.isTrue(rest.eof)
        assert.strictEqual(rest.entries[0]!.name, asked[portion])
        assert.strictEqual(entries.length + rest.entries.length, names.length)
      }
    })
  )

  testEach("eof comes with the last entry", (at, directory, names) =>
    Effect.gen(function* () {
      const all = yield* at.list(directory, 0n, names.length)
      assert.strictEqual(all.entries.length, names.length)
      assert.isTrue(all.eof)
      const after = yield* at.list(directory, all.entries.at(-1)?.cookie ?? 0n, 0)
      assert.deepInclude(after, { entries: [], eof: true })
    })
  )

  testEach("a listing goes on after any entry", (at, directory) =>
    Effect.gen(function* () {
      const all = yield* at.entries(directory)
      for (const [i, { cookie }] of all.entries()) {
        assert.deepStrictEqual(yield* at.entriesAfter(cookie, directory), all.slice(i + 1))
      }
    })
  )
}
