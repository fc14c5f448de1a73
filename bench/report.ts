/** What the samples say: medians, ratios, and both as a table. */

import { cpus, release } from "node:os"
import type { Case, Goal } from "./cases.ts"
import type { Measurement } from "./load/protocol.ts"
import type { Sample } from "./rounds.ts"

export interface Row {
  readonly case: string
  readonly contestant: string
  readonly callsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly generatorBusy: number
  readonly serverMicros: number | undefined
  /** Calls per second of the first contestant by those of this one: the median of each turn's ratio. */
  readonly ratio: number
  /** The same by processor time per call, which does not suffer from what else runs on the machine. */
  readonly ratioByProcessor: number | undefined
}

/** Summaries by case, then by contestant. */
export const rows = (
  samples: ReadonlyArray<Sample>,
  cases: ReadonlyArray<Case>,
  contestants: ReadonlyArray<string>
): ReadonlyArray<Row> =>
  cases.flatMap(({ name }) => {
    const of = (contestant: string): ReadonlyArray<Measurement> =>
      samples
        .filter((sample) => sample.case.name === name && sample.contestant === contestant)
        .sort((a, b) => a.round - b.round || a.turn - b.turn)
        .map(({ measurement }) => measurement)
    const first = of(contestants[0]!)
    return contestants.map((contestant): Row => {
      const own = of(contestant)
      const middle = (pick: (measurement: Measurement) => number): number => median(own.map(pick))
      return {
        case: name,
        contestant,
        callsPerSecond: middle((m) => m.callsPerSecond),
        p50: middle((m) => m.latency.p50),
        p99: middle((m) => m.latency.p99),
        p999: middle((m) => m.latency.p999),
        generatorBusy: middle((m) => m.generatorBusy),
        serverMicros: medianOf(own.map((m) => m.serverMicros)),
        ratio: median(own.map((m, i) => first[i]!.callsPerSecond / m.callsPerSecond)),
        ratioByProcessor: medianOf(own.map((m, i) => quotient(m.serverMicros, first[i]!.serverMicros)))
      }
    })
  })

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** The median of what the system told; nothing when it told nothing. */
const medianOf = (values: ReadonlyArray<number | undefined>): number | undefined => {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : median(known)
}

const quotient = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined || b === 0 ? undefined : a / b

export const table = (rows: ReadonlyArray<Row>): string => {
  const first = rows[0]?.contestant ?? ""
  const header = [
    "case",
    "server",
    "calls/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "generator",
    "CPU µs/call",
    `${first}/it`,
    "by CPU"
  ]
  const lines = rows.map((row) => [
    row.contestant === first ? row.case : "",
    row.contestant,
    whole(row.callsPerSecond),
    micros(row.p50),
    micros(row.p99),
    micros(row.p999),
    percent(row.generatorBusy),
    row.serverMicros === undefined ? "" : row.serverMicros.toFixed(1),
    row.contestant === first ? "" : percent(row.ratio),
    row.contestant === first || row.ratioByProcessor === undefined ? "" : percent(row.ratioByProcessor)
  ])
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const format = (line: ReadonlyArray<string>): string =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd()
  const rule = widths.map((width) => "-".repeat(width)).join("  ")
  return [
    format(header),
    rule,
    ...lines.flatMap((line, i) => (line[0] !== "" && i > 0 ? ["", format(line)] : [format(line)]))
  ].join("\n")
}

/** How far the goals are reached, of those that were measured. */
export const verdicts = (rows: ReadonlyArray<Row>, goals: ReadonlyArray<Goal>): ReadonlyArray<string> =>
  goals.flatMap(({ name, ratio, than }) => {
    const row = rows.find((row) => row.case === name && row.contestant === than)
    if (row === undefined) return []
    const reached = row.ratio >= ratio ? "reached" : "MISSED"
    const byProcessor = row.ratioByProcessor === undefined ? "" : ` (by CPU ${percent(row.ratioByProcessor)})`
    return [`goal ${reached}: ${name} at least ${percent(ratio)} of ${than}: ${percent(row.ratio)}${byProcessor}`]
  })

/** What the columns mean that need saying, and how far they can be trusted. */
export const notes = (rows: ReadonlyArray<Row>, samples: ReadonlyArray<Sample>): ReadonlyArray<string> => {
  const first = rows[0]?.contestant ?? ""
  const disturbance = medianOf(samples.map(({ measurement }) => measurement.disturbance))
  return [
    "Medians of all turns. generator: how busy the load generator was; near 100% it measures itself.",
    `CPU µs/call: the server's processor time. ${first}/it: calls per second of ${first} by those of the row's server;`,
    "by CPU: the same by processor time, the better figure for 4x32 while others use the machine.",
    ...(disturbance === undefined ? [] : [`Other programs kept ${disturbance.toFixed(1)} processors busy meanwhile.`])
  ]
}

/** Where it was measured. */
export const machine = () => ({
  processor: cpus()[0]?.model ?? "unknown",
  processors: cpus().length,
  system: `${process.platform} ${release()}`,
  node: process.version
})

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
const micros = (milliseconds: number): string => {
  const value = milliseconds * 1000
  return value < 100 ? value.toFixed(1) : whole(value)
}
const percent = (part: number): string => `${Math.round(part * 100)}%`
