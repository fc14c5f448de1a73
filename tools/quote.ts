/**
 * Puts the examples into the pages of docs/ that quote them: after each `<!-- docs/examples/FILE -->` stands a block with
 * that file.
 *
 *     node tools/quote.ts
 */

import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

const quotation = /^<!-- (?<file>docs\/examples\/[\w-]+\.ts) -->\n+(?:```ts\n[^]*?^```\n)?/gm

/** The page with the files as they are now. */
export const quoting = (page: string): string =>
  page.replaceAll(quotation, (_, file: string) => {
    return `<!-- ${file} -->\n\n\`\`\`ts\n${readFileSync(join(root, file), "utf8")}\`\`\`\n`
  })

export const pages = (): ReadonlyArray<string> => globSync("docs/*.md", { cwd: root }).map((page) => join(root, page))

if (import.meta.main) {
  for (const page of pages()) {
    const before = readFileSync(page, "utf8")
    const after = quoting(before)
    if (after !== before) writeFileSync(page, after)
  }
}
