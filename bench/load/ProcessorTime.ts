/**
 * Who used the processors while the clock ran. On a machine that others use, too, calls per second say as much about them
 * as about the server; the processor time of a call does not.
 */

import { readFileSync } from "node:fs"

/** All in seconds, since some time in the past. */
export interface Snapshot {
  readonly seconds: number
  /** Processor time of this process, */
  readonly generator: number
  /** of the server, where the system tells, */
  readonly server: number | undefined
  /** and of everything that runs on this machine. */
  readonly all: number | undefined
}

export const snapshot = (serverPid: number): Snapshot => {
  const { system, user } = process.cpuUsage()
  return {
    seconds: performance.now() / 1000,
    generator: (system + user) / 1e6,
    server: timeOf(serverPid),
    all: timeOfAll()
  }
}

export const between = (before: Snapshot, after: Snapshot): Snapshot => ({
  seconds: after.seconds - before.seconds,
  generator: after.generator - before.generator,
  server: difference(before.server, after.server),
  all: difference(before.all, after.all)
})

const difference = (before: number | undefined, after: number | undefined): number | undefined =>
  before === undefined || after === undefined ? undefined : after - before

/** What Linux counts processor time in. */
const TICKS_PER_SECOND = 100

const sum = (fields: ReadonlyArray<string | undefined>): number =>
  fields.reduce((sum, field) => sum + Number(field), 0) / TICKS_PER_SECOND

const timeOf = (pid: number): number | undefined =>
  attempt(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // `utime` and `stime`, counted from behind the program's name, which may hold anything.
    return sum(
      stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(11, 13)
    )
  })

const timeOfAll = (): number | undefined =>
  attempt(() => {
    const [first = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1)
    // cpu, user, nice, system, idle, waiting for disks, irq, softirq, steal
    const fields = first.split(/\s+/)
    return sum([...fields.slice(1, 4), ...fields.slice(6, 9)])
  })

/** Other systems have no /proc. */
const attempt = (read: () => number): number | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
