/** The servers that are measured side by side. */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Backend, Case } from "./cases.ts"
import type { Endpoint } from "./load/protocol.ts"
import { ganesha } from "./peers/ganesha.ts"
import { unfs3 } from "./peers/unfs3.ts"
import * as Processes from "./processes.ts"
import type { Announcement } from "./servers/announce.ts"

export interface Contestant {
  readonly name: string
  readonly backend: Backend
  readonly about: string
  /** Whether it is somebody else's server. */
  readonly peer?: true
  /** Of all cases of its backend, it takes part only in these. */
  readonly only?: (of: Case) => boolean
  /** Why it cannot be measured here, if that is so. */
  readonly missing?: () => string | undefined
  /** Runs the server as long as the surrounding scope lives. */
  readonly start: (environment: Environment) => Effect.Effect<Endpoint, Processes.ProcessFailed, Scope.Scope>
}

export interface Environment {
  /** The processor to use, and no other. */
  readonly processor: number | undefined
  /** Arguments for servers that run on Node. */
  readonly nodeArgs: ReadonlyArray<string>
  /** An empty directory for what it serves and keeps; removed when all is over. */
  readonly directory: string
}

/** A module of servers/ that says its port when it listens. */
const ours = (
  contestant: Pick<Contestant, "name" | "backend" | "about" | "only">,
  module: string,
  args: (environment: Environment) => ReadonlyArray<string> = () => []
): Contestant => ({
  ...contestant,
  start: Effect.fnUntraced(function* (environment) {
    const { nodeArgs, processor } = environment
    const name = `${contestant.name}, ${contestant.backend}`
    const process = yield* Processes.start({ name, module, args: args(environment), processor, nodeArgs })
    const { port } = (yield* process.ask()) as Announcement
    return { host: "127.0.0.1", port, mountPort: port, exportPath: "/", pid: process.pid }
  })
})

/** The server that all others are compared with. */
export const POOL = "pool"

export const contestants: ReadonlyArray<Contestant> = [
  ours({ name: POOL, backend: "memory", about: "this server, default settings" }, "servers/pooled.ts"),
  ours(
    { name: "bypassed", backend: "memory", about: "this server, a fiber for each request instead of the worker pool" },
    "servers/bypassed.ts"
  ),
  ours(
    { name: "bare", backend: "memory", about: "bare Node.js: only frames and answers, the limit" },
    "servers/bare.ts"
  ),
  ganesha("memory"),
  ours(
    { name: POOL, backend: "local", about: "this server, default settings: names are on the disk when answered" },
    "servers/pooled.ts",
    ({ directory }) => [directory]
  ),
  ours(
    {
      name: "async",
      backend: "local",
      about: "this server with `async`: names reach the disk later, as with the peers",
      only: ({ operation }) => operation === "CREATE+REMOVE"
    },
    "servers/pooled.ts",
    ({ directory }) => [directory, "async"]
  ),
  ganesha("local"),
  unfs3
]

/** Who takes part in a case. */
export const playing = (all: ReadonlyArray<Contestant>, of: Case): ReadonlyArray<Contestant> =>
  all.filter(({ backend, only }) => backend === of.backend && (only?.(of) ?? true))
