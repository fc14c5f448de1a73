/**
 * A directory of the host, served.
 *
 * Every file is worked on through a descriptor that names it (O_PATH), never through its path: what has a name is opened
 * first and checked then, so that no symlink and no rename that somebody slips in leads an operation elsewhere.
 */

import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as CachedFilesystem from "../cached/CachedFilesystem.ts"
import { Filesystem, type Operations } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import * as attributes from "./attributes.ts"
import * as creation from "./creation.ts"
import * as data from "./data.ts"
import * as DirectoryReader from "./DirectoryReader.ts"
import { close, here } from "./Fs.ts"
import * as Getdents from "./Getdents.ts"
import * as Host from "./Host.ts"
import * as Identities from "./Identities.ts"
import type { Inode } from "./Inode.ts"
import { Inodes } from "./Inodes.ts"
import { readdir } from "./listing.ts"
import * as Listings from "./Listings.ts"
import { Mounts } from "./Mounts.ts"
import * as namespace from "./namespace.ts"
import { rename } from "./renaming.ts"
import * as Stat from "./Stat.ts"
import { Syscalls } from "./Syscalls.ts"
import type { Volume } from "./Volume.ts"

export interface Options {
  /** The directory of the host to serve. */
  readonly path: string
  /**
   * Whether new, changed and removed names are answered before they are on the disk: faster, and lost when the machine
   * fails. Default `false`.
   */
  readonly async?: boolean | undefined
  /**
   * Whether clients may go into filesystems that are mounted below the directory. Default `false`: such a mount point is
   * listed, and EACCES for all who want in.
   */
  readonly crossMounts?: boolean | undefined
  /**
   * Where to keep what helps to find files again after a restart when the system does not let us open them by their
   * handles: an SQLite file. Default: nowhere, so that they are looked for.
   */
  readonly stateFile?: string | undefined
  /**
   * How long attributes, and what names lead to, are remembered (see `CachedFilesystem`): so late may changes show that are
   * made on the host. Default: 1 second. With 0 the system is asked each time.
   */
  readonly cacheLife?: Duration.Input | undefined
}

/** What {@link make} calls the system by; {@link layer} brings it along. */
export { Syscalls } from "./Syscalls.ts"

/** A directory that cannot be served. */
export class LocalFilesystemError extends Data.TaggedError("LocalFilesystemError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `cannot serve ${this.path}: ${this.reason}`
  }
}

/** A directory of the host, while the surrounding scope lives. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Operations, LocalFilesystemError, Syscalls | Scope.Scope> {
  const { cacheLife = "1 second", path } = options
  const isCached = !Duration.isZero(Duration.fromInputUnsafe(cacheLife))
  const syscalls = yield* Syscalls
  const root = yield* Effect.acquireRelease(openRoot(path), (fd) => Effect.sync(() => close(fd)))
  const host = yield* Effect.try({
    try: () => Host.of(root),
    catch: () => new LocalFilesystemError({ path, reason: "that needs Linux with /proc" })
  })
  const mounts = yield* Mounts.make(root, options.crossMounts ?? false)
  // Of what is mounted below the directory, nothing is known.
  const whole = host.whole && !options.crossMounts
  const prompt = host.prompt && !options.crossMounts
  const capacity = yield* Host.share
  const inodes = yield* Identities.make({ root, whole, mounts, syscalls, stateFile: options.stateFile }).pipe(
    Effect.flatMap((identities) =>
      Inodes.make({
        identities,
        root,
        whole,
        prompt,
        capacity,
        // A cache asks once in its life, and shall get the truth.
        insideFor: isCached ? 0 : INSIDE_FOR
      })
    ),
    Effect.mapError((error) => new LocalFilesystemError({ path, reason: unidentified(error, syscalls) }))
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => inodes.close()))
  yield* Effect.sync(() => inodes.sweep()).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)
  // The kernel's entries have the numbers of their own filesystem, which are not enough where there are several.
  const bare = syscalls.getdents === undefined || options.crossMounts
  const readDirectory = bare ? DirectoryReader.read : Getdents.read(syscalls.getdents)
  const volume: Volume = {
    inodes,
    mounts,
    syscalls,
    openedAt: Stat.systemTime(),
    properties: { ...host.properties, timeDelta: syscalls.timeDelta },
    isAsync: options.async ?? false,
    syncs: Host.syncs,
    writes: Host.writes,
    listings: yield* Listings.make(),
    load: (directory) => (add) => inodes.use(directory, ({ fd }) => readDirectory(here(fd), add)),
    locate: syscalls.name === "node" ? locateByName(inodes) : locate
  }
  const served = operations(volume)
  return isCached ? yield* CachedFilesystem.make(served, { life: cacheLife, name: path }) : served
})

/** Milliseconds for which a file that was inside the export is taken to be there still. */
const INSIDE_FOR = 1000

/** A directory of the host as the {@link Filesystem} to be served. */
export const layer = (options: Options): Layer.Layer<Filesystem, LocalFilesystemError> =>
  Layer.effect(Filesystem, make(options)).pipe(Layer.provide(Syscalls.layer))

/** Descriptors are all that the C library needs. */
const locate: Volume["locate"] = (inode, body) => body({ fd: inode.fd, path: undefined })

/** `node:fs` gets at symlinks only by their names; who has another by now is looked for. */
const locateByName =
  (inodes: Inodes): Volume["locate"] =>
  (inode, body) => {
    const attempt = Effect.suspend(() => {
      const hint = inodes.hint(inode)
      if (hint === undefined) return fail.ESTALE
      return Effect.flatMap(inodes.resolve(hint.parent), (parent) =>
        inodes.use(parent, (directory) =>
          body({ fd: inode.fd, path: Buffer.concat([Buffer.from(`${here(directory.fd)}/`), hint.name]) })
        )
      )
    })
    return Effect.catchIf(
      attempt,
      (error) => error === errors.ESTALE,
      () => Effect.andThen(inodes.find(inode), attempt)
    )
  }

const openRoot = (path: string): Effect.Effect<number, LocalFilesystemError> =>
  Effect.try({
    try: () => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY),
    catch: (error) => new LocalFilesystemError({ path, reason: reasonOf(error as NodeJS.ErrnoException) })
  })

const unidentified = (error: FilesystemError, { handles }: Syscalls["Service"]): string => {
  if (error !== errors.ENOTSUP) return error.code
  const remedy = handles === undefined ? "install the package koffi, or serve" : "serve"
  return `its filesystem does not tell a file from a later one with the same number; ${remedy} a directory of another filesystem`
}

const reasonOf = ({ code, message }: NodeJS.ErrnoException): string =>
  ({ ENOENT: "there is no such directory", ENOTDIR: "it is not a directory", EACCES: "permission denied" })[code!] ??
  message

const operations = (volume: Volume): Operations<Inode> => ({
  properties: volume.properties,
  root: volume.inodes.root,
  resolve: (key) => volume.inodes.resolve(key),
  getattr: (file) => attributes.getattr(volume, file),
  setattr: (file, guard) => attributes.setattr(volume, file, guard),
  lookup: (directory, name, guard) => namespace.lookup(volume, directory, name, guard),
  parent: (directory, guard) => namespace.parent(volume, directory, guard),
  readlink: (file, guard) => namespace.readlink(volume, file, guard),
  read: (file, offset, count, guard, allocate = (length) => Buffer.allocUnsafeSlow(length)) =>
    data.read(volume, file, { offset, count, guard, allocate }),
  write: (file, offset, chunks, stability, guard) => data.write(volume, file, offset, chunks, stability, guard),
  create: (directory, name, how, guard) => creation.create(volume, directory, name, how, guard),
  mkdir: (directory, name, guard) => creation.mkdir(volume, directory, name, guard),
  symlink: (directory, name, target, guard) => creation.symlink(volume, directory, name, target, guard),
  mknod: (directory, name, special, guard) => creation.mknod(volume, directory, name, special, guard),
  remove: (directory, name, guard) => namespace.remove(volume, directory, name, guard),
  rmdir: (directory, name, guard) => namespace.rmdir(volume, directory, name, guard),
  rename: (from, name, to, newName, guard) => rename(volume, from, name, to, newName, guard),
  link: (file, directory, name, guard) => namespace.link(volume, file, directory, name, guard),
  readdir: (directory, request, guard) => readdir(volume, directory, request, guard),
  statfs: (file) => attributes.statfs(volume, file),
  commit: (file, _offset, _count, guard) => data.commit(volume, file, guard)
})
