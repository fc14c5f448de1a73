/** Descriptors for what files hold. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { errors, fail } from "../FilesystemError.ts"
import { call, close, type Fails, here, open } from "./Fs.ts"
import { Content, type Inode } from "./Inode.ts"
import { alone } from "./Turn.ts"

const { constants } = fs

/** What a descriptor is wanted for; any does to sync. */
type Purpose = "read" | "write" | "any"

/**
 * Works with a descriptor for the content of a regular file, or to sync a directory, which stays open meanwhile. `around`:
 * in what it is opened if it has to be.
 */
export const withContent = <A>(
  inode: Inode,
  purpose: Purpose,
  body: (open: Content) => Fails<A>,
  around: (opening: Fails<Content>) => Fails<Content> = (opening) => opening
): Fails<A> =>
  Effect.uninterruptibleMask((restore) => {
    const using = (open: Content) =>
      Effect.ensuring(
        restore(body(open)),
        Effect.sync(() => open.uses--)
      )
    const known = hold(inode, purpose)
    return known === undefined ? Effect.flatMap(around(opened(inode, purpose)), using) : using(known)
  })

/** What is open already: from now on used. Nothing may come between, or it could be closed. */
const hold = ({ content }: Inode, purpose: Purpose): Content | undefined => {
  if (content === undefined) return undefined
  if ((purpose === "read" && !content.readable) || (purpose === "write" && !content.writable)) return undefined
  content.uses++
  return content
}

const opened = (inode: Inode, purpose: Purpose): Fails<Content> => {
  if (inode.type !== "regular" && inode.type !== "directory") return fail.EINVAL
  const writable = purpose === "write"
  const mode = { readable: true, writable }
  const opening = opens(inode, writable ? constants.O_RDWR : constants.O_RDONLY, mode, purpose)
  if (inode.type === "directory") return opening
  const refused = (error: unknown): boolean => error === errors.EACCES
  const justWriting = opens(inode, constants.O_WRONLY, { readable: false, writable: true }, purpose)
  return Effect.catchIf(opening, refused, () => {
    const own = alone(inode.opener, lent(inode, opening))
    // Who may write to a file need not be allowed to read it.
    return purpose === "read" ? own : Effect.catchIf(justWriting, refused, () => own)
  })
}

const opens = (
  inode: Inode,
  access: number,
  mode: Pick<Content, "readable" | "writable">,
  purpose: Purpose
): Fails<Content> =>
  Effect.map(open(inode, here(inode.fd), access | constants.O_NONBLOCK | constants.O_NOCTTY), (fd) => {
    const other = hold(inode, purpose)
    if (other !== undefined) {
      close(fd)
      return other
    }
    inode.closeContent()
    const content = (inode.content = new Content(fd, mode))
    content.uses++
    return content
  })

/** A server that is not root gets at files of its own whose mode forbids it, as their owner may through a handle. */
const lent = (inode: Inode, opening: Fails<Content>): Fails<Content> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const path = here(inode.fd)
      const { mode, uid } = yield* call<fs.Stats>(inode, (done) => fs.stat(path, done))
      if (uid !== process.geteuid?.()) return yield* fail.EACCES
      yield* call(inode, (done) => fs.chmod(path, (mode & 0o7777) | 0o600, done))
      return yield* Effect.ensuring(opening, Effect.ignore(call(inode, (done) => fs.chmod(path, mode & 0o7777, done))))
    })
  )
