/** The command line: `effect-nfs serve [DIR]`. What is wrong with it is said in one line, and where help is. */

import { createRequire } from "node:module"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { serve } from "./Serve.ts"

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string }

const command = Command.make("effect-nfs").pipe(
  Command.withDescription("Serves a filesystem over NFS"),
  Command.withSubcommands([serve])
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

const explain = (error: CliError.NonShowHelpErrors): string => {
  if (error._tag !== "InvalidValue" || error.kind !== "flag") return oneLine(error.message)
  // What the schemas of `Settings` say, without what the library says around it.
  const expected = error.expected.replace(/^Schema validation failed: /, "").replace(/^SchemaError\((.*)\)$/s, "$1")
  const given = error.value === "config" ? "" : `, not ${JSON.stringify(error.value)}`
  return oneLine(`--${error.option}: ${expected}${given}`)
}

const oneLine = (message: string): string => message.trim().replaceAll(/\s*\n\s*/g, " ")

/** Runs what the arguments of the process say. */
export const run: Effect.Effect<void, unknown, Command.Environment> = Command.run(command, { version }).pipe(
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)) return Effect.void
    return Cause.hasDies(cause)
      ? Effect.logFatal(cause)
      : Console.error(`effect-nfs: ${oneLine(error instanceof Error ? error.message : String(error))}`)
  }),
  Effect.provideService(CliOutput.Presenter, presenter),
  Effect.provideService(CliConfig.CliConfig, {
    builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]
  })
)
