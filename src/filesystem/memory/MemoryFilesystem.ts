/**
 * A filesystem in memory: complete, and gone with the process.
 *
 * Every operation is one synchronous step, so nothing ever comes between a guard and what it allows, or between the
 * attributes before and after. The steps are plain functions (`namespace`, `data`, `listing`) over all `Inodes`; here
 * they become effects.
 */

import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filesystem, type Operations } from "../Filesystem.ts"
import { errors, fail, type FilesystemError, is } from "../FilesystemError.ts"
import * as Clock from "./Clock.ts"
import * as data from "./data.ts"
import { Inodes } from "./Inodes.ts"
import { readdir } from "./listing.ts"
import * as namespace from "./namespace.ts"
import type { Node } from "./Node.ts"
import type { Quota } from "./Space.ts"

export interface Options {
  /** How much it may hold. */
  readonly quota?: Quota | undefined
  /**
   * Mode of the root. Default 0o777: a filesystem that nobody else has made rights for yet is useful to whoever mounts
   * it, as whatever user.
   */
  readonly mode?: number | undefined
  /** Owner of the root. Default 0. */
  readonly uid?: number | undefined
  /** Group of the root. Default 0. */
  readonly gid?: number | undefined
  /** Most links of a file, and most directories in a directory. Default: 2^31 - 1. */
  readonly linkMax?: number | undefined
}

/** A new, empty filesystem. */
export const make = (options: Options = {}): Effect.Effect<Operations> =>
  Effect.sync(() => {
    const { gid = 0, linkMax = 0x7fff_ffff, mode = 0o777, quota = {}, uid = 0 } = options
    return operations(new Inodes({ quota, linkMax, root: { mode, uid, gid } }))
  })

/** A new, empty filesystem as the {@link Filesystem} to be served. */
export const layer = (options?: Options): Layer.Layer<Filesystem> => Layer.effect(Filesystem, make(options))

const operations = (inodes: Inodes): Operations<Node> => ({
  properties: {
    maxFileSize: data.MAX_FILE_SIZE,
    linkMax: inodes.linkMax,
    symlinks: true,
    timeDelta: Clock.RESOLUTION,
    caseInsensitive: false,
    casePreserving: true
  },
  root: inodes.root,
  resolve: (key) => step(() => inodes.resolve(key)),
  getattr: (file) => Effect.suspend(() => (file.gone ? fail.ESTALE : Effect.succeed(file.attributes))),
  setattr: (file, guard) => step(() => data.setattr(inodes, file, guard)),
  lookup: (directory, name, guard) => step(() => namespace.lookup(directory, name, guard)),
  parent: (directory, guard) => step(() => namespace.parent(directory, guard)),
  readlink: (file, guard) => step(() => data.readlink(inodes, file, guard)),
  read: (file, offset, count, guard) => step(() => data.read(inodes, file, offset, count, guard)),
  write: (file, offset, chunks, _, guard) => step(() => data.write(inodes, file, offset, chunks, guard)),
  create: (directory, name, how, guard) => step(() => data.create(inodes, directory, name, how, guard)),
  mkdir: (directory, name, guard) => step(() => namespace.mkdir(inodes, directory, name, guard)),
  symlink: (directory, name, target, guard) => step(() => namespace.symlink(inodes, directory, name, target, guard)),
  mknod: (directory, name, special, guard) => step(() => namespace.mknod(inodes, directory, name, special, guard)),
  remove: (directory, name, guard) => step(() => namespace.remove(inodes, directory, name, guard)),
  rmdir: (directory, name, guard) => step(() => namespace.rmdir(inodes, directory, name, guard)),
  rename: (from, name, to, newName, guard) => step(() => namespace.rename(inodes, from, name, to, newName, guard)),
  link: (file, directory, name, guard) => step(() => namespace.link(inodes, file, directory, name, guard)),
  readdir: (directory, request, guard) => step(() => readdir(inodes, directory, request, guard)),
  statfs: (file) => step(() => (file.gone ? errors.ESTALE : inodes.space.statfs())),
  commit: (file, _offset, _count, guard) => step(() => data.commit(file, guard))
})

/** A step as an effect. */
const step = <A>(run: () => A | FilesystemError): Effect.Effect<A, FilesystemError> =>
  Effect.suspend(() => {
    const result = run()
    return is(result) ? fail[result.code] : Effect.succeed(result)
  })
