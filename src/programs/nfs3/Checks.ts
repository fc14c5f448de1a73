/** Arguments that no filesystem gets to see. Each check gives the failure, or `undefined` when there is nothing to object. */

import type * as Effect from "effect/Effect"
import type { Export } from "../../exports/Export.ts"
import type { SetAttributes, Time } from "../../filesystem/Attributes.ts"
import { NAME_MAX } from "../../filesystem/Filesystem.ts"
import { type Code, fail, type FilesystemError } from "../../filesystem/FilesystemError.ts"
import * as Bytestring from "../../xdr/Bytestring.ts"

type Objection = Effect.Effect<never, FilesystemError> | undefined

/** A name that no entry can have (RFC 1813, 3.2); `.` and `..` are none of those. */
export const name = (name: string): Objection => {
  if (name === "" || name.includes("/") || name.includes("\0")) return fail.EACCES
  // No character has more than three bytes for each of its UTF-16 units.
  return name.length * 3 > NAME_MAX && Bytestring.byteLength(name) > NAME_MAX ? fail.ENAMETOOLONG : undefined
}

/** Like {@link name}, where `.` and `..` are out of place and fail with these codes. */
export const properName = (text: string, dot: Code, dotDot: Code = dot): Objection => {
  if (text === ".") return fail[dot]
  return text === ".." ? fail[dotDot] : name(text)
}

/** The target of a symbolic link. */
export const linkTarget = (target: string): Objection =>
  target === "" || target.includes("\0") ? fail.EINVAL : undefined

/** Attributes that somebody wants a file to have. */
export const attributes = ({ maxFileSize }: Export, { atime, mtime, size }: SetAttributes): Objection => {
  if (!isTime(atime) || !isTime(mtime)) return fail.EINVAL
  return size !== undefined && size > maxFileSize ? fail.EFBIG : undefined
}

const isTime = (time: Time | "now" | undefined): boolean =>
  time === undefined || time === "now" || time.nanoseconds < 1_000_000_000
