/** What makes files: CREATE, MKDIR, SYMLINK. */

import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import type { Attributes, FileType, SetAttributes } from "../Attributes.ts"
import type { CreateHow, Made, MakeGuard } from "../Filesystem.ts"
import { errors, fail, type FilesystemError, is } from "../FilesystemError.ts"
import { assign, objection } from "./attributes.ts"
import { knowing } from "./namespace.ts"
import type { PathNode } from "./PathNode.ts"
import { type Child, type Fails, unchanged, type Volume } from "./Volume.ts"

interface Making {
  readonly type: FileType
  readonly create: (path: string) => Fails<void>
  /** Takes a file of ours away again. */
  readonly undo: (path: string) => Fails<void>
  /** Of what the guard says, what to set. Default: all. */
  readonly settable?: ((set: SetAttributes) => SetAttributes) | undefined
  readonly verifier?: Uint8Array | undefined
  /** What to do when there is one with the name already. Default: EEXIST. */
  readonly meet?: (existing: Child, set: SetAttributes) => Fails<Attributes>
}

export const create = (
  volume: Volume,
  directory: PathNode,
  name: string,
  how: CreateHow,
  guard: MakeGuard
): Fails<Made<PathNode>> => {
  const exclusive = how._tag === "Exclusive"
  return make(volume, directory, name, guard, {
    type: "regular",
    create: (path) => volume.backend.create(path),
    undo: (path) => volume.backend.unlink(path),
    settable: exclusive ? ({ gid, mode, uid }) => ({ gid, mode, uid }) : undefined,
    verifier: exclusive ? Uint8Array.from(how.verifier) : undefined,
    meet: ({ attributes, file }, set) => {
      if (how._tag === "Guarded" || attributes.type !== "regular") return fail.EEXIST
      if (how._tag === "Unchecked") return Effect.map(assign(volume, file, attributes, set), ({ after }) => after)
      // The same verifier: its first answer was lost, and the call has come again.
      const { verifier } = file
      const again = verifier !== undefined && Buffer.compare(verifier, how.verifier) === 0
      return again ? Effect.succeed(attributes) : fail.EEXIST
    }
  })
}

export const mkdir = (volume: Volume, directory: PathNode, name: string, guard: MakeGuard): Fails<Made<PathNode>> =>
  make(volume, directory, name, guard, {
    type: "directory",
    create: (path) => volume.backend.mkdir(path),
    undo: (path) => volume.backend.rmdir(path)
  })

export const symlink = (
  volume: Volume,
  directory: PathNode,
  name: string,
  target: string,
  guard: MakeGuard
): Fails<Made<PathNode>> =>
  make(volume, directory, name, guard, {
    type: "symlink",
    create: (path) => (volume.holds(target) ? volume.backend.symlink(target, path) : fail.EINVAL),
    undo: (path) => volume.backend.unlink(path)
  })

const make = (
  volume: Volume,
  directory: PathNode,
  name: string,
  guard: MakeGuard,
  making: Making
): Fails<Made<PathNode>> =>
  volume.tree.changing(
    directory,
    knowing(volume, directory, (before) =>
      volume.withChild(directory, name, (existing) => {
        const set = guard(before, existing?.attributes)
        if (is(set)) return Effect.fail(set)
        if (existing === undefined) return makeNew(volume, directory, name, before, set, making)
        if (making.meet === undefined) return fail.EEXIST
        return Effect.map(making.meet(existing, set), (attributes) => ({
          file: existing.file,
          attributes,
          directory: unchanged(before)
        }))
      })
    )
  )

const makeNew = Effect.fnUntraced(function* (
  volume: Volume,
  directory: PathNode,
  name: string,
  before: Attributes,
  asked: SetAttributes,
  { create, settable, type, undo, verifier }: Making
): Effect.fn.Return<Made<PathNode>, FilesystemError> {
  const set = settable?.(asked) ?? asked
  const refused = objection(volume, type, set) ?? (volume.holds(name) ? undefined : errors.EINVAL)
  if (refused !== undefined) return yield* Effect.fail(refused)
  const path = volume.at(directory, name)
  yield* create(path)
  const made = yield* complete(volume, directory, name, set).pipe(Effect.onError(() => Effect.ignore(undo(path))))
  made.file.verifier = verifier
  const wcc = yield* volume.entriesChanged(directory, before, [{ name, fileid: made.file.fileid }])
  return { ...made, directory: wcc }
})

/** A new file with its attributes; where symlinks cannot be given any, they show those that they have. */
const complete = Effect.fnUntraced(function* (
  volume: Volume,
  directory: PathNode,
  name: string,
  set: SetAttributes
): Effect.fn.Return<Child, FilesystemError> {
  const made = yield* volume.child(directory, name)
  // Somebody else took it away at once.
  if (made === undefined) return yield* fail.ESTALE
  const { attributes, file } = made
  const assigned = Effect.map(assign(volume, file, attributes, set), ({ after }) => after)
  const isSymlink = attributes.type === "symlink"
  return {
    file,
    attributes: yield* Effect.catchIf(
      assigned,
      (error) => isSymlink && error === errors.ENOTSUP,
      () => Effect.succeed(attributes)
    )
  }
})
