/** What the operating system says about a file, as attributes. */

import type { BigIntStats } from "node:fs"
import type { Attributes, Device, FileType, Time } from "../Attributes.ts"

/**
 * Milliseconds by which the clock that gives files their times may be behind: a tick, and more where a virtual machine
 * gets its processors one after the other.
 */
export const CLOCK_LAG = 250

/** The time that the system gives to what is born now, whatever `Clock` an app has; milliseconds. */
export const systemTime = (): number => Date.now()

const S_IFMT = 0o170000n

const types: Readonly<Record<number, FileType>> = {
  0o010000: "fifo",
  0o020000: "character",
  0o040000: "directory",
  0o060000: "block",
  0o100000: "regular",
  0o120000: "symlink",
  0o140000: "socket"
}

/** The bits of a mode that say what type a file is. */
export const typeBits: Readonly<Partial<Record<FileType, number>>> = Object.fromEntries(
  Object.entries(types).map(([bits, type]) => [type, Number(bits)])
)

export const typeOf = ({ mode }: Pick<BigIntStats, "mode">): FileType => types[Number(mode & S_IFMT)] ?? "regular"

const BILLION = 1_000_000_000n

export const time = (nanoseconds: bigint): Time => {
  const rest = ((nanoseconds % BILLION) + BILLION) % BILLION
  return { seconds: Number((nanoseconds - rest) / BILLION), nanoseconds: Number(rest) }
}

export const nanoseconds = ({ nanoseconds, seconds }: Time): bigint => BigInt(seconds) * BILLION + BigInt(nanoseconds)

export const NO_DEVICE: Device = { major: 0, minor: 0 }

/** Linux packs both numbers in two parts each (makedev(3)). */
export const device = (rdev: bigint): Device => ({
  major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
  minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n))
})

/** `change` tells apart changes that the kernel's clock, which may stand still for 10 ms, does not. */
export const attributes = (stats: BigIntStats, fileid: bigint, change: bigint): Attributes => {
  const type = typeOf(stats)
  return {
    type,
    mode: Number(stats.mode & 0o7777n),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: Number(stats.size),
    used: Number(stats.blocks) * 512,
    rdev: type === "block" || type === "character" ? device(stats.rdev) : NO_DEVICE,
    fileid,
    atime: time(stats.atimeNs),
    mtime: time(stats.mtimeNs),
    ctime: time(stats.ctimeNs),
    change
  }
}
