/** What files hold: READ, WRITE, COMMIT. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { lengthOf } from "../../xdr/Chunks.ts"
import type { Chunks } from "../../xdr/Reader.ts"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { Allocate, Guard, ReadResult, Stability, Wcc, WriteResult } from "../Filesystem.ts"
import { fail, type FilesystemError, is } from "../FilesystemError.ts"
import { assign } from "./attributes.ts"
import { withContent } from "./content.ts"
import { sync } from "./durability.ts"
import { call, type Fails } from "./Fs.ts"
import type { Content, Inode } from "./Inode.ts"
import { alone, shared } from "./Turn.ts"
import type { Volume } from "./Volume.ts"
import { changed } from "./wcc.ts"

/** A regular file with its attributes, whose guard has been asked. */
const allowed = <Allowed, A>(
  { inodes }: Volume,
  inode: Inode,
  guard: Guard<[before: Attributes], Allowed>,
  body: (before: Attributes, answer: Exclude<Allowed, FilesystemError>) => Fails<A>
): Fails<A> =>
  Effect.flatMap(inodes.attributes(inode), (before) => {
    if (inode.type !== "regular") return inode.type === "directory" ? fail.EISDIR : fail.EINVAL
    const answer = guard(before)
    return is(answer) ? Effect.fail(answer) : body(before, answer as Exclude<Allowed, FilesystemError>)
  })

/** What is wanted of a file's data. */
interface Wanted {
  readonly offset: number
  readonly count: number
  readonly guard: Guard
  readonly allocate: Allocate
}

export const read = (volume: Volume, file: Inode, wanted: Wanted): Fails<ReadResult> =>
  Effect.suspend(() => {
    // What is not all in the page cache is read into the same memory in the end.
    let memory: Uint8Array | undefined
    const allocate: Allocate = (length) => {
      if (memory?.length !== length) memory = wanted.allocate(length)
      return memory
    }
    const once = { ...wanted, allocate }
    return readNow(volume, file, once) ?? readInTurn(volume, file, once)
  })

/**
 * What the page cache has of a file that is open, in one step, in which nobody of ours comes between the attributes and the data.
 * Should a program of the host, the data are newer than the attributes, and a client will see that they have changed.
 */
const readNow = (
  { inodes, syscalls }: Volume,
  file: Inode,
  { allocate, count, guard, offset }: Wanted
): Fails<ReadResult> | undefined => {
  const { content, type } = file
  if (type !== "regular" || content?.readable !== true || !file.attributes.isOpen) return undefined
  const attributes = inodes.attributesNow(file)
  if (attributes === undefined) return undefined
  if (is(attributes)) return Effect.fail(attributes)
  const { size } = attributes
  const length = Math.max(0, Math.min(count, size - offset))
  const buffer = allocate(length)
  if (length > 0 && syscalls.readCached(content.fd, buffer, offset) !== length) return undefined
  // Only now, since it is asked once. Who is refused gets nothing of what was read.
  const refused = guard(attributes)
  if (refused !== undefined) return Effect.fail(refused)
  return Effect.succeed({ data: length > 0 ? [buffer] : [], eof: offset + count >= size, attributes })
}

const readInTurn = (volume: Volume, file: Inode, wanted: Wanted): Fails<ReadResult> =>
  volume.inodes.use(file, (inode) =>
    shared(
      inode.attributes,
      allowed(volume, inode, wanted.guard, ({ size }) => readFrom(volume, inode, wanted, size))
    )
  )

/** Reads from a file that had `size` bytes, of which there may be fewer by now. */
const readFrom = Effect.fnUntraced(function* (
  volume: Volume,
  inode: Inode,
  { allocate, count, offset }: Wanted,
  size: number
): Effect.fn.Return<ReadResult, FilesystemError> {
  const data: Array<Uint8Array> = []
  const length = Math.min(count, size - offset)
  if (length > 0) {
    const buffer = allocate(length)
    const read = yield* withContent(inode, "read", (open) => fill(volume, open, buffer, offset))
    if (read > 0) data.push(read === length ? buffer : buffer.subarray(0, read))
  }
  const attributes = yield* volume.inodes.attributes(inode)
  return { data, eof: offset + count >= attributes.size, attributes }
})

/** Fills a buffer from a file, from the page cache if that has all of it; gives how much there was. */
const fill = (volume: Volume, open: Content, buffer: Uint8Array, offset: number): Fails<number> =>
  Effect.suspend(() => {
    const cached = volume.syscalls.readCached(open.fd, buffer, offset) ?? 0
    return cached === buffer.length ? Effect.succeed(cached) : fillFrom(open, buffer, offset, cached)
  })

const fillFrom = (open: Content, buffer: Uint8Array, offset: number, done: number): Fails<number> =>
  Effect.flatMap(
    call<number>(open, (ended) =>
      fs.read(open.fd, buffer, done, buffer.length - done, offset + done, (error, read) => ended(error, read))
    ),
    (read) => {
      const total = done + read
      return read === 0 || total === buffer.length ? Effect.succeed(total) : fillFrom(open, buffer, offset, total)
    }
  )

export const write = (
  volume: Volume,
  file: Inode,
  offset: number,
  data: Chunks,
  stability: Stability,
  guard: Guard<[before: Attributes], SetAttributes | undefined>
): Fails<WriteResult> =>
  Effect.uninterruptible(
    volume.inodes.use(file, (inode) =>
      Effect.gen(function* () {
        const written =
          (yield* shared(
            inode.attributes,
            // Who takes bits from the mode has to be alone with the file.
            allowed(volume, inode, guard, (before, set) =>
              set === undefined ? store(volume, inode, offset, data, before) : Effect.undefined
            )
          )) ??
          (yield* alone(
            inode.attributes,
            allowed(volume, inode, guard, (before, set) => store(volume, inode, offset, data, before, set))
          ))
        if (stability === "unstable") return { ...written, committed: "unstable" as const }
        yield* sync(volume, inode)
        return { ...written, committed: "fileSync" as const }
      })
    )
  )

/** Sets attributes, and writes data, all of it or as much as there is space for. */
const store = Effect.fnUntraced(function* (
  volume: Volume,
  inode: Inode,
  offset: number,
  data: Chunks,
  before: Attributes,
  set?: SetAttributes
): Effect.fn.Return<{ readonly count: number; readonly wcc: Wcc }, FilesystemError> {
  const length = lengthOf(data)
  if (offset > volume.properties.maxFileSize - length) return yield* fail.EFBIG
  if (length === 0) return { count: 0, wcc: { before, after: before, atomic: false } }
  // First: bits of the mode must be gone before what somebody else writes could use them.
  if (set !== undefined) yield* assign(volume, inode, before, set)
  inode.isUncommitted = true
  const count = yield* withContent(inode, "write", (open) => volume.writes.withPermit(writeTo(open, data, offset)))
  return { count, wcc: yield* changed(volume, inode, before) }
})

/** The system may take less than all at once. */
const writeTo = (open: Content, data: Chunks, offset: number): Fails<number> =>
  Effect.flatMap(
    call<number>(open, (ended) => fs.writev(open.fd, data, offset, (error, count) => ended(error, count))),
    (count) => {
      const rest = after(data, count)
      if (rest.length === 0 || count === 0) return Effect.succeed(count)
      return Effect.match(writeTo(open, rest, offset + count), {
        onFailure: () => count,
        onSuccess: (more) => count + more
      })
    }
  )

/** What is left of data behind its first `count` bytes. */
const after = (data: Chunks, count: number): Chunks => {
  let i = 0
  let left = count
  while (i < data.length && left >= data[i]!.length) left -= data[i++]!.length
  return left === 0 ? data.slice(i) : [data[i]!.subarray(left), ...data.slice(i + 1)]
}

/** What is synced is the whole file: the system's calls know no range that would also be safe. */
export const commit = (volume: Volume, file: Inode, guard: Guard): Fails<Wcc> =>
  volume.inodes.use(file, (inode) =>
    Effect.flatMap(
      shared(
        inode.attributes,
        allowed(volume, inode, guard, (before) => Effect.succeed(before))
      ),
      (before) =>
        Effect.map(Effect.andThen(sync(volume, inode), volume.inodes.attributes(inode)), (after) => ({
          before,
          after,
          atomic: false
        }))
    )
  )
