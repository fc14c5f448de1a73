/** The flags of `effect-nfs serve`. Each is also an environment variable: `--state-dir` is `EFFECT_NFS_STATE_DIR`. */

import { availableParallelism, userInfo } from "node:os"
import { join } from "node:path"
import * as ByteSize from "effect/ByteSize"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { MAX_WORKERS, standardPriorities } from "../pool/WorkerPool.ts"
import * as PerClass from "./PerClass.ts"

/** A flag whose text a schema reads, wherever it comes from. */
const setting = <A>(
  name: string,
  options: {
    readonly schema: Schema.Codec<A, string>
    readonly description: string
    readonly metavar: string
    /** What `WorkerPool.layerConfig` calls the same setting: that variable is good, too. */
    readonly pool?: string
  }
) => {
  const variable = variableOf(name)
  const config = Config.schema(options.schema, variable)
  const { pool } = options
  return Flag.String(name).pipe(
    Flag.withSchema(options.schema),
    Flag.withFallbackConfig(
      pool === undefined
        ? config
        : Config.flatMap(
            Config.option(config),
            Option.match({
              onNone: () => Config.schema(options.schema, variableOf(pool)),
              onSome: Config.succeed
            })
          )
    ),
    Flag.withMetavar(options.metavar),
    Flag.withDescription(`${options.description} [${variable}]`)
  )
}

/** A flag that is there or not. */
const option = (name: string, description: string) => {
  const variable = variableOf(name)
  return Flag.Boolean(name).pipe(
    Flag.withFallbackConfig(Config.Boolean(variable)),
    Flag.withDefault(false),
    Flag.withDescription(`${description} [${variable}]`)
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

const share = Schema.FiniteFromString.check(
  Schema.isBetween({ minimum: 0, maximum: 1 }, { message: "must be a share from 0 to 1, such as 0.7" })
)

const units = { ms: Duration.millis, s: Duration.seconds, m: Duration.minutes, h: Duration.hours } as const

const timeLimits = PerClass.text(
  /^(?=.*[1-9])\d+(\.\d+)?(ms|s|m|h)$/,
  "a time such as 500ms, 30s or 2m, or some of classes such as metadata=10s,bulk=2m"
)

const toDuration = (text: string): Duration.Duration => {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h)$/.exec(text)!
  return units[unit as keyof typeof units](Number(number))
}

const defaultTimeLimits = PerClass.make(() => Duration.seconds(30))

const weights = PerClass.text(/^[1-9]\d{0,3}$/, "numbers from 1 to 9999 of classes, such as metadata=8,bulk=1")

/** How the pool ranks classes that are told nothing. */
export const defaultWeights = PerClass.make((priority): number => standardPriorities[priority].weight)

/** Workers of a pool that is told nothing. */
export const defaultWorkers = availableParallelism() * 4

const logLevels = ["trace", "debug", "info", "warn", "error", "none"] as const
export type LogLevel = (typeof logLevels)[number]

/** Where state is kept that must outlive the process: by the XDG rules, or where services of the system have theirs. */
const stateDir = (): string => {
  const { HOME, XDG_STATE_HOME } = process.env
  // What starts services of the system gives root no home.
  const isService = !HOME && process.geteuid?.() === 0
  return join(XDG_STATE_HOME || (isService ? "/var/lib" : join(HOME || home(), ".local", "state")), "effect-nfs")
}

const home = (): string => {
  try {
    return userInfo().homedir
  } catch {
    // A user that the system does not know. Nothing can be kept there, which is then said.
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
    description: "TCP port of NFS and MOUNT, UDP port of MOUNT, 0 for a free one (default 2049)"
  }).pipe(Flag.withDefault(2049)),
  portmap: setting("portmap", {
    schema: choice("auto", "on", "off"),
    metavar: "auto|on|off",
    description:
      "whether clients find the port through rpcbind or a portmapper of our own; auto goes without where neither is possible (default auto)"
  }).pipe(Flag.withDefault("auto")),
  workers: setting("workers", {
    schema: integer(1, MAX_WORKERS),
    pool: "max-workers",
    metavar: "N",
    description: `requests that run at once (default ${defaultWorkers}: 4 for each core)`
  }).pipe(Flag.withDefault(defaultWorkers)),
  minWorkers: setting("min-workers", {
    schema: integer(1, MAX_WORKERS),
    metavar: "N",
    description: "workers when there is little to do; with fewer than --workers the load decides (default: all)"
  }).pipe(Flag.optional),
  queue: setting("queue", {
    schema: integer(1, 1_000_000),
    pool: "queue-capacity",
    metavar: "N",
    description: "requests that wait for a worker (default 1024)"
  }).pipe(Flag.withDefault(1024)),
  batch: setting("batch", {
    schema: integer(1, 1_000_000),
    pool: "batch-size",
    metavar: "N",
    description: "requests that start before the network gets its turn (default 64)"
  }).pipe(Flag.withDefault(64)),
  timeLimit: setting("time-limit", {
    schema: timeLimits,
    metavar: "TIME",
    description:
      "how long a request may wait and run before its client is told to try again later; one for all, or of the classes control, metadata, data and bulk, such as metadata=10s,bulk=2m (default 30s)"
  }).pipe(
    Flag.map((text) => PerClass.parse(text, toDuration, defaultTimeLimits)),
    Flag.withDefault(defaultTimeLimits)
  ),
  weights: setting("weights", {
    schema: weights,
    metavar: "CLASS=N,...",
    description: `shares of the classes in the requests that start while all have some waiting (default ${Object.entries(
      defaultWeights
    )
      .map(([name, weight]) => `${name}=${weight}`)
      .join(",")})`
  }).pipe(
    Flag.map((text) => PerClass.parse(text, Number, defaultWeights)),
    Flag.withDefault(defaultWeights)
  ),
  memoryLimit: setting("memory-limit", {
    schema: bytes,
    pool: "memory-max-cost",
    metavar: "SIZE",
    description: "most bytes that requests take while they wait and run (default: an eighth of the machine's memory)"
  }).pipe(Flag.map(ByteSize.toNumberUnsafe), Flag.optional),
  memoryLow: setting("memory-low", {
    schema: share,
    metavar: "SHARE",
    description: "share of the process's memory in use from which on fewer requests are let in (default 0.7)"
  }).pipe(Flag.withDefault(0.7)),
  memoryHigh: setting("memory-high", {
    schema: share,
    metavar: "SHARE",
    description: "share of the process's memory in use from which on one request at a time is let in (default 0.9)"
  }).pipe(Flag.withDefault(0.9)),
  export: setting("export", {
    schema: Schema.String.check(Schema.isStartingWith("/", { message: "must begin with /" })),
    metavar: "/NAME",
    description: "the name that clients mount (default /)"
  }).pipe(Flag.withDefault("/")),
  readOnly: option("read-only", "let clients change nothing"),
  squash: setting("squash", {
    schema: choice("none", "root", "all", "self"),
    metavar: "none|root|all|self",
    description:
      "who is not who they say: no one, root, or all, and becomes the anonymous user; with self all become the server's own user (default none for memory, root for DIR, self when it does not run as root)"
  }).pipe(Flag.optional),
  async: option(
    "async",
    "answer new, changed and removed names before they are on the disk: faster, and lost when the machine fails"
  ),
  crossMounts: option("cross-mounts", "let clients into filesystems that are mounted below DIR"),
  stateDir: setting("state-dir", {
    schema: Schema.NonEmptyString,
    metavar: "DIR",
    description: `where the key of file handles is kept, and where files of DIR were seen last (default ${stateDir()})`
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
