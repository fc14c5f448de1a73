/** What a file of a {@link ComputedFilesystem} is and holds. */

import type * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes, Time } from "../Attributes.ts"
import { NAME_MAX } from "../Filesystem.ts"
import type { FilesystemError } from "../FilesystemError.ts"
import { isEntry } from "../local/EntryName.ts"
import { fileidOf, type Id } from "./Id.ts"

/** What a file is and holds, at one moment. */
export type Node = Directory | RegularFile | Symlink

interface Common {
  /** Permission bits. Default: everybody may read, nobody may write. */
  readonly mode?: number | undefined
  /** Default 0, root. */
  readonly uid?: number | undefined
  /** Default 0. */
  readonly gid?: number | undefined
  /**
   * When it last changed: clients go on showing what they have read for as long as it stays the same. Default: when the
   * filesystem was made.
   */
  readonly mtime?: Time | undefined
}

export interface Directory extends Common {
  readonly type: "directory"
  /** The id of the directory that it is in; the root is in itself. */
  readonly parent: string
  /**
   * The names that are listed, with the ids of their files. It is not changed: a directory that holds something else has
   * another map. The same map again is not sorted again, which matters from thousands of names on. What can be no name is
   * neither listed nor found, because clients refuse a whole directory for it: "", ".", "..", what has a "/" or NUL in it
   * or more than 255 bytes, and text that no bytes stand for (lone surrogates, but for those of {@link Bytestring}).
   */
  readonly entries: ReadonlyMap<string, string>
  /** The id that a name stands for, for directories that hold more than they list. Default: as in `entries`. */
  readonly find?: ((name: string) => string | undefined) | undefined
}

/** A file with all its content, or with a size in bytes and a function that gives the part which is asked for. */
export type RegularFile = Common & { readonly type: "regular" } & (
    | { readonly content: string | Uint8Array }
    | {
        readonly size: number
        /** At most `count` bytes at `offset`, at least one. Both lie within the size. They are not changed later. */
        readonly read: (offset: number, count: number) => Effect.Effect<Uint8Array, FilesystemError>
      }
  )

export interface Symlink extends Common {
  readonly type: "symlink"
  readonly target: string
}

/** Whether a directory can have this name: one that means an entry, and is the same when it comes back as bytes. */
export const isName = (name: string): boolean => {
  const bytes = Bytestring.encode(name)
  if (!isEntry(bytes) || bytes.length > NAME_MAX || name === "." || name === "..") return false
  return name.isWellFormed() || Bytestring.decode(bytes) === name
}

export const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? Bytestring.encode(content) : content

/** Default for `mtime`: `made`. */
export const attributesOf = (file: Id, node: Node, made: Time): Attributes => {
  const { gid = 0, mode = MODES[node.type], mtime = made, type, uid = 0 } = node
  const size = sizeOf(node)
  return {
    type,
    mode,
    // For directories: nobody knows how many are in it.
    nlink: 1,
    uid,
    gid,
    size,
    used: size,
    rdev: NO_DEVICE,
    fileid: fileidOf(file.id),
    atime: mtime,
    mtime,
    ctime: mtime,
    change: BigInt.asUintN(64, BigInt(mtime.seconds) * 1_000_000_000n + BigInt(mtime.nanoseconds))
  }
}

const MODES = { regular: 0o444, directory: 0o555, symlink: 0o777 }
const NO_DEVICE = { major: 0, minor: 0 }

const sizeOf = (node: Node): number => {
  if (node.type === "symlink") return Bytestring.byteLength(node.target)
  if (node.type === "directory") return node.entries.size
  if (!("content" in node)) return node.size
  return typeof node.content === "string" ? Bytestring.byteLength(node.content) : node.content.length
}
