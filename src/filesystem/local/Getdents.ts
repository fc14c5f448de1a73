/**
 * Reads directories with `getdents64` of Linux, which gives the fileids of what is in them, and gives them many at a time.
 *
 * The call itself is not here: Node.js does not have it.
 */

import { Buffer } from "node:buffer"
import type { FileHandle } from "node:fs/promises"
import { constants, open } from "node:fs/promises"
import * as Effect from "effect/Effect"
import type { FilesystemError } from "../FilesystemError.ts"
import { fromErrno } from "./Errors.ts"
import type { Add } from "./Listings.ts"

/** Fills the buffer with entries of an open directory: how many bytes of it, 0 at the directory's end. */
export type Getdents = (fd: number, buffer: Buffer) => Effect.Effect<number, FilesystemError>

/** Bytes of entries that are asked for at once: about 1,000 names. */
const STEP = 32_768

/** `struct linux_dirent64`: the fileid, a cookie (8), the length of it all (2), the type (1), the name up to a NUL. */
const LENGTH_AT = 16
const NAME_AT = 19

/** Shows `add` the entries of the directory at `path`, without `.` and `..`. */
export const read =
  (getdents: Getdents) =>
  (path: string | Buffer, add: Add): Effect.Effect<void, FilesystemError> =>
    Effect.acquireUseRelease(
      Effect.tryPromise({
        try: () => open(path, constants.O_RDONLY | constants.O_DIRECTORY),
        catch: (error) => fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0))
      }),
      (directory) => readAll(getdents, directory, add),
      (directory) => Effect.promise(() => directory.close())
    )

const readAll = Effect.fnUntraced(function* (getdents: Getdents, directory: FileHandle, add: Add) {
  const buffer = Buffer.allocUnsafeSlow(STEP)
  for (;;) {
    const length = yield* getdents(directory.fd, buffer)
    if (length === 0) return
    parse(buffer, length, add)
  }
})

/** Shows `add` what the kernel has put into a buffer. */
export const parse = (buffer: Buffer, length: number, add: Add): void => {
  for (let at = 0; at < length; at += buffer.readUInt16LE(at + LENGTH_AT)) {
    const start = at + NAME_AT
    let end = start
    while (buffer[end] !== 0) end++
    if (isDots(buffer, start, end)) continue
    add(buffer, start, end, buffer.readBigUInt64LE(at))
  }
}

const DOT = 0x2e

const isDots = (buffer: Buffer, start: number, end: number): boolean =>
  buffer[start] === DOT && (end === start + 1 || (end === start + 2 && buffer[start + 1] === DOT))
