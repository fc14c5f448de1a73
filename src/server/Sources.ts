/** Where the files of configured exports come from: directories of the host, and memory. */

import { realpathSync } from "node:fs"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { identify } from "../exports/Export.ts"
import type { LayerOptions } from "../exports/Exports.ts"
import * as Identity from "../exports/Identity.ts"
import type { Filesystem } from "../filesystem/Filesystem.ts"
import * as LocalFilesystem from "../filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../filesystem/memory/MemoryFilesystem.ts"
import { toBytes, toMillis } from "../pool/Units.ts"
import type { Export } from "./ServerConfig.ts"

/** File handles of a directory that are no longer in use lead to where these were seen last. */
const HINTS_FILE = "hints.sqlite"

interface Source {
  readonly filesystem: Layer.Layer<Filesystem, LocalFilesystem.LocalFilesystemError>
  /** The export that it was opened for. */
  readonly opened: Export
}

/** The filesystems of exports, by what tells one from another. */
export type Sources = ReadonlyMap<string, Source>

export const none: Sources = new Map()

/**
 * The filesystems of these exports. Those that are `known` are the same, so they are not opened again: a directory that is
 * served in the same way, and memory under the same name.
 */
export const of = (exports: ReadonlyArray<Export>, known: Sources, stateDir: string): Sources => {
  const sources = new Map<string, Source>()
  for (const one of exports) {
    const key = keyOf(one)
    sources.set(key, sources.get(key) ?? known.get(key) ?? { filesystem: open(one, stateDir), opened: one })
  }
  return sources
}

/** The exports with their filesystems, as the server takes them. */
export const options = (exports: ReadonlyArray<Export>, sources: Sources) =>
  exports.map(
    (one) =>
      ({
        ...one,
        squash: squashOf(one),
        maxFileSize: size(one.maxFileSize),
        filesystem: sources.get(keyOf(one))!.filesystem
      }) satisfies LayerOptions
  )

/** The fields of exports whose filesystems are open already and stay as they are. */
export const unchangeable = (exports: ReadonlyArray<Export>, sources: Sources): ReadonlyArray<string> =>
  exports.flatMap((one, i) =>
    size(one.memory?.quota) === size(sources.get(keyOf(one))?.opened.memory?.quota)
      ? []
      : [`exports[${i}].memory.quota`]
  )

const keyOf = (one: Export): string =>
  JSON.stringify(
    one.directory === undefined
      ? ["memory", identify(one).id]
      : [directoryOf(one.directory), one.async ?? false, one.crossMounts ?? false, life(one)]
  )

const open = (one: Export, stateDir: string): Source["filesystem"] => {
  const { async, crossMounts, directory, memory } = one
  if (directory === undefined) return MemoryFilesystem.layer({ quota: { bytes: size(memory?.quota) } })
  return Layer.unwrap(
    Effect.sync(() => {
      // Files get the modes that clients ask for.
      process.umask(0)
      const stateFile = join(stateDir, HINTS_FILE)
      return LocalFilesystem.layer({
        path: directoryOf(directory),
        async,
        crossMounts,
        cacheLife: life(one),
        stateFile
      })
    })
  )
}

/** Milliseconds. */
const life = ({ cacheLife = "1s" }: Export): number | undefined => toMillis(cacheLife)

const size = (value: string | number | undefined): number | undefined =>
  value === undefined ? undefined : toBytes(value)

/** A directory without symlinks, where that can be told. */
export const directoryOf = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

/**
 * Whose word an export does not take for who they are. Any user of the machine can say to be root, which matters for its
 * files; and a server that cannot give files to others had better be honest about it.
 */
export const squashOf = ({ directory, squash }: Export): Identity.Squash =>
  squash ?? (directory === undefined ? "none" : Identity.isRoot(Identity.ofProcess()) ? "root" : "self")
