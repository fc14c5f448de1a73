/** An inode of a {@link MemoryFilesystem}: its attributes, and what it holds. */

import type { Attributes, SetAttributes, Time } from "../Attributes.ts"
import type { File, Wcc } from "../Filesystem.ts"
import { later } from "./Clock.ts"
import type { Directory } from "./Directory.ts"
import type { Pages } from "./Pages.ts"

/** A regular file's pages, a directory's entries, a symbolic link's target; nothing for special files. */
export type Content = Pages | Directory<Node> | string | undefined

export class Node implements File {
  readonly key: Uint8Array
  readonly content: Content
  /** Never changed in place after the step that made them: whoever has them keeps a snapshot. */
  attributes: Attributes
  /** The directory that a directory is in, itself for the root. */
  parent: Node | undefined
  /** What EXCLUSIVE created the file with, until its attributes are set. */
  verifier: bigint | undefined

  constructor(key: Uint8Array, content: Content, attributes: Attributes) {
    this.key = key
    this.content = content
    this.attributes = attributes
    this.parent = undefined
    this.verifier = undefined
  }

  /** Whether its last name was removed. */
  get gone(): boolean {
    return this.attributes.nlink === 0
  }
}

/** Attributes that are being made. */
export type Draft = { -readonly [K in keyof Attributes]: Attributes[K] }

/** The same attributes to go on from; spelled out, so that all of them have one shape. */
const copy = (a: Attributes): Draft => ({
  type: a.type,
  mode: a.mode,
  nlink: a.nlink,
  uid: a.uid,
  gid: a.gid,
  size: a.size,
  used: a.used,
  rdev: a.rdev,
  fileid: a.fileid,
  atime: a.atime,
  mtime: a.mtime,
  ctime: a.ctime,
  change: a.change
})

/** Gives `node` attributes of its own for a change at `now`; the same step completes them. */
export const change = (node: Node, now: Time): Draft => {
  const draft = copy(node.attributes)
  draft.ctime = later(draft.ctime, now)
  draft.change += 1n
  node.attributes = draft
  return draft
}

/** As {@link change}, when the content changes, too. */
export const modify = (node: Node, now: Time): Draft => {
  const draft = change(node, now)
  draft.mtime = draft.ctime
  return draft
}

/** Notes an access at `now`, after the last change. */
export const access = (node: Node, now: Time): void => {
  const draft = copy(node.attributes)
  draft.atime = later(draft.ctime, now)
  node.attributes = draft
}

/** Sets what `set` says, but for the size. */
export const assign = (draft: Draft, set: SetAttributes): void => {
  if (set.mode !== undefined) draft.mode = set.mode & 0o7777
  if (set.uid !== undefined) draft.uid = set.uid
  if (set.gid !== undefined) draft.gid = set.gid
  if (set.atime !== undefined) draft.atime = set.atime === "now" ? draft.ctime : set.atime
  if (set.mtime !== undefined) draft.mtime = set.mtime === "now" ? draft.ctime : set.mtime
}

/** What happened to `node` since it had the attributes `before`. */
export const since = (node: Node, before: Attributes): Wcc => ({ before, after: node.attributes, atomic: true })
