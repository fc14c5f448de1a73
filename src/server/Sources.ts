/** Where the files of configured exports come from: directories of the host, and memory. */

import { realpath } from "node:fs/promises"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { identify } from "../exports/Export.ts"
import type { LayerOptions } from "../exports/Exports.ts"
import * as Identity from "../exports/Identity.ts"
import type { Filesystem } from "../filesystem/Filesystem.ts"
import * as LocalFilesystem from "../filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../filesystem/memory/MemoryFilesystem.ts"
import { toBytes } from "../pool/Units.ts"
import { type Export, lifeOf } from "./ServerConfig.ts"

/** File handles of a directory that are no longer in use lead to where these were seen last. */
const HINTS_FILE = "hints.sqlite"

interface Source {
  /** What tells it from others: a directory and how it is served, or memory under a name. */
  readonly key: string
  readonly filesystem: Layer.Layer<Filesystem, LocalFilesystem.LocalFilesystemError>
  /** The export that it was opened for. */
  readonly opened: Export
}

/** The filesystems of exports, in their order. */
export type Sources = ReadonlyArray<Source>

/**
 * The filesystems of these exports. Those that are `known` are the same, so they are not opened again: a directory that is
 * served in the same way, and memory under the same name.
 */
export const of = Effect.fnUntraced(function* (exports: ReadonlyArray<Export>, known: Sources, stateDir: string) {
  const sources = new Map(known.map((source) => [source.key, source]))
  return yield* Effect.forEach(exports, (one) =>
    Effect.map(keyOf(one), (key) => {
      const source = sources.get(key) ?? { key, filesystem: open(one, stateDir), opened: one }
      sources.set(key, source)
      return source
    })
  )
})

/** The exports with their filesystems, as the server takes them. */
export const options = (exports: ReadonlyArray<Export>, sources: Sources) =>
  exports.map(
    (one, i) =>
      ({
        ...one,
        squash: squashOf(one),
        maxFileSize: size(one.maxFileSize),
        filesystem: sources[i]!.filesystem
      }) satisfies LayerOptions
  )

/** The fields of exports whose filesystems are open already and stay as they are. */
export const unchangeable = (exports: ReadonlyArray<Export>, sources: Sources): ReadonlyArray<string> =>
  exports.flatMap((one, i) =>
    size(one.memory?.quota) === size(sources[i]!.opened.memory?.quota) ? [] : [`exports[${i}].memory.quota`]
  )

/** The paths under which there was memory before that is not among these any more. */
export const lost = (before: Sources, sources: Sources): ReadonlyArray<string> => {
  const kept = new Set(sources.map(({ key }) => key))
  return before.flatMap(({ key, opened }) => (opened.memory === undefined || kept.has(key) ? [] : [opened.path]))
}

const keyOf = (one: Export): Effect.Effect<string> =>
  Effect.map(one.directory === undefined ? Effect.succeed(undefined) : directoryOf(one.directory), (directory) =>
    JSON.stringify(
      directory === undefined
        ? ["memory", identify(one).id]
        : [directory, one.async ?? false, one.crossMounts ?? false, life(one)]
    )
  )

/** A directory without symlinks, where that can be told. A disk that hangs shall not hold up who else is served. */
const directoryOf = (path: string): Effect.Effect<string> =>
  Effect.promise(() => realpath(path).catch(() => resolve(path)))

const open = (one: Export, stateDir: string): Source["filesystem"] => {
  const { async, crossMounts, directory, memory } = one
  if (directory === undefined) return MemoryFilesystem.layer({ quota: { bytes: size(memory?.quota) } })
  return Layer.unwrap(
    Effect.sync(() => {
      // Files get the modes that clients ask for.
      process.umask(0)
      const stateFile = join(stateDir, HINTS_FILE)
      return LocalFilesystem.layer({
        path: directory,
        async,
        crossMounts,
        cacheLife: life(one),
        stateFile
      })
    })
  )
}

/** Milliseconds. */
const life = ({ cacheLife = "1s" }: Export): number | undefined => lifeOf(cacheLife)

const size = (value: string | number | undefined): number | undefined =>
  value === undefined ? undefined : toBytes(value)

/**
 * Whose word an export does not take for who they are. Any user of the machine can say to be root, which matters for its
 * files; and a server that cannot give files to others had better be honest about it.
 */
export const squashOf = ({ directory, squash }: Export): Identity.Squash =>
  squash ?? (directory === undefined ? "none" : Identity.isRoot(Identity.ofProcess()) ? "root" : "self")
