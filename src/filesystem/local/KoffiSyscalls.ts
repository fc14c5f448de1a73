/**
 * `Syscalls` by the C library.
 *
 * What may wait for a disk runs on a thread of libuv's pool. What runs here and now, at once, is what the kernel answers
 * from memory: {@link Syscalls} `handles.of`, `readCached` and `openCached` say why at their place.
 */

import { Buffer } from "node:buffer"
import { constants } from "node:fs"
import { constants as os } from "node:os"
import * as Effect from "effect/Effect"
import type { Device, Time } from "../Attributes.ts"
import { errors, fail } from "../FilesystemError.ts"
import { isEntry } from "./EntryName.ts"
import { fromErrno, goneIsStale } from "./Errors.ts"
import { type KoffiUnavailable, type Libc, load } from "./Libc.ts"
import type { KernelHandles, Syscalls } from "./Syscalls.ts"

const { ENOENT, ENOSYS, EOVERFLOW } = os.errno

// Values of <fcntl.h> that all machines have in common; O_NOFOLLOW is not one of them.
const O_PATH = 0o10000000
const O_CLOEXEC = 0o2000000
const AT_FDCWD = -100
const AT_SYMLINK_FOLLOW = 0x400
const AT_EMPTY_PATH = 0x1000

const OPEN_FLAGS = O_PATH | O_CLOEXEC | constants.O_NOFOLLOW

/** With AT_EMPTY_PATH: the file of the descriptor itself. */
const ITSELF = Buffer.alloc(1)

/** The longest target of a symlink, and a byte. */
const PATH_MAX = 4096

/** A name as C wants it. */
const terminated = (name: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(name.length + 1)
  bytes.set(name)
  return bytes
}

/** The most bytes of a handle with its type before it. */
const HANDLE_MAX = 40

/** `struct file_handle`: its length, its type, its bytes. */
const HANDLE_BYTES = 8

/**
 * While another file is being made that gets the number of one that is gone, Linux has ENOMEM for the handle of that instead
 * of ESTALE. This passes in a moment; a lack of memory does not.
 */
const ATTEMPTS = 20

const makeHandles = (libc: Libc): KernelHandles => {
  const handle = Buffer.alloc(HANDLE_BYTES + HANDLE_MAX - 1)
  const mount = Buffer.alloc(4)
  return {
    // At once: the file is open, so its inode is in memory, and that is what handles are made of.
    of: (fd) => {
      handle.writeUInt32LE(HANDLE_MAX - 1, 0)
      const outcome = libc.outcome(libc.nameToHandleAt(fd, ITSELF, handle, mount, AT_EMPTY_PATH))
      if (outcome < 0) return outcome === -EOVERFLOW ? errors.ENOTSUP : fromErrno(-outcome)
      const [length, type] = [handle.readUInt32LE(0), handle.readUInt32LE(4)]
      if (type > 0xff) return errors.ENOTSUP
      const key = new Uint8Array(1 + length)
      key[0] = type
      key.set(handle.subarray(HANDLE_BYTES, HANDLE_BYTES + length), 1)
      return key
    },

    open: (mount, key) =>
      Effect.suspend(() => {
        if (key.length < 2 || key.length > HANDLE_MAX) return fail.ESTALE
        const handle = Buffer.alloc(HANDLE_BYTES + key.length - 1)
        handle.writeUInt32LE(key.length - 1, 0)
        handle.writeUInt32LE(key[0]!, 4)
        handle.set(key.subarray(1), HANDLE_BYTES)
        const opening = libc.blocking(libc.openByHandleAt, mount, handle, OPEN_FLAGS)
        return Effect.retry(opening, { while: (error) => error === errors.EAGAIN, times: ATTEMPTS })
      })
  }
}

/** `struct timespec`, and its two values that are no times. */
const TIMESPEC_BYTES = 16
const UTIME_NOW = 0x3fffffff
const UTIME_OMIT = 0x3ffffffe

const timespecs = (...times: ReadonlyArray<Time | "now" | undefined>): Buffer => {
  const bytes = Buffer.alloc(TIMESPEC_BYTES * times.length)
  for (const [i, time] of times.entries()) {
    const { seconds, nanoseconds } =
      time === "now" || time === undefined ? { seconds: 0, nanoseconds: time === "now" ? UTIME_NOW : UTIME_OMIT } : time
    bytes.writeBigInt64LE(BigInt(seconds), i * TIMESPEC_BYTES)
    bytes.writeBigInt64LE(BigInt(nanoseconds), i * TIMESPEC_BYTES + 8)
  }
  return bytes
}

/** The kernel's number of a device: 12 bits of it are the major number, 20 the minor one. */
const deviceNumber = ({ major, minor }: Device): number | undefined =>
  major > 0xfff || minor > 0xfffff ? undefined : ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0

const RWF_NOWAIT = 8

/**
 * Reads only what is all there (`cachestat`, Linux 6.5), and with RWF_NOWAIT, should it just have been taken away. Without
 * asking first, RWF_NOWAIT would start a readahead for what is missing, which may wait for its place in a disk's queue.
 */
const makeReadCached = (libc: Libc): Syscalls["Service"]["readCached"] => {
  const range = new BigUint64Array(2)
  const statistics = new BigUint64Array(5)
  const iov = new BigUint64Array(2)
  const { pageSize } = libc
  let known = true

  const isCached = (fd: number, offset: number, length: number): boolean => {
    range[0] = BigInt(offset)
    range[1] = BigInt(length)
    const outcome = libc.outcome(libc.cachestat(451, fd, range, statistics, 0))
    if (outcome === -ENOSYS) known = false
    const pages = Math.ceil((offset + length) / pageSize) - Math.floor(offset / pageSize)
    return outcome === 0 && Number(statistics[0]) === pages
  }

  return (fd, buffer, offset) => {
    if (!known || buffer.length === 0 || !isCached(fd, offset, buffer.length)) return undefined
    iov[0] = libc.address(buffer)
    iov[1] = BigInt(buffer.length)
    const count = libc.preadv2(fd, iov, 1, offset, RWF_NOWAIT)
    return count < 0 ? undefined : count
  }
}

const RESOLVE_NO_XDEV = 0x01n
const RESOLVE_BENEATH = 0x08n
const RESOLVE_CACHED = 0x20n
const RESOLVE = RESOLVE_CACHED | RESOLVE_BENEATH | RESOLVE_NO_XDEV

/** The longest name, and a NUL. */
const NAME_BYTES = 256

/**
 * RESOLVE_CACHED (Linux 5.12) walks only through the names that the kernel remembers, and waits for nothing. Nor does who
 * looks at what it gives: RESOLVE_NO_XDEV leaves out what is mounted there, which may be a server that does not answer.
 */
const makeOpenCached = (libc: Libc): Syscalls["Service"]["openCached"] => {
  const path = Buffer.alloc(NAME_BYTES)
  /** `struct open_how`: flags, mode, how to resolve. */
  const how = Buffer.from(BigUint64Array.of(BigInt(OPEN_FLAGS), 0n, RESOLVE).buffer)
  return (directory, name) => {
    if (name.length >= NAME_BYTES || !isEntry(name)) return undefined
    path.set(name)
    path[name.length] = 0
    const outcome = libc.outcome(libc.openat2(437, directory, path, how, how.length))
    return outcome >= 0 ? outcome : outcome === -ENOENT ? "absent" : undefined
  }
}

const SYS_getdents64 = process.arch === "x64" ? 217 : 61

const implement = (libc: Libc): Syscalls["Service"] => ({
  name: "koffi",
  timeDelta: { seconds: 0, nanoseconds: 1 },
  handles: makeHandles(libc),

  readlink: (link) =>
    Effect.suspend(() => {
      const target = Buffer.allocUnsafe(PATH_MAX)
      return libc.blocking(libc.readlinkat, link.fd, ITSELF, target, target.length).pipe(
        Effect.map((length) => Buffer.from(target.subarray(0, length))),
        // What has a descriptor is there: this is how the kernel says that it is no symlink.
        Effect.mapError((error) => (error === errors.ENOENT ? errors.EINVAL : error))
      )
    }),

  chown: (file, uid, gid) => Effect.asVoid(libc.blocking(libc.fchownat, file.fd, ITSELF, uid, gid, AT_EMPTY_PATH)),

  utimes: (file, atime, mtime) =>
    Effect.asVoid(libc.blocking(libc.utimensat, file.fd, ITSELF, timespecs(atime, mtime), AT_EMPTY_PATH)),

  // AT_EMPTY_PATH would take a capability; following the link of /proc leads to the file itself, be it a symlink or not.
  link: (file, directory, name) => {
    if (!isEntry(name)) return fail.EINVAL
    const path = terminated(Buffer.from(`/proc/self/fd/${file.fd}`))
    return libc
      .blocking(libc.linkat, AT_FDCWD, path, directory, terminated(name), AT_SYMLINK_FOLLOW)
      .pipe(goneIsStale, Effect.asVoid)
  },

  mknod: (directory, name, mode, rdev) => {
    const device = deviceNumber(rdev)
    if (!isEntry(name) || device === undefined) return fail.EINVAL
    return libc.blocking(libc.mknodat, directory, terminated(name), mode, device).pipe(goneIsStale, Effect.asVoid)
  },

  readCached: makeReadCached(libc),
  openCached: makeOpenCached(libc),
  getdents: (directory, buffer) => libc.blocking(libc.getdents64, SYS_getdents64, directory, buffer, buffer.length)
})

export const make: Effect.Effect<Syscalls["Service"], KoffiUnavailable> = Effect.map(load, implement)
