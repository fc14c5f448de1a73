/**
 * A filesystem of Effect's own `FileSystem` service, whoever implements that.
 *
 * The service knows no change times (those of modification stand for them), no times finer than a millisecond, and no way to
 * give symbolic links an owner or times: SETATTR of those is ENOTSUP, and new ones keep what they are made with. It takes
 * names that are text only.
 */

import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import type { FileType } from "../Attributes.ts"
import { Filesystem, type Operations } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import { fromCode } from "../local/Errors.ts"
import { device, NO_DEVICE } from "../local/Stat.ts"
import { type Backend, secondsOf, type Stat } from "./Backend.ts"
import * as PathFilesystem from "./PathFilesystem.ts"

export interface Options {
  /** The directory to serve; the empty string is none. */
  readonly root: string
  /**
   * Whether `dev`, `ino` and the time of birth tell files apart and stay with them, as those of `NodeFileSystem` do. Then
   * there are hard links, and a file that others replaced is recognised as another one. Default: false.
   */
  readonly inodes?: boolean | undefined
  /** Most bytes of a file. Default: 2^43 (8 TiB). */
  readonly maxFileSize?: number | undefined
}

/** Serves `options.root` of the `FileSystem`; fails when that is no directory (EINVAL when it is empty). */
export const make = (
  options: Options
): Effect.Effect<Operations, FilesystemError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => PathFilesystem.make(backend(fs, options), options.root))

/** The same as the {@link Filesystem} to be served. */
export const layer = (options: Options): Layer.Layer<Filesystem, FilesystemError, FileSystem.FileSystem> =>
  Layer.effect(Filesystem, make(options))

const types: { readonly [K in FileSystem.File.Type]: FileType } = {
  File: "regular",
  Directory: "directory",
  SymbolicLink: "symlink",
  BlockDevice: "block",
  CharacterDevice: "character",
  FIFO: "fifo",
  Socket: "socket",
  Unknown: "regular"
}

const backend = (fs: FileSystem.FileSystem, { inodes = false, maxFileSize = 2 ** 43 }: Options): Backend => {
  const opened = <A>(
    path: string,
    flag: FileSystem.OpenFlag,
    use: (file: FileSystem.File) => Effect.Effect<A, PlatformError>
  ): Fails<A> => call(Effect.scoped(Effect.flatMap(fs.open(path, { flag, noFollow: true }), use)))
  return {
    maxFileSize,
    byteNames: false,
    hardLinks: inodes,
    stat: (path) => Effect.map(call(fs.lstat(path)), (info) => statOf(info, inodes)),
    list: (path) => call(fs.readDirectory(path)),
    readlink: (path) => call(fs.readLink(path)),
    read: (path, buffer, offset) => opened(path, "r", (file) => fill(file, buffer, offset, 0)),
    write: (path, offset, data, sync) =>
      opened(path, "r+", (file) =>
        file
          .seek(BigInt(offset), "start")
          .pipe(
            Effect.andThen(Effect.forEach(data, (chunk) => file.writeAll(chunk), { discard: true })),
            Effect.andThen(sync ? file.sync : Effect.void)
          )
      ),
    sync: (path) => opened(path, "r", (file) => file.sync),
    truncate: (path, size) => opened(path, "r+", (file) => file.truncate(size)),
    create: (path) => opened(path, "wx", () => Effect.void),
    mkdir: (path) => call(fs.makeDirectory(path)),
    symlink: (target, path) => call(fs.symlink(target, path)),
    link: (path, newPath) => call(fs.link(path, newPath)),
    unlink: (path) => call(fs.remove(path)),
    // There is no other way to remove a directory. It was just found empty, and nobody makes something in it through us.
    rmdir: (path) => call(fs.remove(path, { recursive: true })),
    rename: (path, _type, newPath) => call(fs.rename(path, newPath)),
    chmod: (path, mode) => call(fs.chmod(path, mode)),
    chown: (path, type, uid, gid) => (type === "symlink" ? fail.ENOTSUP : call(fs.chown(path, uid, gid))),
    utimes: (path, type, atime, mtime) =>
      type === "symlink" ? fail.ENOTSUP : call(fs.utimes(path, secondsOf(atime), secondsOf(mtime))),
    statfs: () => Effect.undefined
  }
}

type Fails<A> = Effect.Effect<A, FilesystemError>

const call = <A>(run: Effect.Effect<A, PlatformError>): Fails<A> =>
  Effect.uninterruptible(Effect.mapError(run, meaningOf))

/** What the platform said, or the kind of error that it made of it. */
const meaningOf = ({ reason }: PlatformError): FilesystemError => {
  const code = (reason.cause as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? fromCode(code) : (kinds[reason._tag] ?? errors.EIO)
}

const kinds: { readonly [K in PlatformError["reason"]["_tag"]]?: FilesystemError } = {
  AlreadyExists: errors.EEXIST,
  BadArgument: errors.EINVAL,
  Busy: errors.EACCES,
  NotFound: errors.ENOENT,
  PermissionDenied: errors.EACCES
}

const statOf = (info: FileSystem.File.Info, hasInodes: boolean): Stat => {
  const { atime, birthtime, blocks, dev, gid, ino, mode, mtime, nlink, rdev, uid } = info
  const type = types[info.type]
  const size = Number(info.size)
  const modified = time(mtime)
  return {
    type,
    mode: mode & 0o7777,
    nlink: Number(Option.getOrElse(nlink, () => (type === "directory" ? 2 : 1))),
    uid: Option.getOrElse(uid, () => 0),
    gid: Option.getOrElse(gid, () => 0),
    size,
    used: Option.match(blocks, { onNone: () => size, onSome: (count) => Number(count) * 512 }),
    rdev:
      type === "block" || type === "character"
        ? Option.match(rdev, { onNone: () => NO_DEVICE, onSome: device })
        : NO_DEVICE,
    atime: Option.isSome(atime) ? time(atime) : modified,
    mtime: modified,
    ctime: modified,
    id: hasInodes && Option.isSome(ino) ? `${dev}:${ino.value}:${time(birthtime)}` : undefined
  }
}

const time = (date: Option.Option<Date>): bigint =>
  Option.isSome(date) ? BigInt(date.value.getTime()) * 1_000_000n : 0n

const fill = (
  file: FileSystem.File,
  buffer: Uint8Array,
  offset: number,
  done: number
): Effect.Effect<number, PlatformError> =>
  Effect.flatMap(file.read(buffer.subarray(done), { position: BigInt(offset + done) }), (count) => {
    const total = done + count
    return count === 0 || total === buffer.length ? Effect.succeed(total) : fill(file, buffer, offset, total)
  })
