/**
 * The functions of the C library that `node:fs` leaves out, through koffi: on Linux with 64 bits, where all structures
 * below look the same with glibc and with musl.
 *
 * koffi is loaded when it is asked for, and may be missing.
 */

import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { FilesystemError } from "../FilesystemError.ts"
import { fromErrno } from "./Errors.ts"

/** Why the C library cannot be called here. */
export class KoffiUnavailable extends Data.TaggedError("KoffiUnavailable")<{ readonly message: string }> {}

/** What is used of koffi; whoever uses our types may not have its own. */
interface Koffi {
  load(path: null): { func(signature: string): unknown }
  errno(): number
  address(buffer: Uint8Array): bigint
}

/** A C function, which gives -1 and sets errno when it fails. */
interface Call<A extends ReadonlyArray<unknown>> {
  /** Runs here and now. */
  (...args: A): number
  /** Runs on a thread of libuv's pool. */
  readonly async: (...args: [...A, done: (error: unknown, result: number) => void]) => void
}

/**
 * Calls under way at once. koffi keeps memory for the stacks of eight, and maps some for every one beyond: thirty-two at
 * once take twice as long for each.
 */
const AT_ONCE = 8

const bind = (koffi: Koffi) => {
  // The process's own symbols: the C library that Node.js runs on, whatever its name.
  const library = koffi.load(null)
  const bound = <A extends ReadonlyArray<unknown>>(signature: string) => library.func(signature) as Call<A>

  const gate = Semaphore.makeUnsafe(AT_ONCE)
  /** koffi knows only addresses of the buffers that it is given: this is what keeps them alive until a call ends. */
  const underWay = new Set<ReadonlyArray<unknown>>()

  return {
    /** The address of a buffer's first byte; valid while somebody holds the buffer. */
    address: (buffer: Uint8Array): bigint => koffi.address(buffer),

    /** Of a call on this thread, right after it: what it gave, or its error as a negative number, as the kernel says it. */
    outcome: (result: number): number => (result < 0 ? -koffi.errno() : result),

    /** A call that may wait for a disk, away from this thread. */
    blocking: <A extends ReadonlyArray<unknown>>(f: Call<A>, ...args: A): Effect.Effect<number, FilesystemError> =>
      Semaphore.withPermit(
        gate,
        Effect.uninterruptible(
          Effect.callback<number, FilesystemError>((resume) => {
            f.async(...args, (error, result) => {
              // errno belongs to a thread. koffi brings the other thread's here for the time of this function, in which
              // everything else that is called may change it.
              const errno = koffi.errno()
              underWay.delete(args)
              if (error !== null) resume(Effect.die(error))
              else resume(result < 0 ? Effect.fail(fromErrno(errno)) : Effect.succeed(result))
            })
            underWay.add(args)
          })
        )
      ),

    pageSize: bound<[]>("int getpagesize()")(),
    nameToHandleAt: bound<[fd: number, path: Uint8Array, handle: Uint8Array, mount: Uint8Array, flags: number]>(
      "int name_to_handle_at(int, void*, void*, void*, int)"
    ),
    openByHandleAt: bound<[mount: number, handle: Uint8Array, flags: number]>("int open_by_handle_at(int, void*, int)"),
    readlinkat: bound<[fd: number, path: Uint8Array, target: Uint8Array, size: number]>(
      "intptr_t readlinkat(int, void*, void*, size_t)"
    ),
    fchownat: bound<[fd: number, path: Uint8Array, uid: number, gid: number, flags: number]>(
      "int fchownat(int, void*, uint32_t, uint32_t, int)"
    ),
    utimensat: bound<[fd: number, path: Uint8Array, times: Uint8Array, flags: number]>(
      "int utimensat(int, void*, void*, int)"
    ),
    linkat: bound<[from: number, path: Uint8Array, directory: number, name: Uint8Array, flags: number]>(
      "int linkat(int, void*, int, void*, int)"
    ),
    mknodat: bound<[directory: number, name: Uint8Array, mode: number, rdev: number]>(
      "int mknodat(int, void*, uint32_t, uint64_t)"
    ),
    preadv2: bound<[fd: number, iov: BigUint64Array, count: number, offset: number, flags: number]>(
      "intptr_t preadv2(int, void*, int, int64_t, int)"
    ),
    // The C library has no functions for these, or has them under several names.
    openat2: bound<[number: 437, directory: number, name: Uint8Array, how: Uint8Array, size: number]>(
      "long syscall(long, int, void*, void*, size_t)"
    ),
    getdents64: bound<[number: number, fd: number, buffer: Uint8Array, size: number]>(
      "long syscall(long, int, void*, size_t)"
    ),
    cachestat: bound<[number: 451, fd: number, range: BigUint64Array, statistics: BigUint64Array, flags: number]>(
      "long syscall(long, int, void*, void*, unsigned int)"
    )
  }
}

export type Libc = ReturnType<typeof bind>

const unavailable = (cause: unknown) => {
  const [reason] = String(cause instanceof Error ? cause.message : cause).split("\n")
  return new KoffiUnavailable({ message: `the package koffi cannot be loaded: ${reason}` })
}

export const load: Effect.Effect<Libc, KoffiUnavailable> = Effect.suspend(() =>
  process.platform === "linux" && (process.arch === "x64" || process.arch === "arm64")
    ? Effect.tryPromise({ try: async () => bind(await import("koffi")), catch: unavailable })
    : Effect.fail(new KoffiUnavailable({ message: `not made for ${process.platform} on ${process.arch}` }))
)
