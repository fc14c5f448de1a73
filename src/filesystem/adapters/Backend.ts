/**
 * What a filesystem over paths is made of: something that does what POSIX does with a path, and that follows no symbolic link
 * at its end. Paths are names as in `Bytestring`, joined by slashes.
 */

import type * as Effect from "effect/Effect"
import type { Chunks } from "../../xdr/Reader.ts"
import type { Device, FileType } from "../Attributes.ts"
import type { Statfs } from "../Filesystem.ts"
import type { FilesystemError } from "../FilesystemError.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

/** Times are nanoseconds since 1970. */
export interface Stat {
  readonly type: FileType
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly used: number
  readonly rdev: Device
  readonly atime: bigint
  readonly mtime: bigint
  readonly ctime: bigint
  /** The same for two names of one file, and for no other file that exists; `undefined` when it cannot be told. */
  readonly id: string | undefined
}

/**
 * Milliseconds as the seconds that `utimes` takes, with half a microsecond more: the nearest double below a millisecond would be
 * cut off to the one before.
 */
export const secondsOf = (nanoseconds: bigint): number => (Number(nanoseconds / 1_000_000n) + 0.0005) / 1000

export interface Backend {
  /** Most bytes of a file. */
  readonly maxFileSize: number
  /** Whether names may be any bytes; else they are text. */
  readonly byteNames: boolean
  /** Whether files can have several names, which takes `id`s to recognise them. */
  readonly hardLinks: boolean
  readonly stat: (path: string) => Fails<Stat>
  readonly list: (path: string) => Fails<ReadonlyArray<string>>
  readonly readlink: (path: string) => Fails<string>
  /** Fills the buffer, if the file has as much; gives how much there was. */
  readonly read: (path: string, buffer: Uint8Array, offset: number) => Fails<number>
  /** Writes all of `data`, and has it on stable storage when `sync`. */
  readonly write: (path: string, offset: number, data: Chunks, sync: boolean) => Fails<void>
  readonly sync: (path: string) => Fails<void>
  readonly truncate: (path: string, size: number) => Fails<void>
  /** An empty regular file; EEXIST when there is something. */
  readonly create: (path: string) => Fails<void>
  readonly mkdir: (path: string) => Fails<void>
  readonly symlink: (target: string, path: string) => Fails<void>
  readonly link: (path: string, newPath: string) => Fails<void>
  readonly unlink: (path: string) => Fails<void>
  readonly rmdir: (path: string) => Fails<void>
  /** Of a symbolic link itself, as all others. */
  readonly rename: (path: string, type: FileType, newPath: string) => Fails<void>
  readonly chmod: (path: string, mode: number) => Fails<void>
  readonly chown: (path: string, type: FileType, uid: number, gid: number) => Fails<void>
  readonly utimes: (path: string, type: FileType, atime: bigint, mtime: bigint) => Fails<void>
  /** `undefined` when it knows nothing of space. */
  readonly statfs: (path: string) => Fails<Statfs | undefined>
}
