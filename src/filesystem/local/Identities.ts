/**
 * How files are recognised, and found again when they are not open.
 *
 * A key is the kernel's own file handle where the filesystem has those: it holds a generation, so that no later file with
 * the same number is taken for this one. Elsewhere it is the number and the time of birth. And who may open files by their
 * handles needs nothing else to find them; all others remember where files were last seen (`PathTable`).
 */

import { Buffer } from "node:buffer"
import type { BigIntStats } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { KEY_MAX } from "../Filesystem.ts"
import { errors, fail, type FilesystemError, is } from "../FilesystemError.ts"
import { climbs, close, type Fails, fstat, pathOf } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import { HOME, type Mounts } from "./Mounts.ts"
import { PathTable } from "./PathTable.ts"
import type { KernelHandles, Syscalls } from "./Syscalls.ts"

export interface Identities {
  /** The key of an open file; EXDEV in a filesystem that does not belong to the export, ENOTSUP where nothing tells files apart. */
  readonly identify: (fd: number, stats: BigIntStats) => Fails<Uint8Array>
  /** The same here and now; `undefined` when that takes a look at what has been mounted. */
  readonly identifyNow: (fd: number, stats: BigIntStats) => Uint8Array | FilesystemError | undefined
  /** Names an open file for clients: differs between all files of the export. */
  readonly fileid: (stats: Pick<BigIntStats, "dev" | "ino">) => bigint
  /** Opens the file with this key with O_PATH: ESTALE when it is gone, EAGAIN while it is looked for. */
  readonly open: (key: Uint8Array) => Fails<number>
  /** A file was seen under this name. */
  readonly note: (file: Inode, directory: Inode, name: string) => void
  /** A file has no name any more. */
  readonly forget: (file: Inode) => void
  /** A name under which a file was seen last, and the key of the directory. */
  readonly hint: (file: Inode) => { readonly parent: Uint8Array; readonly name: Buffer } | undefined
  /** Whether a key tells a file from a later one with the same number even if it was not open in between. */
  readonly exact: boolean
  /** How files are found, for whoever wants to know. */
  readonly mode: "handles" | "paths"
}

export interface Options {
  /** The directory that is served; opened to be read. */
  readonly root: number
  /** Whether that is all of its filesystem. */
  readonly whole: boolean
  /** The filesystems that are served. */
  readonly mounts: Mounts
  readonly syscalls: Syscalls["Service"]
  /** Where to remember what was seen. */
  readonly stateFile: string | undefined
}

/** Finds out what the system allows. */
export const make = Effect.fnUntraced(function* ({
  mounts,
  root,
  stateFile,
  syscalls: { handles },
  whole
}: Options): Effect.fn.Return<Identities, FilesystemError, Scope.Scope> {
  const held = { uses: 0 }
  const stats = yield* fstat(held, root)
  const handle = handles?.of(root)
  const exact = handle !== undefined && !is(handle)
  const keyOf = (fd: number, stats: BigIntStats, tag: number | undefined): Uint8Array | FilesystemError => {
    if (tag === undefined) return errors.EXDEV
    if (exact) {
      const handle = handles!.of(fd)
      return is(handle) ? handle : keyOfHandle(tag, handle)
    }
    // Without a time of birth, a later file with its number would be taken for it.
    return stats.birthtimeNs === 0n ? errors.ENOTSUP : keyOfStats(tag, stats)
  }
  const identifyNow: Identities["identifyNow"] = (fd, stats) => {
    const tag = mounts.tagOf(stats.dev)
    return tag === undefined && mounts.crossed ? undefined : keyOf(fd, stats, tag)
  }
  const identify: Identities["identify"] = (fd, stats) =>
    Effect.flatMap(mounts.tag(stats.dev), (tag) => {
      const key = keyOf(fd, stats, tag)
      return is(key) ? Effect.fail(key) : Effect.succeed(key)
    })
  const fileid: Identities["fileid"] = ({ dev, ino }) => ino ^ (BigInt(mounts.tagOf(dev) ?? HOME) << 32n)
  const openHandle = (key: Uint8Array): Fails<number> =>
    Effect.flatMap(mounts.rootOf(tagOfKey(key)), (mount) => {
      if (mount === undefined || key[0]! > MOST_HANDLE) return fail.ESTALE
      return Effect.mapError(handles!.open(mount, key.subarray(1, 1 + key[0]!)), (error) =>
        // What was never a handle.
        error === errors.EINVAL ? errors.ESTALE : error
      )
    })
  const byHandle = exact && (yield* mayOpen(handles!, root, handle))
  if (byHandle && whole) {
    return {
      identify,
      identifyNow,
      fileid,
      exact,
      mode: "handles",
      open: openHandle,
      note: nothing,
      forget: nothing,
      hint: nothing
    }
  }
  const table = yield* PathTable.make({
    root: { key: yield* identify(root, stats), fd: root },
    identify: (fd) => Effect.flatMap(fstat(held, fd), (stats) => identify(fd, stats)),
    openAt: (directory, name) => mounts.open({ uses: 0 }, directory, Bytestring.decode(name)),
    stateFile
  })
  const remembered = {
    identify,
    identifyNow,
    fileid,
    exact,
    note: (file: Inode, directory: Inode, name: string) => table.note(file.key, directory.key, Bytestring.encode(name)),
    forget: (file: Inode) => table.forget(file.key),
    hint: (file: Inode) => table.hint(file.key)
  }
  /** Whether what was opened by its handle may be returned, be it that it is seen to be outside. */
  const mayLead = (fd: number): Fails<boolean> =>
    Effect.flatMap(climbs(root, fd), (below) => {
      if (below !== false) return Effect.succeed(below ?? false)
      // The kernel knows it by a name outside, or by none since nobody has looked it up. It may have another inside: if it has
      // several, or that is where what is outside is mounted once more.
      return Effect.map(fstat(held, fd), ({ nlink }) => nlink === 1n && pathOf(fd) !== "/" && !mounts.crossed)
    })
  if (!byHandle) return { ...remembered, mode: "paths", open: (key) => table.open(key) }
  return {
    ...remembered,
    mode: "handles",
    open: (key) =>
      Effect.flatMap(openHandle(key), (fd) =>
        Effect.onError(mayLead(fd), () => Effect.sync(() => close(fd))).pipe(
          Effect.flatMap((may) => {
            if (may) return Effect.succeed(fd)
            close(fd)
            return table.open(key)
          })
        )
      )
  }
})

const nothing = () => undefined

const mayOpen = (handles: KernelHandles, root: number, handle: Uint8Array): Fails<boolean> =>
  Effect.match(handles.open(root, handle), {
    onFailure: () => false,
    onSuccess: (fd) => {
      close(fd)
      return true
    }
  })

/** Bytes of a handle that there is room for: before it stands its length, behind it the tag of its filesystem. */
const MOST_HANDLE = KEY_MAX - 5

/** All keys have one length. */
const keyOfHandle = (tag: number, handle: Uint8Array): Uint8Array => {
  const key = Buffer.alloc(KEY_MAX)
  key[0] = handle.length
  key.set(handle, 1)
  key.writeUInt32BE(tag, KEY_MAX - 4)
  return key
}

const keyOfStats = (tag: number, { birthtimeNs, ino }: BigIntStats): Uint8Array => {
  const key = Buffer.alloc(20)
  key.writeBigUInt64BE(ino, 0)
  key.writeBigInt64BE(birthtimeNs, 8)
  key.writeUInt32BE(tag, 16)
  return key
}

const tagOfKey = (key: Uint8Array): number =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUInt32BE(key.byteLength - 4)
