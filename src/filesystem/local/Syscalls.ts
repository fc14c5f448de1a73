/**
 * What `node:fs` lacks: calls on files by descriptor alone, exact times, device nodes, the kernel's own file handles.
 *
 * Two implementations: one calls the C library (Linux, with the optional package koffi), one makes do with `node:fs` and
 * says ENOTSUP where it must. Both are asked with descriptors that were opened with O_PATH, so nothing here can be led
 * elsewhere by a symlink that somebody puts in the way.
 *
 * A call that has begun is waited for, even by who is interrupted: what it works on has to stay open for as long as its
 * effect runs, and not longer. Names are those of one entry: with NUL or `/` in them, or empty, they get EINVAL.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Device, Time } from "../Attributes.ts"
import type { FilesystemError } from "../FilesystemError.ts"
import type { Getdents } from "./Getdents.ts"
import * as KoffiSyscalls from "./KoffiSyscalls.ts"
import type { KoffiUnavailable } from "./Libc.ts"
import * as NodeSyscalls from "./NodeSyscalls.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

/** An inode by its descriptor, and by its directory's and its name, which is the way for those who cannot do without. */
export interface Located {
  readonly fd: number
  /** A path through its directory's descriptor; `undefined` when nobody knows it. */
  readonly path: Buffer | undefined
}

/** The kernel's own handles, which outlive renames and restarts and are of no later file with the same number. */
export interface KernelHandles {
  /**
   * The handle of an open file (`name_to_handle_at`), here and now: its type, then its bytes, 40 at most together. ENOTSUP
   * when its filesystem has none, or longer ones.
   */
  of(fd: number): Uint8Array | FilesystemError
  /**
   * Opens the file with O_PATH (`open_by_handle_at`); ESTALE when it is gone, EPERM without CAP_DAC_READ_SEARCH. `mount`
   * is the descriptor of anything in the same filesystem, but not one with O_PATH. The new descriptor is the caller's to
   * close: who can be interrupted acquires it uninterruptibly.
   */
  open(mount: number, handle: Uint8Array): Fails<number>
}

export class Syscalls extends Context.Service<
  Syscalls,
  {
    readonly name: "koffi" | "node"
    /**
     * Resolution of the times that it can set: of a given time, what is a multiple of it comes back as it was. (With
     * `node`, until 2106, and there may be some nanoseconds beside it.)
     */
    readonly timeDelta: Time
    readonly handles: KernelHandles | undefined
    /** A symlink's target; EINVAL for all else. `node` needs its path. */
    readlink(link: Located): Fails<Buffer>
    /** Gives a file of any type to a user and a group. */
    chown(file: Located, uid: number, gid: number): Fails<void>
    /** Sets times of a file of any type; `undefined` stays as it is. */
    utimes(file: Located, atime: Time | "now" | undefined, mtime: Time | "now" | undefined): Fails<void>
    /** Gives a file of any type another name. `node` needs its path, and fails with ESTALE when that is another file's. */
    link(file: Located, directory: number, name: Buffer): Fails<void>
    /** Makes a FIFO, socket or device node; `mode` with the bits of its type. The process's umask takes its bits away. */
    mknod(directory: number, name: Buffer, mode: number, rdev: Device): Fails<void>
    /**
     * Reads what the page cache holds, without waiting for a disk: the number of bytes, which may be fewer than asked for,
     * or `undefined` when not all of it is cached, or that cannot be told. `fd` was opened to be read. Nothing is cached
     * beyond a file's end, so what is asked for must lie before it.
     */
    readCached(fd: number, buffer: Uint8Array, offset: number): number | undefined
    /**
     * Opens with O_PATH what the kernel finds in its memory, without waiting for a disk: the descriptor, `"absent"` when
     * it remembers that there is no such name, `undefined` when it would have to look, or refuses. It never leads into
     * what is mounted there.
     */
    openCached(directory: number, name: Buffer): number | "absent" | undefined
    /** Reads entries of an open directory as the kernel has them: see `Getdents`. `undefined` where that is impossible. */
    readonly getdents: Getdents | undefined
  }
>()("effect-nfs/Syscalls") {
  /** Calls the C library through koffi. */
  static readonly layerKoffi: Layer.Layer<Syscalls, KoffiUnavailable> = Layer.effect(Syscalls, KoffiSyscalls.make)

  /** Only `node:fs`. */
  static readonly layerNode: Layer.Layer<Syscalls> = Layer.sync(Syscalls, NodeSyscalls.make)

  /** The C library where koffi can be loaded, otherwise `node:fs`. */
  static readonly layer: Layer.Layer<Syscalls> = Syscalls.layerKoffi.pipe(
    Layer.tap(() => Effect.logDebug("System calls go through koffi")),
    Layer.catchTag("KoffiUnavailable", ({ message }) =>
      Layer.tap(Syscalls.layerNode, () => Effect.logDebug(`System calls go through node:fs (${message})`))
    )
  )
}
