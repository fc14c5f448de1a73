/**
 * Puts the tables of settings into docs/configuration.md, as their schema and the command line have them: after each
 * `<!-- settings: FIELD -->` stands one with the parts of that field.
 *
 *     npm run docs
 */

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ExportFlag from "../src/cli/ExportFlag.ts"
import { switches, valued, variableOf } from "../src/cli/Flags.ts"
import { FIXED } from "../src/server/ConfiguredServer.ts"
import { type Setting, setting, settings } from "../src/server/Reference.ts"

export const page = join(import.meta.dirname, "..", "docs", "configuration.md")

const table = /^<!-- settings: (?<field>\S+) -->\n+(?:\|.*\n)*\n*/gm

/** The page with the settings as they are now. */
export const withSettings = (text: string): string =>
  text.replaceAll(table, (_, field: string) => `<!-- settings: ${field} -->\n\n${tableOf(field)}\n`).trimEnd() + "\n"

/** What an export and a rule for its clients have in common is told once. */
const isTerm = ({ field }: Setting): boolean =>
  field.startsWith("exports[].clients[].") && known(field.replace("clients[].", ""))

const known = (field: string): boolean => setting("exports").parts.some((part) => part.field === field)

/** The settings that have a value: those of a section, or of the whole file that are in none. */
const rows = (section: string): ReadonlyArray<Setting> => {
  const parts = section === "." ? settings.filter(({ parts }) => parts.length === 0) : setting(section).parts
  return parts
    .filter((part) => !isTerm(part))
    .flatMap((part) => [part, ...(part.field === "exports[].clients" ? [] : rows(part.field))])
    .filter(({ field, parts }) => parts.length === 0 || field.startsWith("exports[]."))
}

const tableOf = (section: string): string => {
  const lines = rows(section).map((one) =>
    [
      code(one.field),
      flagsOf(one.field),
      one.default === undefined ? "" : one.default,
      change(one.field),
      one.description
    ]
      .map((cell) => cell.replaceAll("|", "\\|"))
      .join(" | ")
  )
  const head = ["field", "flag, variable", "default", "a change", "what it is"]
  return [head.join(" | "), head.map(() => "---").join(" | "), ...lines].map((line) => `| ${line} |\n`).join("")
}

const code = (text: string): string => `\`${text}\``

/** How a setting is called on the command line, and in the environment. */
const flagsOf = (field: string): string => {
  const names = [
    ...Object.entries(valued).flatMap(([name, flag]) => (flag.field === field ? [[name, flag.pool]] : [])),
    ...Object.entries(switches).flatMap(([name, other]) => (other === field ? [[name]] : []))
  ].flatMap(([name, pool]) => [`--${name}`, variableOf(name!), ...(pool === undefined ? [] : [variableOf(pool)])])
  const options = ExportFlag.fields.flatMap(([option, other]) => (`exports[].${other}` === field ? [option] : []))
  return [...names, ...(special[field] ?? []), ...options].map(code).join(", ")
}

/** What is no option of `--export`, but a part of its form. */
const special: Readonly<Record<string, ReadonlyArray<string>>> = {
  "exports[].path": ["--export", variableOf("export")],
  "exports[].directory": ["DIR", "/NAME=DIR"],
  "exports[].memory": ["/NAME=memory"],
  "exports[].memory.quota": ["/NAME=memory:SIZE"],
  "exports[].clients": ["allow=", "deny="],
  "exports[].clients[].match": ["allow=MATCH"],
  "exports[].clients[].deny": ["deny=MATCH"]
}

const change = (field: string): string =>
  FIXED.includes(field) || field === "exports[].memory.quota" ? "restart" : "at once"

if (import.meta.main) {
  const before = readFileSync(page, "utf8")
  const after = withSettings(before)
  if (after !== before) writeFileSync(page, after)
}
