/**
 * What changes or follows names. Each function is one step: it looks at everything first and changes something only when
 * nothing can fail any more.
 */

import type { FileType, SetAttributes, Time } from "../Attributes.ts"
import type { Found, Guard, Made, MakeGuard, RemoveGuard, RenameSituation, Special, Wcc } from "../Filesystem.ts"
import { errors, type FilesystemError, is } from "../FilesystemError.ts"
import { Directory } from "./Directory.ts"
import { type Inodes, newDirectory } from "./Inodes.ts"
import { change, type Content, modify, type Node, since } from "./Node.ts"
import { ENTRY_BYTES } from "./Space.ts"

/** The entries of a directory that exists. */
export const entriesOf = (node: Node): Directory<Node> | FilesystemError => {
  if (node.gone) return errors.ESTALE
  return node.content instanceof Directory ? node.content : errors.ENOTDIR
}

export const lookup = (directory: Node, name: string, guard: Guard): Found<Node> | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  const refused = guard(directory.attributes)
  if (refused !== undefined) return refused
  const file = entries.get(name)
  return file === undefined ? errors.ENOENT : found(file, directory)
}

export const parent = (directory: Node, guard: Guard): Found<Node> | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  return guard(directory.attributes) ?? found(directory.parent!, directory)
}

const found = (file: Node, directory: Node): Found<Node> => ({
  file,
  attributes: file.attributes,
  directory: directory.attributes
})

export const mkdir = (
  inodes: Inodes,
  directory: Node,
  name: string,
  guard: MakeGuard
): Made<Node> | FilesystemError => {
  const set = mayMake(directory, name, guard)
  if (is(set)) return set
  if (directory.attributes.nlink >= inodes.linkMax) return errors.EMLINK
  return add(inodes, directory, name, "directory", newDirectory(), set)
}

export const symlink = (
  inodes: Inodes,
  directory: Node,
  name: string,
  target: string,
  guard: MakeGuard
): Made<Node> | FilesystemError => {
  const set = mayMake(directory, name, guard)
  return is(set) ? set : add(inodes, directory, name, "symlink", target, set)
}

export const mknod = (
  inodes: Inodes,
  directory: Node,
  name: string,
  special: Special,
  guard: MakeGuard
): Made<Node> | FilesystemError => {
  const set = mayMake(directory, name, guard)
  if (is(set)) return set
  return add(inodes, directory, name, special.type, undefined, set, "rdev" in special ? special.rdev : undefined)
}

/** What to give to a new file that may be made because there is none with its name. */
const mayMake = (directory: Node, name: string, guard: MakeGuard): SetAttributes | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  const existing = entries.get(name)
  const set = guard(directory.attributes, existing?.attributes)
  return existing === undefined || is(set) ? set : errors.EEXIST
}

/** Adds a new file to a directory that has none with this name. */
export const add = (
  inodes: Inodes,
  directory: Node,
  name: string,
  type: FileType,
  content: Content,
  set: SetAttributes,
  rdev?: { readonly major: number; readonly minor: number }
): Made<Node> | FilesystemError => {
  if (!inodes.hasRoom(content) || (directory.content as Directory<Node>).full) return errors.ENOSPC
  const before = directory.attributes
  const now = inodes.now()
  const file = inodes.make(type, content, set, now, rdev)
  enter(inodes, directory, name, file, now)
  return { file, attributes: file.attributes, directory: since(directory, before) }
}

export const remove = (inodes: Inodes, directory: Node, name: string, guard: RemoveGuard): Wcc | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  const target = entries.get(name)
  const refused = guard(directory.attributes, target?.attributes)
  if (refused !== undefined) return refused
  if (target === undefined) return errors.ENOENT
  if (target.content instanceof Directory) return errors.EISDIR
  return takeOut(inodes, directory, name, target)
}

export const rmdir = (inodes: Inodes, directory: Node, name: string, guard: RemoveGuard): Wcc | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  const target = entries.get(name)
  const refused = guard(directory.attributes, target?.attributes)
  if (refused !== undefined) return refused
  if (target === undefined) return errors.ENOENT
  if (!(target.content instanceof Directory)) return errors.ENOTDIR
  if (target.content.size > 0) return errors.ENOTEMPTY
  return takeOut(inodes, directory, name, target)
}

const takeOut = (inodes: Inodes, directory: Node, name: string, target: Node): Wcc => {
  const before = directory.attributes
  const now = inodes.now()
  leave(inodes, directory, name, target, now)
  unlink(inodes, target, now)
  return since(directory, before)
}

export const link = (
  inodes: Inodes,
  file: Node,
  directory: Node,
  name: string,
  guard: Guard<[directory: Node["attributes"], file: Node["attributes"]]>
): { readonly attributes: Node["attributes"]; readonly directory: Wcc } | FilesystemError => {
  const entries = entriesOf(directory)
  if (is(entries)) return entries
  if (file.gone) return errors.ESTALE
  if (file.content instanceof Directory) return errors.EPERM
  const refused = guard(directory.attributes, file.attributes)
  if (refused !== undefined) return refused
  if (entries.get(name) !== undefined) return errors.EEXIST
  if (file.attributes.nlink >= inodes.linkMax) return errors.EMLINK
  if (inodes.space.freeBytes < ENTRY_BYTES || entries.full) return errors.ENOSPC
  const before = directory.attributes
  const now = inodes.now()
  change(file, now).nlink++
  enter(inodes, directory, name, file, now)
  return { attributes: file.attributes, directory: since(directory, before) }
}

export const rename = (
  inodes: Inodes,
  from: Node,
  name: string,
  to: Node,
  newName: string,
  guard: Guard<[situation: RenameSituation]>
): { readonly from: Wcc; readonly to: Wcc } | FilesystemError => {
  const oldEntries = entriesOf(from)
  if (is(oldEntries)) return oldEntries
  const newEntries = entriesOf(to)
  if (is(newEntries)) return newEntries
  const source = oldEntries.get(name)
  const target = newEntries.get(newName)
  const refused = guard({
    from: from.attributes,
    source: source?.attributes,
    to: to.attributes,
    target: target?.attributes
  })
  if (refused !== undefined) return refused
  if (source === undefined) return errors.ENOENT
  const beforeFrom = from.attributes
  const beforeTo = to.attributes
  // Two names of one file: POSIX has rename do nothing.
  if (source !== target) {
    const failed = cannotMove(inodes, from, source, to, target)
    if (failed !== undefined) return failed
    move(inodes, from, name, source, to, newName, target)
  }
  return { from: since(from, beforeFrom), to: since(to, beforeTo) }
}

const cannotMove = (
  inodes: Inodes,
  from: Node,
  source: Node,
  to: Node,
  target: Node | undefined
): FilesystemError | undefined => {
  const isDirectory = source.content instanceof Directory
  if (isDirectory && isWithin(to, source)) return errors.EINVAL
  if (target === undefined) {
    if ((to.content as Directory<Node>).full) return errors.ENOSPC
    return isDirectory && from !== to && to.attributes.nlink >= inodes.linkMax ? errors.EMLINK : undefined
  }
  if (!(target.content instanceof Directory)) return isDirectory ? errors.ENOTDIR : undefined
  if (!isDirectory) return errors.EISDIR
  return target.content.size > 0 ? errors.ENOTEMPTY : undefined
}

/** Whether `directory` is `ancestor` or below it. */
const isWithin = (directory: Node, ancestor: Node): boolean => {
  let node = directory
  while (node !== ancestor) {
    if (node.parent === node) return false
    node = node.parent!
  }
  return true
}

const move = (
  inodes: Inodes,
  from: Node,
  name: string,
  source: Node,
  to: Node,
  newName: string,
  target: Node | undefined
): void => {
  const now = inodes.now()
  if (from === to && target === undefined) {
    // It keeps its place among the entries: one who renames while listing would never see the end otherwise.
    ;(from.content as Directory<Node>).rename(name, newName)
    modify(from, now)
    change(source, now)
    return
  }
  leave(inodes, from, name, source, now)
  if (target === undefined) {
    enter(inodes, to, newName, source, now)
  } else {
    // The name keeps its entry, so that a listing shows it once while files replace each other under it.
    ;(to.content as Directory<Node>).replace(newName, source)
    modify(to, now)
    if (source.content instanceof Directory) source.parent = to
    unlink(inodes, target, now)
  }
  change(source, now)
}

/** Gives a file a name in a directory; the number of its links is the caller's. */
const enter = (inodes: Inodes, directory: Node, name: string, file: Node, now: Time): void => {
  const entries = directory.content as Directory<Node>
  entries.add(name, file)
  resized(inodes, directory, entries, file.content instanceof Directory ? 1 : 0, now)
  if (file.content instanceof Directory) file.parent = directory
}

/** Takes a name of a file from a directory; the number of its links is the caller's. */
const leave = (inodes: Inodes, directory: Node, name: string, file: Node, now: Time): void => {
  const entries = directory.content as Directory<Node>
  entries.remove(name)
  resized(inodes, directory, entries, file.content instanceof Directory ? -1 : 0, now)
}

/** Notes that a directory has another number of entries, and `links` more subdirectories whose `..` is a link to it. */
const resized = (inodes: Inodes, directory: Node, entries: Directory<Node>, links: number, now: Time): void => {
  const draft = modify(directory, now)
  const size = entries.size * ENTRY_BYTES
  inodes.space.use(size - draft.used)
  draft.size = draft.used = size
  draft.nlink += links
}

/** Takes a link from a file whose name is gone; one without links ends. */
const unlink = (inodes: Inodes, file: Node, now: Time): void => {
  const draft = change(file, now)
  draft.nlink = file.content instanceof Directory ? 0 : draft.nlink - 1
  if (file.gone) inodes.free(file)
}
