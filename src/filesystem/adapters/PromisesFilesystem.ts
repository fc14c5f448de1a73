/**
 * A filesystem of anything with the shape of `node:fs/promises`: memfs, unionfs, or a volume of your own.
 *
 * ```ts
 * NfsServer.layer({ exports: [{ path: "/", filesystem: PromisesFilesystem.layer(memfs().fs.promises, { root: "/" }) }] })
 * ```
 */

import type { Buffer } from "node:buffer"
import { constants, type StatsFs } from "node:fs"
import * as nodePromises from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { FileType } from "../Attributes.ts"
import { Filesystem, type Operations, type Statfs } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import { fromCode, fromErrno } from "../local/Errors.ts"
import { device, NO_DEVICE, typeOf } from "../local/Stat.ts"
import { type Backend, secondsOf, type Stat } from "./Backend.ts"
import { renameLink } from "./links.ts"
import * as PathFilesystem from "./PathFilesystem.ts"

/** What is used of an open file. */
export interface Handle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number
  ): Promise<{ readonly bytesWritten: number }>
  truncate(length: number): Promise<unknown>
  sync(): Promise<unknown>
  close(): Promise<unknown>
}

/** What is used of `lstat`'s result, be its numbers bigints or not. */
export interface Stats {
  readonly mode: number | bigint
  readonly nlink: number | bigint
  readonly uid: number | bigint
  readonly gid: number | bigint
  readonly size: number | bigint
  readonly rdev: number | bigint
  readonly dev: number | bigint
  readonly ino: number | bigint
  readonly blocks: number | bigint
  readonly atimeMs: number | bigint
  readonly mtimeMs: number | bigint
  readonly ctimeMs: number | bigint
  readonly birthtimeMs: number | bigint
  /** With `bigint: true`. */
  readonly atimeNs?: bigint
  readonly mtimeNs?: bigint
  readonly ctimeNs?: bigint
  readonly birthtimeNs?: bigint
}

/** Paths, flags and options are typed differently everywhere. */
type Any = any

/** What is used of `node:fs/promises`. The last three may be missing: symlinks keep their owner and times then, and space has no limit. */
export interface FsPromises {
  lstat(path: Any, options: { readonly bigint: true }): Promise<unknown>
  readdir(path: Any, options?: Any): Promise<unknown>
  readlink(path: Any, options?: Any): Promise<unknown>
  open(path: Any, flags: Any, mode?: Any): Promise<unknown>
  mkdir(path: Any, options?: Any): Promise<unknown>
  symlink(target: Any, path: Any): Promise<unknown>
  link(path: Any, newPath: Any): Promise<unknown>
  unlink(path: Any): Promise<unknown>
  rmdir(path: Any): Promise<unknown>
  rename(path: Any, newPath: Any): Promise<unknown>
  chmod(path: Any, mode: number): Promise<unknown>
  chown(path: Any, uid: number, gid: number): Promise<unknown>
  utimes(path: Any, atime: Any, mtime: Any): Promise<unknown>
  lchown?(path: Any, uid: number, gid: number): Promise<unknown>
  lutimes?(path: Any, atime: Any, mtime: Any): Promise<unknown>
  statfs?(path: Any): Promise<unknown>
}

export interface Options {
  /** The directory to serve; the empty string is none. */
  readonly root: string
  /**
   * Whether `dev`, `ino` and the time of birth tell files apart and stay with them. Then there are hard links, and a file
   * that others replaced is recognised as another one. Default: for `node:fs/promises` itself.
   */
  readonly inodes?: boolean | undefined
  /** Most bytes of a file: less for what keeps each in one buffer. Default: 2^43 (8 TiB). */
  readonly maxFileSize?: number | undefined
}

/** Serves `options.root` of `promises`; fails when that is no directory (EINVAL when it is empty). */
export const make = (promises: FsPromises, options: Options): Effect.Effect<Operations, FilesystemError, Scope.Scope> =>
  PathFilesystem.make(backend(promises, options), options.root)

/** The same as the {@link Filesystem} to be served. */
export const layer = (promises: FsPromises, options: Options): Layer.Layer<Filesystem, FilesystemError> =>
  Layer.effect(Filesystem, make(promises, options))

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY } = constants

const backend = (promises: FsPromises, { inodes, maxFileSize = 2 ** 43 }: Options): Backend => {
  const isNode = promises === (nodePromises as FsPromises)
  const hasInodes = inodes ?? isNode
  // Others make text of it, and lose what is none.
  const pathOf = (path: string): string | Buffer => (isNode ? Bytestring.encode(path) : path)
  const namesOf = (names: ReadonlyArray<string | Buffer>): ReadonlyArray<string> =>
    names.map((name) => (typeof name === "string" ? name : Bytestring.decode(name)))
  const encoding = isNode ? "buffer" : "utf8"

  const opened = <A>(path: string, flags: number, use: (handle: Handle) => Promise<A>): Fails<A> =>
    call(async () => {
      const handle = (await promises.open(pathOf(path), flags | O_NOFOLLOW, 0o666)) as Handle
      try {
        return await use(handle)
      } finally {
        await handle.close()
      }
    })
  const readlink = async (path: string): Promise<string> =>
    namesOf([(await promises.readlink(pathOf(path), { encoding })) as string | Buffer])[0]!

  return {
    maxFileSize,
    byteNames: isNode,
    hardLinks: hasInodes,
    stat: (path) =>
      call(async () => {
        const stats = (await promises.lstat(pathOf(path), { bigint: true })) as Stats
        const type = typeOf({ mode: BigInt(stats.mode) })
        const stat = statOf(stats, type, hasInodes, isNode)
        // No symlink is empty; some do not say how long it is.
        if (type !== "symlink" || stat.size > 0) return stat
        return { ...stat, size: Bytestring.byteLength(await readlink(path)) }
      }),
    list: (path) =>
      call(async () => {
        try {
          return namesOf((await promises.readdir(pathOf(path), { encoding })) as ReadonlyArray<string | Buffer>)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
          // unionfs says so of an empty directory that one of its layers does not have.
          await promises.lstat(pathOf(path), { bigint: true })
          return []
        }
      }),
    readlink: (path) => call(() => readlink(path)),
    read: (path, buffer, offset) => opened(path, O_RDONLY, (handle) => fill(handle, buffer, offset)),
    write: (path, offset, data, sync) =>
      opened(path, O_RDWR, async (handle) => {
        let position = offset
        for (const chunk of data) {
          await writeAll(handle, chunk, position)
          position += chunk.length
        }
        if (sync) await handle.sync()
      }),
    sync: (path) => opened(path, O_RDONLY, async (handle) => void (await handle.sync())),
    truncate: (path, size) => opened(path, O_RDWR, async (handle) => void (await handle.truncate(size))),
    create: (path) => opened(path, O_CREAT | O_EXCL | O_WRONLY, async () => {}),
    mkdir: (path) => done(() => promises.mkdir(pathOf(path))),
    symlink: (target, path) => done(() => promises.symlink(pathOf(target), pathOf(path))),
    link: (path, newPath) => done(() => promises.link(pathOf(path), pathOf(newPath))),
    unlink: (path) => done(() => promises.unlink(pathOf(path))),
    rmdir: (path) => done(() => promises.rmdir(pathOf(path))),
    rename: (path, type, newPath) =>
      done(() =>
        type === "symlink" && !isNode
          ? renameLink(promises, path, newPath, hasInodes)
          : promises.rename(pathOf(path), pathOf(newPath))
      ),
    chmod: (path, mode) => done(() => promises.chmod(pathOf(path), mode)),
    chown: (path, type, uid, gid) => {
      if (type !== "symlink") return done(() => promises.chown(pathOf(path), uid, gid))
      return promises.lchown === undefined ? fail.ENOTSUP : done(() => promises.lchown!(pathOf(path), uid, gid))
    },
    utimes: (path, type, atime, mtime) => {
      const [accessed, modified] = [secondsOf(atime), secondsOf(mtime)]
      if (type !== "symlink") return done(() => promises.utimes(pathOf(path), accessed, modified))
      return promises.lutimes === undefined
        ? fail.ENOTSUP
        : done(() => promises.lutimes!(pathOf(path), accessed, modified))
    },
    statfs: (path) =>
      promises.statfs === undefined
        ? Effect.undefined
        : call(async (): Promise<Statfs> => {
            const { bavail, bfree, blocks, bsize, ffree, files } = (await promises.statfs!(pathOf(path))) as StatsFs
            return {
              totalBytes: blocks * bsize,
              freeBytes: bfree * bsize,
              availableBytes: bavail * bsize,
              totalFiles: files,
              freeFiles: ffree,
              availableFiles: ffree
            }
          })
  }
}

type Fails<A> = Effect.Effect<A, FilesystemError>

/** A promise cannot be called back: who is interrupted waits for it. */
const call = <A>(run: () => Promise<A>): Fails<A> =>
  Effect.uninterruptible(Effect.tryPromise({ try: run, catch: (error) => meaningOf(error as NodeJS.ErrnoException) }))

const done = (run: () => Promise<unknown>): Fails<void> => Effect.asVoid(call(run))

/** libuv has no names for some errors, and memfs no numbers. */
const meaningOf = ({ code, errno }: NodeJS.ErrnoException): FilesystemError => {
  const named = fromCode(code)
  return named === errors.EIO && typeof errno === "number" ? fromErrno(-errno) : named
}

/** What tells only milliseconds may have digits behind the point. */
const time = (nanoseconds: bigint | undefined, milliseconds: number | bigint): bigint =>
  nanoseconds ?? BigInt(Math.round(Number(milliseconds) * 1000)) * 1000n

/** `hasBlocks`: whether what files occupy is told. */
const statOf = (stats: Stats, type: FileType, hasInodes: boolean, hasBlocks: boolean): Stat => {
  const { blocks, dev, gid, ino, mode, nlink, rdev, size, uid } = stats
  const birth = time(stats.birthtimeNs, stats.birthtimeMs)
  return {
    type,
    mode: Number(mode) & 0o7777,
    nlink: Number(nlink),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
    used: hasBlocks ? Number(blocks) * 512 : Number(size),
    rdev: type === "block" || type === "character" ? device(BigInt(rdev)) : NO_DEVICE,
    atime: time(stats.atimeNs, stats.atimeMs),
    mtime: time(stats.mtimeNs, stats.mtimeMs),
    ctime: time(stats.ctimeNs, stats.ctimeMs),
    id: hasInodes ? `${dev}:${ino}:${birth}` : undefined
  }
}

const fill = async (handle: Handle, buffer: Uint8Array, offset: number): Promise<number> => {
  let done = 0
  while (done < buffer.length) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, offset + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

const writeAll = async (handle: Handle, chunk: Uint8Array, offset: number): Promise<void> => {
  let done = 0
  while (done < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, offset + done)
    if (bytesWritten === 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" })
    done += bytesWritten
  }
}
