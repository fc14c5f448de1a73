/** How close the process is to the end of its memory, and what that leaves for new tasks. */

import { totalmem } from "node:os"
import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8"
import * as Context from "effect/Context"

export interface Watermarks {
  /** The share of memory in use from which on less is admitted; default 0.7. */
  readonly low?: number | undefined
  /** The share from which on next to nothing is; default 0.9. */
  readonly high?: number | undefined
}

/** The limit that a container sets; `undefined` where there is none, which is told as 0 or more than a machine can have. */
const limitOf = (told: number): number | undefined => (told > 0 && told < 2 ** 50 ? told : undefined)

/** Bytes that the process may take, where it is told. */
const constrained = limitOf(process.constrainedMemory())

/** Bytes of memory that there are for the process and others: the machine's, or what a container leaves it of these. */
export const available = (machine = totalmem(), told = process.constrainedMemory()): number =>
  Math.min(machine, limitOf(told) ?? Infinity)

/**
 * Bytes that objects may take which live for a while. V8 tells a limit that has room for young ones, too: with a small
 * `--max-old-space-size` most of it is that, and the process ends long before.
 */
const heapLimit = ((): number => {
  const flags = [...(process.env["NODE_OPTIONS"] ?? "").split(" "), ...process.execArgv]
  const told = flags.map((flag) => /^--max[-_]old[-_]space[-_]size=(\d+)$/.exec(flag)?.[1]).findLast(Boolean)
  const { heap_size_limit } = getHeapStatistics()
  return told === undefined ? heap_size_limit : Math.min(heap_size_limit, Number(told) * 2 ** 20)
})()

/** Bytes that objects take which have lived for a while, with those that nobody has collected yet and the gaps between. */
const heapUsed = (): number =>
  getHeapSpaceStatistics().reduce(
    (sum, { physical_space_size, space_name }) => (space_name.startsWith("new_") ? sum : sum + physical_space_size),
    0
  )

/** The share of the memory in use, of the heap or of what the process may take, whichever is closer to its end. */
const used = (): number => {
  const heap = heapUsed() / heapLimit
  return constrained === undefined ? heap : Math.max(heap, process.memoryUsage.rss() / constrained)
}

/** Gives the share of the memory that is in use, 0 to 1. Tests replace it. */
export const MemoryUsed = Context.Reference<() => number>("effect-nfs/WorkerPool/MemoryUsed", {
  defaultValue: () => used
})

export type AllWatermarks = { readonly [K in keyof Watermarks]-?: number }

/** With the defaults. */
export const watermarks = ({ high = 0.9, low = 0.7 }: Watermarks): AllWatermarks => ({ high, low })

/**
 * The share of its bounds that a pool may use when so much memory is in use: all below `low`, none from `high` on. In
 * between it falls steeply at first, an eighth is left in the middle: what waits in a pool that is far too large for the
 * memory must stop growing long before `high`, since much may come in before the next look.
 */
export const admission = (used: number, { high, low }: AllWatermarks): number =>
  Math.min(1, Math.max(0, (high - used) / (high - low))) ** 3
