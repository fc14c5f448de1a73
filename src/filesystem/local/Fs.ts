/** `node:fs` as effects, on descriptors that stay open until the operating system has let go of them. */

import type { BigIntStats } from "node:fs"
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import { fromErrno } from "./Errors.ts"

export type Fails<A> = Effect.Effect<A, FilesystemError>

/** What is not closed while somebody uses it. */
export interface Held {
  uses: number
}

type Done<A> = (error: NodeJS.ErrnoException | null, value: A) => void

/**
 * A call of the operating system, which cannot be called back: who is interrupted leaves, but what it works on is held
 * until it has ended, and a result that nobody waits for goes to `late`.
 */
export const call = <A = void>(held: Held, start: (done: Done<A>) => void, late?: (value: A) => void): Fails<A> =>
  Effect.callback<A, FilesystemError>((resume) => {
    let left = false
    held.uses++
    start((error, value) => {
      held.uses--
      if (error) resume(Effect.fail(fromErrno(-(error.errno ?? 0))))
      else if (left) late?.(value)
      else resume(Effect.succeed(value))
    })
    return Effect.sync(() => {
      left = true
    })
  })

/** What the kernel answers from memory, so that nobody waits for a disk. */
export const attempt = <A>(ask: () => A): Fails<A> =>
  Effect.try({ try: ask, catch: (error) => fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0)) })

const closed = (): void => {}

/** Lets go of a descriptor. What was written through it was synced, or may still fail to reach the disk. */
export const close = (fd: number): void => fs.close(fd, closed)

/**
 * The same, here and now, for a descriptor through which nothing was written, of a file that has a name or is open elsewhere,
 * too: nothing waits for a disk then.
 */
export const release = (fd: number): void => {
  try {
    fs.closeSync(fd)
  } catch {
    // It is closed, whatever the system says.
  }
}

/** A descriptor that names a file and opens nothing: works on files of all types, whatever their permissions. */
export const O_PATH = 0o10000000

/** The file of a descriptor, as a path that no rename and no symlink leads elsewhere. */
export const here = (fd: number): string => `/proc/self/fd/${fd}`

/**
 * The path of an open file as it is now, as Latin-1; "/" for one that was opened by its handle and that nobody has looked up
 * since the kernel forgot its name, `undefined` for one of 4,096 bytes or more. Such paths come from memory: to ask for one
 * waits for no disk.
 */
export const pathOf = (fd: number): string | undefined => {
  try {
    return fs.readlinkSync(here(fd), "latin1")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENAMETOOLONG") return undefined
    throw error
  }
}

/**
 * Whether an open file is now somewhere below an open directory, or that directory itself; `undefined` when its path is too
 * long to tell, `false` when that of the directory is.
 */
export const isBelow = (directory: number, fd: number): boolean | undefined => {
  const top = pathOf(directory)
  const path = pathOf(fd)
  if (top === undefined) return false
  if (path === undefined) return undefined
  return path.startsWith(top) && (path.length === top.length || top === "/" || path[top.length] === "/")
}

/**
 * The same, and who has a long path is asked for the directories above it until one has a shorter one. `undefined` when it
 * is no directory itself: only those know what they are in. Nobody is to be interrupted on the way.
 */
export const climbs = (directory: number, fd: number): Fails<boolean | undefined> =>
  Effect.suspend(() => {
    const below = isBelow(directory, fd)
    return below === undefined ? climb(directory, fd) : Effect.succeed(below)
  })

const climb = Effect.fnUntraced(
  function* (directory: number, fd: number): Effect.fn.Return<boolean, FilesystemError> {
    const held = { uses: 0 }
    let below: boolean | undefined
    for (let at = fd; below === undefined;) {
      const from = at
      at = yield* Effect.ensuring(
        open(held, `${here(from)}/..`, O_PATH | fs.constants.O_DIRECTORY),
        Effect.sync(() => {
          if (from !== fd) close(from)
        })
      )
      below = isBelow(directory, at)
      if (below !== undefined) close(at)
    }
    return below
  },
  Effect.catchIf(
    (error) => error === errors.ENOTDIR,
    () => Effect.undefined
  )
)

/**
 * The mount through which a file was opened: the same number as long as it is mounted, and another for all else that is
 * mounted at the time. `undefined` where the system does not tell. The kernel has it in memory.
 */
export const mountOf = (fd: number): string | undefined =>
  /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1]

/** A name in the directory of a descriptor. */
export const at = (fd: number, name: string): string | Buffer =>
  name.isWellFormed() ? `${here(fd)}/${name}` : Buffer.concat([Buffer.from(`${here(fd)}/`), Bytestring.encode(name)])

export const open = (held: Held, path: string | Buffer, flags: number, mode?: number): Fails<number> =>
  call<number>(held, (done) => fs.open(path, flags, mode, done), close)

export const fstat = (held: Held, fd: number): Fails<BigIntStats> =>
  call<BigIntStats>(held, (done) => fs.fstat(fd, { bigint: true }, done))
