/** Files that end with the bench. */

import { mkdtempSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** An empty directory, removed with all that is in it when the surrounding scope ends. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-bench-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)
