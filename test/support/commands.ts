/** Other people's programs, as tests use them. */

import { execFile, execFileSync } from "node:child_process"
import * as Effect from "effect/Effect"

export interface Output {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs a program to its end; interruption kills it. */
export const run = (command: string, args: ReadonlyArray<string>): Effect.Effect<Output> =>
  Effect.callback((resume) => {
    const child = execFile(
      command,
      args,
      { encoding: "buffer", maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resume(
          Effect.succeed({
            code: error === null ? 0 : typeof error.code === "number" ? error.code : -1,
            stdout,
            stderr: stderr.toString()
          })
        )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/**
 * Which of these programs are missing, to be handed to `describe.skipIf`. On a user's machine it says what is skipped; in
 * CI everything must be there, and the tests run into what is not.
 */
export const missing = (suite: string, ...commands: ReadonlyArray<string>): boolean => {
  const absent = commands.filter((command) => !exists(command))
  if (absent.length === 0 || process.env["CI"] === "true") return false
  console.warn(`${suite}: skipped, because ${absent.join(" and ")} ${absent.length === 1 ? "is" : "are"} not installed`)
  return true
}

const exists = (command: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v "$0"`, command], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
