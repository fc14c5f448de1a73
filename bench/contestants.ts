/** The servers that are measured side by side. A peer is another entry, which starts its own program. */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Endpoint } from "./load/protocol.ts"
import * as Processes from "./processes.ts"
import type { Announcement } from "./servers/announce.ts"

export interface Contestant {
  readonly name: string
  readonly about: string
  /** Runs the server as long as the surrounding scope lives. */
  readonly start: (environment: Environment) => Effect.Effect<Endpoint, Processes.ProcessFailed, Scope.Scope>
}

export interface Environment {
  /** The processor to use, and no other. */
  readonly processor: number | undefined
  /** Arguments for servers that run on Node. */
  readonly nodeArgs: ReadonlyArray<string>
}

/** A module of servers/ that says its port when it listens. */
const ours = (name: string, about: string): Contestant => ({
  name,
  about,
  start: Effect.fnUntraced(function* ({ nodeArgs, processor }) {
    const process = yield* Processes.start({ name, module: `servers/${name}.ts`, processor, nodeArgs })
    const { port } = (yield* process.ask()) as Announcement
    return { host: "127.0.0.1", port, mountPort: port, exportPath: "/", pid: process.pid }
  })
})

/** The first one is what all others are compared with. */
export const contestants: readonly [Contestant, ...ReadonlyArray<Contestant>] = [
  ours("pool", "this server: memory, default settings"),
  ours("bypassed", "the same, each request in a fiber of its own instead of the worker pool"),
  ours("bare", "a bare Node server that only frames and answers: the limit")
]
