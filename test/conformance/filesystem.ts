/**
 * What every implementation of `Filesystem` passes, whatever it keeps its files in:
 *
 * ```ts
 * filesystemConformance("MyFilesystem", MyFilesystem.layer({ ... }))
 * ```
 *
 * The layer is built afresh for each test, which works in a directory of its own below the root.
 */

import { describe } from "@effect/vitest"
import type * as Layer from "effect/Layer"
import type { Filesystem } from "../../src/filesystem/Filesystem.ts"
import { attributes } from "./filesystem/attributes.ts"
import { concurrency } from "./filesystem/concurrency.ts"
import { creation } from "./filesystem/creation.ts"
import { data } from "./filesystem/data.ts"
import { directories } from "./filesystem/directories.ts"
import { type Capability, testIn } from "./filesystem/Fixture.ts"
import { guards } from "./filesystem/guards.ts"
import { identity } from "./filesystem/identity.ts"
import { links } from "./filesystem/links.ts"
import { removal } from "./filesystem/removal.ts"
import { renaming } from "./filesystem/renaming.ts"

export type { Capability } from "./filesystem/Fixture.ts"

export interface ConformanceOptions {
  /** What the implementation honestly cannot do: there it must answer ENOTSUP. */
  readonly lacks?: ReadonlyArray<Capability>
}

export const filesystemConformance = (
  name: string,
  layer: Layer.Layer<Filesystem, unknown>,
  options: ConformanceOptions = {}
): void => {
  const test = testIn(layer, options.lacks)
  const groups = { identity, attributes, creation, data, links, removal, renaming, directories, guards, concurrency }
  describe(name, () => {
    for (const [title, group] of Object.entries(groups)) describe(title, () => group(test))
  })
}
