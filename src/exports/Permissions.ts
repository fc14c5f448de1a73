/**
 * POSIX's rules of permission, as Linux applies them to a local filesystem: what a mode allows, and what becomes of the
 * attributes that somebody wants a new or an existing file to have.
 */

import { type Attributes, S_ISGID, S_ISUID, S_ISVTX, type SetAttributes, type Time } from "../filesystem/Attributes.ts"
import { errors, type FilesystemError } from "../filesystem/FilesystemError.ts"
import { type Identity, isMember, isRoot } from "./Identity.ts"

/** Permissions, as the lowest three bits of a mode have them. */
export const READ = 4
export const WRITE = 2
export const EXECUTE = 1
/** What execution is for directories. */
export const SEARCH = 1

const ALL = READ | WRITE | EXECUTE
const S_IXGRP = 0o010
const ANYBODY_EXECUTES = 0o111

/** The permissions that `identity` has on a file: those of exactly one of owner, group and others. */
export const permissions = (identity: Identity, { gid, mode, type, uid }: Attributes): number => {
  if (isRoot(identity)) return type === "directory" || (mode & ANYBODY_EXECUTES) !== 0 ? ALL : READ | WRITE
  return (identity.uid === uid ? mode >> 6 : isMember(identity, gid) ? mode >> 3 : mode) & ALL
}

export const may = (identity: Identity, attributes: Attributes, wanted: number): boolean =>
  (permissions(identity, attributes) & wanted) === wanted

export const owns = (identity: Identity, attributes: Attributes): boolean => identity.uid === attributes.uid

/** Whether the sticky bit keeps `target` in its directory: only who owns one of them may take it away. */
export const isStuck = (identity: Identity, directory: Attributes, target: Attributes): boolean =>
  (directory.mode & S_ISVTX) !== 0 && !isRoot(identity) && !owns(identity, directory) && !owns(identity, target)

const mayLendGroup = (identity: Identity, gid: number): boolean => isRoot(identity) || isMember(identity, gid)

/**
 * `mode` after a file of the group `gid` got other content or another owner: without the bits that would lend the rights of
 * one to what another has put there.
 */
export const withoutPrivileges = (identity: Identity, mode: number, gid: number): number => {
  const keepsGroup = (mode & S_IXGRP) === 0 && mayLendGroup(identity, gid)
  return mode & ~(keepsGroup ? S_ISUID : S_ISUID | S_ISGID)
}

const isTime = (time: Time | "now" | undefined): boolean => time !== undefined && time !== "now"

const refusal = (
  identity: Identity,
  before: Attributes,
  { atime, gid, mode, mtime, size, uid }: SetAttributes
): FilesystemError | undefined => {
  if (isRoot(identity)) return undefined
  const mayWrite = may(identity, before, WRITE)
  if (!owns(identity, before)) {
    if (mode !== undefined || uid !== undefined || gid !== undefined || isTime(atime) || isTime(mtime)) {
      return errors.EPERM
    }
    return (size !== undefined || atime !== undefined || mtime !== undefined) && !mayWrite ? errors.EACCES : undefined
  }
  // The owner neither gives a file away nor puts it into a group of others. Its size it may always set: see `Access`.
  if (uid !== undefined && uid !== before.uid) return errors.EPERM
  return gid !== undefined && gid !== before.gid && !isMember(identity, gid) ? errors.EPERM : undefined
}

/** What setting `changes` comes to. */
export const changed = (
  identity: Identity,
  before: Attributes,
  changes: SetAttributes
): SetAttributes | FilesystemError => {
  const refused = refusal(identity, before, changes)
  if (refused !== undefined) return refused
  const gid = changes.gid ?? before.gid
  let mode = changes.mode ?? before.mode
  // Nobody lends a group that is not theirs.
  if (changes.mode !== undefined && !mayLendGroup(identity, gid)) mode &= ~S_ISGID
  // Another owner takes them away whoever gives it, other content only when it is not root's.
  const newOwner = (changes.uid !== undefined || changes.gid !== undefined) && before.type !== "directory"
  const newContent = changes.size !== undefined && !isRoot(identity)
  if (newOwner || newContent) mode = withoutPrivileges(identity, mode, before.gid)
  return mode === (changes.mode ?? before.mode) ? changes : { ...changes, mode }
}

/** The attributes of something new in `directory`, but for its size. `mode`: what it has when `wanted` names none. */
export const initial = (
  identity: Identity,
  directory: Attributes,
  wanted: SetAttributes,
  mode: number
): SetAttributes & { readonly mode: number } => {
  const inherits = (directory.mode & S_ISGID) !== 0
  // Only root chooses owners. Others' choice is ignored, not refused: there are clients that always send one.
  const chosen = isRoot(identity) ? wanted : undefined
  const gid = chosen?.gid ?? (inherits ? directory.gid : identity.gid)
  const given = wanted.mode ?? mode
  return {
    uid: chosen?.uid ?? identity.uid,
    gid,
    mode: mayLendGroup(identity, gid) ? given : given & ~S_ISGID,
    atime: wanted.atime,
    mtime: wanted.mtime
  }
}
