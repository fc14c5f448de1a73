/** A place for the compiled code of the programs that tests start, so that each need not compile it anew; gone with the run. */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const VARIABLE = "EFFECT_NFS_TEST_CACHE"

/** Where it is, for programs that the user of the tests runs. */
export const codeCache = (): { readonly XDG_CACHE_HOME?: string } => {
  const directory = process.env[VARIABLE]
  return directory === undefined ? {} : { XDG_CACHE_HOME: directory }
}

/** What vitest runs once before all tests; it gives what to run after them. */
export default (): (() => void) => {
  const directory = mkdtempSync(join(tmpdir(), "effect-nfs-test-cache-"))
  process.env[VARIABLE] = directory
  return () => rmSync(directory, { recursive: true, force: true })
}
