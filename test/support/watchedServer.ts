/** A server in a process of its own that tests look into from outside: whether it lives, what it logs, what it keeps. */

import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Limits } from "../../src/rpc/Limits.ts"

export interface Options {
  /** A directory of the host, or else a filesystem in memory. Root may do everything. */
  readonly exports: ReadonlyArray<{ readonly path: string; readonly directory?: string | undefined }>
  /** Where it serves a portmapper of its own; default: it serves none. */
  readonly portmapPort?: number | undefined
}

/** What a process keeps. */
export interface Measurement {
  /** Of objects and buffers, live or not yet collected. */
  readonly bytes: number
  /** Open descriptors, without those of files that are served. */
  readonly descriptors: number
  /** Open descriptors of files that are served. */
  readonly files: number
  readonly connections: number
  /** Requests that wait or run in the pool. */
  readonly busy: number
  /** Bytes that these pin. */
  readonly cost: number
}

export type Command =
  /** `collected`: after a garbage collection. */
  | { readonly _tag: "Measure"; readonly collected: boolean }
  | { readonly _tag: "Resize"; readonly workers: number }
  /** Changes its terms, one of several ways of saying the same to clients of this machine, and its limits. */
  | { readonly _tag: "Reconfigure"; readonly variant: number; readonly limits: Limits }
  /** Breaks a connection, chosen by chance. */
  | { readonly _tag: "Cut"; readonly how: Cut }

/** At once, with or without a reset; or instead of the next reply, when what it tells has been done. */
export type Cut = "close" | "reset" | "reply"

/** What comes back. */
export type Answer =
  | { readonly _tag: "Serving"; readonly port: number }
  | { readonly _tag: "Answered"; readonly id: number; readonly value: unknown }
  | { readonly _tag: "Logged"; readonly text: string }

export interface WatchedServer {
  readonly pid: number
  readonly port: number
  /** Warnings and errors that it logged. */
  readonly logged: ReadonlyArray<string>
  /** How the process has ended; `undefined` while it runs. */
  readonly ended: () => string | undefined
  /** `collected`: after a garbage collection; default `false`. */
  readonly measure: (options?: { readonly collected: boolean }) => Effect.Effect<Measurement>
  readonly resize: (workers: number) => Effect.Effect<void>
  readonly reconfigure: (variant: number, limits: Limits) => Effect.Effect<void>
  /** Breaks a connection; gives how many there were to break. */
  readonly cut: (how: Cut) => Effect.Effect<number>
}

const program = fileURLToPath(new URL("programs/watchedServer.ts", import.meta.url))

/** Serves as long as the surrounding scope lives. */
export const start = (options: Options): Effect.Effect<WatchedServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Process>((resume) => {
      const server = new Process(options, () => resume(Effect.succeed(server)))
      void server.over.then((how) => resume(Effect.die(new Error(`the server did not start: ${how}`))))
    }),
    (server) => Effect.promise(() => server.end())
  )

class Process implements WatchedServer {
  port = 0
  readonly logged: Array<string> = []
  readonly over: Promise<string>
  private readonly child
  private how: string | undefined = undefined
  private readonly waiting = new Map<number, (value: unknown) => void>()
  private asked = 0

  constructor(options: Options, onServing: () => void) {
    this.child = fork(program, [JSON.stringify(options)], { stdio: ["ignore", "inherit", "pipe", "ipc"] })
    let stderr = ""
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-4000)
    })
    this.over = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        this.how = `it ended with ${signal ?? `code ${code}`}${stderr === "" ? "" : `: ${stderr}`}`
        resolve(this.how)
      })
    })
    this.child.on("message", (answer: Answer) => {
      if (answer._tag === "Serving") {
        this.port = answer.port
        onServing()
      } else if (answer._tag === "Logged") {
        this.logged.push(answer.text)
      } else {
        this.waiting.get(answer.id)?.(answer.value)
        this.waiting.delete(answer.id)
      }
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  ended(): string | undefined {
    return this.how
  }

  measure({ collected } = { collected: false }): Effect.Effect<Measurement> {
    return this.ask({ _tag: "Measure", collected }) as Effect.Effect<Measurement>
  }

  resize(workers: number): Effect.Effect<void> {
    return Effect.asVoid(this.ask({ _tag: "Resize", workers }))
  }

  reconfigure(variant: number, limits: Limits): Effect.Effect<void> {
    return Effect.asVoid(this.ask({ _tag: "Reconfigure", variant, limits }))
  }

  cut(how: Cut): Effect.Effect<number> {
    return this.ask({ _tag: "Cut", how }) as Effect.Effect<number>
  }

  async end(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.over
  }

  private ask(command: Command): Effect.Effect<unknown> {
    return Effect.callback((resume) => {
      if (this.how !== undefined) return resume(Effect.die(new Error(this.how)))
      const id = this.asked++
      this.waiting.set(id, (value) => resume(Effect.succeed(value)))
      this.child.send({ command, id })
      void this.over.then((how) => resume(Effect.die(new Error(how))))
    })
  }
}
