/**
 * A server as a configuration says, which can be told another one while it serves.
 *
 * ```ts
 * const Server = ConfiguredServer.layer({ exports: [{ path: "/", directory: "./dir" }] })
 * ```
 */

import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
import { defaultWorkers, type Pool, type ServerConfig } from "./ServerConfig.ts"
import * as Sources from "./Sources.ts"
import { stateDir } from "./StateDir.ts"

export class ConfiguredServer extends Context.Service<
  ConfiguredServer,
  {
    /**
     * Makes the server what this configuration says, as `NfsServer.reconfigure` does: without a request that fails, and when
     * there is a filesystem that cannot be served, not at all. Gives the fields that say something else than what holds,
     * because only a restart changes it.
     */
    readonly reconfigure: (
      config: ServerConfig
    ) => Effect.Effect<ReadonlyArray<string>, ExportsError | LocalFilesystemError>
  }
>()("effect-nfs/ConfiguredServer") {
  /** Serves as long as its scope lives. Who uses the layer logs by `logLevel`, too. */
  static readonly layer = (
    config: ServerConfig
  ): Layer.Layer<
    ConfiguredServer | NfsServer | WorkerPool,
    ListenError | PortmapError | ExportsError | LocalFilesystemError | PoolSizeInvalid
  > =>
    Layer.unwrap(
      Effect.gen(function* () {
        const directory = config.stateDir ?? stateDir()
        const sources = Sources.of(config.exports, Sources.none, directory)
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
      function* (config) {
        const { exports, limits = {}, logLevel = "info" } = config
        const next = Sources.of(exports, sources, directory)
        yield* server.reconfigure({ exports: Sources.options(exports, next), limits })
        sources = next
        const { max, min } = sizeOf(config)
        if (max !== size.max || min !== size.min) yield* Effect.orDie(pool.resize(max, min))
        size = { max, min }
        logging.setLevel(logLevel)
        return [...FIXED.filter((field) => differs(first, config, field)), ...Sources.unchangeable(exports, next)]
      },
      Effect.uninterruptible,
      turn.withPermits(1)
    )
  })
})

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

const differs = (one: ServerConfig, other: ServerConfig, field: string): boolean =>
  JSON.stringify(valueOf(one, field)) !== JSON.stringify(valueOf(other, field))

const valueOf = (config: ServerConfig, field: string): unknown =>
  field
    .split(".")
    .reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], config)
