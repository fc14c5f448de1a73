/**
 * What `node:fs` lacks: calls on files by descriptor alone, exact times, device nodes, the kernel's own file handles.
 *
 * Two implementations: one calls the C library (Linux, with the optional package koffi), one makes do with `node:fs` and
 * says ENOTSUP where it must. Both are asked with descriptors that were opened with O_PATH, so nothing here can be led
 * elsewhere by a symlink that somebody puts in the way.
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Device, Time } from "../Attributes.ts"
import type { FilesystemError } from "../FilesystemError.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

/** An inode by its descriptor, and by its directory's and its name, which is the way for those who cannot do without. */
export interface Located {
  readonly fd: number
  /** A path through its directory's descriptor; `undefined` when nobody knows it. */
  readonly path: Buffer | undefined
}

/** The kernel's own handles, which outlive renames and restarts and are of no later file with the same number. */
export interface KernelHandles {
  /** The handle of an open file (`name_to_handle_at`): its type, then its bytes. ENOTSUP when its filesystem has none. */
  of(fd: number): Fails<Uint8Array>
  /** Opens the file with O_PATH (`open_by_handle_at`); ESTALE when it is gone, EPERM without CAP_DAC_READ_SEARCH. */
  open(mount: number, handle: Uint8Array): Fails<number>
}

export class Syscalls extends Context.Service<
  Syscalls,
  {
    readonly name: "koffi" | "node"
    /** Resolution of the times that it can set. */
    readonly timeDelta: Time
    readonly handles: KernelHandles | undefined
    /** A symlink's target. */
    readlink(link: Located): Fails<Buffer>
    /** Gives a file of any type to a user and a group. */
    chown(file: Located, uid: number, gid: number): Fails<void>
    /** Sets times of a file of any type; `undefined` stays as it is. */
    utimes(file: Located, atime: Time | "now" | undefined, mtime: Time | "now" | undefined): Fails<void>
    /** Gives a file of any type another name. */
    link(file: Located, directory: number, name: Buffer): Fails<void>
    /** Makes a FIFO, socket or device node; `mode` with the bits of its type. */
    mknod(directory: number, name: Buffer, mode: number, rdev: Device): Fails<void>
    /**
     * Reads what the page cache holds, without waiting for a disk (RWF_NOWAIT): the number of bytes, or `undefined` when
     * that is impossible.
     */
    readCached(fd: number, buffer: Uint8Array, offset: number): number | undefined
  }
>()("effect-nfs/Syscalls") {}
