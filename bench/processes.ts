/** Processes that the bench starts, and that end with it. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
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

/** How long a program may take until it listens. */
const START_SECONDS = 20

interface Command {
  /** For people. */
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** The only processor that it may use. */
  readonly processor: number | undefined
}

/** Runs a module of the bench in a process of its own, for as long as the surrounding scope lives. */
export const start = Effect.fnUntraced(function* (options: {
  readonly name: string
  /** Relative to this folder, or where it is. */
  readonly module: string
  readonly args?: ReadonlyArray<string> | undefined
  readonly processor: number | undefined
  readonly nodeArgs?: ReadonlyArray<string> | undefined
}): Effect.fn.Return<Process, ProcessFailed, Scope.Scope> {
  const { args = [], module, name, nodeArgs = [], processor } = options
  const script = fileURLToPath(new URL(module, import.meta.url))
  const child = yield* run({ name, command: process.execPath, args: [...nodeArgs, script, ...args], processor }, true)

  const ask: Process["ask"] = (message) =>
    Effect.callback((resume) => {
      if (isOver(child)) return resume(Effect.fail(ended(name, child)))
      const onMessage = (answer: unknown) => finish(Effect.succeed(answer))
      const onExit = () => finish(Effect.fail(ended(name, child)))
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

/** Runs a program that is not ours until it listens on all of these ports, for as long as the surrounding scope lives. */
export const startProgram = Effect.fnUntraced(function* (
  options: Command & { readonly ports: ReadonlyArray<number> }
): Effect.fn.Return<{ readonly pid: number }, ProcessFailed, Scope.Scope> {
  const { name, ports } = options
  const child = yield* run(options, false)
  const listening = Effect.suspend(() =>
    isOver(child) ? Effect.fail(ended(name, child)) : Effect.forEach(ports, answers)
  ).pipe(
    Effect.repeat({ until: (answered) => answered.every(Boolean), schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: START_SECONDS * 1000,
      orElse: () =>
        Effect.fail(new ProcessFailed({ message: `${name}: does not listen after ${START_SECONDS} seconds` }))
    })
  )
  yield* listening
  return { pid: child.pid ?? 0 }
})

/** Runs a program to its end, which has to be a good one. */
export const complete = (command: string, args: ReadonlyArray<string>): Effect.Effect<void, ProcessFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* run({ name: command, command, args, processor: undefined }, false)
      if (!isOver(child)) yield* Effect.callback<void>((resume) => void child.once("exit", () => resume(Effect.void)))
      if (child.exitCode !== 0) return yield* ended(command, child)
    })
  )

const run = ({ args, command, name, processor }: Command, talks: boolean) => {
  const [program, all] =
    processor === undefined ? [command, args] : [PINNER, ["--cpu-list", String(processor), command, ...args]]
  return Effect.acquireRelease(
    Effect.callback<ChildProcess, ProcessFailed>((resume) => {
      // What our own print is not the bench's result, and what other programs print is nobody's. They have as many threads for
      // disks as the program that is published.
      const child = talks
        ? spawn(program, all, { stdio: ["ignore", 2, 2, "ipc"], env: { UV_THREADPOOL_SIZE: "8", ...process.env } })
        : spawn(program, all, { stdio: "ignore" })
      child.once("spawn", () => resume(Effect.succeed(child)))
      child.once("error", (error) => resume(Effect.fail(new ProcessFailed({ message: `${name}: ${error.message}` }))))
    }),
    end
  )
}

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const ended = (name: string, child: ChildProcess): ProcessFailed =>
  new ProcessFailed({ message: `${name}: the process ended unexpectedly (${child.exitCode ?? child.signalCode})` })

const end = (child: ChildProcess): Effect.Effect<void> =>
  Effect.flatMap(Effect.timeoutOption(Effect.interruptible(kill(child, "SIGTERM")), PATIENCE), () =>
    kill(child, "SIGKILL")
  )

/** Gone when it returns. */
const kill = (child: ChildProcess, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (isOver(child)) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill(signal)
  })

const answers = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ port, host: "127.0.0.1" })
    const finish = (answered: boolean) => {
      socket.destroy()
      resume(Effect.succeed(answered))
    }
    socket.once("connect", () => finish(true)).once("error", () => finish(false))
  })

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
