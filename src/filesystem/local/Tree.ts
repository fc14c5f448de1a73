/**
 * The files below a root, by descriptors that were opened with O_PATH: what finding a file by its key asks of the system,
 * and the way down to a file, on which no symlink is followed and every step is checked.
 */

import { Buffer } from "node:buffer"
import { close as closeFile, type Dir, promises } from "node:fs"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import { fromCode } from "./Errors.ts"

/** A name in a directory. */
export interface Entry {
  readonly name: Buffer
  readonly directory: boolean
}

export interface Tree {
  /** The key of the root, and a descriptor of it that stays open. */
  readonly root: { readonly key: Uint8Array; readonly fd: number }
  /** The key of an open file: at most 44 bytes, which no other file has, not even a later one. */
  readonly identify: (fd: number) => Effect.Effect<Uint8Array, FilesystemError>
  /**
   * Opens an entry of a directory (O_PATH and O_NOFOLLOW; "." is the directory itself). It fails with EXDEV rather than cross
   * a mount point.
   */
  readonly openAt: (directory: number, name: Buffer) => Effect.Effect<number, FilesystemError>
  /** All entries of a directory without "." and "..". */
  readonly entries: (directory: number) => Stream.Stream<Entry, FilesystemError>
}

/** A key in the form that maps want: each character stands for a byte. Names are kept so, too. */
export const textOf = (bytes: Uint8Array): string => {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString("latin1")
}

/** The inverse of {@link textOf}. */
export const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1")

export const close = (fd: number): Effect.Effect<void> =>
  Effect.callback((resume) => closeFile(fd, () => resume(Effect.void)))

/** One name on the way down from the root, in which directory, and the key of the file that it has to lead to. */
export interface Step {
  readonly key: string
  readonly parent: string
  readonly name: string
}

/** Which step led elsewhere (ESTALE) or could not be taken. */
export interface Astray {
  readonly step: Step
  readonly error: FilesystemError
}

/** Opens what the steps, of which there is at least one, lead to from an open directory; the caller closes it. */
export const descend = (tree: Tree, directory: number, steps: ReadonlyArray<Step>): Effect.Effect<number, Astray> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      let at = directory
      for (const step of steps) {
        const from = at
        at = yield* tree.openAt(from, bytesOf(step.name)).pipe(
          Effect.ensuring(from === directory ? Effect.void : close(from)),
          Effect.mapError((error) => ({ step, error }))
        )
        const reached = at
        yield* tree.identify(reached).pipe(
          Effect.filterOrFail(
            (key) => textOf(key) === step.key,
            () => errors.ESTALE
          ),
          Effect.onError(() => close(reached)),
          Effect.mapError((error) => ({ step, error }))
        )
      }
      return at
    })
  )

/** Whether what was there has been removed or replaced. */
export const isGone = ({ code }: FilesystemError): boolean =>
  code === "ENOENT" || code === "ENOTDIR" || code === "ESTALE"

/** Where the system shows a process its own descriptors. */
const DESCRIPTORS = process.platform === "linux" ? "/proc/self/fd" : "/dev/fd"

/** Entries that are read at once. */
const BATCH = 256

/** The entries of a directory, by what `node:fs` has. */
export const entries = (directory: number): Stream.Stream<Entry, FilesystemError> =>
  Effect.acquireRelease(
    // The types do not know that names may be wanted as bytes.
    attempt(() =>
      promises.opendir(`${DESCRIPTORS}/${directory}`, { encoding: "buffer" as "latin1", bufferSize: BATCH })
    ),
    (dir) => Effect.ignore(attempt(() => dir.close()))
  ).pipe(
    Effect.map((dir) => Stream.fromPull(Effect.succeed(next(dir)))),
    Stream.unwrap
  )

const next = (dir: Dir) =>
  Effect.flatMap(
    attempt(() => batch(dir)),
    (batch) => (Arr.isReadonlyArrayNonEmpty(batch) ? Effect.succeed(batch) : Cause.done())
  )

const batch = async (dir: Dir): Promise<ReadonlyArray<Entry>> => {
  const found: Array<Entry> = []
  while (found.length < BATCH) {
    const entry = await dir.read()
    if (entry === null) break
    found.push({ name: entry.name as unknown as Buffer, directory: entry.isDirectory() })
  }
  return found
}

const attempt = <A>(f: () => Promise<A>): Effect.Effect<A, FilesystemError> =>
  Effect.tryPromise({ try: f, catch: (error) => fromCode((error as NodeJS.ErrnoException).code) })
