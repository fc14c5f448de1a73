/** What a filesystem is expected to hold: described, made where files can be made, and found again. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Attributes } from "../../filesystem/Attributes.ts"
import type { File } from "../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../filesystem/FilesystemError.ts"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { type Fixture, pattern } from "./Fixture.ts"

/** A directory, with all names that are listed in it. */
export interface Tree {
  readonly [name: string]: Expected
}

/** A regular file with this content (strings in UTF-8), a symbolic link, or a directory. */
export type Expected = string | Uint8Array | Symlink | Tree

export class Symlink {
  readonly target: string

  constructor(target: string) {
    this.target = target
  }
}

/** A symbolic link to `target`. */
export const symlink = (target: string): Symlink => new Symlink(target)

/** What {@link Expected} says, in words of the contract. */
export type Content =
  | { readonly type: "regular"; readonly bytes: Buffer }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "directory"; readonly tree: Tree }

export const contentOf = (expected: Expected): Content => {
  if (typeof expected === "string") return { type: "regular", bytes: Bytestring.encode(expected) }
  if (expected instanceof Uint8Array) return { type: "regular", bytes: Buffer.from(expected) }
  if (expected instanceof Symlink) return { type: "symlink", target: expected.target }
  return { type: "directory", tree: expected }
}

/** Something that was expected, and is there. */
export interface Member {
  readonly path: string
  readonly name: string
  readonly content: Content
  readonly file: File
  readonly attributes: Attributes
  /** The directory that it is in. */
  readonly directory: File
}

/** All that is in `tree`, found below the fixture's directory by looking up one name after another. */
export const walk = (at: Fixture, tree: Tree, prefix = ""): Effect.Effect<ReadonlyArray<Member>, FilesystemError> =>
  Effect.map(
    Effect.forEach(Object.entries(tree), ([name, expected]) =>
      Effect.gen(function* () {
        const path = prefix + name
        const { attributes, file } = yield* at
          .lookup(name)
          .pipe(Effect.catch(({ code }) => Effect.die(new Error(`${code} for ${path}, which the tree has`))))
        const content = contentOf(expected)
        assert.strictEqual(attributes.type, content.type, path)
        const member: Member = { path, name, content, file, attributes, directory: at.home }
        return content.type === "directory"
          ? [member, ...(yield* walk(at.in(file), content.tree, `${path}/`))]
          : [member]
      })
    ),
    (members) => members.flat()
  )

/** Makes all that is in `tree` in the fixture's directory. */
export const plant = (at: Fixture, tree: Tree): Effect.Effect<void, FilesystemError> =>
  Effect.forEach(
    Object.entries(tree),
    ([name, expected]) => {
      const content = contentOf(expected)
      if (content.type === "regular") return at.file(name, content.bytes)
      if (content.type === "symlink") return at.symlink(name, content.target)
      return Effect.flatMap(at.mkdir(name), (directory) => plant(at.in(directory), content.tree))
    },
    { discard: true }
  )

/** What is planted in filesystems that are written to. */
export const sample = (symlinks: boolean): Tree => ({
  empty: "",
  small: "0123456789",
  größer: pattern(200_000),
  many: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, `${i}`])),
  outer: { inner: { deep: "deep", nothing: {} }, file: "content" },
  ...(symlinks ? { link: symlink("outer/file"), nowhere: symlink("/no/such place") } : {})
})
