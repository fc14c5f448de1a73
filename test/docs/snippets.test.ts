/** What README.md and the pages of docs/ show as TypeScript compiles. (Whole examples are run: `examples.test.ts`.) */

import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "../support/commands.ts"

const root = join(import.meta.dirname, "../..")

/** What the pages leave to the reader. */
const ambient = `
declare const slow: import("effect/Layer").Layer<import("effect-nfs").Filesystem.Filesystem>
declare const fetchPage: (url: string) => import("effect/Effect").Effect<string>
declare const MapFilesystem: { readonly layer: import("effect/Layer").Layer<import("effect-nfs").Filesystem.Filesystem> }
declare const Archive: typeof MapFilesystem
declare const readFileSync: typeof import("node:fs").readFileSync
`

/** The blocks of a page that import something. A whole example is checked where it is. */
const snippets = (page: string): ReadonlyArray<string> =>
  [
    ...readFileSync(join(root, page), "utf8").matchAll(/(<!-- docs\/examples\/\S+ -->\n+)?```ts\n([^]*?)^```$/gm)
  ].flatMap(([, quoted, code]) => (quoted === undefined && /^import /m.test(code!) ? [code!] : []))

const compiling = (files: ReadonlyArray<string>) => ({
  extends: join(root, "tsconfig.json"),
  compilerOptions: { noUnusedLocals: false, plugins: [] },
  include: [],
  files
})

describe("the documentation", { timeout: 60_000 }, () => {
  it.live("shows TypeScript that compiles", () =>
    Effect.gen(function* () {
      // Within the project, so that what they import is found as its users find it.
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(root, "node_modules", ".snippets-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
      )
      const pages = ["README.md", ...globSync("docs/*.md", { cwd: root })]
      const all = pages.flatMap((page) =>
        snippets(page).map((code, i) => ({ name: `${page.replace("/", "-")}-${i}.ts`, code }))
      )
      expect(all.length).toBeGreaterThan(5)
      for (const { code, name } of all) writeFileSync(join(directory, name), code)
      writeFileSync(join(directory, "ambient.d.ts"), ambient)
      const files = ["ambient.d.ts", ...all.map(({ name }) => name)]
      writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(compiling(files)))
      const { stdout } = yield* run(join(root, "node_modules/.bin/tsc"), ["-p", directory])
      expect(stdout.toString()).toBe("")
    })
  )
})
