/** docs/configuration.md has every setting, and its examples are configurations. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Reference from "../../src/server/Reference.ts"
import * as ServerConfig from "../../src/server/ServerConfig.ts"
import { page, withSettings } from "../../tools/settings.ts"

const root = join(import.meta.dirname, "../..")

const leaves = (all: ReadonlyArray<Reference.Setting>): ReadonlyArray<string> =>
  all.flatMap(({ field, parts }) => (parts.length === 0 ? [field] : leaves(parts)))

describe("docs/configuration.md", () => {
  const text = readFileSync(page, "utf8")

  it("is what the schema says: otherwise, run `npm run docs`", () => {
    expect(text).toBe(withSettings(text))
  })

  it("has every setting once", () => {
    const told = [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, field]) => field)
    expect(new Set(told).size).toBe(told.length)
    // The terms of a rule are told as those of an export.
    const terms = leaves(Reference.settings).map((field) => field.replace(/\.clients\[\]\.(?!match|deny)/, "."))
    expect(told).toEqual(expect.arrayContaining(terms))
  })

  it.each(["README.md", "docs/configuration.md", "docs/security.md"])("and %s have examples that are taken", (file) => {
    const examples = readFileSync(join(root, file), "utf8").matchAll(/^( *)\{\n(?:.*\n)*?\1\}$/gm)
    const parsed = [...examples]
      .filter(([text]) => text.includes('"exports"'))
      .map(([text]) => ServerConfig.parse(text))
    expect(parsed).toEqual([Result.succeed(expect.anything())])
  })
})
