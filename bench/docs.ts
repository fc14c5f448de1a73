/** Writes what was found into docs/performance.md, between its marks, and draws docs/performance.svg. */

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Backend, type Case, cases } from "./cases.ts"
import { POOL } from "./contestants.ts"
import type { Row } from "./figures.ts"
import { type Comparison, comparisons } from "./svg.ts"

const docs = join(import.meta.dirname, "../docs")

const BEGIN = "<!-- what the bench found: begin -->"
const END = "<!-- what the bench found: end -->"

/** Other programs that keep more than this part of a processor busy make figures provisional. */
const QUIET = 0.2

export interface Found {
  /** Date and machine, for people. */
  readonly place: string
  readonly disturbance: number | undefined
  readonly rows: ReadonlyArray<Row>
  readonly goals: string
  readonly figures: string
  readonly notes: ReadonlyArray<string>
}

export const write = ({ disturbance = 0, figures, goals, notes, place, rows }: Found): void => {
  const path = join(docs, "performance.md")
  const page = readFileSync(path, "utf8")
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${path} does not say where figures go: ${BEGIN} and ${END}`)
  const weather =
    disturbance > QUIET
      ? `**Provisional**: other programs kept ${disturbance.toFixed(1)} processors busy meanwhile.`
      : "Nothing else ran."
  const parts = [
    BEGIN,
    `${place}. ${weather}`,
    "![Rates of the other servers as multiples of this one's](performance.svg)",
    "### Goals",
    goals,
    "### Figures",
    figures,
    ...notes,
    END
  ]
  writeFileSync(path, page.slice(0, begin) + parts.join("\n\n") + page.slice(end + END.length))
  writeFileSync(join(docs, "performance.svg"), chart(rows, place))
}

const colours = { ganesha: 2, unfs3: 4, bare: 3, bypassed: 1, async: 1 } as const

const titles: Record<Backend, string> = { memory: "Files in memory", local: "Files in a directory of the host" }

/** Shapes that keep a server busy. */
const isShown = ({ connections }: Case): boolean => connections === 4

const chart = (rows: ReadonlyArray<Row>, place: string): string => {
  const panel = (backend: Backend): Comparison => ({
    title: `${titles[backend]}; ${place}`,
    rows: cases
      .filter((each) => each.backend === backend && isShown(each))
      .map(({ name }) => ({
        name: name.replace(/ local$/, ""),
        values: rows
          .filter((row) => row.case === name && row.contestant !== POOL)
          .flatMap(({ contestant, ratio }) => (ratio === undefined ? [] : [{ name: contestant, value: 1 / ratio }]))
      }))
      .filter(({ values }) => values.length > 0)
  })
  const measured = Object.fromEntries(
    Object.entries(colours).filter(([name]) => rows.some(({ contestant }) => contestant === name))
  )
  return comparisons("Rates of other servers as multiples of this one's", "this server", measured, [
    panel("memory"),
    panel("local")
  ])
}
