/**
 * `node bench/profile.ts FILE [ROWS] [SECONDS]`: where a CPU profile's time went, by function and by module, hottest first. Self time:
 * what a function spent in its own code and what was inlined into it, not in what it called. With SECONDS, only the last so
 * many count: a server's start is long and not what one wants to know.
 */

import { readFileSync } from "node:fs"

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

/** The part of a .cpuprofile that is looked at here. */
interface Profile {
  readonly nodes: ReadonlyArray<{ readonly id: number; readonly callFrame: CallFrame }>
  /** The nodes that were running, and the microseconds since the sample before. */
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

/** Paths as short as they are clear. */
const fileOf = (url: string): string => {
  const path = url.replace(/^file:\/\//, "").replace(/^.*\/node_modules\//, "")
  return path.split(/\/(?=(?:src|bench)\/)/).at(-1) ?? path
}

/** Not work: waiting for something to do. */
const idle = new Set(["(idle)", "(root)"])

type Shares = ReadonlyArray<readonly [name: string, part: number]>

/** Where the last microseconds begin. */
const indexOfLast = (micros: number, { timeDeltas }: Profile): number => {
  let index = timeDeltas.length
  for (let left = micros; index > 0 && left > 0; index--) left -= timeDeltas[index - 1] ?? 0
  return index
}

/** Shares of the time from sample `first` on that was not idle, by what `nameOf` calls each function. */
const shares = (
  { nodes, samples, timeDeltas }: Profile,
  first: number,
  nameOf: (frame: CallFrame) => string
): Shares => {
  const names = new Map(
    nodes.map(({ callFrame, id }) => [id, idle.has(callFrame.functionName) ? undefined : nameOf(callFrame)])
  )
  const times = new Map<string, number>()
  let busy = 0
  for (const [i, id] of samples.entries()) {
    const name = names.get(id)
    if (i < first || name === undefined) continue
    const time = timeDeltas[i] ?? 0
    times.set(name, (times.get(name) ?? 0) + time)
    busy += time
  }
  return Array.from(times, ([name, time]) => [name, time / busy] as const).sort((a, b) => b[1] - a[1])
}

const functionOf = ({ functionName, lineNumber, url }: CallFrame): string =>
  `${functionName || "(anonymous)"}  ${url === "" ? "" : `${fileOf(url)}:${lineNumber + 1}`}`.trim()

const moduleOf = ({ functionName, url }: CallFrame): string => (url === "" ? functionName || "(native)" : fileOf(url))

const print = (title: string, shares: Shares, rows: number): void => {
  console.log(title)
  for (const [name, part] of shares.slice(0, rows)) console.log(`${(part * 100).toFixed(1).padStart(5)}%  ${name}`)
}

const [file, rows = "30", seconds] = process.argv.slice(2)
if (file === undefined) {
  console.error("usage: node bench/profile.ts FILE [ROWS] [SECONDS]")
  process.exitCode = 2
} else {
  const profile = JSON.parse(readFileSync(file, "utf8")) as Profile
  const first = seconds === undefined ? 0 : indexOfLast(Number(seconds) * 1e6, profile)
  print("functions", shares(profile, first, functionOf), Number(rows))
  print("modules", shares(profile, first, moduleOf), Number(rows))
}
