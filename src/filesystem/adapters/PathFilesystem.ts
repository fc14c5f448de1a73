/**
 * A filesystem over anything that works with paths ({@link Backend}).
 *
 * Files have numbers of ours, which they keep through our own renames. What others rename behind our back becomes another
 * file, and the handle to it stale. Guard and act are one step for all who come through here, not for those others; nor can a
 * path be held: who swaps a directory for a symbolic link between our look at it and the call that follows leads that one
 * call elsewhere. So only serve what is yours alone, and directories of the host with `LocalFilesystem`.
 */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Operations } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import * as Listings from "../local/Listings.ts"
import * as attributes from "./attributes.ts"
import type { Backend } from "./Backend.ts"
import * as creation from "./creation.ts"
import * as data from "./data.ts"
import * as namespace from "./namespace.ts"
import type { PathNode } from "./PathNode.ts"
import { Volume } from "./Volume.ts"

const LINK_MAX = 32_000

/** The finest time that all backends can be told. */
const MILLISECOND = { seconds: 0, nanoseconds: 1_000_000 }

/** Serves the directory at `root`; ENOTDIR when it is none, EINVAL when `root` is empty, which stands for no directory. */
export const make = (backend: Backend, root: string): Effect.Effect<Operations, FilesystemError, Scope.Scope> =>
  Effect.gen(function* () {
    if (root === "") return yield* fail.EINVAL
    const properties = {
      maxFileSize: backend.maxFileSize,
      linkMax: backend.hardLinks ? LINK_MAX : 1,
      symlinks: true,
      timeDelta: MILLISECOND,
      caseInsensitive: false,
      casePreserving: true
    }
    const volume = new Volume(backend, properties, yield* Listings.make(), root)
    const { type } = yield* volume.attributes(volume.tree.root)
    return type === "directory" ? operations(volume) : yield* fail.ENOTDIR
  })

const operations = (volume: Volume): Operations<PathNode> => ({
  properties: volume.properties,
  root: volume.tree.root,
  resolve: (key) => volume.tree.resolve(key),
  getattr: (file) => volume.tree.looking(file, volume.attributes(file)),
  setattr: (file, guard) => attributes.setattr(volume, file, guard),
  lookup: (directory, name, guard) => namespace.lookup(volume, directory, name, guard),
  parent: (directory, guard) => namespace.parent(volume, directory, guard),
  readlink: (file, guard) => data.readlink(volume, file, guard),
  read: (file, offset, count, guard) => data.read(volume, file, offset, count, guard),
  write: (file, offset, chunks, stability, guard) => data.write(volume, file, offset, chunks, stability, guard),
  create: (directory, name, how, guard) => creation.create(volume, directory, name, how, guard),
  mkdir: (directory, name, guard) => creation.mkdir(volume, directory, name, guard),
  symlink: (directory, name, target, guard) => creation.symlink(volume, directory, name, target, guard),
  // No backend has a call for it.
  mknod: () => fail.ENOTSUP,
  remove: (directory, name, guard) => namespace.remove(volume, directory, name, guard),
  rmdir: (directory, name, guard) => namespace.rmdir(volume, directory, name, guard),
  rename: (from, name, to, newName, guard) => namespace.rename(volume, from, name, to, newName, guard),
  link: (file, directory, name, guard) =>
    volume.backend.hardLinks ? namespace.link(volume, file, directory, name, guard) : fail.ENOTSUP,
  readdir: (directory, request, guard) => namespace.readdir(volume, directory, request, guard),
  statfs: (file) => attributes.statfs(volume, file),
  commit: (file, _offset, _count, guard) => data.commit(volume, file, guard)
})
