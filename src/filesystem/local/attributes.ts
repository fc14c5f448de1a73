/** GETATTR, SETATTR and the attributes of what is new; FSSTAT. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { type Attributes, S_ISGID, S_ISUID, type SetAttributes } from "../Attributes.ts"
import type { Guard, Statfs, Wcc } from "../Filesystem.ts"
import { errors, type FilesystemError, is } from "../FilesystemError.ts"
import { withContent } from "./content.ts"
import { type Changed, mutation } from "./durability.ts"
import { call, type Fails, here } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import type { Located } from "./Syscalls.ts"
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

/** Bits of a mode that the system takes away when a file gets another owner or content. */
const PRIVILEGES = S_ISUID | S_ISGID

/**
 * Gives a file the attributes that `set` has. The owner first, which is what may be refused, then the mode, so that bits
 * that shall go are gone before other content comes; the times last, which all else moves.
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
  // Linux has no permissions for symlinks: theirs stay as they are.
  if (mode !== undefined && inode.type !== "symlink" && (newOwner || mode !== before.mode)) yield* chmod(inode, mode)
  if (size !== undefined) {
    yield* resize(volume, inode, size)
    if (mode !== undefined && (mode & PRIVILEGES) !== 0) yield* chmod(inode, mode)
  }
  let { atime, mtime } = set
  // Another size has set that already, and who may only write to the file may set no more.
  if (size !== undefined && mtime === "now") mtime = undefined
  if (inode.verifier !== undefined) {
    // Its times hold the verifier of an EXCLUSIVE create, which ends here.
    inode.verifier = undefined
    atime ??= "now"
    mtime ??= "now"
  }
  if (atime !== undefined || mtime !== undefined) yield* touch(volume, file, atime, mtime)
})

const chmod = (inode: Inode, mode: number): Fails<void> => call(inode, (done) => fs.chmod(here(inode.fd), mode, done))

/** `ftruncate` counts as a change even when the size stays; `truncate` does not. */
const resize = ({ writes }: Volume, inode: Inode, size: number): Fails<void> =>
  withContent(inode, "write", (open) => writes.withPermit(call(open, (done) => fs.ftruncate(open.fd, size, done))))

/** Who may only write to a file may set its times to now, and the system takes that only for both together. */
const touch = (
  { syscalls }: Volume,
  file: Located,
  atime: SetAttributes["atime"],
  mtime: SetAttributes["mtime"]
): Fails<void> => {
  const set = syscalls.utimes(file, atime, mtime)
  if (typeof atime === "object" || typeof mtime === "object") return set
  return Effect.catchIf(
    set,
    (error) => error === errors.EPERM,
    () => syscalls.utimes(file, "now", "now")
  )
}

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
