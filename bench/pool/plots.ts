/** The plots of docs/worker-pool.md. */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { dots, type Series, timeLines } from "../svg.ts"
import type { Waiting } from "./priorities.ts"
import type { Look, TimeLine } from "./sizing.ts"

const docs = join(import.meta.dirname, "../../docs")

const series = (
  { looks }: TimeLine,
  value: (look: Look) => number,
  options: Omit<Series, "points" | "steps">
): Series => ({
  ...options,
  steps: true,
  points: looks.map((look) => [look.at / 1000, value(look)])
})

const workers = (line: TimeLine): ReadonlyArray<Series> => [
  series(line, ({ workers }) => workers, { name: "workers", colour: 1, band: true }),
  series(line, ({ active }) => active, { name: "tasks that run", colour: 2 })
]

/** Tasks a second, over windows of 100 ms. */
const throughput = ({ looks }: TimeLine): Series => {
  const points: Array<readonly [number, number]> = []
  let from = looks[0]!
  for (const look of looks) {
    if (look.at - from.at < 100) continue
    points.push([(look.at + from.at) / 2000, ((look.completed - from.completed) / (look.at - from.at)) * 1000])
    from = look
  }
  return { name: "tasks a second", colour: 1, points }
}

const duration = ({ looks }: TimeLine): number => looks.at(-1)!.at / 1000

const milliseconds = (value: number): string =>
  value < 1 ? `${Math.round(value * 1000)} µs` : value < 1000 ? `${value} ms` : `${value / 1000} s`

export const write = (waiting: ReadonlyArray<Waiting>, resized: TimeLine, scaled: TimeLine): ReadonlyArray<string> => {
  const plots: Record<string, string> = {
    "pool-resize.svg": timeLines("A pool under load, resized from 16 to 64, 4, 32 and 16 workers", duration(resized), [
      {
        title: "Resize under load",
        series: workers(resized)
      },
      { title: "Throughput", series: [throughput(resized)] }
    ]),
    "pool-autoscale.svg": timeLines("A pool of 2 to 64 workers follows its load", duration(scaled), [
      {
        title: "2 to 64 workers, by load",
        series: workers(scaled)
      },
      { title: "Tasks that wait", series: [series(scaled, ({ queued }) => queued, { name: "waiting", colour: 3 })] }
    ]),
    "pool-priorities.svg": dots(
      "How long a metadata request waits under bulk load, without and with priorities",
      "Wait of a metadata request under bulk load: median, p90, p99, longest",
      waiting.map(({ name, wait }) => ({
        name,
        values: [
          { name: "median", value: wait.p50 },
          { name: "p90", value: wait.p90 },
          { name: "p99", value: wait.p99 },
          { name: "longest", value: wait.max }
        ]
      })),
      milliseconds
    )
  }
  return Object.entries(plots).map(([name, svg]) => {
    writeFileSync(join(docs, name), svg)
    return `docs/${name}`
  })
}
