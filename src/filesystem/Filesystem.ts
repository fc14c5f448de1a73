/**
 * The contract between this server and whatever it serves: write these operations, and Linux, macOS and Windows can
 * mount it.
 *
 * It is about inodes, not paths: an operation takes a file (and a name in it), so a rename invalidates nothing. All
 * operations may be called concurrently. Names are never empty, `.`, `..`, longer than 255 bytes or with `/` or NUL:
 * who calls has checked that. `effect-nfs/testing` has the suite that every implementation passes.
 *
 * **Guards.** An operation takes a guard: a synchronous function that the filesystem calls with the attributes of what is
 * concerned, in the same atomic step as the operation itself, and that answers with an error, which the operation fails
 * with, or lets it go on. Access rules come that way, from outside, so that no filesystem has to know any. Guards of
 * operations that make or change a file also answer what attributes to set in that step.
 *
 * Errors come in this order: ESTALE for a file that is gone, what a file's type alone decides (ENOTDIR, EISDIR, EINVAL,
 * EPERM), the guard's, and only then what depends on names (ENOENT, EEXIST, ENOTEMPTY and the like) and on space. So a
 * guard is asked for a name that does not exist, too: it is given `undefined` there, and may refuse who has no right to
 * learn that. An operation that fails has changed nothing.
 *
 * **Directories before and after.** Mutations give the attributes before and after, and whether nothing else can have
 * changed in between (`atomic`).
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Chunks } from "../xdr/Reader.ts"
import type { Attributes, Device, FileType, SetAttributes, Time } from "./Attributes.ts"
import type { FilesystemError } from "./FilesystemError.ts"

/** A file, directory or other inode, as the filesystem itself represents it. */
export interface File {
  /**
   * Names this file for ever, never a later one with the same number; at most {@link KEY_MAX} bytes, of one length for
   * all files of a filesystem. It stands in file handles, and `resolve` leads back to the file.
   */
  readonly key: Uint8Array
}

/** The most bytes that a {@link File}'s key may have. */
export const KEY_MAX = 44

/** The most bytes that a name may have. */
export const NAME_MAX = 255

/** Cookies below are not given to entries: 0 is the beginning, 1 and 2 stand for `.` and `..`. */
export const FIRST_COOKIE = 3n

/** Lets an operation on something with these attributes go on, or gives the error that it fails with. */
export type Guard<Before extends ReadonlyArray<unknown> = [before: Attributes], Allowed = undefined> = (
  ...before: Before
) => FilesystemError | Allowed

/** How a change left what it changed. */
export interface Wcc {
  readonly before: Attributes
  readonly after: Attributes
  /** Whether no other change can lie between `before` and `after`. */
  readonly atomic: boolean
}

export interface Found<F extends File = File> {
  readonly file: F
  readonly attributes: Attributes
  /** The directory's, of the same moment. */
  readonly directory: Attributes
}

export interface Made<F extends File = File> {
  readonly file: F
  readonly attributes: Attributes
  readonly directory: Wcc
}

/** Memory of so many bytes, which hold anything. */
export type Allocate = (length: number) => Uint8Array

export interface ReadResult {
  /**
   * Views that stay as they are: a later change of the file does not show in them. Memory of the caller's `allocate` is used
   * again by the caller, and so it is in one result only.
   */
  readonly data: Chunks
  /** Whether the read reached the end of the file, by the file's size. */
  readonly eof: boolean
  readonly attributes: Attributes
}

/** How far written data must have come before the answer (RFC 1813, 3.3.7). */
export type Stability = "unstable" | "dataSync" | "fileSync"

export interface WriteResult {
  /** Bytes written, at least 1 unless there were none to write. */
  readonly count: number
  /** At least what was asked for. */
  readonly committed: Stability
  readonly wcc: Wcc
}

/**
 * How CREATE meets an existing file (RFC 1813, 3.3.8): takes it, refuses it, or takes it only if it was made with the same
 * verifier (8 bytes, at least 62 bits of which are kept with the file until its attributes are set).
 */
export type CreateHow =
  | { readonly _tag: "Unchecked" }
  | { readonly _tag: "Guarded" }
  | { readonly _tag: "Exclusive"; readonly verifier: Uint8Array }

/**
 * Decides on a new file from its directory: which attributes to give it (what it leaves out, the filesystem chooses).
 * `existing` is what has the name already: EEXIST follows, unless CREATE takes it, and then gets the attributes that the
 * guard answers (an EXCLUSIVE one that comes again sets none).
 */
export type MakeGuard = Guard<[directory: Attributes, existing: Attributes | undefined], SetAttributes>

export interface RenameSituation {
  readonly from: Attributes
  /** What is to be renamed; `undefined` when there is none, and ENOENT follows. */
  readonly source: Attributes | undefined
  readonly to: Attributes
  /** What has the new name already and would be replaced. */
  readonly target: Attributes | undefined
}

/**
 * Decides on the removal of a name from its directory. Without a `target` there is no such name: ENOENT follows.
 */
export type RemoveGuard = Guard<[directory: Attributes, target: Attributes | undefined]>

export type Special =
  | { readonly type: "fifo" | "socket" }
  | {
      readonly type: "block" | "character"
      readonly rdev: Device
    }

export interface ListRequest {
  /** The cookie of the entry to go on after; 0 from the beginning. */
  readonly cookie: bigint
  /** Whether one more entry with this name fits into the answer; the listing ends before the first that does not. */
  readonly fits: (name: string) => boolean
  /** Whether entries shall carry their files and attributes. */
  readonly attributes: boolean
  /** Files (by their fileid) about which nothing needs to be found out: their entries may go without. Default: none. */
  readonly known?: ((fileid: bigint) => boolean) | undefined
}

export interface Entry<F extends File = File> {
  readonly name: string
  readonly fileid: bigint
  /** Belongs to this entry while it exists, whatever comes and goes beside it; {@link FIRST_COOKIE} or more. */
  readonly cookie: bigint
  /** Present when asked for and to be had: an entry whose attributes cannot be read is listed without. */
  readonly found?: { readonly file: F; readonly attributes: Attributes } | undefined
}

export interface Listing<F extends File = File> {
  /** Without `.` and `..`. */
  readonly entries: ReadonlyArray<Entry<F>>
  /** Whether the last entry of the directory is among them (or there is none after the cookie). */
  readonly eof: boolean
  readonly directory: Attributes
}

/** The part of a listing that was asked for, from all entries of a directory in the order of their cookies. */
export const portionOf = <F extends File>(
  all: Iterable<Entry<F>>,
  { attributes, cookie, fits }: ListRequest
): Pick<Listing<F>, "entries" | "eof"> => {
  const entries: Array<Entry<F>> = []
  for (const entry of all) {
    if (entry.cookie <= cookie) continue
    if (!fits(entry.name)) return { entries, eof: false }
    entries.push(attributes ? entry : { ...entry, found: undefined })
  }
  return { entries, eof: true }
}

/** Bytes and inodes: all, unused, and unused for ordinary users. */
export interface Statfs {
  readonly totalBytes: number
  readonly freeBytes: number
  readonly availableBytes: number
  readonly totalFiles: number
  readonly freeFiles: number
  readonly availableFiles: number
}

/** What never changes about a filesystem. */
export interface Properties {
  /** Largest size of a file in bytes; below 2^53 - 1, which sizes on the wire saturate at, so that those get EFBIG. */
  readonly maxFileSize: number
  /** Most hard links to a file; 1 when there are none. */
  readonly linkMax: number
  readonly symlinks: boolean
  /** Resolution of its times. */
  readonly timeDelta: Time
  readonly caseInsensitive: boolean
  readonly casePreserving: boolean
}

type Fails<A> = Effect.Effect<A, FilesystemError>

/** The operations, all of which stay what they are. `F` is the implementation's own representation of a file; everybody else sees {@link File}. */
export interface Operations<F extends File = File> {
  readonly properties: Properties
  /** The directory that everything is in. */
  readonly root: F
  /** The file that a key names; ESTALE when it is gone, or not of this filesystem. `key` is a view: it is not written to, and to keep it, copy it. */
  resolve(key: Uint8Array): Fails<F>
  getattr(file: F): Fails<Attributes>
  /** The guard decides what to set; nothing set is nothing changed. Setting a size cuts off or fills up with zeros. */
  setattr(file: F, guard: Guard<[before: Attributes], SetAttributes>): Fails<Wcc>
  lookup(directory: F, name: string, guard: Guard): Fails<Found<F>>
  /** The directory that a directory is in; the root's is the root. */
  parent(directory: F, guard: Guard): Fails<Found<F>>
  readlink(file: F, guard: Guard): Fails<{ readonly target: string; readonly attributes: Attributes }>
  /**
   * Regular files only, as `write` and `commit`: EISDIR for directories, EINVAL for all else. What has to be copied into memory
   * may go into the caller's, which `allocate` gives: whoever takes it fills what it answers, and has done with it then. By default,
   * and to keep it, take new memory.
   */
  read(file: F, offset: number, count: number, guard: Guard, allocate?: Allocate): Fails<ReadResult>
  /**
   * `data` are only lent: what is to be kept is copied, and when this has succeeded, nobody looks at them. The guard may also
   * answer attributes to set, such as a mode without its setuid bit.
   */
  write(
    file: F,
    offset: number,
    data: Chunks,
    stability: Stability,
    guard: Guard<[before: Attributes], SetAttributes | undefined>
  ): Fails<WriteResult>
  /** A regular file, made or met (EEXIST for what is none). EXCLUSIVE ignores the size and times that its guard answers. */
  create(directory: F, name: string, how: CreateHow, guard: MakeGuard): Fails<Made<F>>
  mkdir(directory: F, name: string, guard: MakeGuard): Fails<Made<F>>
  symlink(directory: F, name: string, target: string, guard: MakeGuard): Fails<Made<F>>
  mknod(directory: F, name: string, special: Special, guard: MakeGuard): Fails<Made<F>>
  /** Not for directories: EISDIR. */
  remove(directory: F, name: string, guard: RemoveGuard): Fails<Wcc>
  rmdir(directory: F, name: string, guard: RemoveGuard): Fails<Wcc>
  /** Replaces what has the new name, in one step, as POSIX rename does. */
  rename(
    from: F,
    name: string,
    to: F,
    newName: string,
    guard: Guard<[situation: RenameSituation]>
  ): Fails<{ readonly from: Wcc; readonly to: Wcc }>
  /** Another name for a file that is no directory. */
  link(
    file: F,
    directory: F,
    name: string,
    guard: Guard<[directory: Attributes, file: Attributes]>
  ): Fails<{ readonly attributes: Attributes; readonly directory: Wcc }>
  readdir(directory: F, request: ListRequest, guard: Guard): Fails<Listing<F>>
  statfs(file: F): Fails<Statfs>
  /** Brings what was written unstably to stable storage; `count` 0 means to the end of the file. */
  commit(file: F, offset: number, count: number, guard: Guard): Fails<Wcc>
}

/** A filesystem to be served. */
export class Filesystem extends Context.Service<Filesystem, Operations>()("effect-nfs/Filesystem") {}

export type { Attributes, Device, FileType, SetAttributes, Time }
