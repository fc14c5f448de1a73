/**
 * What every implementation of `Filesystem` passes, whatever it keeps its files in:
 *
 * ```ts
 * // a filesystem that can be written to, and one that cannot, with all that is in it
 * filesystemConformance("MyFilesystem", MyFilesystem.layer({ ... }))
 * readOnlyConformance("MyArchive", MyArchive.layer({ ... }), {
 *   "readme.txt": "Hello!\n",
 *   pictures: { "cat.jpg": readFileSync("cat.jpg") },
 *   latest: symlink("readme.txt")
 * })
 * ```
 *
 * Both declare tests of vitest's, at the top of a test file or within `describe`. Each test builds the layer afresh, so it
 * has a filesystem (or an instance of one) of its own.
 */

import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Filesystem } from "../filesystem/Filesystem.ts"
import { attributes } from "./filesystem/attributes.ts"
import { concurrency } from "./filesystem/concurrency.ts"
import { creation } from "./filesystem/creation.ts"
import { data } from "./filesystem/data.ts"
import { directories } from "./filesystem/directories.ts"
import { type Capability, Fixture, type Test, testIn, testWith } from "./filesystem/Fixture.ts"
import { guarding } from "./filesystem/guarding.ts"
import { guards } from "./filesystem/guards.ts"
import { identity } from "./filesystem/identity.ts"
import { links } from "./filesystem/links.ts"
import { listing } from "./filesystem/listing.ts"
import { reading } from "./filesystem/reading.ts"
import { refusing } from "./filesystem/refusing.ts"
import { removal } from "./filesystem/removal.ts"
import { renaming } from "./filesystem/renaming.ts"
import { plant, sample, type Tree } from "./filesystem/Tree.ts"

export type { Capability } from "./filesystem/Fixture.ts"
export { type Expected, Symlink, symlink, type Tree } from "./filesystem/Tree.ts"

export interface ConformanceOptions {
  /** What the implementation honestly cannot do: there it must answer ENOTSUP. Default: nothing. */
  readonly lacks?: ReadonlyArray<Capability>
}

/**
 * The whole suite, for a filesystem that can be written to. Each test works in a directory of its own below the root, which
 * need not be empty: what the tests leave there is the layer's to clean up.
 */
export const filesystemConformance = (
  name: string,
  layer: Layer.Layer<Filesystem, unknown>,
  options: ConformanceOptions = {}
): void => {
  const { lacks = [] } = options
  const test = testIn(layer, lacks)
  const tree = sample(!lacks.includes("symlinks"))
  const planted = Effect.tap(Fixture.make(new Set(lacks)), (at) => plant(at, tree))
  describe(name, () => {
    groups(testWith(layer, planted), tree, { reading, listing, guarding })
    groups(test, tree, {
      identity,
      attributes,
      creation,
      data,
      links,
      removal,
      renaming,
      directories,
      guards,
      concurrency
    })
  })
}

/**
 * The read-only part of the suite, for a filesystem that refuses every change with EROFS. `tree` is all that is in it: for
 * each directory the names that are listed, for each file its content. It needs a file of two bytes or more, and a directory
 * with two names or more.
 */
export const readOnlyConformance = (name: string, layer: Layer.Layer<Filesystem, unknown>, tree: Tree): void => {
  describe(name, () => groups(testWith(layer, Fixture.root), tree, { reading, listing, guarding, refusing }))
}

const groups = (test: Test, tree: Tree, all: Readonly<Record<string, (test: Test, tree: Tree) => void>>): void => {
  for (const [title, group] of Object.entries(all)) describe(title, () => group(test, tree))
}
