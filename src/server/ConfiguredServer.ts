/**
 * A server as a configuration says, which can be told another one while it serves.
 *
 * ```ts
 * const Server = ConfiguredServer.layer({ exports: [{ path: "/", directory: "./dir" }] })
 * ```
 */

import { resolve } from "node:path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { ExportsError } from "../exports/Exports.ts"
import { SharedState } from "../exports/SharedState.ts"
import type { LocalFilesystemError } from "../filesystem/local/LocalFilesystem.ts"
import { toBytes, toMillis } from "../pool/Units.ts"
import { type PoolSizeInvalid, standardPriorities, WorkerPool } from "../pool/WorkerPool.ts"
import type { ListenError } from "../rpc/RpcServer.ts"
import * as Logging from "./Logging.ts"
import { NfsServer } from "./NfsServer.ts"
import * as PerClass from "./PerClass.ts"
import type { PortmapError } from "./Portmap.ts"
import * as Reference from "./Reference.ts"
import { decode, defaultWorkers, InvalidConfig, type Pool, type ServerConfig } from "./ServerConfig.ts"
import * as Sources from "./Sources.ts"
import { stateDir } from "./StateDir.ts"

/** What has become of a configuration. */
export interface Outcome {
  /** The fields that say something else than what holds, because only a restart changes it. */
  readonly needRestart: ReadonlyArray<string>
  /** The paths of exports from memory that are gone, and all that was in them. */
  readonly lost: ReadonlyArray<string>
}

export class ConfiguredServer extends Context.Service<
  ConfiguredServer,
  {
    /**
     * Makes the server what this configuration says, as `NfsServer.reconfigure` does: without a request that fails, and when
     * something is wrong, or there is a filesystem that cannot be served, not at all.
     */
    readonly reconfigure: (
      config: ServerConfig
    ) => Effect.Effect<Outcome, InvalidConfig | ExportsError | LocalFilesystemError>
  }
>()("effect-nfs/ConfiguredServer") {
  /** Serves as long as its scope lives. Who uses the layer logs by `logLevel`, too. */
  static readonly layer = (
    said: ServerConfig
  ): Layer.Layer<
    ConfiguredServer | NfsServer | WorkerPool,
    InvalidConfig | ListenError | PortmapError | ExportsError | LocalFilesystemError | PoolSizeInvalid
  > =>
    Layer.unwrap(
      Effect.gen(function* () {
        const config = yield* valid(said)
        const directory = config.stateDir ?? stateDir()
        const sources = yield* Sources.of(config.exports, [], directory)
        const logging = yield* Logging.make(config.logLevel ?? "info")
        return Layer.effect(ConfiguredServer, make(config, sources, directory, logging)).pipe(
          Layer.provideMerge(server(config, sources)),
          Layer.provideMerge(pool(config)),
          Layer.provide(SharedState.layerFile(directory)),
          Layer.provideMerge(Layer.succeedContext(logging.context))
        )
      })
    )
}

/** The same as `ConfiguredServer.layer`. */
export const { layer } = ConfiguredServer

/** What keeps its value until the next start, besides the quotas of filesystems in memory. */
export const FIXED: ReadonlyArray<string> = [
  "listen.host",
  "listen.port",
  "listen.portmap",
  "pool.queue",
  "pool.batch",
  "pool.timeLimits",
  "pool.weights",
  "pool.memory.limit",
  "pool.memory.low",
  "pool.memory.high",
  "stateDir"
]

const make = Effect.fnUntraced(function* (
  first: ServerConfig,
  opened: Sources.Sources,
  directory: string,
  logging: Logging.Logging
) {
  const server = yield* NfsServer
  const pool = yield* WorkerPool
  const turn = yield* Semaphore.make(1)
  let sources = opened
  let size = sizeOf(first)
  return ConfiguredServer.of({
    reconfigure: Effect.fnUntraced(
      function* (said) {
        const config = yield* valid(said)
        const { exports, limits = {}, logLevel = "info" } = config
        const next = yield* Effect.interruptible(Sources.of(exports, sources, directory))
        yield* server.reconfigure({ exports: Sources.options(exports, next), limits })
        const lost = Sources.lost(sources, next)
        sources = next
        const { max, min } = sizeOf(config)
        if (max !== size.max || min !== size.min) yield* Effect.orDie(pool.resize(max, min))
        size = { max, min }
        logging.setLevel(logLevel)
        const needRestart = FIXED.filter((field) => differs(first, config, field))
        return { lost, needRestart: [...needRestart, ...Sources.unchangeable(exports, next)] }
      },
      Effect.uninterruptible,
      turn.withPermits(1)
    )
  })
})

/** What comes from code may be anything, too. */
const valid = (config: ServerConfig): Effect.Effect<ServerConfig, InvalidConfig> =>
  Effect.fromResult(Result.mapError(decode(config), (problems) => new InvalidConfig({ problems })))

const server = ({ exports, limits, listen = {}, pool = {} }: ServerConfig, sources: Sources.Sources) =>
  NfsServer.layer({
    ...listen,
    portmap: listen.portmap ?? "auto",
    limits,
    timeLimits: timeLimitsOf(pool),
    exports: Sources.options(exports, sources)
  })

/** How many workers there may be, and there are at least. */
const sizeOf = ({ pool: { minWorkers, workers = defaultWorkers() } = {} }: ServerConfig) => ({
  max: workers,
  min: minWorkers ?? workers
})

const pool = ({ pool = {} }: ServerConfig) => {
  const weights = weightsOf(pool)
  const { limit, ...watermarks } = pool.memory ?? {}
  return WorkerPool.layer({
    maxWorkers: pool.workers,
    minWorkers: pool.minWorkers,
    queueCapacity: pool.queue,
    batchSize: pool.batch,
    priorities: PerClass.make((priority) => ({ ...standardPriorities[priority], weight: weights[priority] })),
    memory: { ...watermarks, maxCost: limit === undefined ? undefined : toBytes(limit) }
  })
}

/** How long requests of each class may wait and run. */
export const timeLimitsOf = ({ timeLimits }: Pool): PerClass.PerClass<Duration.Duration> => {
  const said = PerClass.of(
    timeLimits,
    PerClass.make(() => "30s")
  )
  return PerClass.make((priority) => Duration.millis(toMillis(said[priority])!))
}

/** How the classes are ranked. */
export const weightsOf = ({ weights }: Pool): PerClass.PerClass<number> => PerClass.of(weights, standardWeights)

export const standardWeights = PerClass.make((priority): number => standardPriorities[priority].weight)

/** Whether a field means something else in another configuration, however it is written. */
const differs = (one: ServerConfig, other: ServerConfig, field: string): boolean =>
  meaning(one, field) !== meaning(other, field)

const meaning = (config: ServerConfig, field: string): string => {
  const { pool = {} } = config
  switch (field) {
    case "pool.timeLimits":
      return JSON.stringify(timeLimitsOf(pool))
    case "pool.weights":
      return JSON.stringify(weightsOf(pool))
    case "pool.memory.limit":
      return String(pool.memory?.limit === undefined ? undefined : toBytes(pool.memory.limit))
    case "stateDir":
      return resolve(config.stateDir ?? stateDir())
    default:
      return `${valueOf(config, field) ?? Reference.setting(field).default}`
  }
}

/** The value of a field that has no parts. */
const valueOf = (config: ServerConfig, field: string): string | number | undefined =>
  field
    .split(".")
    .reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], config) as
    | string
    | number
    | undefined
