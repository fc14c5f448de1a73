/** Starts the program `effect-nfs` as a user would, in a process of its own. */

import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { codeCache } from "./codeCache.ts"

const bin = fileURLToPath(new URL("../../bin/effect-nfs.js", import.meta.url))

/** How a process ended, and all that it said. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Effect.Effect<Ended>
  /** All of its standard output, once that matches. */
  readonly prints: (pattern: RegExp) => Effect.Effect<RegExpMatchArray, Ended>
  /** What it has said on standard error behind the first `from` characters, once that matches. */
  readonly says: (pattern: RegExp, from?: number) => Effect.Effect<RegExpMatchArray, Ended>
}

/**
 * Runs the program with these arguments; what is left of it is ended with the scope. It leaves the machine's portmapper
 * alone unless it is told otherwise.
 */
export const start = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string | undefined>> = {},
  within: ReadonlyArray<string> = []
): Effect.Effect<Program, never, Scope.Scope> =>
  startNode([bin, ...args], { EFFECT_NFS_PORTMAP: "off", ...environment }, within)

/** Runs Node.js with these arguments, as {@link start}; `within`: the command that runs it in another place. */
export const startNode = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string | undefined>> = {},
  within: ReadonlyArray<string> = []
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        // Nothing of the user's own, nothing left behind.
        const home = mkdtempSync(join(tmpdir(), "effect-nfs-test-"))
        const [command, ...more] = [...within, process.execPath, ...args]
        const child = spawn(command!, more, {
          env: {
            PATH: process.env["PATH"],
            HOME: home,
            NO_COLOR: "1",
            // Another user may not write there.
            ...(within.length === 0 && codeCache()),
            ...environment
          },
          stdio: ["ignore", "pipe", "pipe"]
        })
        return { child, home, output: observe(child) }
      }),
      ({ child, home, output }) =>
        Effect.andThen(
          Effect.suspend(() => {
            child.kill("SIGKILL")
            return Effect.promise(() => output.ended)
          }),
          Effect.sync(() => rmSync(home, { recursive: true, force: true }))
        )
    ),
    ({ child, output }) => ({
      pid: child.pid!,
      kill: (signal) => void child.kill(signal),
      ended: Effect.promise(() => output.ended),
      prints: (pattern) => matching(child.stdout, output.stdout, pattern, output.ended),
      says: (pattern, from = 0) => matching(child.stderr, () => output.stderr().slice(from), pattern, output.ended)
    })
  )

/** A program that serves memory on a free port. */
export const serve = Effect.fnUntraced(function* (
  args: ReadonlyArray<string> = [],
  environment: Readonly<Record<string, string | undefined>> = {},
  within: ReadonlyArray<string> = []
) {
  const program = yield* start(["serve", "--port", "0", ...args], environment, within)
  const match = yield* Effect.orDie(program.prints(/, on port (\d+)$[^]*^Ctrl-C/m))
  return { ...program, port: Number(match[1]) }
})

const matching = (
  stream: NodeJS.ReadableStream,
  text: () => string,
  pattern: RegExp,
  ended: Promise<Ended>
): Effect.Effect<RegExpMatchArray, Ended> =>
  Effect.callback((resume) => {
    const look = () => {
      const match = text().match(pattern)
      if (match !== null) resume(Effect.succeed(match))
    }
    stream.on("data", look)
    void ended.then((ended) => resume(Effect.fail(ended)))
    look()
    return Effect.sync(() => stream.off("data", look))
  })

const observe = (child: ChildProcess) => {
  let stdout = ""
  let stderr = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { ended, stdout: () => stdout, stderr: () => stderr }
}
