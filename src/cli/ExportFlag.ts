/**
 * An export on the command line, `/data=./dir,ro,allow=10.0.0.0/8+rw,deny=*`: what a configuration file says in JSON, in one
 * word. What the values may be is the schema's to say.
 */

import * as Result from "effect/Result"
import { number, put } from "./values.ts"

type Json = Readonly<Record<string, unknown>>

/** A part of an export's text: the field that it is about, and what it says of it, given what is behind its `=`. */
interface Option {
  readonly field: string
  /** `undefined` when there is nothing behind `=` and should be, or the other way round. */
  readonly meaning: (value: string | undefined) => unknown
}

const word = (field: string, meaning: boolean): Option => ({
  field,
  meaning: (value) => (value === undefined ? meaning : undefined)
})

const valued = (field: string, meaning: (text: string) => unknown = (text) => text): Option => ({
  field,
  meaning: (value) => (value === undefined ? undefined : meaning(value))
})

type Options = Readonly<Record<string, Option>>

const terms: Options = {
  ro: word("readOnly", true),
  rw: word("readOnly", false),
  squash: valued("squash"),
  anonuid: valued("anonymousUid", number),
  anongid: valued("anonymousGid", number),
  "privileged-port": word("privilegedPort", true),
  flavors: valued("flavors", (text) => text.split("+"))
}

const options: Options = {
  ...terms,
  async: word("async", true),
  "cross-mounts": word("crossMounts", true),
  "cache-life": valued("cacheLife"),
  fsid: valued("fsid", number),
  "max-file-size": valued("maxFileSize", number),
  "calls-per-second": valued("rate.callsPerSecond", number),
  "bytes-per-second": valued("rate.bytesPerSecond", number),
  burst: valued("rate.burst", number)
}

/** How a rule for clients begins. */
const RULE = /^(allow|deny)=/

/** A comma that no backslash makes part of a name. */
const COMMA = /(?<!\\),/

/** A plus that does not stand between flavours. */
const PLUS = /\+(?!(?:sys|none)(?:\+|$))/

/** What `/NAME=SOURCE,OPTION,...` says; or what is wrong with it. */
export const parse = (text: string): Result.Result<Json, string> => {
  const [path = ""] = text.split("=", 1)
  const [from = "", ...parts] = text.slice(path.length + 1).split(COMMA)
  return Result.gen(function* () {
    const rules: Array<Json> = []
    for (const part of parts.filter((part) => RULE.test(part))) {
      const [match, ...own] = part.replace(RULE, "").split(PLUS)
      const deny = part.startsWith("deny") ? { deny: true } : {}
      rules.push({ match, ...deny, ...(yield* gather(own, terms)) })
    }
    const own = yield* gather(
      parts.filter((part) => !RULE.test(part)),
      options
    )
    return { path, ...source(from), ...own, ...(rules.length > 0 && { clients: rules }) }
  })
}

const source = (text: string): Json => {
  if (text === "memory") return { memory: {} }
  if (text.startsWith("memory:")) return { memory: { quota: number(text.slice("memory:".length)) } }
  return { directory: text.replaceAll("\\,", ",") }
}

const gather = (parts: ReadonlyArray<string>, known: Options): Result.Result<Json, string> => {
  const said = new Map<string, unknown>()
  for (const part of parts) {
    const [name = "", ...value] = part.split("=")
    const option = Object.hasOwn(known, name) ? known[name] : undefined
    const meaning = option?.meaning(value.length === 0 ? undefined : value.join("="))
    if (option === undefined || meaning === undefined) {
      return Result.fail(`expected ${syntax(known).join(", ")}, got ${JSON.stringify(part)}`)
    }
    if (said.has(option.field))
      return Result.fail(`expected ${option.field} to be said once, got ${JSON.stringify(part)}, too`)
    said.set(option.field, meaning)
  }
  return Result.succeed(Array.from(said, ([field, value]) => ({ field, value })).reduce<unknown>(put, {}) as Json)
}

/** How options are written. */
const syntax = (known: Options): ReadonlyArray<string> => [
  ...Object.entries(known).map(([name, { meaning }]) => (meaning(undefined) === undefined ? `${name}=` : name)),
  ...(known === options ? ["allow=", "deny="] : [])
]

/** The options and the fields that they stand for, for the documentation. */
export const fields: ReadonlyArray<readonly [option: string, field: string]> = Object.entries(options).map(
  ([name, { field, meaning }]) => [meaning(undefined) === undefined ? `${name}=` : name, field]
)
