/** Directories of the host for tests, and a user who has no rights of root to serve them. */

import { chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A user without the rights of root: nobody, unless the tests are run by such a one themselves. */
export const ORDINARY = process.geteuid!() === 0 ? 65_534 : process.geteuid!()

/** The command that runs another one as this user, without more groups. */
export const asUser = (user: number): ReadonlyArray<string> =>
  user === process.geteuid!() ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"]

/** An empty directory of this user's, which is gone with the scope. */
export const temporary = (user = process.geteuid!()): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = realpathSync(mkdtempSync(join(tmpdir(), "effect-nfs-test-")))
      if (user !== process.geteuid!()) chownSync(path, user, user)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** A new directory of this user's in another one. */
export const inside = (parent: string, name: string, user = process.geteuid!()): string => {
  const path = join(parent, name)
  mkdirSync(path)
  if (user !== process.geteuid!()) chownSync(path, user, user)
  return path
}
