/** What makes files: CREATE, MKDIR, SYMLINK, MKNOD. */

import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { type Attributes, compareTimes, type SetAttributes } from "../Attributes.ts"
import type { CreateHow, Made, MakeGuard, Special } from "../Filesystem.ts"
import { fail, type FilesystemError, is } from "../FilesystemError.ts"
import { assign, objection } from "./attributes.ts"
import { type Changed, mutation } from "./durability.ts"
import { at, attempt, call, type Fails, here, O_PATH, open, release } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import { gone } from "./namespace.ts"
import * as Stat from "./Stat.ts"
import { changing, child, type Volume, withChild } from "./Volume.ts"
import { changed, entriesChanged } from "./wcc.ts"

const { constants } = fs

const PERMISSIONS = 0o777

export const create = (
  volume: Volume,
  file: Inode,
  name: string,
  how: CreateHow,
  guard: MakeGuard
): Fails<Made<Inode>> => {
  const exclusive = how._tag === "Exclusive"
  return make(volume, file, name, guard, {
    type: "regular",
    create: (directory, { mode = 0o644 }) => {
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
      const made = open(directory, at(directory.fd, name), flags, exclusive ? UNFINISHED : mode & PERMISSIONS)
      // By its descriptor: the name may be another file's already, which must not get what is meant for this one.
      const named = Effect.acquireUseRelease(
        made,
        (fd) => attempt(() => fs.openSync(here(fd), O_PATH)),
        (fd) => Effect.sync(() => release(fd))
      )
      return Effect.tap(volume.inodes.adoptIn(directory, named), (inode) =>
        Effect.sync(() => volume.inodes.note(inode, directory, name))
      )
    },
    steps: exclusive ? (set) => exclusively(set, how.verifier) : undefined,
    made: exclusive ? (inode) => void (inode.verifier = Uint8Array.from(how.verifier)) : undefined,
    resumes: exclusive ? (existing) => isUnfinished(volume, existing) : undefined,
    meet: (existing, attributes, set) => meet(volume, existing, attributes, how, set)
  })
}

/** What CREATE does with a file that exists. */
const meet = (
  volume: Volume,
  existing: Inode,
  attributes: Attributes,
  how: CreateHow,
  set: SetAttributes
): Fails<Attributes> => {
  if (how._tag === "Guarded" || existing.type !== "regular") return fail.EEXIST
  if (how._tag === "Exclusive")
    return isOf(existing, attributes, how.verifier) ? Effect.succeed(attributes) : fail.EEXIST
  if (Object.values(set).every((value) => value === undefined)) return Effect.succeed(attributes)
  return Effect.andThen(
    assign(volume, existing, attributes, set),
    Effect.map(changed(volume, existing, attributes), ({ after }) => after)
  )
}

/**
 * The mode of a file that an EXCLUSIVE create has begun to make, from the moment when it has its name: nobody may use it, and
 * it is the server's own. If the server is killed then, the client asks the next one again, and what there is becomes its file.
 */
const UNFINISHED = 0o1000

/** Whether a server that is gone has left it so: nothing has happened to it since it was made, before this one began. */
const isUnfinished = ({ openedAt }: Volume, { ctime, mode, mtime, nlink, size, uid }: Attributes): boolean =>
  mode === UNFINISHED &&
  size === 0 &&
  nlink === 1 &&
  uid === process.geteuid!() &&
  compareTimes(mtime, ctime) === 0 &&
  ctime.seconds * 1000 + ctime.nanoseconds / 1e6 < openedAt - Stat.CLOCK_LAG

/** What to set in turn, so that a file that has the verifier or not is the one that is finished or not. */
const exclusively = ({ gid, mode = 0o644, uid }: SetAttributes, verifier: Uint8Array): ReadonlyArray<SetAttributes> => [
  timesOf(verifier),
  { gid, mode, uid }
]

/** Gives a file attributes, one set after the other; gives those that it has then. */
const assignAll = Effect.fnUntraced(function* (
  volume: Volume,
  file: Inode,
  before: Attributes,
  steps: ReadonlyArray<SetAttributes>
): Effect.fn.Return<Attributes, FilesystemError> {
  let attributes = before
  for (const set of steps) {
    yield* assign(volume, file, attributes, set)
    attributes = yield* volume.inodes.attributes(file)
  }
  return attributes
})

/**
 * Times that hold a verifier: 62 of its bits survive a restart with the file, as the seconds of both, until the client sets
 * attributes, which Linux does at once.
 */
const timesOf = (verifier: Uint8Array) => {
  const words = Buffer.from(verifier.buffer, verifier.byteOffset, verifier.byteLength)
  const time = (offset: number) => ({ seconds: words.readUInt32BE(offset) & 0x7fff_ffff, nanoseconds: 0 })
  return { atime: time(0), mtime: time(4) }
}

/** Whether a file was made by an EXCLUSIVE create with this verifier. */
const isOf = (file: Inode, attributes: Attributes, verifier: Uint8Array): boolean => {
  if (file.verifier !== undefined) return Buffer.compare(file.verifier, verifier) === 0
  const { atime, mtime } = timesOf(verifier)
  return (
    Stat.nanoseconds(attributes.atime) === Stat.nanoseconds(atime) &&
    Stat.nanoseconds(attributes.mtime) === Stat.nanoseconds(mtime)
  )
}

export const mkdir = (volume: Volume, file: Inode, name: string, guard: MakeGuard): Fails<Made<Inode>> =>
  make(volume, file, name, guard, {
    type: "directory",
    create: (directory, { mode = 0o755 }) =>
      Effect.andThen(
        call(directory, (done) => fs.mkdir(at(directory.fd, name), mode & PERMISSIONS, done)),
        child(volume, directory, name)
      )
  })

export const symlink = (
  volume: Volume,
  file: Inode,
  name: string,
  target: string,
  guard: MakeGuard
): Fails<Made<Inode>> =>
  make(volume, file, name, guard, {
    type: "symlink",
    create: (directory) =>
      Effect.andThen(
        call(directory, (done) => fs.symlink(Bytestring.encode(target), at(directory.fd, name), null, done)),
        child(volume, directory, name)
      )
  })

export const mknod = (
  volume: Volume,
  file: Inode,
  name: string,
  special: Special,
  guard: MakeGuard
): Fails<Made<Inode>> =>
  make(volume, file, name, guard, {
    type: special.type,
    create: (directory, { mode = 0o644 }) =>
      Effect.andThen(
        volume.syscalls.mknod(
          directory.fd,
          Bytestring.encode(name),
          Stat.typeBits[special.type]! | (mode & PERMISSIONS),
          "rdev" in special ? special.rdev : { major: 0, minor: 0 }
        ),
        child(volume, directory, name)
      )
  })

interface Making {
  readonly type: Attributes["type"]
  /** Makes the file, with as much of `set` as that allows; `undefined` when it is gone at once. */
  readonly create: (directory: Inode, set: SetAttributes) => Fails<Inode | undefined>
  /** The attributes to give to the new file in turn; default: what the guard says. */
  readonly steps?: ((set: SetAttributes) => ReadonlyArray<SetAttributes>) | undefined
  readonly made?: ((inode: Inode) => void) | undefined
  /** Whether one that exists already is to be finished, as if we had made it. */
  readonly resumes?: ((existing: Attributes) => boolean) | undefined
  /** What to do when there is one with the name already, kept to ourselves meanwhile; default: EEXIST. */
  readonly meet?: (existing: Inode, attributes: Attributes, set: SetAttributes) => Fails<Attributes>
}

const make = (volume: Volume, file: Inode, name: string, guard: MakeGuard, making: Making): Fails<Made<Inode>> => {
  const { create, meet, resumes, type } = making
  return mutation(
    volume,
    changing(volume, file, (directory, before) =>
      withChild(
        volume,
        directory,
        name,
        Effect.fnUntraced(function* (existing, attributes): Effect.fn.Return<Changed<Made<Inode>>, FilesystemError> {
          const resumed = existing?.type === type && attributes !== undefined && resumes?.(attributes) === true
          const set = guard(before, resumed ? undefined : attributes)
          if (is(set)) return yield* Effect.fail(set)
          if (existing !== undefined && !resumed) {
            if (meet === undefined) return yield* fail.EEXIST
            const met = yield* meet(existing, attributes!, set)
            const result = { file: existing, attributes: met, directory: { before, after: before, atomic: false } }
            return { result, files: met === attributes ? [] : [existing] }
          }
          const refused = objection(volume, type, set)
          if (refused !== undefined) return yield* Effect.fail(refused)
          if (resumed) return yield* finish(volume, directory, before, name, existing, set, making)
          const begin = Stat.systemTime()
          const file = yield* create(directory, set)
          // Somebody on the host took it away at once.
          if (file === undefined || !(yield* isNew(volume, file, type, begin))) return yield* fail.ESTALE
          return yield* finish(volume, directory, before, name, file, set, making)
        }),
        meet !== undefined
      )
    )
  )
}

/** Gives a new file its attributes, before anybody else gets to see it. */
const finish = Effect.fnUntraced(function* (
  volume: Volume,
  directory: Inode,
  before: Attributes,
  name: string,
  file: Inode,
  set: SetAttributes,
  { made, steps, type }: Making
): Effect.fn.Return<Changed<Made<Inode>>, FilesystemError> {
  const { inodes } = volume
  const attributes = yield* inodes.use(
    file,
    Effect.fnUntraced(function* () {
      const fresh = yield* inodes.attributes(file)
      return yield* Effect.onError(assignAll(volume, file, fresh, steps?.(set) ?? [set]), () =>
        unmake(volume, directory, name, file)
      )
    })
  )
  made?.(file)
  const wcc = yield* entriesChanged(volume, directory, before, [{ name, fileid: file.fileid }])
  const files = type === "regular" || type === "directory" ? [file, directory] : [directory]
  return { result: { file, attributes, directory: wcc }, files }
})

/** Milliseconds by which what is new may seem to be older: far more than the clock of files is behind. */
const NEW = 1000

/**
 * Whether this is what we have just made: somebody on the host may have put something else in its place at once, which is not
 * to get the owner of ours.
 */
const isNew = ({ inodes }: Volume, file: Inode, type: Attributes["type"], begin: number): Fails<boolean> =>
  inodes.use(file, () =>
    Effect.map(inodes.attributes(file), ({ nlink }) => {
      if (file.type !== type || nlink > (type === "directory" ? 2 : 1)) return false
      // Only a filesystem of this machine goes by our clock.
      return !inodes.prompt || file.bornAt === 0 || file.bornAt >= begin - NEW
    })
  )

/** What cannot be as it was wanted is not made, unless the name has become somebody else's. */
const unmake = (volume: Volume, directory: Inode, name: string, inode: Inode): Effect.Effect<void> => {
  const path = at(directory.fd, name)
  const removed = call(directory, (done) => (inode.type === "directory" ? fs.rmdir(path, done) : fs.unlink(path, done)))
  return Effect.andThen(
    Effect.ignore(Effect.flatMap(child(volume, directory, name), (named) => (named === inode ? removed : Effect.void))),
    gone(volume, inode)
  )
}
