/**
 * The flags of `effect-nfs serve`: each is a field of the configuration, and an environment variable as well (`--state-dir`
 * is `EFFECT_NFS_STATE_DIR`). Here they stay text; what it may be is the schema's to say.
 */

import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import * as Reference from "../server/Reference.ts"
import { stateDir } from "../server/StateDir.ts"
import { classes, number } from "./values.ts"

/** A flag with a value. */
export interface Valued {
  /** What it sets: a field of a configuration, or of its only export (`exports[].`). */
  readonly field: string
  readonly metavar: string
  /** Makes JSON of its text; default: text. */
  readonly read?: (text: string) => unknown
  /** Its default here and now, where the schema has a rule. */
  readonly otherwise?: string
  /** What `WorkerPool.layerConfig` calls the variable, which is good, too. */
  readonly pool?: string
}

/** By the flag's name, in the order of the help. */
export const valued: Readonly<Record<string, Valued>> = {
  host: { field: "listen.host", metavar: "ADDRESS" },
  port: { field: "listen.port", metavar: "PORT", read: number },
  portmap: { field: "listen.portmap", metavar: "auto|on|off" },
  squash: { field: "exports[].squash", metavar: "none|root|all|self" },
  "cache-life": { field: "exports[].cacheLife", metavar: "TIME" },
  quota: { field: "exports[].memory.quota", metavar: "SIZE", read: number },
  workers: { field: "pool.workers", metavar: "N", read: number, pool: "max-workers" },
  "min-workers": { field: "pool.minWorkers", metavar: "N", read: number },
  queue: { field: "pool.queue", metavar: "N", read: number, pool: "queue-capacity" },
  batch: { field: "pool.batch", metavar: "N", read: number, pool: "batch-size" },
  "time-limit": { field: "pool.timeLimits", metavar: "TIME", read: classes(String) },
  weights: { field: "pool.weights", metavar: "CLASS=N,...", read: classes(number) },
  "memory-limit": { field: "pool.memory.limit", metavar: "SIZE", read: number, pool: "memory-max-cost" },
  "memory-low": { field: "pool.memory.low", metavar: "SHARE", read: number },
  "memory-high": { field: "pool.memory.high", metavar: "SHARE", read: number },
  "state-dir": { field: "stateDir", metavar: "DIR", otherwise: stateDir() },
  "log-level": { field: "logLevel", metavar: "LEVEL" }
}

/** Flags that are there or not. */
export const switches: Readonly<Record<string, string>> = {
  "read-only": "exports[].readOnly",
  async: "exports[].async",
  "cross-mounts": "exports[].crossMounts"
}

/** The environment variable of a flag. */
export const variableOf = (flag: string): string => `EFFECT_NFS_${flag.toUpperCase().replaceAll("-", "_")}`

const describe = (flag: string, field: string, here?: string): string => {
  const { default: rule, description } = Reference.setting(field)
  const otherwise = here ?? rule
  return `${description}${otherwise === undefined ? "" : ` (default ${otherwise})`} [${variableOf(flag)}]`
}

const valuedFlag = (name: string, { field, metavar, otherwise, pool }: Valued) => {
  const own = Config.String(variableOf(name))
  return Flag.String(name).pipe(
    Flag.withFallbackConfig(
      pool === undefined
        ? own
        : Config.flatMap(
            Config.option(own),
            Option.match({ onNone: () => Config.String(variableOf(pool)), onSome: Config.succeed })
          )
    ),
    Flag.withMetavar(metavar),
    Flag.withDescription(describe(name, field, otherwise)),
    Flag.optional
  )
}

const switchFlag = (name: string, field: string) =>
  Flag.Boolean(name).pipe(
    Flag.withFallbackConfig(Config.Boolean(variableOf(name))),
    Flag.withDescription(describe(name, field)),
    Flag.optional
  )

const mapped = <A, B>(flags: Readonly<Record<string, A>>, make: (name: string, about: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(flags).map(([name, about]) => [name, make(name, about)]))

/** What `serve` is told on its command line. */
export const flags = {
  directory: Argument.String("DIR").pipe(
    Argument.withDescription("directory to serve; without it, an empty filesystem in memory"),
    Argument.optional
  ),
  config: Flag.String("config").pipe(
    Flag.withFallbackConfig(Config.String(variableOf("config"))),
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      `file with all settings (docs/configuration.md); it is read again on SIGHUP, and flags win over it [${variableOf("config")}]`
    ),
    Flag.optional
  ),
  exports: Flag.String("export").pipe(
    Flag.withMetavar("/NAME"),
    Flag.withDescription(
      "the name that clients mount (default /); or /NAME=DIR or /NAME=memory:SIZE, with options such as " +
        `/NAME=DIR,ro,squash=all,allow=10.0.0.0/8, any number of times [${variableOf("export")}]`
    ),
    Flag.atLeast(1),
    Flag.withFallbackConfig(Config.map(Config.String(variableOf("export")), (one) => [one])),
    Flag.withDefault<ReadonlyArray<string>>([])
  ),
  valued: mapped(valued, valuedFlag),
  switches: mapped(switches, switchFlag)
}
