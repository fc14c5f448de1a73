/** GETATTR, SETATTR and the attributes of what is new; FSSTAT. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { Guard, Statfs, Wcc } from "../Filesystem.ts"
import { errors, type FilesystemError, is } from "../FilesystemError.ts"
import { withContent } from "./content.ts"
import { type Changed, mutation } from "./durability.ts"
import { call, type Fails, here } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import { alone } from "./Turn.ts"
import type { Volume } from "./Volume.ts"
import { changed } from "./wcc.ts"

export const getattr = ({ inodes }: Volume, file: Inode): Fails<Attributes> =>
  inodes.use(file, (inode) => inodes.attributes(inode))

export const setattr = (volume: Volume, file: Inode, guard: Guard<[before: Attributes], SetAttributes>): Fails<Wcc> =>
  mutation(
    volume,
    volume.inodes.use(file, (inode) =>
      alone(
        inode.attributes,
        Effect.flatMap(volume.inodes.attributes(inode), (before): Fails<Changed<Wcc>> => {
          const set = guard(before)
          if (is(set)) return Effect.fail(set)
          if (isEmpty(set)) return Effect.succeed({ result: { before, after: before, atomic: false }, files: [] })
          return Effect.andThen(
            assign(volume, inode, before, set),
            Effect.map(changed(volume, inode, before), (result) => ({ result, files: [inode] }))
          )
        })
      )
    )
  )

const isEmpty = (set: SetAttributes): boolean => Object.values(set).every((value) => value === undefined)

/** What setting `set` comes to before anything is done about it. */
export const objection = (
  { properties }: Volume,
  type: Attributes["type"],
  { size }: SetAttributes
): FilesystemError | undefined => {
  if (size === undefined) return undefined
  if (type !== "regular") return type === "directory" ? errors.EISDIR : errors.EINVAL
  return size > properties.maxFileSize ? errors.EFBIG : undefined
}

/**
 * Gives a file the attributes that `set` has. The owner first, which is what may be refused, then the mode, from which
 * another owner and another size take bits away; the times last, which all else moves.
 */
export const assign = Effect.fnUntraced(function* (
  volume: Volume,
  inode: Inode,
  before: Attributes,
  set: SetAttributes
): Effect.fn.Return<void, FilesystemError> {
  const refused = objection(volume, inode.type, set)
  if (refused !== undefined) return yield* Effect.fail(refused)
  const { gid = before.gid, mode, size, uid = before.uid } = set
  const newOwner = uid !== before.uid || gid !== before.gid
  const file = { fd: inode.fd, path: undefined }
  if (newOwner) yield* volume.syscalls.chown(file, uid, gid)
  if (size !== undefined) yield* resize(inode, size)
  // Linux has no permissions for symlinks: theirs stay as they are.
  if (mode !== undefined && inode.type !== "symlink" && (newOwner || size !== undefined || mode !== before.mode)) {
    yield* call(inode, (done) => fs.chmod(here(inode.fd), mode, done))
  }
  let { atime, mtime } = set
  if (inode.verifier !== undefined) {
    // Its times hold the verifier of an EXCLUSIVE create, which ends here.
    inode.verifier = undefined
    atime ??= "now"
    mtime ??= "now"
  }
  if (atime !== undefined || mtime !== undefined) {
    yield* volume.syscalls.utimes(file, atime, mtime)
  }
})

/** `ftruncate` counts as a change even when the size stays; `truncate` does not. */
const resize = (inode: Inode, size: number): Fails<void> =>
  withContent(inode, true, (open) => call(open, (done) => fs.ftruncate(open.fd, size, done)))

export const statfs = ({ inodes }: Volume, file: Inode): Fails<Statfs> =>
  inodes.use(file, (inode) =>
    Effect.andThen(
      inodes.attributes(inode),
      Effect.map(
        call<fs.StatsFs>(inode, (done) => fs.statfs(here(inode.fd), done)),
        ({ bavail, bfree, blocks, bsize, ffree, files }): Statfs => ({
          totalBytes: blocks * bsize,
          freeBytes: bfree * bsize,
          availableBytes: bavail * bsize,
          totalFiles: files,
          freeFiles: ffree,
          availableFiles: ffree
        })
      )
    )
  )
