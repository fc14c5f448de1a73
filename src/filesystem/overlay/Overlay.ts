/**
 * A writable filesystem over one that is never changed: what is changed is copied to the upper filesystem first, what is made
 * is made there, and what is removed from the lower one is hidden by a mark in the upper one.
 *
 * ```ts
 * Overlay.layer({ upper: yield* MemoryFilesystem.make(), lower })
 * ```
 *
 * The upper filesystem may be any, and belongs to the overlay alone. All marks are files in it whose names begin with `.wh.`:
 * so they outlive a restart as it does, and clients cannot use such names (EINVAL), nor see those that the lower filesystem
 * has.
 *
 * - A file keeps its handle, its number and its attributes when it is copied up. All of it is copied, in portions, before the
 *   first change: others can read it meanwhile. Guards may be asked a second time when that is done.
 * - A lower file with several names is a file of its own under each of them, with one link, whatever becomes of it.
 * - Directories that are in both filesystems can be renamed as all others: they take the path of their lower part along.
 *   They may show more links than they have subdirectories.
 * - After a restart handles are stale, but for the root's.
 * - Reading moves times of access in the lower filesystem where that does so itself.
 */

import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type File, Filesystem, type Operations } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import * as Listings from "../local/Listings.ts"
import { readOnly } from "../ReadOnly.ts"
import * as creation from "./creation.ts"
import * as data from "./data.ts"
import { allow, find, Layers } from "./Layers.ts"
import { readdir } from "./listing.ts"
import { WORK } from "./names.ts"
import * as namespace from "./namespace.ts"
import type { OverlayNode } from "./OverlayNode.ts"
import { rename } from "./renaming.ts"

export interface Options {
  /** Holds the changes: empty at first, or what an overlay over the same lower filesystem left. */
  readonly upper: Operations
  /** Is never changed, and must not be changed by others meanwhile. */
  readonly lower: Operations
}

/** `options.upper` over `options.lower`. */
export const make = (options: Options): Effect.Effect<Operations, FilesystemError, Scope.Scope> =>
  Effect.gen(function* () {
    const { upper } = options
    const lower = readOnly(options.lower)
    const work = yield* prepare(upper, lower)
    const { nlink } = yield* lower.getattr(lower.root)
    return operations(new Layers(upper, lower, work, yield* Listings.make(), nlink))
  })

/** The same as the {@link Filesystem} to be served. */
export const layer = (options: Options): Layer.Layer<Filesystem, FilesystemError> =>
  Layer.effect(Filesystem, make(options))

/** The working directory, without what a crash left in it. A new upper root is first made to look like the lower one. */
const prepare = Effect.fnUntraced(function* (
  upper: Operations,
  lower: Operations
): Effect.fn.Return<File, FilesystemError> {
  const existing = yield* find(upper, upper.root, WORK)
  if (existing !== undefined) {
    const request = { cookie: 0n, fits: () => true, attributes: false }
    for (const { name } of (yield* upper.readdir(existing.file, request, allow)).entries) {
      yield* Effect.catchIf(
        upper.remove(existing.file, name, allow),
        (error) => error === errors.EISDIR,
        () => upper.rmdir(existing.file, name, allow)
      )
    }
    return existing.file
  }
  const { file } = yield* upper.mkdir(upper.root, WORK, () => ({ mode: 0o700 }))
  const { gid, mode, mtime, uid } = yield* lower.getattr(lower.root)
  yield* upper.setattr(upper.root, () => ({ mode, mtime }))
  // Only some may give files away.
  yield* Effect.catchIf(
    Effect.asVoid(upper.setattr(upper.root, () => ({ uid, gid }))),
    (error) => error === errors.EPERM,
    () => Effect.void
  )
  return file
})

const operations = (layers: Layers): Operations<OverlayNode> => ({
  properties: layers.upper.properties,
  root: layers.tree.root,
  resolve: (key) => layers.tree.resolve(key),
  getattr: (file) => data.getattr(layers, file),
  setattr: (file, guard) => data.setattr(layers, file, guard),
  lookup: (directory, name, guard) => namespace.lookup(layers, directory, name, guard),
  parent: (directory, guard) => namespace.parent(layers, directory, guard),
  readlink: (file, guard) => data.readlink(layers, file, guard),
  read: (file, offset, count, guard, allocate) => data.read(layers, file, offset, count, guard, allocate),
  write: (file, offset, chunks, stability, guard) => data.write(layers, file, offset, chunks, stability, guard),
  create: (directory, name, how, guard) => creation.create(layers, directory, name, how, guard),
  mkdir: (directory, name, guard) => creation.mkdir(layers, directory, name, guard),
  symlink: (directory, name, target, guard) => creation.symlink(layers, directory, name, target, guard),
  mknod: (directory, name, special, guard) => creation.mknod(layers, directory, name, special, guard),
  remove: (directory, name, guard) => namespace.remove(layers, directory, name, guard),
  rmdir: (directory, name, guard) => namespace.rmdir(layers, directory, name, guard),
  rename: (from, name, to, newName, guard) => rename(layers, from, name, to, newName, guard),
  link: (file, directory, name, guard) => namespace.link(layers, file, directory, name, guard),
  readdir: (directory, request, guard) => readdir(layers, directory, request, guard),
  statfs: (file) => Effect.suspend(() => (file.gone ? fail.ESTALE : layers.upper.statfs(layers.upper.root))),
  commit: (file, offset, count, guard) => data.commit(layers, file, offset, count, guard)
})
