/** The command line: `effect-nfs serve [DIR]` and `check FILE`. What is wrong is said in one line each, and where help is. */

import { createRequire } from "node:module"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { InvalidConfig } from "../server/ServerConfig.ts"
import { check } from "./Check.ts"
import { serve } from "./Serve.ts"

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string }

const command = Command.make("effect-nfs").pipe(
  Command.withDescription("Serves a filesystem over NFS"),
  Command.withSubcommands([serve, check])
)

/** The help for a mistake is one line; all of it is for who asks. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.forEach(
          event.errors,
          (error) => Console.error(`effect-nfs: ${explain(error)} (see ${event.commandPath.join(" ")} --help)`),
          {
            discard: true
          }
        )
      : CliOutput.defaultPresenter.present(event)
}

const explain = (error: CliError.NonShowHelpErrors): string => oneLine(error.message)

const oneLine = (message: string): string => message.trim().replaceAll(/\s*\n\s*/g, " ")

/** Runs what the arguments of the process say. */
export const run: Effect.Effect<void, unknown, Command.Environment> = Command.run(command, { version }).pipe(
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)) return Effect.void
    if (error instanceof InvalidConfig) {
      return Effect.forEach(error.problems, (problem) => Console.error(`effect-nfs: ${problem}`), { discard: true })
    }
    return Cause.hasDies(cause)
      ? Effect.logFatal(cause)
      : Console.error(`effect-nfs: ${oneLine(error instanceof Error ? error.message : String(error))}`)
  }),
  Effect.provideService(CliOutput.Presenter, presenter),
  Effect.provideService(CliConfig.CliConfig, {
    builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]
  })
)
