/** A network of its own, with a loopback interface and nothing else, in which a test has all ports to itself. */

import { type ChildProcess, spawn } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Output, run } from "./commands.ts"

export interface Namespace {
  /** What runs a command in it, to be put before the command. */
  readonly within: ReadonlyArray<string>
  /** Runs a program in it to its end. */
  readonly run: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<Output>
  /** Starts a program in it that ends with the scope. */
  readonly launch: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<void, never, Scope.Scope>
}

/** Whether this process may not make one. */
export const notRoot = (suite: string): boolean => {
  if (process.getuid?.() === 0) return false
  console.warn(`${suite}: skipped, because only root can make a network of its own`)
  return true
}

/** Daemons find a `/run` of their own in it, too. */
const prepare = "ip link set lo up && mount -t tmpfs none /run && echo ready && exec sleep infinity"

/** It vanishes with the scope, and what runs in it should have ended before. */
export const make: Effect.Effect<Namespace, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const keeper = spawn("unshare", ["--net", "--mount", "sh", "-c", prepare], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      keeper.stdout.once("data", () => resume(Effect.succeed(keeper)))
      keeper.once("exit", () => resume(Effect.die(new Error("the network could not be made"))))
    }),
    end
  ),
  (keeper) => {
    const within = ["nsenter", "--target", String(keeper.pid), "--net", "--mount"]
    const [enter, ...options] = within
    return {
      within,
      run: (...command) => run(enter!, [...options, ...command]),
      launch: (...command) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => spawn(enter!, [...options, ...command], { stdio: ["ignore", "ignore", "inherit"] })),
            end
          )
        )
    }
  }
)

/** Runs a command until it succeeds. */
export const untilSucceeds = (command: Effect.Effect<Output>): Effect.Effect<Output> =>
  command.pipe(
    Effect.flatMap((output) => (output.code === 0 ? Effect.succeed(output) : Effect.fail(output))),
    Effect.retry({ times: 100, schedule: Schedule.spaced("50 millis") }),
    Effect.orDie
  )

function end(child: ChildProcess): Effect.Effect<void> {
  return Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
}
