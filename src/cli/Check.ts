/** `effect-nfs check FILE`: what a configuration would export to whom, or what is wrong with it. */

import { accessSync, constants, statSync } from "node:fs"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { defaults, settle, type Settled } from "../exports/Policy.ts"
import type { Export, ServerConfig } from "../server/ServerConfig.ts"
import * as Sources from "../server/Sources.ts"
import { InvalidConfig, read } from "./Settings.ts"
import { warnings } from "./Warnings.ts"

export const check = Command.make(
  "check",
  { file: Argument.String("FILE").pipe(Argument.withDescription("configuration file")) },
  ({ file }) =>
    Effect.gen(function* () {
      const config = yield* Effect.fromResult(read(file)).pipe(
        Effect.mapError((problems) => new InvalidConfig({ problems }))
      )
      const problems = config.exports.flatMap((one, i) => unservable(one, `${file}: exports[${i}].directory`))
      if (problems.length > 0) return yield* new InvalidConfig({ problems })
      yield* Console.log(summary(config))
      for (const warning of warnings(config)) yield* Console.error(`effect-nfs: warning: ${warning}`)
    })
).pipe(Command.withDescription("Checks a configuration file, and prints what it exports to whom"))

/** Why a directory cannot be served, if it cannot. */
const unservable = ({ directory }: Export, field: string): ReadonlyArray<string> => {
  if (directory === undefined) return []
  const problem = (what: string) => [`${field}: ${what} ${directory}`]
  try {
    if (!statSync(directory).isDirectory()) return problem("expected a directory, got")
    accessSync(directory, constants.R_OK | constants.X_OK)
    return []
  } catch (error) {
    const reasons = { ENOENT: "there is no directory", EACCES: "this user may not read" }
    return problem(reasons[(error as NodeJS.ErrnoException).code as keyof typeof reasons] ?? "cannot be read:")
  }
}

/** What is exported to whom, and on which terms. */
const summary = ({ exports, listen: { host = "127.0.0.1", port = 2049 } = {} }: ServerConfig): string =>
  [`listens on ${host}, port ${port}`, ...exports.flatMap(described)].join("\n")

const described = (one: Export): ReadonlyArray<string> => {
  const own = settle({ ...one, squash: Sources.squashOf(one) }, defaults)
  const from = one.directory === undefined ? "memory" : Sources.directoryOf(one.directory)
  const rules = one.clients?.map((rule) => [rule.match, rule.deny === true ? "nothing" : termsOf(settle(rule, own))])
  const clients = rules === undefined ? [["everybody", termsOf(own)]] : [...rules, ["others", "nothing"]]
  return [`${one.path} from ${from}`, ...clients.map(([who, what]) => `  ${who}: ${what}`)]
}

const termsOf = ({ anonymousGid, anonymousUid, flavors, privilegedPort, readOnly, squash }: Settled): string =>
  [
    readOnly ? "read-only" : "read-write",
    `squash ${squash}`,
    ...(anonymousUid === defaults.anonymousUid && anonymousGid === defaults.anonymousGid
      ? []
      : [`anonymous ${anonymousUid}:${anonymousGid}`]),
    ...(privilegedPort ? ["from ports below 1024"] : []),
    ...(flavors.length === defaults.flavors.length ? [] : [`flavor ${flavors.join(", ")}`])
  ].join(", ")
