/** What files hold: READ, WRITE, COMMIT, and READLINK. */

import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import { lengthOf } from "../../xdr/Chunks.ts"
import type { Chunks } from "../../xdr/Reader.ts"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { Guard, ReadResult, Stability, Wcc, WriteResult } from "../Filesystem.ts"
import { fail, type FilesystemError, is } from "../FilesystemError.ts"
import { assign } from "./attributes.ts"
import type { PathNode } from "./PathNode.ts"
import { type Fails, unchanged, type Volume } from "./Volume.ts"

/** The attributes of a regular file, and what its guard answers. */
const allowed = <Allowed>(
  volume: Volume,
  file: PathNode,
  guard: Guard<[before: Attributes], Allowed>
): Fails<{ readonly before: Attributes; readonly answer: Exclude<Allowed, FilesystemError> }> =>
  Effect.flatMap(volume.attributes(file), (before) => {
    if (before.type !== "regular") return before.type === "directory" ? fail.EISDIR : fail.EINVAL
    const answer = guard(before)
    return is(answer)
      ? Effect.fail(answer)
      : Effect.succeed({ before, answer: answer as Exclude<Allowed, FilesystemError> })
  })

export const read = (volume: Volume, file: PathNode, offset: number, count: number, guard: Guard): Fails<ReadResult> =>
  volume.tree.looking(
    file,
    Effect.gen(function* () {
      const { before } = yield* allowed(volume, file, guard)
      const length = Math.min(count, before.size - offset)
      if (length <= 0) return { data: [], eof: offset + count >= before.size, attributes: before }
      // New: a backend that claims more than it gives must not show what others have read.
      const buffer = Buffer.alloc(length)
      const there = yield* volume.backend.read(volume.pathOf(file), buffer, offset)
      const attributes = yield* volume.attributes(file)
      return { data: [buffer.subarray(0, there)], eof: offset + count >= attributes.size, attributes }
    })
  )

export const write = (
  volume: Volume,
  file: PathNode,
  offset: number,
  data: Chunks,
  stability: Stability,
  guard: Guard<[before: Attributes], SetAttributes | undefined>
): Fails<WriteResult> =>
  volume.tree.changing(
    file,
    Effect.gen(function* () {
      const { answer, before } = yield* allowed(volume, file, guard)
      const count = lengthOf(data)
      if (offset > volume.properties.maxFileSize - count) return yield* fail.EFBIG
      const isSync = stability !== "unstable"
      const committed = isSync ? "fileSync" : "unstable"
      if (count === 0) return { count, committed, wcc: unchanged(before) }
      yield* volume.backend.write(volume.pathOf(file), offset, data, isSync)
      const { after } = yield* volume.changed(file, before, true)
      if (answer === undefined) return { count, committed, wcc: { before, after, atomic: false } }
      const set = yield* assign(volume, file, after, answer)
      return { count, committed, wcc: { ...set, before } }
    })
  )

export const commit = (volume: Volume, file: PathNode, guard: Guard): Fails<Wcc> =>
  volume.tree.looking(
    file,
    Effect.gen(function* () {
      const { before } = yield* allowed(volume, file, guard)
      yield* volume.backend.sync(volume.pathOf(file))
      return { before, after: yield* volume.attributes(file), atomic: false }
    })
  )

export const readlink = (
  volume: Volume,
  file: PathNode,
  guard: Guard
): Fails<{ readonly target: string; readonly attributes: Attributes }> =>
  volume.tree.looking(
    file,
    Effect.gen(function* () {
      const attributes = yield* volume.attributes(file)
      if (attributes.type !== "symlink") return yield* fail.EINVAL
      const refused = guard(attributes)
      if (refused !== undefined) return yield* Effect.fail(refused)
      return { target: yield* volume.backend.readlink(volume.pathOf(file)), attributes }
    })
  )
