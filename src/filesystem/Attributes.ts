/** What a file is, apart from its content: POSIX `struct stat` with exact times. */

export type FileType = "regular" | "directory" | "symlink" | "block" | "character" | "fifo" | "socket"

/** Seconds and nanoseconds since 1970, seconds may be negative, nanoseconds are 0 to 999,999,999. */
export interface Time {
  readonly seconds: number
  readonly nanoseconds: number
}

export interface Device {
  readonly major: number
  readonly minor: number
}

/** An immutable snapshot: a change of the file makes another one. */
export interface Attributes {
  readonly type: FileType
  /** Permission bits with setuid, setgid and sticky: 12 bits. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Bytes. */
  readonly size: number
  /** Bytes that it occupies. */
  readonly used: number
  /** What a device node stands for; zeros for all other types. */
  readonly rdev: Device
  /** Names the file within its filesystem while it lives; never 0 (macOS panics). */
  readonly fileid: bigint
  readonly atime: Time
  readonly mtime: Time
  readonly ctime: Time
  /** Grows with every change of the file or its attributes. */
  readonly change: bigint
}

/** Attributes to set; what is absent stays. */
export interface SetAttributes {
  readonly mode?: number | undefined
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly size?: number | undefined
  /** `"now"` is the filesystem's clock. */
  readonly atime?: Time | "now" | undefined
  readonly mtime?: Time | "now" | undefined
}

/** Mode bits that are not permissions. */
export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_ISVTX = 0o1000

/** Negative when `a` is before `b`, positive when after. */
export const compareTimes = (a: Time, b: Time): number => a.seconds - b.seconds || a.nanoseconds - b.nanoseconds

/** The time that a clock which counts milliseconds shows, such as `Date.now()`. */
export const fromMillis = (millis: number): Time => {
  const seconds = Math.floor(millis / 1000)
  return { seconds, nanoseconds: Math.floor((millis - seconds * 1000) * 1_000_000) }
}

/** The attributes of something new, which is empty and root's unless `given` says otherwise. */
export const make = (type: FileType, fileid: bigint, now: Time, given: Partial<Attributes> = {}): Attributes => ({
  type,
  mode: type === "directory" ? 0o755 : 0o644,
  nlink: type === "directory" ? 2 : 1,
  uid: 0,
  gid: 0,
  size: 0,
  used: 0,
  rdev: { major: 0, minor: 0 },
  fileid,
  atime: now,
  mtime: now,
  ctime: now,
  change: 0n,
  ...given
})

/** What may be changed at once: any attributes, or those that somebody sets. */
export type Changes = SetAttributes & Partial<Omit<Attributes, keyof SetAttributes>>

/** The attributes after a change at `now`, which was later than the one before. */
export const changed = (before: Attributes, now: Time, changes: Changes = {}): Attributes => {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  const values = given.map(([name, value]): [string, unknown] => [name, value === "now" ? now : value])
  return { ...before, ctime: now, change: before.change + 1n, ...(Object.fromEntries(values) as Partial<Attributes>) }
}
