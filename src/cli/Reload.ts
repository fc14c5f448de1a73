/** What SIGHUP does: the configuration is read again, while the server serves. */

import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { ConfiguredServer } from "../server/ConfiguredServer.ts"
import { NfsServer } from "../server/NfsServer.ts"
import type { InvalidConfig, ServerConfig } from "../server/ServerConfig.ts"
import { warnings } from "./Warnings.ts"

/** Gives what waits for the next SIGHUP from now on, as long as the surrounding scope lives. */
export const signals = Effect.acquireRelease(
  Effect.gen(function* () {
    // While one is being followed, any number of them ask for one more.
    const queue = yield* Queue.sliding<void>(1)
    const onSighup = (): void => {
      Queue.offerUnsafe(queue, undefined)
    }
    process.on("SIGHUP", onSighup)
    return { queue, onSighup }
  }),
  ({ onSighup }) => Effect.sync(() => process.off("SIGHUP", onSighup))
).pipe(Effect.map(({ queue }) => Queue.take(queue)))

/** Makes the server what `load` gives. What comes of it is logged, one line a problem. */
export const reload = Effect.fnUntraced(
  function* (load: Effect.Effect<ServerConfig, InvalidConfig>) {
    const { reconfigure } = yield* ConfiguredServer
    const { address } = yield* NfsServer
    const config = yield* load
    const { lost, needRestart } = yield* reconfigure(config)
    for (const field of needRestart) yield* Effect.logWarning(`needs a restart: ${field}`)
    for (const path of lost) yield* Effect.logWarning(`${path} is gone, with all that was in its memory`)
    for (const warning of warnings(config, address.host)) yield* Effect.logWarning(warning)
    yield* Effect.logInfo(`configured anew: ${config.exports.map(({ path }) => path).join(", ") || "no exports"}`)
  },
  Effect.catch(({ message }) =>
    Effect.forEach(message.split("\n"), (line) => Effect.logError(`nothing is changed: ${line}`), { discard: true })
  ),
  Effect.catchDefect((defect) => Effect.logError("nothing is changed", defect))
)
