/** GETATTR, SETATTR and the attributes of what is new; FSSTAT. */

import * as Effect from "effect/Effect"
import type { Attributes, FileType, SetAttributes, Time } from "../Attributes.ts"
import type { Guard, Statfs, Wcc } from "../Filesystem.ts"
import { errors, type FilesystemError, is } from "../FilesystemError.ts"
import { nanoseconds } from "../local/Stat.ts"
import { now, type PathNode } from "./PathNode.ts"
import { type Fails, unchanged, type Volume } from "./Volume.ts"

export const setattr = (
  volume: Volume,
  file: PathNode,
  guard: Guard<[before: Attributes], SetAttributes>
): Fails<Wcc> =>
  volume.tree.changing(
    file,
    Effect.flatMap(volume.attributes(file), (before) => {
      const set = guard(before)
      return is(set) ? Effect.fail(set) : assign(volume, file, before, set)
    })
  )

/** What setting `set` comes to before anything is done about it. */
export const objection = (
  { properties }: Volume,
  type: FileType,
  { size }: SetAttributes
): FilesystemError | undefined => {
  if (size === undefined) return undefined
  if (type !== "regular") return type === "directory" ? errors.EISDIR : errors.EINVAL
  return size > properties.maxFileSize ? errors.EFBIG : undefined
}

/**
 * Gives a file the attributes that `set` has. The owner first, which is what may be refused, then the mode, from which
 * another owner and another size may take bits away; the times last, which all else moves.
 */
export const assign = Effect.fnUntraced(function* (
  volume: Volume,
  file: PathNode,
  before: Attributes,
  set: SetAttributes
): Effect.fn.Return<Wcc, FilesystemError> {
  if (Object.values(set).every((value) => value === undefined)) return unchanged(before)
  const { backend } = volume
  const { type } = before
  const refused = objection(volume, type, set)
  if (refused !== undefined) return yield* Effect.fail(refused)
  const path = volume.pathOf(file)
  const { atime, gid = before.gid, mode, mtime, size, uid = before.uid } = set
  const newOwner = uid !== before.uid || gid !== before.gid
  if (newOwner) yield* backend.chown(path, type, uid, gid)
  if (size !== undefined) yield* backend.truncate(path, size)
  // Symlinks have no permissions.
  if (mode !== undefined && type !== "symlink" && (newOwner || size !== undefined || mode !== before.mode)) {
    yield* backend.chmod(path, mode)
  }
  let current = yield* volume.changed(file, before, size !== undefined)
  file.verifier = undefined
  if (atime === undefined && mtime === undefined) return current
  file.forgetMtime()
  yield* backend.utimes(path, type, chosen(atime, current.after.atime), chosen(mtime, current.after.mtime))
  current = yield* volume.changed(file, before, false)
  return current
})

const chosen = (time: Time | "now" | undefined, current: Time): bigint =>
  time === "now" ? now() : nanoseconds(time ?? current)

/** A filesystem that knows no limit to its space has this much: clients fail to mount, or to copy, when there is none. */
const UNLIMITED: Statfs = {
  totalBytes: 2 ** 50,
  freeBytes: 2 ** 50,
  availableBytes: 2 ** 50,
  totalFiles: 2 ** 31,
  freeFiles: 2 ** 31,
  availableFiles: 2 ** 31
}

export const statfs = (volume: Volume, file: PathNode): Fails<Statfs> =>
  volume.tree.looking(
    file,
    Effect.andThen(
      volume.attributes(file),
      Effect.map(volume.backend.statfs(volume.pathOf(volume.tree.root)), (statfs) => statfs ?? UNLIMITED)
    )
  )
