/**
 * What every implementation of `Filesystem` passes, whatever it keeps its files in:
 *
 * ```ts
 * filesystemConformance("MyFilesystem", MyFilesystem.layer({ ... }))
 * ```
 *
 * The layer is built afresh for each test, which works in a directory of its own below the root.
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { Filesystem } from "../../src/filesystem/Filesystem.ts"
import { attributes } from "./filesystem/attributes.ts"
import { concurrency } from "./filesystem/concurrency.ts"
import { creation } from "./filesystem/creation.ts"
import { data } from "./filesystem/data.ts"
import { directories } from "./filesystem/directories.ts"
import { type Capability, Fixture, type Test } from "./filesystem/Fixture.ts"
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
  const lacks = new Set(options.lacks)
  const test: Test = (title, body) => {
    it.live(title, () =>
      Fixture.make(lacks).pipe(
        Effect.flatMap(body),
        // What a test did not expect becomes an error that says where it happened.
        Effect.mapError((error) => new Error(`unexpected ${error.code}`, { cause: error })),
        Effect.provide(layer, { local: true })
      )
    )
  }
  const groups = { identity, attributes, creation, data, links, removal, renaming, directories, guards, concurrency }
  describe(name, () => {
    for (const [title, group] of Object.entries(groups)) describe(title, () => group(test))
  })
}
