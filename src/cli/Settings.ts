/** From the command line and a configuration file to a `ServerConfig`; what is wrong is told where it was said. */

import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type * as Command from "effect/cli/Command"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Json from "../server/Json.ts"
import * as ServerConfig from "../server/ServerConfig.ts"
import * as ExportFlag from "./ExportFlag.ts"
import { type flags, switches, valued } from "./Flags.ts"

export type Flags = Command.Command.Config.Infer<typeof flags>

/** A configuration that cannot be. */
export class InvalidConfig extends Data.TaggedError("InvalidConfig")<{
  /** What is wrong, one line each. */
  readonly problems: ReadonlyArray<string>
}> {
  override get message(): string {
    return this.problems.join("\n")
  }
}

type Checked<A> = Result.Result<A, ReadonlyArray<string>>

/** What flags say, and the file that they name as it is now. */
export const load = (flags: Flags): Effect.Effect<ServerConfig.ServerConfig, InvalidConfig> =>
  Effect.suspend(() => {
    const loaded = Option.isSome(flags.config) ? withFile(flags.config.value, flags) : withoutFile(flags)
    return Effect.fromResult(Result.mapError(loaded, (problems) => new InvalidConfig({ problems })))
  })

/** What a file says. */
export const read = (file: string): Checked<ServerConfig.ServerConfig> =>
  Result.map(
    Result.flatMap(content(file), (value) => decode(value, [], file)),
    (config) => located(config, file)
  )

/** A part of the command line: what it is called there, and what it says of which field. */
interface Said {
  readonly by: string
  readonly field: string
  readonly value: unknown
}

/** The flags that are given. Those of exports are about the only one. */
const given = (flags: Flags): ReadonlyArray<Said> => {
  const all = [
    ...Object.entries(valued).map(([name, { field, read = String }]) => ({
      name,
      field,
      value: Option.map(flags.valued[name]!, read)
    })),
    ...Object.entries(switches).map(([name, field]) => ({ name, field, value: flags.switches[name]! }))
  ]
  return all.flatMap(({ field, name, value }) =>
    Option.isNone(value) ? [] : [{ by: `--${name}`, field: field.replace("[]", "[0]"), value: value.value }]
  )
}

const isOfExport = ({ field }: Said): boolean => field.startsWith("exports")

const withFile = (file: string, flags: Flags): Checked<ServerConfig.ServerConfig> => {
  const all = given(flags)
  const misplaced = [
    ...(Option.isSome(flags.directory) ? ["DIR"] : []),
    ...(flags.exports.length > 0 ? ["--export"] : []),
    ...all.filter(isOfExport).map(({ by }) => by)
  ]
  if (misplaced.length > 0) {
    return Result.fail(
      misplaced.map((by) => `${by}: what is exported is in ${file}, say it there or leave out --config`)
    )
  }
  return Result.gen(function* () {
    const config = yield* decode(all.reduce(put, yield* content(file)), all, file)
    const stateDir = Option.isSome(flags.valued["state-dir"]!) ? { stateDir: config.stateDir } : {}
    return { ...located(config, file), ...stateDir }
  })
}

const withoutFile = (flags: Flags): Checked<ServerConfig.ServerConfig> => {
  const several = flags.exports.some((text) => text.includes("="))
  return Result.flatMap(several ? sources(flags) : source(flags), (exports) => {
    const all = [...exports, ...given(flags)]
    return decode(all.reduce<unknown>(put, {}), all)
  })
}

/** DIR or memory, under one name. */
const source = ({ directory, exports }: Flags): Checked<ReadonlyArray<Said>> => {
  if (exports.length > 1)
    return Result.fail(["--export: DIR and memory have one name, for several say /NAME=DIR in each"])
  return Result.succeed([
    { by: "--export", field: "exports", value: [{}] },
    { by: "--export", field: "exports[0].path", value: exports[0] ?? "/" },
    Option.match(directory, {
      onNone: () => ({ by: "memory", field: "exports[0].memory", value: {} }),
      onSome: (path) => ({ by: "DIR", field: "exports[0].directory", value: path })
    })
  ])
}

/** Exports that say each what they are. */
const sources = (flags: Flags): Checked<ReadonlyArray<Said>> => {
  const parsed = flags.exports.map((text): Result.Result<unknown, string> =>
    text.includes("=") ? ExportFlag.parse(text) : Result.fail(`expected what it serves, such as ${text}=DIR`)
  )
  const problems = [
    ...(Option.isSome(flags.directory) ? ["DIR: each --export says what it serves, leave it out there or here"] : []),
    ...given(flags)
      .filter(isOfExport)
      .map(({ by }) => `${by}: is for DIR or memory, say it in each --export`),
    ...parsed.flatMap((one, i) => (Result.isFailure(one) ? [`--export ${flags.exports[i]}: ${one.failure}`] : []))
  ]
  if (problems.length > 0) return Result.fail(problems)
  return Result.succeed([
    { by: "--export", field: "exports", value: [] },
    ...parsed.map((one, i) => ({
      by: `--export ${flags.exports[i]}`,
      field: `exports[${i}]`,
      value: Result.getOrUndefined(one)
    }))
  ])
}

/** JSON with what is said in it. Where that has no place, the schema has something to object to. */
const put = (json: unknown, { field, value }: Said): unknown => {
  const at = (json: unknown, [key, ...deeper]: ReadonlyArray<string>): unknown => {
    if (key === undefined) return value
    if (Array.isArray(json)) return json.toSpliced(Number(key), 1, at(json[Number(key)], deeper))
    if (json !== undefined && typeof json !== "object") return json
    const known = json as Readonly<Record<string, unknown>> | undefined
    return { ...known, [key]: at(known?.[key], deeper) }
  }
  return at(json, field.match(/[^.[\]]+/g) ?? [])
}

/** Checks it all; problems are told by the part of the command line or by the file that has them. */
const decode = (json: unknown, all: ReadonlyArray<Said>, file?: string): Checked<ServerConfig.ServerConfig> =>
  Result.mapError(ServerConfig.decode(json), (problems) =>
    problems.map((problem) => {
      const [, field, what] = /^([\w.[\]]+): (.*)$/s.exec(problem) ?? []
      const said = field === undefined ? undefined : all.findLast((one) => concerns(one.field, field))
      if (said !== undefined) {
        const rest = field!.slice(said.field.length).replace(/^\./, "")
        return `${said.by}: ${rest === "" ? "" : `${rest}: `}${what}`
      }
      return file === undefined ? problem : `${file}: ${problem}`
    })
  )

/** Whether a problem with a field is one with what was said of another, which it is a part of or has as a part. */
const concerns = (said: string, field: string): boolean => isWithin(field, said) || isWithin(said, field)

const isWithin = (field: string, other: string): boolean =>
  field.startsWith(other) && /^([.[]|$)/.test(field.slice(other.length))

const content = (file: string): Checked<unknown> => {
  try {
    return Result.mapError(Json.parse(readFileSync(file, "utf8")), (flaw) => [`${file}:${flaw}`])
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reasons = { ENOENT: "there is no such file", EISDIR: "it is a directory", EACCES: "permission denied" }
    return Result.fail([`${file}: ${reasons[code as keyof typeof reasons] ?? message}`])
  }
}

/** Directories in a file are seen from where it is. */
const located = (config: ServerConfig.ServerConfig, file: string): ServerConfig.ServerConfig => {
  const from = (path: string): string => resolve(dirname(file), path)
  return {
    ...config,
    ...(config.stateDir !== undefined && { stateDir: from(config.stateDir) }),
    exports: config.exports.map((one) =>
      one.directory === undefined ? one : { ...one, directory: from(one.directory) }
    )
  }
}
