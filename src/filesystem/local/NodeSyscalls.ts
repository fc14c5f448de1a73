/**
 * `Syscalls` by `node:fs` alone: its paths through descriptors lead to the file itself, be it a symlink or not. Only what
 * names a symlink or a file's second name has to go by directory and name, and looks afterwards whether that was the one.
 */

import { Buffer } from "node:buffer"
import { fstat, promises } from "node:fs"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type { Time } from "../Attributes.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { isEntry } from "./EntryName.ts"
import { fromErrno, goneIsStale } from "./Errors.ts"
import type { Syscalls } from "./Syscalls.ts"

/** The file of a descriptor as a path: following it leads to that file and no further. */
const placeOf = (fd: number): string => `/proc/self/fd/${fd}`

const call = <A>(f: () => Promise<A>): Effect.Effect<A, FilesystemError> =>
  Effect.tryPromise({ try: f, catch: (error) => fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0)) })

const statOf = promisify(fstat)

/** Whether a path is that of an open file. */
const isPathOf = (fd: number, path: Buffer) =>
  call(async () => {
    const [named, open] = await Promise.all([promises.lstat(path, { bigint: true }), statOf(fd, { bigint: true })])
    return named.ino === open.ino && named.dev === open.dev
  })

/** The distance of two doubles below 2^32 seconds, in the year 2106. */
const STEP = 2 ** -21

/**
 * A double of seconds that has the same microsecond: libuv cuts off what is below a nanosecond, so one that is just too
 * small would have the microsecond before.
 */
const inSeconds = ({ seconds, nanoseconds }: Time): number => {
  const microseconds = Math.floor(nanoseconds / 1000)
  const nearest = seconds + microseconds / 1e6
  return (nearest - seconds) * 1e9 >= microseconds * 1000 ? nearest : nearest + STEP
}

/**
 * Since version 1.51, libuv makes UTIME_NOW of infinity and UTIME_OMIT of what is no number. Node.js lets the one pass as a
 * string and the other as a date, and would take negative numbers for the present if they did not come as strings.
 */
const timeArgument = (time: Time | "now" | undefined): string | Date =>
  time === undefined ? new Date(Number.NaN) : String(time === "now" ? Infinity : inSeconds(time))

export const make = (): Syscalls["Service"] => ({
  name: "node",
  timeDelta: { seconds: 0, nanoseconds: 1000 },
  handles: undefined,

  readlink: ({ fd, path }) => {
    if (path === undefined) return fail.ENOTSUP
    return goneIsStale(
      Effect.gen(function* () {
        const target = yield* call(() => promises.readlink(path, { encoding: "buffer" }))
        return (yield* isPathOf(fd, path)) ? target : yield* fail.ESTALE
      })
    )
  },

  chown: ({ fd }, uid, gid) => Effect.uninterruptible(call(() => promises.chown(placeOf(fd), uid, gid))),

  utimes: ({ fd }, atime, mtime) =>
    Effect.uninterruptible(call(() => promises.utimes(placeOf(fd), timeArgument(atime), timeArgument(mtime)))),

  link: ({ fd, path }, directory, name) => {
    if (!isEntry(name)) return fail.EINVAL
    if (path === undefined) return fail.ENOTSUP
    const place = Buffer.concat([Buffer.from(`${placeOf(directory)}/`), name])
    return Effect.gen(function* () {
      yield* call(() => promises.link(path, place))
      if (yield* isPathOf(fd, place)) return
      yield* call(() => promises.unlink(place))
      return yield* fail.ESTALE
    }).pipe(goneIsStale, Effect.uninterruptible)
  },

  mknod: () => fail.ENOTSUP,
  getdents: undefined,
  readCached: () => undefined,
  openCached: () => undefined
})
