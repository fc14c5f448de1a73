/** Processes that the suite starts: none of them outlives it, whatever way it ends. */

import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"

export const repository = join(import.meta.dirname, "../..")

const endings: Array<() => void> = []

/** Has something done when the suite ends: what was registered last comes first. */
export const atEnd = (ending: () => void) => {
  endings.push(ending)
}

export const endAll = () => {
  for (const end of endings.splice(0).reverse()) end()
}

process.on("exit", endAll)
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129]
] as const) {
  process.on(signal, () => process.exit(status))
}

// npm passes a signal on to the shell that it runs this in, which ends without a word: another parent is all there is to see.
if (process.env["npm_lifecycle_event"] !== undefined) {
  const shell = process.ppid
  setInterval(() => {
    if (process.ppid !== shell) process.exit(143)
  }, 1000).unref()
}

/** Ends a child and all that it started itself; it leads a process group of its own. */
export const kill = (child: ChildProcess) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // it has ended already
  }
}

/** Starts a program in the repository. */
export const launch = (command: string, args: ReadonlyArray<string>) => {
  const child = spawn(command, args, { cwd: repository, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  atEnd(() => kill(child))
  const exited = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message))
    child.on("exit", (code, signal) => resolve(signal === null ? `exit status ${code}` : signal))
  })
  return { child, exited }
}

export const seconds = (count: number) => count * 1000

/** What a promise gives, or `otherwise` when it takes more than `limit` seconds. */
export const within = <A>(limit: number, promise: Promise<A>, otherwise: A) => {
  const late = Promise.withResolvers<A>()
  const timer = setTimeout(() => late.resolve(otherwise), seconds(limit))
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
