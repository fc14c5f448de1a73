/** What all operations on a directory of the host share, and the steps that they are made of. */

import * as Effect from "effect/Effect"
import type * as Semaphore from "effect/Semaphore"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes } from "../Attributes.ts"
import type { Properties } from "../Filesystem.ts"
import { errors, fail, type FilesystemError, is } from "../FilesystemError.ts"
import type { Fails } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import type { Glimpse, Inodes } from "./Inodes.ts"
import type { Listings, Load } from "./Listings.ts"
import type { Mounts } from "./Mounts.ts"
import type { Located, Syscalls } from "./Syscalls.ts"
import { alone, alsoShared, shared } from "./Turn.ts"

export interface Volume {
  readonly inodes: Inodes
  readonly mounts: Mounts
  readonly syscalls: Syscalls["Service"]
  /** When it was opened, by the system's time. */
  readonly openedAt: number
  readonly properties: Properties
  /** Whether changes of names and attributes are answered before they are on the disk. */
  readonly isAsync: boolean
  /** How many syncs and how many writes, which may wait for a disk, may be under way: one thread is left for all else. */
  readonly syncs: Semaphore.Semaphore
  readonly writes: Semaphore.Semaphore
  readonly listings: Listings
  /** How the entries of a directory are read. */
  readonly load: (directory: Inode) => Load
  /** An inode by its descriptor and, where the system calls cannot do without, by a name of it. */
  readonly locate: <A>(inode: Inode, body: (file: Located) => Fails<A>) => Fails<A>
}

/** A descriptor of what has a name in a directory, whatever it is: ours to close. */
const openName = ({ mounts, syscalls }: Volume, directory: Inode, name: string): Fails<number> =>
  Effect.suspend(() => {
    const cached = syscalls.openCached(directory.fd, Bytestring.encode(name))
    if (cached === "absent") return fail.ENOENT
    if (cached !== undefined) return Effect.succeed(cached)
    return mounts.open(directory, directory.fd, name)
  })

/** What has a name in a directory, open; `undefined` when there is nothing. */
export const child = (volume: Volume, directory: Inode, name: string): Fails<Inode | undefined> =>
  volume.inodes.adoptIn(directory, openName(volume, directory, name)).pipe(
    Effect.tap((inode) => Effect.sync(() => volume.inodes.note(inode, directory, name))),
    Effect.catchIf(
      (error) => error === errors.ENOENT,
      () => Effect.undefined
    )
  )

/** The same for who only wants to know: nothing stays open. */
export const look = (volume: Volume, directory: Inode, name: string): Fails<Glimpse> =>
  Effect.tap(volume.inodes.glimpse(directory, openName(volume, directory, name)), ({ file }) =>
    Effect.sync(() => volume.inodes.note(file, directory, name))
  )

/** The same here and now, of what the kernel has in its memory; `undefined` where that takes more. */
export const lookNow = (
  { inodes, syscalls }: Volume,
  directory: Inode,
  name: string
): Glimpse | FilesystemError | undefined => {
  const found = inodes.glimpseNow(directory, () => syscalls.openCached(directory.fd, Bytestring.encode(name)))
  if (found !== undefined && !is(found)) inodes.note(found.file, directory, name)
  return found
}

/** Works on what has a name in a directory, which is kept as it is (or, if `aloneWith` it, to ourselves) meanwhile. */
export const withChild = <A>(
  volume: Volume,
  directory: Inode,
  name: string,
  body: (child: Inode | undefined, attributes: Attributes | undefined) => Fails<A>,
  aloneWith = false
): Fails<A> =>
  Effect.flatMap(child(volume, directory, name), (found) => {
    if (found === undefined) return body(undefined, undefined)
    return volume.inodes.use(found, (inode) => {
      // Who was removed behind our back just now is not there.
      const attributes = Effect.catchIf(
        volume.inodes.attributes(inode),
        (error) => error === errors.ESTALE,
        () => Effect.undefined
      )
      const work = Effect.flatMap(attributes, (now) => body(now && inode, now))
      return aloneWith ? alone(inode.attributes, work) : alsoShared(inode.attributes, work)
    })
  })

/** Looks at or follows the names in a directory, while nobody changes them. */
export const following = <A>(
  volume: Volume,
  file: Inode,
  body: (directory: Inode, attributes: Attributes) => Fails<A>
): Fails<A> => volume.inodes.use(file, (directory) => shared(directory.entries, knowing(volume, directory, body)))

/** Changes the names in a directory. */
export const changing = <A>(
  volume: Volume,
  file: Inode,
  body: (directory: Inode, attributes: Attributes) => Fails<A>
): Fails<A> => volume.inodes.use(file, (directory) => alone(directory.entries, knowing(volume, directory, body)))

const knowing = <A>(
  { inodes }: Volume,
  directory: Inode,
  body: (directory: Inode, attributes: Attributes) => Fails<A>
): Fails<A> =>
  shared(
    directory.attributes,
    Effect.flatMap(inodes.attributes(directory), (attributes) =>
      directory.type === "directory" ? body(directory, attributes) : fail.ENOTDIR
    )
  )
