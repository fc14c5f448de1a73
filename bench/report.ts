/** What was found, as tables in Markdown that terminals show well, too. */

import { cpus, release } from "node:os"
import type { Contestant } from "./contestants.ts"
import { medianIfAny, type Row } from "./figures.ts"
import { times, type Verdict } from "./goals.ts"
import type { Failure, Sample } from "./rounds.ts"
import { table } from "./table.ts"

/** Medians of each case at each server, and its ratios to the first one. */
export const figures = (rows: ReadonlyArray<Row>): string =>
  table(
    ["case", "server", "per second", "p50 µs", "p99 µs", "p99.9 µs", "generator", "CPU µs", "pool / it", "by CPU"],
    rows.map((row, i) => [
      row.case === rows[i - 1]?.case ? "" : row.case,
      row.contestant,
      whole(row.rate),
      micros(row.p50),
      micros(row.p99),
      micros(row.p999),
      `${Math.round(row.generatorBusy * 100)}%`,
      row.serverMicros === undefined ? "" : row.serverMicros.toFixed(1),
      maybe(row.ratio),
      maybe(row.ratioByProcessor)
    ]),
    2
  )

export const goals = (verdicts: ReadonlyArray<Verdict>): string =>
  table(
    ["case", "goal", "found", "verdict"],
    verdicts.map(({ found, goal, met, name }) => [name, goal, found, met ? "met" : "**missed**"]),
    4
  )

export const contestants = (all: ReadonlyArray<Contestant>): string =>
  table(
    ["server", "backend", "what it is"],
    all.map(({ about, backend, name }) => [name, backend, about]),
    3
  )

/** What the columns mean that need saying. */
export const legend = [
  "per second: calls, or complete listings of 1,000 entries for READDIRPLUS; latencies are of calls. generator: how busy",
  "the load generator was, near 100% it measures itself. CPU: the server's processor time for one. pool / it: the rate of",
  "pool by the server's own; by CPU: the same by processor time. Medians of all turns; ratios are medians of each turn's."
].join("\n")

/** What went wrong, once for each kind. */
export const failures = (all: ReadonlyArray<Failure>): ReadonlyArray<string> => [
  ...new Set(all.map(({ case: { name }, contestant, message }) => `${contestant} failed at ${name}: ${message}`))
]

/** Processors that other programs kept busy meanwhile. */
export const disturbance = (samples: ReadonlyArray<Sample>): number | undefined =>
  medianIfAny(samples.map(({ measurement }) => measurement.disturbance))

/** Where it was measured. */
export const machine = () => ({
  processor: cpus()[0]?.model ?? "unknown",
  processors: cpus().length,
  system: `${process.platform} ${release().split("-", 1)[0]}`,
  node: process.version
})

export const place = (date: string): string => {
  const { node, processor, processors, system } = machine()
  return `${date}, ${processors} processors (${processor}), ${system}, Node.js ${node}`
}

const maybe = (ratio: number | undefined): string => (ratio === undefined ? "" : times(ratio))
const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
const micros = (milliseconds: number): string => {
  const value = milliseconds * 1000
  return value < 100 ? value.toFixed(1) : whole(value)
}
