/** All settings, as their schema describes them: what help and docs/configuration.md are made from. */

import type * as SchemaAST from "effect/SchemaAST"
import { ServerConfig } from "./ServerConfig.ts"

export interface Setting {
  /** Where it stands in a file: `exports[].readOnly`. */
  readonly field: string
  readonly description: string
  /** What holds when it is left out, for people; `undefined` when it cannot be, or when that means nothing. */
  readonly default: string | undefined
  /** The settings that it consists of. */
  readonly parts: ReadonlyArray<Setting>
}

/** The parts of a struct, or of the members of a list. */
const partsOf = (ast: SchemaAST.AST, field: string): ReadonlyArray<Setting> => {
  if (ast._tag === "Arrays") return ast.rest.flatMap((member) => partsOf(member, `${field}[]`))
  if (ast._tag !== "Objects") return []
  return ast.propertySignatures.map(({ name, type }) =>
    settingOf(type, field === "" ? String(name) : `${field}.${String(name)}`)
  )
}

const settingOf = (ast: SchemaAST.AST, field: string): Setting => {
  const { default: value, description = "" } = { ...ast.annotations, ...ast.context?.annotations }
  const [, text = description, otherwise] = /^(.*) \(default: (.*)\)$/s.exec(description) ?? []
  return {
    field,
    description: text,
    default: otherwise ?? (value === undefined || value === false ? undefined : format(value)),
    parts: partsOf(whole(ast), field)
  }
}

/** What is there when it is not left out. */
const whole = (ast: SchemaAST.AST): SchemaAST.AST => {
  if (ast._tag !== "Union") return ast
  const [member, ...others] = ast.types.filter(({ _tag }) => _tag !== "Undefined")
  return member !== undefined && others.length === 0 ? member : ast
}

/** A value as people write it. */
const format = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(format).join(", ")
  if (typeof value !== "object" || value === null) return String(value)
  return Object.entries(value)
    .map(([key, value]) => `${key}=${format(value)}`)
    .join(",")
}

/** The settings of a {@link ServerConfig}, in its order. */
export const settings: ReadonlyArray<Setting> = partsOf(ServerConfig.ast, "")

const flat = (settings: ReadonlyArray<Setting>): ReadonlyArray<Setting> =>
  settings.flatMap((setting) => [setting, ...flat(setting.parts)])

const byField = new Map(flat(settings).map((setting) => [setting.field, setting]))

/** The setting that stands there; a defect when there is none. */
export const setting = (field: string): Setting => {
  const found = byField.get(field)
  if (found === undefined) throw new Error(`there is no setting ${field}`)
  return found
}
