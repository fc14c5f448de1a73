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
