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
import { errors } from "../FilesystemError.ts"
import { step } from "../Step.ts"
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
  resolve: step((key) => inodes.resolve(key)),
  getattr: step((file) => (file.gone ? errors.ESTALE : file.attributes)),
  setattr: step((file, guard) => data.setattr(inodes, file, guard)),
  lookup: step((directory, name, guard) => namespace.lookup(directory, name, guard)),
  parent: step((directory, guard) => namespace.parent(directory, guard)),
  readlink: step((file, guard) => data.readlink(inodes, file, guard)),
  read: step((file, offset, count, guard) => data.read(inodes, file, offset, count, guard)),
  write: step((file, offset, chunks, _, guard) => data.write(inodes, file, offset, chunks, guard)),
  create: step((directory, name, how, guard) => data.create(inodes, directory, name, how, guard)),
  mkdir: step((directory, name, guard) => namespace.mkdir(inodes, directory, name, guard)),
  symlink: step((directory, name, target, guard) => namespace.symlink(inodes, directory, name, target, guard)),
  mknod: step((directory, name, special, guard) => namespace.mknod(inodes, directory, name, special, guard)),
  remove: step((directory, name, guard) => namespace.remove(inodes, directory, name, guard)),
  rmdir: step((directory, name, guard) => namespace.rmdir(inodes, directory, name, guard)),
  rename: step((from, name, to, newName, guard) => namespace.rename(inodes, from, name, to, newName, guard)),
  link: step((file, directory, name, guard) => namespace.link(inodes, file, directory, name, guard)),
  readdir: step((directory, request, guard) => readdir(inodes, directory, request, guard)),
  statfs: step((file) => (file.gone ? errors.ESTALE : inodes.space.statfs())),
  commit: step((file, _offset, _count, guard) => data.commit(file, guard))
})
