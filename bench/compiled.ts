/** The project as it is published, in JavaScript: from its sources, Node.js keeps a compiler in memory, some 25 MB of it. */

import { copyFileSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Processes from "./processes.ts"
import * as Temporary from "./temporary.ts"

const root = join(import.meta.dirname, "..")

/** A module of this folder, compiled with all that it imports; there as long as the surrounding scope lives. */
export const moduleOf = Effect.fnUntraced(function* (module: string) {
  const directory = yield* Temporary.directory
  const compiler = join(root, "node_modules/.bin/tsc")
  yield* Processes.complete(compiler, [
    "--project",
    root,
    "--noEmit",
    "false",
    "--rootDir",
    root,
    "--outDir",
    directory
  ])
  copyFileSync(join(root, "package.json"), join(directory, "package.json"))
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
  return join(directory, "bench", module.replace(/\.ts$/, ".js"))
})
