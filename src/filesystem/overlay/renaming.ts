/**
 * RENAME. What has a lower part is renamed by its upper part alone: a file was copied up, and a directory takes along the path
 * of its lower part. Everything that has to be prepared changes nothing that anybody sees, so the rename of the upper
 * filesystem is the one step in which it happens.
 */

import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes } from "../Attributes.ts"
import type { File, Guard, RenameSituation, Wcc } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { copyingUp, type NeedsUpper, upperOf, writeAll } from "./copyUp.ts"
import { allow, type Child, type Fails, find, type Layers, shown, unchanged } from "./Layers.ts"
import { isReserved, ORIGIN } from "./names.ts"
import { assertEmpty, clear, hide, knowing } from "./namespace.ts"
import type { LowerDirectory, OverlayNode } from "./OverlayNode.ts"

export interface Renamed {
  readonly from: Wcc
  readonly to: Wcc
}

export const rename = (
  layers: Layers,
  from: OverlayNode,
  name: string,
  to: OverlayNode,
  newName: string,
  guard: Guard<[situation: RenameSituation]>
): Fails<Renamed> =>
  copyingUp(
    layers,
    layers.tree.reordering(
      knowing(layers, from, (beforeFrom) =>
        knowing(layers, to, (beforeTo) =>
          Effect.gen(function* (): Effect.fn.Return<Renamed, FilesystemError | NeedsUpper> {
            const places: Places = { from, name, to, newName, beforeFrom, beforeTo }
            const source = yield* layers.child(from, name)
            const target = yield* layers.child(to, newName)
            if (source !== undefined && (yield* isPlain(layers, places, source, target))) {
              return yield* move(layers, places, source, target, guard)
            }
            const refused = guard({
              from: beforeFrom,
              source: source?.attributes,
              to: beforeTo,
              target: target?.attributes
            })
            if (refused !== undefined) return yield* Effect.fail(refused)
            if (source === undefined) return yield* fail.ENOENT
            if (source.file === target?.file) return { from: unchanged(beforeFrom), to: unchanged(beforeTo) }
            yield* assertMovable(layers, places, source, target)
            yield* prepare(layers, places, source.file, target)
            return yield* move(layers, places, source, target, source.file.type === "directory" ? allow : guard)
          })
        )
      )
    )
  )

interface Places {
  readonly from: OverlayNode
  readonly name: string
  readonly to: OverlayNode
  readonly newName: string
  readonly beforeFrom: Attributes
  readonly beforeTo: Attributes
}

/** Whether all that concerns the upper filesystem, so that its rename can decide and do everything. */
const isPlain = (
  layers: Layers,
  { from, name, newName, to }: Places,
  { file }: Child,
  target: Child | undefined
): Fails<boolean> => {
  const isAbove =
    file.type !== "directory" &&
    [file, from, to, target?.file ?? to].every(({ upper }) => upper !== undefined) &&
    target?.file.type !== "directory" &&
    !isReserved(newName)
  return isAbove ? Effect.map(layers.needsHiding(from, name), (needsHiding) => !needsHiding) : Effect.succeed(false)
}

const assertMovable = (
  layers: Layers,
  { newName, to }: Places,
  { file }: Child,
  target: Child | undefined
): Fails<void> => {
  const isDirectory = file.type === "directory"
  if (isDirectory && isWithin(to, file)) return fail.EINVAL
  if (target === undefined) return isReserved(newName) ? fail.EINVAL : Effect.void
  if (target.file.type !== "directory") return isDirectory ? fail.ENOTDIR : Effect.void
  return isDirectory ? assertEmpty(layers, target.file) : fail.EISDIR
}

/** Whether `directory` is `ancestor` or below it. */
const isWithin = (directory: OverlayNode, ancestor: OverlayNode): boolean => {
  for (let at: OverlayNode | undefined = directory; at !== undefined; at = at.places[0]?.directory) {
    if (at === ancestor) return true
  }
  return false
}

/** Makes it so that renaming the upper part is all that is left to do. Nothing of it shows. */
const prepare = Effect.fnUntraced(function* (
  layers: Layers,
  { from, name, newName, to }: Places,
  source: OverlayNode,
  target: Child | undefined
): Effect.fn.Return<void, FilesystemError | NeedsUpper> {
  const upper = yield* upperOf(source)
  const [upperFrom, upperTo] = [yield* upperOf(from), yield* upperOf(to)]
  if (source.type === "directory") {
    if (target?.file.upper !== undefined) {
      if (yield* layers.needsHiding(to, newName)) yield* hide(layers, upperTo, newName)
      yield* clear(layers, target.file.upper)
    }
    if (source.below !== undefined) yield* takeAlong(layers, source.below, upper)
  }
  if (yield* layers.needsHiding(from, name)) yield* hide(layers, upperFrom, name)
})

/** Notes in a directory, at once and whole, which lower one belongs to it, wherever it is. */
const takeAlong = Effect.fnUntraced(function* (
  layers: Layers,
  { path }: LowerDirectory,
  directory: File
): Effect.fn.Return<void, FilesystemError> {
  const { upper, work } = layers
  if ((yield* find(upper, directory, ORIGIN)) !== undefined) return
  const { mtime } = yield* upper.getattr(directory)
  const name = layers.nameInWork()
  const { file } = yield* upper.create(work, name, { _tag: "Guarded" }, () => ({ mode: 0o600 }))
  yield* writeAll(upper, file, 0, Bytestring.encode(path), "fileSync")
  yield* upper.rename(work, name, directory, ORIGIN, allow)
  yield* upper.setattr(directory, () => ({ mtime }))
})

const move = Effect.fnUntraced(function* (
  layers: Layers,
  { beforeFrom, beforeTo, from, name, newName, to }: Places,
  { file }: Child,
  target: Child | undefined,
  guard: Guard<[situation: RenameSituation]>
): Effect.fn.Return<Renamed, FilesystemError> {
  const renamed = yield* layers.upper.rename(from.upper!, name, to.upper!, newName, (situation) =>
    guard({
      from: beforeFrom,
      source: situation.source && shown(file, situation.source),
      to: beforeTo,
      target: target && (situation.target === undefined ? target.attributes : shown(target.file, situation.target))
    })
  )
  if (target !== undefined && target.file !== file) layers.tree.leave(to, newName)
  if (target?.file !== file) layers.tree.move(from, name, to, newName)
  const left = { name, fileid: undefined }
  const entered = { name: newName, fileid: file.fileid }
  if (target?.file === file) return { from: unchanged(beforeFrom), to: unchanged(beforeTo) }
  if (from === to) {
    const wcc = layers.entriesChanged(from, beforeFrom, renamed.from, [left, entered])
    return { from: wcc, to: wcc }
  }
  return {
    from: layers.entriesChanged(from, beforeFrom, renamed.from, [left]),
    to: layers.entriesChanged(to, beforeTo, renamed.to, [entered])
  }
})
