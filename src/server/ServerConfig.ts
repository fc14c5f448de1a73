/**
 * What a server is told: where to listen, what to export on which terms, how requests are run. One schema for configuration
 * files and the command line; docs/configuration.md is made from it.
 */

import { availableParallelism } from "node:os"
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { identify } from "../exports/Export.ts"
import { explain, ExportPath, Policy, strictly } from "../exports/Policy.ts"
import { Size, Time, toMillis } from "../pool/Units.ts"
import { MAX_WORKERS } from "../pool/WorkerPool.ts"
import { Limits } from "../rpc/Limits.ts"
import { Flag, optional, perClass, Share, struct, Text, whole } from "./Fields.ts"
import * as Json from "./Json.ts"

const Listen = struct({
  host: optional(Text, { description: "address to listen on", default: "127.0.0.1" }),
  port: optional(whole(0, 65_535), {
    description: "TCP port of NFS and MOUNT, UDP port of MOUNT; 0 picks a free one and prints it",
    default: 2049
  }),
  portmap: optional(Schema.Literals(["auto", "on", "off"]), {
    description:
      "whether clients find the port through rpcbind or a portmapper of our own; on fails where auto goes without",
    default: "auto"
  })
})

const { clients, maxFileSize, squash, ...terms } = Policy.fields

/** A length of time, or 0 for none. */
const Life = Schema.Union([Schema.Number, Schema.String]).check(
  Schema.makeFilter((life) => lifeOf(life) !== undefined, { expected: "a time such as 500ms or 1s, or 0" })
)

/** Milliseconds. */
export const lifeOf = (life: string | number): number | undefined => {
  if (life === 0 || life === "0") return 0
  return typeof life === "string" ? toMillis(life) : undefined
}

/** An export, with where its files come from. */
const Export = struct({
  path: ExportPath.annotateKey({
    description: "what clients mount, an absolute path, which need not exist anywhere else",
    messageMissingKey: "Expected what clients mount, such as /files"
  }),
  directory: optional(Text, { description: "the directory of this machine to serve" }),
  memory: optional(
    struct({
      quota: optional(Size, {
        description:
          "most bytes that the filesystem in memory takes, such as 512MiB (default: half of the machine's memory)"
      })
    }),
    { description: "serves an empty filesystem in memory instead of a directory" }
  ),
  async: optional(Flag, {
    description:
      "whether new, changed and removed names of a directory are answered before they are on the disk: faster, and lost when the machine fails",
    default: false
  }),
  crossMounts: optional(Flag, {
    description: "whether clients get into filesystems that are mounted below the directory",
    default: false
  }),
  cacheLife: optional(Life, {
    description:
      "how long attributes, and what names lead to, are remembered of a directory: so late may changes show that are made behind the server's back; 0 asks each time",
    default: "1s"
  }),
  ...terms,
  maxFileSize: Schema.optional(Size).annotate({ ...maxFileSize.ast.annotations }),
  squash: squash.annotate({
    description:
      "who is not who they say: none, root or all, who become the anonymous user; with self all become the server's own user (default: none for memory; for a directory root, or self when the server does not run as root)",
    default: undefined
  }),
  clients
}).check(
  Schema.makeFilter(({ async, cacheLife, crossMounts, directory, memory }) => {
    if (directory === undefined && memory === undefined) return "Expected directory or memory beside path"
    if (memory === undefined) return undefined
    if (directory !== undefined) return { path: ["memory"], issue: "Expected no memory beside a directory" }
    const [wrong] = Object.entries({ async, crossMounts, cacheLife }).find(([, value]) => value !== undefined) ?? []
    return wrong === undefined
      ? undefined
      : { path: [wrong], issue: "Expected nothing about a disk for memory, only for a directory" }
  })
)
export type Export = typeof Export.Type

const Pool = struct({
  workers: optional(whole(1, MAX_WORKERS), { description: "requests that run at once (default: 4 for each core)" }),
  minWorkers: optional(whole(1, MAX_WORKERS), {
    description: "workers when there is little to do; with fewer than `workers` the load decides (default: all)"
  }),
  queue: optional(whole(1, 1_000_000), { description: "requests that wait for a worker", default: 1024 }),
  batch: optional(whole(1, 1_000_000), {
    description: "requests that start before the network gets its turn",
    default: 64
  }),
  timeLimits: optional(perClass(Time), {
    description:
      "how long a request may wait and run before its client is told to try again later (a change only waits); one for all, or by class",
    default: "30s"
  }),
  weights: optional(perClass(whole(1, 9999)), {
    description:
      "shares of the classes in the requests that start while all have some waiting; one for all, or by class",
    default: { control: 32, metadata: 16, data: 8, bulk: 2 }
  }),
  memory: optional(
    struct({
      limit: optional(Size, {
        description: "most bytes that requests take while they wait and run (default: an eighth of the memory)"
      }),
      low: optional(Share, {
        description: "share of the process's memory in use from which on fewer requests are let in",
        default: 0.7
      }),
      high: optional(Share, {
        description: "share of the process's memory in use from which on one request at a time is let in",
        default: 0.9
      })
    }),
    { description: "how much memory requests take" }
  )
}).check(
  Schema.makeFilter(({ memory: { high = 0.9, low = 0.7 } = {}, minWorkers = 1, workers = defaultWorkers() }) => {
    if (minWorkers > workers) {
      return {
        path: ["minWorkers"],
        issue: `Expected at most as many as workers, which is ${workers}, got ${minWorkers}`
      }
    }
    if (low < high) return undefined
    return { path: ["memory", "low"], issue: `Expected less than memory.high, which is ${high}, got ${low}` }
  })
)
export type Pool = typeof Pool.Type

/** Workers of a pool that is told nothing. */
export const defaultWorkers = (): number => availableParallelism() * 4

const LogLevel = Schema.Literals(["trace", "debug", "info", "warn", "error", "none"])
export type LogLevel = typeof LogLevel.Type

/** Two exports of one name, or with one number in their file handles, cannot be told apart. */
const twins = (exports: ReadonlyArray<Export>) => {
  for (const [i, one] of exports.entries()) {
    const { id, path } = identify(one)
    const others = exports.slice(0, i)
    if (others.some((other) => identify(other).path === path)) {
      return { path: [i, "path"], issue: `Expected a path of its own, got ${JSON.stringify(path)} again` }
    }
    const twin = others.find((other) => identify(other).id === id)
    if (twin !== undefined) {
      return { path: [i, "fsid"], issue: `Expected another fsid than that of ${twin.path}, got ${id}` }
    }
  }
  return undefined
}

/** All that a server is told. What is left out has its default. */
export const ServerConfig = struct({
  listen: optional(Listen, { description: "where to listen" }),
  exports: Schema.Array(Export).check(Schema.makeFilter(twins)).annotateKey({
    description: "what is served",
    messageMissingKey: "Expected a list of what to serve"
  }),
  pool: optional(Pool, { description: "how requests are run" }),
  limits: optional(Limits, { description: "how much clients may take" }),
  stateDir: optional(Text, {
    description:
      "where the key of file handles is kept, and where files of directories were seen last (default: `$XDG_STATE_HOME/effect-nfs`; without that variable `~/.local/state/effect-nfs`, for root without a home `/var/lib/effect-nfs`)"
  }),
  logLevel: optional(LogLevel, { description: "least important messages to log", default: "info" })
})
export type ServerConfig = typeof ServerConfig.Type

/** A configuration that cannot be. */
export class InvalidConfig extends Data.TaggedError("InvalidConfig")<{
  /** What is wrong, one line each. */
  readonly problems: ReadonlyArray<string>
}> {
  override get message(): string {
    return this.problems.join("\n")
  }
}

/** Checks a configuration; what is wrong with it in one line each, which begins with the field. */
export const decode = (value: unknown): Result.Result<ServerConfig, ReadonlyArray<string>> =>
  Result.mapError(decodeUnknown(value), ({ issue }) => explain(issue))

const decodeUnknown = Schema.decodeUnknownResult(ServerConfig, strictly)

/** The same for the text of a file. */
export const parse = (text: string): Result.Result<ServerConfig, ReadonlyArray<string>> =>
  Result.flatMap(
    Result.mapError(Json.parse(text), (error) => [error]),
    decode
  )
