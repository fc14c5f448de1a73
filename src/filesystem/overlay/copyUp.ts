/**
 * Copies what is only in the lower filesystem to the upper one, once somebody is about to change it.
 *
 * A copy is made where nobody sees it and then renamed to its place, so that it is there completely or not at all, also after
 * a crash. To everybody it is the same file before and after.
 */

import { Buffer } from "node:buffer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Attributes } from "../Attributes.ts"
import type { File, Made, Operations, Stability } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import { allow, type Fails, type Layers, lowerOf } from "./Layers.ts"
import type { OverlayNode } from "./OverlayNode.ts"

/** An operation found out, before it changed anything, that this has to be copied up first. */
export class NeedsUpper {
  readonly _tag = "NeedsUpper"
  readonly node: OverlayNode

  constructor(node: OverlayNode) {
    this.node = node
  }
}

/** The file in the upper filesystem, if it is there already. */
export const upperOf = (node: OverlayNode): Effect.Effect<File, NeedsUpper> =>
  node.upper === undefined ? Effect.fail(new NeedsUpper(node)) : Effect.succeed(node.upper)

/** Tries an operation until all that it changes is in the upper filesystem. It asks its guard each time. */
export const copyingUp = <A>(layers: Layers, attempt: Effect.Effect<A, FilesystemError | NeedsUpper>): Fails<A> =>
  Effect.catchIf(
    attempt,
    (error) => error._tag === "NeedsUpper",
    ({ node }) => Effect.andThen(copyUp(layers, node), copyingUp(layers, attempt))
  )

const copyUp = (layers: Layers, node: OverlayNode): Fails<void> =>
  Effect.suspend(() => {
    if (node.gone) return fail.ESTALE
    if (node.upper !== undefined) return Effect.void
    // Whoever comes while it is copied waits, and then looks again.
    if (node.copying !== undefined) return Effect.andThen(Deferred.await(node.copying), copyUp(layers, node))
    const copying = (node.copying = Deferred.makeUnsafe<void>())
    const { directory } = node.places[0]!
    return Effect.ensuring(
      Effect.andThen(copyUp(layers, directory), Effect.uninterruptible(copy(layers, node, directory))),
      Effect.sync(() => {
        node.copying = undefined
        Deferred.doneUnsafe(copying, Exit.void)
      })
    )
  })

const copy = (layers: Layers, node: OverlayNode, directory: OverlayNode): Fails<void> =>
  Effect.gen(function* () {
    const { lower, upper, work } = layers
    const name = layers.nameInWork()
    const from = lowerOf(node)
    const attributes = yield* lower.getattr(from)
    const { gid, mode, mtime, atime, uid } = attributes
    const { file } = yield* make(layers, name, from, attributes)
    const discard = Effect.ignore(
      node.type === "directory" ? upper.rmdir(work, name, allow) : upper.remove(work, name, allow)
    )
    yield* Effect.gen(function* () {
      if (node.type === "regular") yield* copyContent(layers, from, file, attributes.size)
      const same = Effect.asVoid(upper.setattr(file, () => ({ mode, uid, gid, atime, mtime })))
      // Where symlinks cannot be given any attributes, they keep those that they were made with.
      yield* Effect.catchIf(
        same,
        (error) => node.type === "symlink" && error === errors.ENOTSUP,
        () => Effect.void
      )
      yield* layers.tree.changing(directory, publish(layers, node, name, file, attributes))
    }).pipe(Effect.onError(() => discard))
  })

const make = (layers: Layers, name: string, from: File, attributes: Attributes): Fails<Made> => {
  const { lower, upper, work } = layers
  const mine = () => ({ mode: attributes.type === "directory" ? 0o700 : 0o600 })
  const { rdev, type } = attributes
  switch (type) {
    case "regular":
      return upper.create(work, name, { _tag: "Guarded" }, mine)
    case "directory":
      return upper.mkdir(work, name, mine)
    case "symlink":
      return Effect.flatMap(lower.readlink(from, allow), ({ target }) => upper.symlink(work, name, target, mine))
    case "block":
    case "character":
      return upper.mknod(work, name, { type, rdev }, mine)
    case "fifo":
    case "socket":
      return upper.mknod(work, name, { type }, mine)
  }
}

/** Bytes that are copied at once. */
const PORTION = 1 << 20

const zeros = Buffer.alloc(PORTION)

/** Copies data in portions, and leaves out those that are nothing but zeros: holes, mostly. */
const copyContent = Effect.fnUntraced(function* (
  { lower, upper }: Layers,
  from: File,
  to: File,
  size: number
): Effect.fn.Return<void, FilesystemError> {
  let offset = 0
  for (let eof = size === 0; !eof;) {
    const result = yield* lower.read(from, offset, PORTION, allow)
    const data = Buffer.concat(result.data)
    if (!data.equals(zeros.subarray(0, data.length))) yield* writeAll(upper, to, offset, data, "unstable")
    offset += data.length
    eof = result.eof || data.length === 0
  }
  yield* upper.setattr(to, () => ({ size: offset }))
  yield* upper.commit(to, 0, 0, allow)
})

/** Writes all of `data`, however many operations that takes; EIO when one writes nothing. */
export const writeAll = Effect.fnUntraced(function* (
  upper: Operations,
  file: File,
  offset: number,
  data: Uint8Array,
  stability: Stability
): Effect.fn.Return<void, FilesystemError> {
  for (let done = 0; done < data.length;) {
    const { count } = yield* upper.write(file, offset + done, [data.subarray(done)], stability, allow)
    if (count === 0) return yield* fail.EIO
    done += count
  }
})

/** Lets a copy appear in its directory, which shall not look changed. */
const publish = (layers: Layers, node: OverlayNode, copy: string, file: File, lower: Attributes): Fails<void> =>
  Effect.gen(function* () {
    const place = node.places[0]
    // Somebody removed it while it was copied.
    if (place?.directory.upper === undefined) return yield* fail.ESTALE
    const { directory, name } = place
    const { upper, work } = layers
    const before = yield* layers.attributes(directory)
    const { mtime } = before
    yield* upper.rename(work, copy, directory.upper!, name, allow)
    const { after } = yield* upper.setattr(directory.upper!, () => ({ mtime }))
    const copied = yield* upper.getattr(file)
    node.lag = copied.change > lower.change ? 0n : lower.change + 1n - copied.change
    node.upper = file
    node.lower = undefined
    layers.entriesChanged(directory, before, { before, after, atomic: true }, [])
  })
