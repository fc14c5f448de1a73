/** Log messages, kept for a look instead of printed. */

import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

export interface Logs {
  /** Each as its level and text: `"Warn: something"`. */
  readonly messages: Array<string>
  /** What makes log messages come here. */
  readonly context: Context.Context<never>
  readonly layer: Layer.Layer<never>
}

export const make = (): Logs => {
  const messages: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    messages.push(`${logLevel}: ${Array.isArray(message) ? message.map(String).join(" ") : String(message)}`)
  })
  const context = Context.make(Logger.CurrentLoggers, new Set([logger])).pipe(
    Context.add(References.MinimumLogLevel, "All")
  )
  return { messages, context, layer: Layer.succeedContext<never>(context) }
}
