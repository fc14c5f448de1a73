/** What reads and changes files themselves. Each function is one step that changes nothing when it fails. */

import { Buffer } from "node:buffer"
import { lengthOf } from "../../xdr/Chunks.ts"
import type { Chunks } from "../../xdr/Reader.ts"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { CreateHow, Guard, Made, MakeGuard, ReadResult, Wcc, WriteResult } from "../Filesystem.ts"
import { errors, type FilesystemError, is } from "../FilesystemError.ts"
import { accessCounts } from "./Clock.ts"
import { Directory } from "./Directory.ts"
import type { Inodes } from "./Inodes.ts"
import { add, entriesOf } from "./namespace.ts"
import { access, assign, change, type Draft, modify, type Node, since } from "./Node.ts"
import { Pages } from "./Pages.ts"

/** Below what offsets and sizes of the network saturate at: those are beyond every file. */
export const MAX_FILE_SIZE = 2 ** 52

/** The pages of a regular file that exists. */
const pagesOf = (file: Node): Pages | FilesystemError => {
  if (file.gone) return errors.ESTALE
  if (file.content instanceof Pages) return file.content
  return file.content instanceof Directory ? errors.EISDIR : errors.EINVAL
}

export const setattr = (
  inodes: Inodes,
  file: Node,
  guard: Guard<[before: Attributes], SetAttributes>
): Wcc | FilesystemError => {
  if (file.gone) return errors.ESTALE
  const before = file.attributes
  const set = guard(before)
  if (is(set)) return set
  const failed = setAttributes(inodes, file, set)
  return failed ?? since(file, before)
}

/** Gives an existing file the attributes that `set` has, if any. */
const setAttributes = (inodes: Inodes, file: Node, set: SetAttributes): FilesystemError | undefined => {
  if (isEmpty(set)) return undefined
  if (set.size !== undefined) {
    const pages = pagesOf(file)
    if (is(pages)) return pages
    if (set.size > MAX_FILE_SIZE) return errors.EFBIG
    const draft = modify(file, inodes.now())
    resize(inodes, pages, draft, set.size)
    assign(draft, set)
  } else {
    assign(change(file, inodes.now()), set)
  }
  file.verifier = undefined
  return undefined
}

const isEmpty = (set: SetAttributes): boolean => {
  for (const name in set) {
    if (set[name as keyof SetAttributes] !== undefined) return false
  }
  return true
}

const resize = (inodes: Inodes, pages: Pages, draft: Draft, size: number): void => {
  pages.truncate(size)
  measured(inodes, pages, draft)
}

/** Notes a size and what it occupies. */
const measured = (inodes: Inodes, pages: Pages, draft: Draft): void => {
  inodes.space.use(pages.used - draft.used)
  draft.size = pages.size
  draft.used = pages.used
}

export const readlink = (
  inodes: Inodes,
  file: Node,
  guard: Guard
): { readonly target: string; readonly attributes: Attributes } | FilesystemError => {
  if (file.gone) return errors.ESTALE
  if (typeof file.content !== "string") return errors.EINVAL
  const refused = guard(file.attributes)
  if (refused !== undefined) return refused
  accessed(inodes, file)
  return { target: file.content, attributes: file.attributes }
}

export const read = (
  inodes: Inodes,
  file: Node,
  offset: number,
  count: number,
  guard: Guard
): ReadResult | FilesystemError => {
  const pages = pagesOf(file)
  if (is(pages)) return pages
  const refused = guard(file.attributes)
  if (refused !== undefined) return refused
  accessed(inodes, file)
  return { data: pages.read(offset, count), eof: offset + count >= pages.size, attributes: file.attributes }
}

/** Notes that somebody read a file or directory. */
export const accessed = (inodes: Inodes, file: Node): void => {
  if (accessCounts(file.attributes)) access(file, inodes.now())
}

export const write = (
  inodes: Inodes,
  file: Node,
  offset: number,
  data: Chunks,
  guard: Guard<[before: Attributes], SetAttributes | undefined>
): WriteResult | FilesystemError => {
  const pages = pagesOf(file)
  if (is(pages)) return pages
  const before = file.attributes
  const set = guard(before)
  if (is(set)) return set
  const count = lengthOf(data)
  if (offset > MAX_FILE_SIZE - count) return errors.EFBIG
  if (pages.growth(offset, count) > inodes.space.freeBytes) return errors.ENOSPC
  if (count > 0) {
    pages.write(offset, data, count)
    const draft = modify(file, inodes.now())
    measured(inodes, pages, draft)
    if (set !== undefined) assign(draft, set)
  }
  return { count, committed: "fileSync", wcc: since(file, before) }
}

/** There is no storage more stable than the memory that the data is in. */
export const commit = (file: Node, guard: Guard): Wcc | FilesystemError => {
  const pages = pagesOf(file)
  return is(pages) ? pages : (guard(file.attributes) ?? since(file, file.attributes))
}

export const create = (
  inodes: Inodes,
  directory: Node,
  name: string,
  how: CreateHow,
  guard: MakeGuard
): Made<Node> | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  const existing = entries.get(name)
  const set = guard(directory.attributes, existing?.attributes)
  if (is(set)) return set
  if (existing !== undefined) return meet(inodes, directory, existing, how, set)
  if (set.size !== undefined && set.size > MAX_FILE_SIZE) return errors.EFBIG
  if (how._tag !== "Exclusive") return add(inodes, directory, name, "regular", new Pages(set.size), set)
  const { gid, mode, uid } = set
  const made = add(inodes, directory, name, "regular", new Pages(), { mode, uid, gid })
  if (!is(made)) made.file.verifier = numberOf(how.verifier)
  return made
}

/** What CREATE does with a file that exists. */
const meet = (
  inodes: Inodes,
  directory: Node,
  existing: Node,
  how: CreateHow,
  set: SetAttributes
): Made<Node> | FilesystemError => {
  if (how._tag === "Guarded" || !(existing.content instanceof Pages)) return errors.EEXIST
  if (how._tag === "Exclusive") {
    // The same verifier: its first answer was lost, and the call has come again.
    if (existing.verifier !== numberOf(how.verifier)) return errors.EEXIST
  } else {
    const failed = setAttributes(inodes, existing, set)
    if (failed !== undefined) return failed
  }
  return { file: existing, attributes: existing.attributes, directory: since(directory, directory.attributes) }
}

const numberOf = (verifier: Uint8Array): bigint =>
  Buffer.from(verifier.buffer, verifier.byteOffset, verifier.byteLength).readBigUInt64BE()
