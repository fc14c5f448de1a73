/** `effect-nfs check FILE`: what a configuration would export to whom, or what is wrong with it. */

import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { defaults, settle, type Settled } from "../exports/Policy.ts"
import type { Export, ServerConfig } from "../server/ServerConfig.ts"
import * as Sources from "../server/Sources.ts"
import { read } from "./Settings.ts"
import { warnings } from "./Warnings.ts"

export const check = Command.make(
  "check",
  { file: Argument.String("FILE").pipe(Argument.withDescription("configuration file")) },
  ({ file }) =>
    Effect.gen(function* () {
      const config = yield* read(file)
      yield* Console.log(summary(config))
      for (const warning of warnings(config)) yield* Console.error(`effect-nfs: warning: ${warning}`)
    })
).pipe(Command.withDescription("Checks a configuration file, and prints what it exports to whom"))

/** What is exported to whom, and on which terms. */
const summary = ({ exports, listen: { host = "127.0.0.1", port = 2049 } = {} }: ServerConfig): string =>
  [`listens on ${host}, port ${port}`, ...exports.flatMap(described)].join("\n")

const described = (one: Export): ReadonlyArray<string> => {
  const own = settle({ ...one, squash: Sources.squashOf(one) }, defaults)
  const from = one.directory ?? "memory"
  const rules = one.clients?.map((rule) => [rule.match, rule.deny === true ? "nothing" : termsOf(settle(rule, own))])
  const clients = rules === undefined ? [["everybody", termsOf(own)]] : [...rules, ["others", "nothing"]]
  return [
    [`${one.path} from ${from}`, ...specialsOf(one)].join(", "),
    ...clients.map(([who, what]) => `  ${who}: ${what}`)
  ]
}

/** What is not as it is by default, whoever asks. */
const specialsOf = ({
  async,
  cacheLife,
  crossMounts,
  maxFileSize,
  memory,
  rate = {}
}: Export): ReadonlyArray<string> => [
  ...(memory?.quota === undefined ? [] : [`at most ${bytes(memory.quota)}`]),
  ...(async === true ? ["async"] : []),
  ...(crossMounts === true ? ["with what is mounted below"] : []),
  ...(cacheLife === undefined ? [] : [`remembered for ${cacheLife}`]),
  ...(maxFileSize === undefined ? [] : [`files of at most ${bytes(maxFileSize)}`]),
  ...(rate.callsPerSecond === undefined ? [] : [`${rate.callsPerSecond} calls a second`]),
  ...(rate.bytesPerSecond === undefined ? [] : [`${bytes(rate.bytesPerSecond)} a second`])
]

const bytes = (size: string | number): string => (typeof size === "string" ? size : `${size} bytes`)

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
