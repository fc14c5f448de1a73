/** Descriptors for what files hold. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { errors, fail } from "../FilesystemError.ts"
import { call, close, type Fails, here, open } from "./Fs.ts"
import { Content, type Inode } from "./Inode.ts"

const { constants } = fs

/** Works with a descriptor for the content of a regular file, or to sync a directory, which stays open meanwhile. */
export const withContent = <A>(inode: Inode, writable: boolean, body: (open: Content) => Fails<A>): Fails<A> =>
  Effect.uninterruptibleMask((restore) => {
    const using = (open: Content) =>
      Effect.ensuring(
        restore(body(open)),
        Effect.sync(() => open.uses--)
      )
    const known = hold(inode, writable)
    return known === undefined ? Effect.flatMap(opened(inode, writable), using) : using(known)
  })

/** What is open already: from now on used. Nothing may come between, or it could be closed. */
const hold = ({ content }: Inode, writable: boolean): Content | undefined => {
  if (content === undefined || (writable && !content.writable)) return undefined
  content.uses++
  return content
}

const opened = (inode: Inode, writable: boolean): Fails<Content> => {
  if (inode.type !== "regular" && inode.type !== "directory") return fail.EINVAL
  const flags = (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK | constants.O_NOCTTY
  const opening = open(inode, here(inode.fd), flags)
  return Effect.map(
    inode.type === "regular"
      ? Effect.catchIf(
          opening,
          (error) => error === errors.EACCES,
          () => openOwn(inode, flags)
        )
      : opening,
    (fd) => {
      const other = hold(inode, writable)
      if (other !== undefined) {
        close(fd)
        return other
      }
      inode.closeContent()
      const content = (inode.content = new Content(fd, writable))
      content.uses++
      return content
    }
  )
}

/** A server that is not root gets at files of its own whose mode forbids it, as their owner may through a handle. */
const openOwn = (inode: Inode, flags: number): Fails<number> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const path = here(inode.fd)
      const { mode, uid } = yield* call<fs.Stats>(inode, (done) => fs.stat(path, done))
      if (uid !== process.getuid?.()) return yield* fail.EACCES
      yield* call(inode, (done) => fs.chmod(path, (mode & 0o7777) | 0o600, done))
      return yield* Effect.ensuring(
        open(inode, path, flags),
        Effect.ignore(call(inode, (done) => fs.chmod(path, mode & 0o7777, done)))
      )
    })
  )
