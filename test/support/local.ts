/** Directories of the host for tests, served and looked at beside. */

import fs, { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statfsSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Operations } from "../../src/filesystem/Filesystem.ts"
import { fail, type FilesystemError } from "../../src/filesystem/FilesystemError.ts"
import * as LocalFilesystem from "../../src/filesystem/local/LocalFilesystem.ts"
import { Syscalls } from "../../src/filesystem/local/Syscalls.ts"

export const isRoot = process.getuid?.() === 0

const TMPFS = 0x0102_1994

/** Where there is a filesystem in memory; `undefined` when nowhere. */
export const memory = ((path: string): string | undefined => {
  try {
    return statfsSync(path).type === TMPFS ? path : undefined
  } catch {
    return undefined
  }
})("/dev/shm")

/** A new directory below `parent`, which is removed with the scope. */
export const temporary = (parent = "/tmp"): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(parent, "effect-nfs-local-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** A directory to be served, with room beside it. */
export interface Place {
  readonly path: string
  readonly outside: string
}

export const place = (parent?: string): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.map(temporary(parent), (top) => {
    const [path, outside] = [join(top, "export"), join(top, "outside")]
    mkdirSync(path)
    mkdirSync(outside)
    return { path, outside }
  })

/** As an ordinary user has them: files cannot be opened by their handles. */
export const layerPaths: Layer.Layer<Syscalls> = Layer.effect(
  Syscalls,
  Effect.map(Syscalls, (syscalls) => {
    const { handles } = syscalls
    return { ...syscalls, handles: handles && { of: (fd: number) => handles.of(fd), open: () => fail.EPERM } }
  })
).pipe(Layer.provide(Syscalls.layer))

/** The ways in which files are found again, by the system calls that lead to them. */
export const ways = {
  handles: Syscalls.layer,
  paths: layerPaths,
  node: Syscalls.layerNode
}

export type Way = keyof typeof ways

/** A directory served while the scope lives; nothing is remembered unless `options` say so. */
export const open = (
  options: LocalFilesystem.Options,
  syscalls: Layer.Layer<Syscalls> = Syscalls.layer
): Effect.Effect<Operations, LocalFilesystem.LocalFilesystemError, Scope.Scope> =>
  LocalFilesystem.make({ cacheLife: 0, ...options }).pipe(Effect.provide(syscalls))

/** Asks again while a file is looked for. */
export const patient = <A>(effect: Effect.Effect<A, FilesystemError>): Effect.Effect<A, FilesystemError> =>
  Effect.retry(effect, { times: 200, while: ({ code }) => code === "EAGAIN", schedule: Schedule.spaced("20 millis") })

/** Descriptors of this process by what they lead to, as far as that begins with `path`. */
export const descriptorsIn = (path: string): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith(path) ? [target] : []
    } catch {
      return []
    }
  })

/** Ends when no descriptor leads below `path` any more; fails with those that are left after a while. */
export const closed = (path: string): Effect.Effect<void, ReadonlyArray<string>> =>
  Effect.suspend(() => {
    const left = descriptorsIn(path)
    return left.length === 0 ? Effect.void : Effect.fail(left)
  }).pipe(Effect.retry({ times: 50, schedule: Schedule.spaced("10 millis") }))

/** Puts something in the place of a function of `node:fs`, for all who call it while the scope lives. */
export const replaced = <K extends "chmod" | "fsync" | "ftruncate" | "mkdir" | "open" | "writev">(
  name: K,
  by: (original: (typeof fs)[K]) => (...args: Parameters<(typeof fs)[K]>) => void
): Effect.Effect<void, never, Scope.Scope> => {
  const put = (value: unknown) => {
    Object.assign(fs, { [name]: value })
    syncBuiltinESMExports()
  }
  return Effect.acquireRelease(
    Effect.sync(() => {
      const original = fs[name]
      put(by(original))
      return original
    }),
    (original) => Effect.sync(() => put(original))
  ).pipe(Effect.asVoid)
}
