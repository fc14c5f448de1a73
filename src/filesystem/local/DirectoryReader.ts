/**
 * Reads directories with what Node.js has. It does not give the fileids of what is in them: whoever lists needs an `lstat`
 * of each entry that he shows.
 */

import type { Buffer } from "node:buffer"
import type { Dir, Dirent, OpenDirOptions } from "node:fs"
import { opendir } from "node:fs/promises"
import * as Effect from "effect/Effect"
import type { FilesystemError } from "../FilesystemError.ts"
import { fromErrno } from "./Errors.ts"
import type { Add } from "./Listings.ts"

/** Entries of a step: they come to the event loop at once, which takes half a millisecond. */
const STEP = 256

/** Shows `add` the entries of the directory at `path`, without `.` and `..`. */
export const read = (path: string | Buffer, add: Add): Effect.Effect<void, FilesystemError> =>
  Effect.acquireUseRelease(
    // The types know no directories of names that are bytes.
    fails(() => opendir(path, { encoding: "buffer", bufferSize: STEP } as unknown as OpenDirOptions)),
    (directory) => fails((signal) => readAll(directory, add, signal)),
    (directory) => Effect.promise(() => directory.close())
  )

const readAll = async (directory: Dir, add: Add, signal: AbortSignal): Promise<void> => {
  for (;;) {
    const entry = (await directory.read()) as Dirent<Buffer> | null
    if (entry === null || signal.aborted) return
    add(entry.name, 0, entry.name.length, 0n)
  }
}

const fails = <A>(run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, FilesystemError> =>
  Effect.tryPromise({ try: run, catch: (error) => fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0)) })
