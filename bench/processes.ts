/** Processes that the bench starts, and that end with it. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export class ProcessFailed extends Data.TaggedError("ProcessFailed")<{ readonly message: string }> {}

export interface Process {
  readonly pid: number
  /** Sends a message, if there is one, and waits for the next that comes. */
  readonly ask: (message?: object) => Effect.Effect<unknown, ProcessFailed>
}

/** Ties a program to processors, on Linux. */
const PINNER = "taskset"

/** How long a process may take to end when it is asked to. */
const PATIENCE = "3 seconds"

/** Runs a module of the bench in a process of its own, for as long as the surrounding scope lives. */
export const start = Effect.fnUntraced(function* (options: {
  readonly name: string
  /** Relative to this folder. */
  readonly module: string
  /** The only processor that it may use. */
  readonly processor: number | undefined
  readonly nodeArgs?: ReadonlyArray<string> | undefined
}): Effect.fn.Return<Process, ProcessFailed, Scope.Scope> {
  const { module, name, nodeArgs = [], processor } = options
  const script = [...nodeArgs, fileURLToPath(new URL(module, import.meta.url))]
  const [command, args] =
    processor === undefined
      ? [process.execPath, script]
      : [PINNER, ["--cpu-list", String(processor), process.execPath, ...script]]
  const child = yield* Effect.acquireRelease(
    // What it prints is not the bench's result.
    Effect.sync(() => spawn(command, args, { stdio: ["ignore", 2, 2, "ipc"] })),
    (child) => end(child)
  )
  const ended = (): ProcessFailed =>
    new ProcessFailed({ message: `${name}: the process ended unexpectedly (${child.exitCode ?? child.signalCode})` })

  const ask: Process["ask"] = (message) =>
    Effect.callback((resume) => {
      if (isOver(child)) return resume(Effect.fail(ended()))
      const onMessage = (answer: unknown) => finish(Effect.succeed(answer))
      const onExit = () => finish(Effect.fail(ended()))
      const onError = (error: Error) => finish(Effect.fail(new ProcessFailed({ message: `${name}: ${error.message}` })))
      const forget = () => {
        child.off("message", onMessage).off("exit", onExit).off("error", onError)
      }
      const finish = (effect: Effect.Effect<unknown, ProcessFailed>) => {
        forget()
        resume(effect)
      }
      child.on("message", onMessage).on("exit", onExit).on("error", onError)
      if (message !== undefined) child.send(message)
      return Effect.sync(forget)
    })

  return { pid: child.pid ?? 0, ask }
})

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const end = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (isOver(child) || child.pid === undefined) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(Effect.timeoutOption(PATIENCE), Effect.andThen(Effect.sync(() => void child.kill("SIGKILL"))))

export interface Processors {
  readonly server: number | undefined
  readonly generator: number | undefined
}

/** A processor for the server and another for the generator, where there are two and processes can be tied to them. */
export const processors = (): Processors => {
  const [server, generator] = allowed()
  const able = generator !== undefined && spawnSync(PINNER, ["--version"]).status === 0
  return able ? { server, generator } : { server: undefined, generator: undefined }
}

/** The processors that this process may use, as Linux lists them: `0-3,8`. */
const allowed = (): ReadonlyArray<number> => {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? ""
    return list.split(",").flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
  } catch {
    return []
  }
}
