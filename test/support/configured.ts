/** The program with a configuration file of a test's own, which it reads again. */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { temporary } from "./directory.ts"
import { start } from "./program.ts"

/** Serves a configuration on a free port; `directory` is where its file is. */
export const serveConfigured = Effect.fnUntraced(function* (
  config: (directory: string) => object,
  args: ReadonlyArray<string> = []
) {
  const directory = yield* temporary()
  const file = join(directory, "nfs.json")
  const write = (content: object | string) =>
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
  write(config(directory))
  const program = yield* start(["serve", "--config", file, "--port", "0", ...args])
  const match = yield* Effect.orDie(program.prints(/, on port (\d+)$[^]*^Ctrl-C/m))
  let told = 0
  return {
    ...program,
    directory,
    file,
    port: Number(match[1]),
    /** Writes the file and has it read again, until what the program says of that matches. */
    reload: Effect.fnUntraced(function* (content: object | string, says: RegExp) {
      write(content)
      program.kill("SIGHUP")
      const { index = 0, 0: said, input = "" } = yield* Effect.orDie(program.says(says, told))
      told += index + said.length
      return input
    })
  }
})
