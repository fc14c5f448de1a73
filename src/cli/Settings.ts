/** From the command line and a configuration file to a `ServerConfig`; what is wrong is told where it was said. */

import { constants, readFileSync } from "node:fs"
import { access, realpath, stat } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Json from "../server/Json.ts"
import * as ServerConfig from "../server/ServerConfig.ts"
import * as ExportFlag from "./ExportFlag.ts"
import { type flags, switches, valued } from "./Flags.ts"
import { put } from "./values.ts"

export type Flags = Command.Command.Config.Infer<typeof flags>

type Checked<A> = Result.Result<A, ReadonlyArray<string>>

/** A configuration, with what on the command line and which file it comes from. */
interface Loaded {
  readonly config: ServerConfig.ServerConfig
  readonly said: ReadonlyArray<Said>
  readonly file?: string
}

/** What flags say, and the file that they name as it is now; all directories are there. */
export const load = (flags: Flags): Effect.Effect<ServerConfig.ServerConfig, ServerConfig.InvalidConfig> =>
  servable(() => (Option.isSome(flags.config) ? withFile(flags.config.value, flags) : withoutFile(flags)))

/** What a file says; all directories are there. */
export const read = (file: string): Effect.Effect<ServerConfig.ServerConfig, ServerConfig.InvalidConfig> =>
  servable(() =>
    Result.map(
      Result.flatMap(content(file), (value) => decode(value, [], file)),
      (config) => ({ config: located(config, file), said: [], file })
    )
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

const withFile = (file: string, flags: Flags): Checked<Loaded> => {
  const said = given(flags)
  const misplaced = [
    ...(Option.isSome(flags.directory) ? ["DIR"] : []),
    ...(flags.exports.length > 0 ? ["--export"] : []),
    ...said.filter(isOfExport).map(({ by }) => by)
  ]
  if (misplaced.length > 0) {
    return Result.fail(
      misplaced.map((by) => `${by}: what is exported is in ${file}, say it there or leave out --config`)
    )
  }
  return Result.gen(function* () {
    const config = yield* decode(said.reduce(put, yield* content(file)), said, file)
    const stateDir = Option.isSome(flags.valued["state-dir"]!) ? { stateDir: config.stateDir } : {}
    return { config: { ...located(config, file), ...stateDir }, said, file }
  })
}

const withoutFile = (flags: Flags): Checked<Loaded> => {
  const several = flags.exports.some((text) => text.includes("="))
  return Result.flatMap(several ? sources(flags) : source(flags), (exports) => {
    const said = [...exports, ...given(flags)]
    return Result.map(decode(said.reduce<unknown>(put, {}), said), (config) => ({ config, said }))
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

/** Checks all that can be told without looking at a disk. */
const decode = (json: unknown, all: ReadonlyArray<Said>, file?: string): Checked<ServerConfig.ServerConfig> =>
  Result.mapError(ServerConfig.decode(json), (problems) => problems.map((problem) => told(problem, all, file)))

/** The configuration, if its directories are there, with where they really are. */
const servable = Effect.fnUntraced(function* (
  load: () => Checked<Loaded>
): Effect.fn.Return<ServerConfig.ServerConfig, ServerConfig.InvalidConfig> {
  const loaded = load()
  if (Result.isFailure(loaded)) return yield* new ServerConfig.InvalidConfig({ problems: loaded.failure })
  const { config, file, said } = loaded.success
  const exports = yield* Effect.validate(config.exports, (one, i) =>
    one.directory === undefined
      ? Effect.succeed(one)
      : found(one.directory).pipe(
          Effect.map((directory) => ({ ...one, directory })),
          Effect.mapError((problem) => told(`exports[${i}].directory: ${problem}`, said, file))
        )
  ).pipe(Effect.mapError((problems) => new ServerConfig.InvalidConfig({ problems })))
  return { ...config, exports }
})

/**
 * Where a directory really is; fails with why it cannot be served, if it cannot. A disk that hangs shall not hold up who is
 * served already.
 */
const found = (directory: string): Effect.Effect<string, string> =>
  Effect.tryPromise({
    try: async () => {
      const path = await realpath(directory)
      if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" })
      await access(path, constants.R_OK | constants.X_OK)
      return path
    },
    catch: (error) => {
      const { code } = error as NodeJS.ErrnoException
      return `${objections[code as keyof typeof objections] ?? "cannot be read:"} ${directory}`
    }
  })

const objections = {
  ENOENT: "there is no directory",
  ENOTDIR: "expected a directory, got",
  EACCES: "this user may not read"
}

/** A problem with the part of the command line before it that has it, or with the file. */
const told = (problem: string, all: ReadonlyArray<Said>, file: string | undefined): string => {
  const [, field, what] = /^([\w.[\]]+): (.*)$/s.exec(problem) ?? []
  // Where there is a file, what is not said by a flag itself is said there.
  const concerns = file === undefined ? areRelated : isWithin
  const said = field === undefined ? undefined : all.findLast((one) => concerns(field, one.field))
  if (said !== undefined) {
    const rest = field!.slice(said.field.length).replace(/^\./, "")
    return `${said.by}: ${rest === "" ? "" : `${rest}: `}${what}`
  }
  return file === undefined ? problem : `${file}: ${problem}`
}

/** Whether a field is a part of another, or has it as a part. */
const areRelated = (field: string, other: string): boolean => isWithin(field, other) || isWithin(other, field)

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
