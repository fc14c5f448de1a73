/** GETATTR, SETATTR; READ, WRITE, COMMIT, READLINK: what is done to one file, wherever it is. */

import * as Effect from "effect/Effect"
import { lengthOf } from "../../xdr/Chunks.ts"
import type { Chunks } from "../../xdr/Reader.ts"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { Allocate, File, Guard, Operations, ReadResult, Stability, Wcc, WriteResult } from "../Filesystem.ts"
import { errors, fail, type FilesystemError, is } from "../FilesystemError.ts"
import { copyingUp, NeedsUpper } from "./copyUp.ts"
import { type Fails, type Layers, lowerOf, shown, unchanged } from "./Layers.ts"
import type { OverlayNode } from "./OverlayNode.ts"

/** A guard that is asked by the filesystem below. */
const asked =
  <Allowed>(node: OverlayNode, guard: Guard<[before: Attributes], Allowed>): Guard<[before: Attributes], Allowed> =>
  (before) =>
    guard(shown(node, before))

const wccOf = (node: OverlayNode, { after, atomic, before }: Wcc): Wcc => ({
  before: shown(node, before),
  after: shown(node, after),
  atomic
})

/** The file where it is now. */
const inside = <A>(
  { lower, upper }: Layers,
  node: OverlayNode,
  body: (fs: Operations, file: File) => Fails<A>
): Fails<A> =>
  Effect.suspend(() => {
    if (node.gone) return fail.ESTALE
    return node.upper === undefined ? body(lower, lowerOf(node)) : body(upper, node.upper)
  })

/** Directories may look changed while something in them is copied up. */
export const getattr = (layers: Layers, node: OverlayNode): Fails<Attributes> =>
  node.type === "directory" ? layers.tree.looking(node, layers.attributes(node)) : layers.attributes(node)

export const setattr = (
  layers: Layers,
  node: OverlayNode,
  guard: Guard<[before: Attributes], SetAttributes>
): Fails<Wcc> =>
  copyingUp(
    layers,
    Effect.suspend(() => {
      if (node.upper === undefined || node.gone) return settingBelow(layers, node, guard)
      const set = Effect.map(layers.upper.setattr(node.upper, asked(node, guard)), (wcc) => wccOf(node, wcc))
      return node.type === "directory" ? layers.tree.changing(node, set) : set
    })
  )

const settingBelow = (
  layers: Layers,
  node: OverlayNode,
  guard: Guard<[before: Attributes], SetAttributes>
): Effect.Effect<Wcc, FilesystemError | NeedsUpper> =>
  Effect.flatMap(layers.attributes(node), (before) => {
    const set = guard(before)
    if (is(set)) return Effect.fail(set)
    if (Object.values(set).every((value) => value === undefined)) return Effect.succeed(unchanged(before))
    const refused = set.size === undefined ? undefined : objection(layers, before, set.size)
    return Effect.fail(refused ?? new NeedsUpper(node))
  })

/** What would make a size impossible, so that nothing is copied up for it. */
const objection = ({ upper }: Layers, { type }: Attributes, size: number): FilesystemError | undefined => {
  if (type !== "regular") return type === "directory" ? errors.EISDIR : errors.EINVAL
  return size > upper.properties.maxFileSize ? errors.EFBIG : undefined
}

export const read = (
  layers: Layers,
  node: OverlayNode,
  offset: number,
  count: number,
  guard: Guard,
  allocate?: Allocate
): Fails<ReadResult> =>
  inside(layers, node, (fs, file) =>
    Effect.map(fs.read(file, offset, count, asked(node, guard), allocate), (result) => ({
      ...result,
      attributes: shown(node, result.attributes)
    }))
  )

export const readlink = (
  layers: Layers,
  node: OverlayNode,
  guard: Guard
): Fails<{ readonly target: string; readonly attributes: Attributes }> =>
  inside(layers, node, (fs, file) =>
    Effect.map(fs.readlink(file, asked(node, guard)), ({ attributes, target }) => ({
      target,
      attributes: shown(node, attributes)
    }))
  )

export const write = (
  layers: Layers,
  node: OverlayNode,
  offset: number,
  data: Chunks,
  stability: Stability,
  guard: Guard<[before: Attributes], SetAttributes | undefined>
): Fails<WriteResult> =>
  copyingUp(
    layers,
    Effect.suspend(() => {
      if (node.upper === undefined || node.gone) return writingBelow(layers, node, offset, data, guard)
      return Effect.map(layers.upper.write(node.upper, offset, data, stability, asked(node, guard)), (result) => ({
        ...result,
        wcc: wccOf(node, result.wcc)
      }))
    })
  )

const writingBelow = (
  layers: Layers,
  node: OverlayNode,
  offset: number,
  data: Chunks,
  guard: Guard<[before: Attributes], SetAttributes | undefined>
): Effect.Effect<WriteResult, FilesystemError | NeedsUpper> =>
  Effect.flatMap(layers.attributes(node), (before): Effect.Effect<WriteResult, FilesystemError | NeedsUpper> => {
    if (before.type !== "regular") return before.type === "directory" ? fail.EISDIR : fail.EINVAL
    const set = guard(before)
    if (is(set)) return Effect.fail(set)
    const count = lengthOf(data)
    const refused = objection(layers, before, offset + count)
    if (refused !== undefined) return Effect.fail(refused)
    if (count > 0) return Effect.fail(new NeedsUpper(node))
    return Effect.succeed({ count, committed: "fileSync", wcc: unchanged(before) })
  })

/** The lower filesystem has nothing that would have to be synced. */
export const commit = (layers: Layers, node: OverlayNode, offset: number, count: number, guard: Guard): Fails<Wcc> =>
  inside(layers, node, (fs, file) =>
    fs === layers.upper
      ? Effect.map(fs.commit(file, offset, count, asked(node, guard)), (wcc) => wccOf(node, wcc))
      : Effect.map(fs.read(file, 0, 0, asked(node, guard)), ({ attributes }) => unchanged(shown(node, attributes)))
  )
