/** The least important messages that are logged, which may be others at any time. */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type { ServerConfig } from "./ServerConfig.ts"

export type Level = NonNullable<ServerConfig["logLevel"]>

const LEVELS = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  none: "None"
} as const satisfies Record<Level, LogLevel.LogLevel>

export interface Logging {
  /** What makes the loggers of now leave out what is less important. */
  readonly context: Context.Context<never>
  readonly setLevel: (level: Level) => void
}

/** Fibers keep the level that they begin with, so all messages come here, and the loggers get those of the level of now. */
export const make = Effect.fnUntraced(function* (level: Level): Effect.fn.Return<Logging> {
  let minimum: LogLevel.LogLevel = LEVELS[level]
  const filtered = Array.from(yield* Logger.CurrentLoggers, (logger) =>
    Logger.make<unknown, void>((options) => {
      if (LogLevel.isGreaterThanOrEqualTo(options.logLevel, minimum)) logger.log(options)
    })
  )
  return {
    context: Context.make(Logger.CurrentLoggers, new Set(filtered)).pipe(
      Context.add(References.MinimumLogLevel, "All")
    ),
    setLevel: (level) => {
      minimum = LEVELS[level]
    }
  }
})
