/** A directory of its own for a test, and tables over it, by what every system has. */

import { Buffer } from "node:buffer"
import {
  closeSync,
  constants,
  existsSync,
  fstat,
  lstatSync,
  mkdtempSync,
  open,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { fromCode } from "../../../src/filesystem/local/Errors.ts"
import { PathTable, type Options } from "../../../src/filesystem/local/PathTable.ts"
import { entries, type Tree } from "../../../src/filesystem/local/Tree.ts"

/** Linux's O_PATH, which Node.js does not know. */
export const O_PATH = 0o10000000

const directoryIn = (parent: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(parent, "effect-nfs-paths-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

/** An empty directory that is removed with the scope. */
export const directory = directoryIn(tmpdir())

/** One for very many files, in memory where that is possible. */
export const largeDirectory = directoryIn(existsSync("/dev/shm") ? "/dev/shm" : tmpdir())

const key = (ino: bigint, birth: bigint): Uint8Array => {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(ino)
  bytes.writeBigUInt64BE(birth, 8)
  return bytes
}

export const keyOf = (path: string | Buffer): Uint8Array => {
  const { birthtimeNs, ino } = lstatSync(path, { bigint: true })
  return key(ino, birthtimeNs)
}

export const identify: Tree["identify"] = (fd) =>
  Effect.callback((resume) =>
    fstat(fd, { bigint: true }, (error, stats) =>
      resume(error === null ? Effect.succeed(key(stats.ino, stats.birthtimeNs)) : Effect.fail(fromCode(error.code)))
    )
  )

export const openAt: Tree["openAt"] = (directory, name) =>
  Effect.callback((resume) =>
    open(
      Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]),
      O_PATH | constants.O_NOFOLLOW,
      (error, fd) => resume(error === null ? Effect.succeed(fd) : Effect.fail(fromCode(error.code)))
    )
  )

/** A table over a directory, and how many directories it has listed. */
export interface Table {
  readonly table: PathTable
  readonly listed: () => number
  /** Opens a file and closes it again; gives whether it is the file. */
  readonly asks: (key: Uint8Array) => Effect.Effect<boolean, FilesystemError>
  /** Asks until there is an answer, as a client does. */
  readonly finds: (key: Uint8Array) => Effect.Effect<boolean, FilesystemError>
}

export const make = (root: string, options: Partial<Options> = {}): Effect.Effect<Table, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fd = yield* Effect.acquireRelease(
      Effect.sync(() => openSync(root, O_PATH)),
      (fd) => Effect.sync(() => closeSync(fd))
    )
    let listed = 0
    const list = options.entries ?? entries
    const table = yield* PathTable.make({
      root: { key: keyOf(root), fd },
      identify,
      openAt,
      stateFile: undefined,
      ...options,
      entries: (directory) =>
        Stream.suspend(() => {
          listed++
          return list(directory)
        })
    })
    const asks = (key: Uint8Array) =>
      Effect.acquireUseRelease(table.open(key), identify, (fd) => Effect.sync(() => closeSync(fd))).pipe(
        Effect.map((found) => Buffer.compare(found, key) === 0)
      )
    const finds = (key: Uint8Array) =>
      Effect.retry(asks(key), { while: ({ code }) => code === "EAGAIN", schedule: Schedule.spaced(20) })
    return { table, listed: () => listed, asks, finds }
  })

/** The path of a directory that is open. */
export const pathOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`)

/** Descriptors of this process that are open below a directory. */
export const openBelow = (path: string): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith(path) ? [target] : []
    } catch {
      return []
    }
  })

/** Makes every listing of a directory take so many milliseconds longer. */
export const slow =
  (millis: number): Tree["entries"] =>
  (directory) =>
    Stream.unwrap(Effect.as(Effect.sleep(millis), entries(directory)))

/** For those who should need no search. */
export const unlisted: Tree["entries"] = () => Stream.die("a directory was listed")

/** Waits until something is so, for ten seconds of real time at most. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let i = 0; i < 500 && !condition(); i++) await setTimeout(20)
  })
