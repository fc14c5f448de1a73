/** RENAME: two directories, what moves and what it replaces, all of them held while the guard decides and the system acts. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import type { Guard, RenameSituation, Wcc } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { type Changed, mutation } from "./durability.ts"
import { at, call, type Fails } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import { gone } from "./namespace.ts"
import { alone, alsoShared, shared } from "./Turn.ts"
import { type Volume, withChild } from "./Volume.ts"
import { entriesChanged } from "./wcc.ts"

export interface Renamed {
  readonly from: Wcc
  readonly to: Wcc
}

export const rename = (
  volume: Volume,
  from: Inode,
  name: string,
  to: Inode,
  newName: string,
  guard: Guard<[situation: RenameSituation]>
): Fails<Renamed> => {
  const { inodes } = volume
  return mutation(
    volume,
    both(
      volume,
      from,
      to,
      Effect.fnUntraced(function* (source, target): Effect.fn.Return<Changed<Renamed>, FilesystemError> {
        const before = { from: yield* inodes.attributes(source), to: yield* inodes.attributes(target) }
        if (source.type !== "directory" || target.type !== "directory") return yield* fail.ENOTDIR
        const places: Places = { source, name, target, newName, before }
        return yield* withChild(volume, source, name, (moved, movedAttributes) =>
          withChild(volume, target, newName, (replaced, replacedAttributes) => {
            const refused = guard({ ...before, source: movedAttributes, target: replacedAttributes })
            if (refused !== undefined) return Effect.fail(refused)
            return moved === undefined ? fail.ENOENT : move(volume, places, moved, replaced)
          })
        )
      })
    )
  )
}

interface Places {
  readonly source: Inode
  readonly name: string
  readonly target: Inode
  readonly newName: string
  readonly before: { readonly from: Attributes; readonly to: Attributes }
}

const move = Effect.fnUntraced(function* (
  volume: Volume,
  { before, name, newName, source, target }: Places,
  moved: Inode,
  replaced: Inode | undefined
): Effect.fn.Return<Changed<Renamed>, FilesystemError> {
  // Two names of one file: POSIX has rename do nothing.
  if (moved === replaced) {
    return { result: { from: unchanged(before.from), to: unchanged(before.to) }, files: [] }
  }
  yield* call(source, (done) => fs.rename(at(source.fd, name), at(target.fd, newName), done))
  moved.changed()
  volume.inodes.note(moved, target, newName)
  if (replaced !== undefined) yield* gone(volume, replaced)
  const left = { name, fileid: undefined }
  const entered = { name: newName, fileid: moved.fileid }
  if (source === target) {
    const wcc = yield* entriesChanged(volume, source, before.from, [left, entered])
    return { result: { from: wcc, to: wcc }, files: [source] }
  }
  const from = yield* entriesChanged(volume, source, before.from, [left])
  const to = yield* entriesChanged(volume, target, before.to, [entered])
  return { result: { from, to }, files: [source, target] }
})

const unchanged = (attributes: Attributes): Wcc => ({ before: attributes, after: attributes, atomic: false })

/** Two directories to change, in an order that all who take two agree on. */
const both = <A>({ inodes }: Volume, from: Inode, to: Inode, body: (from: Inode, to: Inode) => Fails<A>): Fails<A> =>
  inodes.use(from, (source) =>
    inodes.use(to, (target) => {
      if (source === target) return alone(source.entries, shared(source.attributes, body(source, source)))
      const work = shared(source.attributes, alsoShared(target.attributes, body(source, target)))
      return source.id < target.id
        ? alone(source.entries, alone(target.entries, work))
        : alone(target.entries, alone(source.entries, work))
    })
  )
