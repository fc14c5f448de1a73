/** What `serve` serves, a directory of the host or memory, and who its clients are there. */

import { realpathSync } from "node:fs"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Identity from "../exports/Identity.ts"
import type { Filesystem } from "../filesystem/Filesystem.ts"
import * as LocalFilesystem from "../filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../filesystem/memory/MemoryFilesystem.ts"

export interface Source {
  /** Where the files come from, for people. */
  readonly name: string
  readonly squash: Identity.Squash
  readonly filesystem: Layer.Layer<Filesystem, LocalFilesystem.LocalFilesystemError>
  /** What people should know of users and owners, if anything. */
  readonly note: string | undefined
}

interface Flags {
  readonly directory: Option.Option<string>
  readonly async: boolean
  readonly crossMounts: boolean
  readonly quota: Option.Option<number>
  readonly squash: Option.Option<Identity.Squash>
  readonly stateDir: string
}

export const of = (flags: Flags): Source =>
  Option.isSome(flags.directory) ? directory(flags.directory.value, flags) : memory(flags)

const memory = ({ quota, squash }: Flags): Source => ({
  name: "memory",
  squash: Option.getOrElse(squash, () => "none" as const),
  filesystem: MemoryFilesystem.layer({ quota: { bytes: Option.getOrUndefined(quota) } }),
  note: undefined
})

/** File handles of a directory that are no longer in use lead to where these were seen last. */
const HINTS_FILE = "hints.sqlite"

const directory = (path: string, { async, crossMounts, stateDir, ...flags }: Flags): Source => {
  const { uid } = Identity.ofProcess()
  // Any user of the machine can say to be root. And who cannot give files to others had better be honest about it.
  const squash = Option.getOrElse(flags.squash, () => (uid === Identity.ROOT ? "root" : "self"))
  const name = realPath(path)
  return {
    name,
    squash,
    filesystem: Layer.unwrap(
      Effect.sync(() => {
        // Files get the modes that clients ask for.
        process.umask(0)
        return LocalFilesystem.layer({ path: name, async, crossMounts, stateFile: join(stateDir, HINTS_FILE) })
      })
    ),
    note: noteOn(squash, uid)
  }
}

/** Without symlinks, where that can be told. */
const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

const noteOn = (squash: Identity.Squash, uid: number): string | undefined => {
  const isRoot = uid === Identity.ROOT
  if (squash === "self") {
    const acting = `Everybody who reaches this port acts as uid ${uid}, which it runs as`
    return isRoot ? `${acting}.` : `${acting}: only root can serve users as who they are.`
  }
  return isRoot
    ? undefined
    : `Running as uid ${uid}, it cannot give files to other users: what they create is refused. --squash self makes everybody that user.`
}
