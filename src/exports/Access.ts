/**
 * What an identity may do, as the guards that filesystems call in the same step as the operation itself.
 *
 * To POSIX's rules (see `Permissions`) NFS adds one: clients check permissions when a file is opened, the server each
 * time that it is read or written, so its owner may always do both through a handle.
 *
 * One `Access` is made for an identity and shared by all its calls: most guards depend on nothing else.
 */

import { type Attributes, S_ISGID, type SetAttributes } from "../filesystem/Attributes.ts"
import type { CreateHow, Guard, MakeGuard, RemoveGuard, RenameSituation, Special } from "../filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../filesystem/FilesystemError.ts"
import { type Identity, isRoot } from "./Identity.ts"
import * as Permissions from "./Permissions.ts"
import { EXECUTE, READ, SEARCH, WRITE } from "./Permissions.ts"

/** Guards of the operations with these names. */
export interface Access {
  /** The permissions that the mode of a file with these attributes gives. */
  readonly permissions: (attributes: Attributes) => number
  readonly lookup: Guard
  readonly readdir: Guard
  readonly readlink: Guard
  readonly read: Guard
  readonly write: Guard<[before: Attributes], SetAttributes | undefined>
  readonly commit: Guard
  /** Of `remove` and `rmdir`. */
  readonly remove: RemoveGuard
  readonly rename: Guard<[situation: RenameSituation]>
  readonly link: Guard<[directory: Attributes, file: Attributes]>
  readonly setattr: (changes: SetAttributes) => Guard<[before: Attributes], SetAttributes>
  readonly create: (how: CreateHow, attributes: SetAttributes) => MakeGuard
  readonly mkdir: (attributes: SetAttributes) => MakeGuard
  readonly symlink: (attributes: SetAttributes) => MakeGuard
  readonly mknod: (special: Special, attributes: SetAttributes) => MakeGuard
}

/** The modes of what is made without one: for its owner only. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/** Nobody looks at the mode of a symbolic link; this is what it is on most systems. */
const SYMLINK_MODE = 0o777

const nothingToSet: SetAttributes = {}

const verdict = (allowed: boolean): FilesystemError | undefined => (allowed ? undefined : errors.EACCES)

export const make = (identity: Identity): Access => {
  const may = (attributes: Attributes, wanted: number): boolean => Permissions.may(identity, attributes, wanted)
  const owns = (attributes: Attributes): boolean => Permissions.owns(identity, attributes)
  const initial = (directory: Attributes, wanted: SetAttributes, mode: number) =>
    Permissions.initial(identity, directory, wanted, mode)

  const takeAway = (directory: Attributes, target: Attributes): FilesystemError | undefined => {
    if (!may(directory, WRITE | SEARCH)) return errors.EACCES
    return Permissions.isStuck(identity, directory, target) ? errors.EPERM : undefined
  }

  /** Makes an entry, or `meets` what has its name: for that, and to learn that it EXISTs, search is enough. */
  const entry =
    (
      makes: (directory: Attributes) => SetAttributes | FilesystemError,
      meets: (existing: Attributes) => SetAttributes | FilesystemError = () => nothingToSet
    ): MakeGuard =>
    (directory, existing) => {
      if (existing === undefined) return may(directory, WRITE | SEARCH) ? makes(directory) : errors.EACCES
      return may(directory, SEARCH) ? meets(existing) : errors.EACCES
    }

  return {
    permissions: (attributes) => Permissions.permissions(identity, attributes),
    lookup: (directory) => verdict(may(directory, SEARCH)),
    readdir: (directory) => verdict(may(directory, READ)),
    readlink: () => undefined,
    // Who may execute a program has it read, page by page.
    read: (file) => verdict(owns(file) || may(file, READ) || may(file, EXECUTE)),
    write: (file) => {
      if (!owns(file) && !may(file, WRITE)) return errors.EACCES
      const mode = isRoot(identity) ? file.mode : Permissions.withoutPrivileges(identity, file.mode, file.gid)
      return mode === file.mode ? undefined : { mode }
    },
    commit: (file) => verdict(owns(file) || may(file, WRITE)),
    remove: (directory, target) =>
      target === undefined ? verdict(may(directory, SEARCH)) : takeAway(directory, target),
    rename: ({ from, source, target, to }) => {
      if (source === undefined) return verdict(may(from, SEARCH) && may(to, SEARCH))
      const refused =
        takeAway(from, source) ?? (target === undefined ? verdict(may(to, WRITE | SEARCH)) : takeAway(to, target))
      if (refused !== undefined) return refused
      // A directory with another parent is changed itself: its ".." is.
      return verdict(source.type !== "directory" || from.fileid === to.fileid || may(source, WRITE))
    },
    link: (directory) => verdict(may(directory, WRITE | SEARCH)),
    setattr: (changes) => (before) => Permissions.changed(identity, before, changes),
    create: (how, attributes) => {
      const { size } = attributes
      return entry(
        (directory) => ({ ...initial(directory, attributes, FILE_MODE), size }),
        // UNCHECKED takes a file that is there already as it is, but for its size.
        (existing) =>
          how._tag === "Unchecked" && size !== undefined
            ? Permissions.changed(identity, existing, { size })
            : nothingToSet
      )
    },
    mkdir: (attributes) =>
      entry((directory) => {
        const made = initial(directory, attributes, DIRECTORY_MODE)
        return { ...made, mode: made.mode | (directory.mode & S_ISGID) }
      }),
    symlink: (attributes) => entry((directory) => initial(directory, attributes, SYMLINK_MODE)),
    mknod: (special, attributes) => {
      const isDevice = special.type === "block" || special.type === "character"
      return entry((directory) =>
        isDevice && !isRoot(identity) ? errors.EPERM : initial(directory, attributes, FILE_MODE)
      )
    }
  }
}
