/** The flags of `effect-nfs serve`. Each is also an environment variable: `--state-dir` is `EFFECT_NFS_STATE_DIR`. */

import { availableParallelism, homedir } from "node:os"
import { join } from "node:path"
import * as ByteSize from "effect/ByteSize"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Schema from "effect/Schema"
import { MAX_WORKERS } from "../pool/WorkerPool.ts"

/** A flag whose text a schema reads, wherever it comes from. */
const setting = <A>(
  name: string,
  options: {
    readonly schema: Schema.Codec<A, string>
    readonly description: string
    readonly metavar: string
  }
) => {
  const variable = variableOf(name)
  return Flag.String(name).pipe(
    Flag.withSchema(options.schema),
    Flag.withFallbackConfig(Config.schema(options.schema, variable)),
    Flag.withMetavar(options.metavar),
    Flag.withDescription(`${options.description} [${variable}]`)
  )
}

const variableOf = (flag: string): string => `EFFECT_NFS_${flag.toUpperCase().replaceAll("-", "_")}`

const integer = (minimum: number, maximum: number) =>
  Schema.FiniteFromString.check(
    Schema.isInt({ message: "must be an integer" }),
    Schema.isBetween({ minimum, maximum }, { message: `must be from ${minimum} to ${maximum}` })
  )

const choice = <const L extends ReadonlyArray<string>>(...literals: L) => Schema.Literals(literals)

const bytes = Schema.ByteSizeFromString

const logLevels = ["trace", "debug", "info", "warn", "error", "none"] as const
export type LogLevel = (typeof logLevels)[number]

/** Where state is kept that must outlive the process, by the XDG rules. */
const stateDir = (): string => join(process.env["XDG_STATE_HOME"] || join(home(), ".local", "state"), "effect-nfs")

const home = (): string => {
  try {
    return homedir()
  } catch {
    // A user that the system does not know, without HOME. Nothing can be kept there, which is then said.
    return "/nonexistent"
  }
}

/** What `serve` is told on its command line. */
export const settings = {
  directory: Argument.String("DIR").pipe(
    Argument.withDescription("directory to serve; without it, an empty filesystem in memory"),
    Argument.optional
  ),
  host: setting("host", {
    schema: Schema.NonEmptyString,
    metavar: "ADDRESS",
    description: "address to listen on (default 127.0.0.1)"
  }).pipe(Flag.withDefault("127.0.0.1")),
  port: setting("port", {
    schema: integer(0, 65_535),
    metavar: "PORT",
    description: "TCP port of NFS and MOUNT, 0 for a free one (default 2049)"
  }).pipe(Flag.withDefault(2049)),
  portmap: setting("portmap", {
    schema: choice("off"),
    metavar: "off",
    description: "whether to announce the ports to clients that ask a portmapper; only off so far"
  }).pipe(Flag.withDefault("off")),
  workers: setting("workers", {
    schema: integer(1, MAX_WORKERS),
    metavar: "N",
    description: `requests that run at once (default ${availableParallelism() * 4}: 4 for each core)`
  }).pipe(Flag.optional),
  queue: setting("queue", {
    schema: integer(1, 1_000_000),
    metavar: "N",
    description: "requests that wait for a worker (default 1024)"
  }).pipe(Flag.withDefault(1024)),
  export: setting("export", {
    schema: Schema.String.check(Schema.isStartingWith("/", { message: "must begin with /" })),
    metavar: "/NAME",
    description: "the name that clients mount (default /)"
  }).pipe(Flag.withDefault("/")),
  readOnly: Flag.Boolean("read-only").pipe(
    Flag.withFallbackConfig(Config.Boolean(variableOf("read-only"))),
    Flag.withDefault(false),
    Flag.withDescription(`let clients change nothing [${variableOf("read-only")}]`)
  ),
  squash: setting("squash", {
    schema: choice("none", "root", "all"),
    metavar: "none|root|all",
    description: "which users become the anonymous one (default none for memory)"
  }).pipe(Flag.withDefault("none")),
  stateDir: setting("state-dir", {
    schema: Schema.NonEmptyString,
    metavar: "DIR",
    description: "where the key of file handles is kept (default $XDG_STATE_HOME/effect-nfs)"
  }).pipe(Flag.withDefault(stateDir())),
  logLevel: setting("log-level", {
    schema: choice(...logLevels),
    metavar: "LEVEL",
    description: `least important messages to log: ${logLevels.join(", ")} (default info)`
  }).pipe(Flag.withDefault("info")),
  quota: setting("quota", {
    schema: bytes,
    metavar: "SIZE",
    description:
      "most bytes that the filesystem in memory takes, such as 512MiB (default: half of the machine's memory)"
  }).pipe(Flag.map(ByteSize.toNumberUnsafe), Flag.optional)
}
