/**
 * The program `effect-nfs`. `bin/effect-nfs.js` loads it once it has made sure that this Node can.
 *
 * A signal ends it in an orderly way: no new connections, requests in progress finish, replies are flushed, exit code 0.
 */

import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Cli from "./cli/Cli.ts"

/** Longer than every orderly shutdown takes. */
const PATIENCE = 15_000

// `process.exit` can wait for ever for a thread that is blocked in a file system; this cannot.
const endAtOnce = (): void => {
  process.kill(process.pid, "SIGKILL")
}

const onSignal = (): void => {
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal)
  process.on("SIGINT", endAtOnce).on("SIGTERM", endAtOnce)
  setTimeout(endAtOnce, PATIENCE).unref()
}
process.on("SIGINT", onSignal).on("SIGTERM", onSignal)

NodeRuntime.runMain(Cli.run.pipe(Effect.provide(NodeServices.layer)), {
  disableErrorReporting: true,
  teardown: (exit, done) => Runtime.defaultTeardown(exit, (code) => done(code === 130 ? 0 : code))
})
