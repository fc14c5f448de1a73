/** What the operating system's errors mean in the contract. */

import { constants } from "node:os"
import * as Effect from "effect/Effect"
import { errors, type FilesystemError, meanings } from "../FilesystemError.ts"

/** Those that have no code of their own. */
const others: Readonly<Record<string, FilesystemError>> = {
  EOPNOTSUPP: errors.ENOTSUP,
  ENOSYS: errors.ENOTSUP,
  // Out of descriptors or memory: that passes.
  EMFILE: errors.EAGAIN,
  ENFILE: errors.EAGAIN,
  ENOMEM: errors.EAGAIN,
  EBUSY: errors.EACCES,
  ETXTBSY: errors.EACCES,
  EOVERFLOW: errors.EFBIG,
  // A symlink where none was expected: somebody has just put it there.
  ELOOP: errors.ESTALE
}

/** The error for a code such as "ENOENT"; EIO for what nobody expects. */
export const fromCode = (code: string | undefined): FilesystemError => {
  if (code === undefined) return errors.EIO
  return code in meanings ? errors[code as keyof typeof meanings] : (others[code] ?? errors.EIO)
}

const numbers: Readonly<Record<string, number | undefined>> = constants.errno

const byNumber = new Map(
  [...Object.keys(meanings), ...Object.keys(others)].map((code) => [numbers[code], fromCode(code)] as const)
)

/** The error for one of the system's numbers: libuv has no names for some of them, ESTALE and EDQUOT among them. */
export const fromErrno = (errno: number): FilesystemError => byNumber.get(errno) ?? errors.EIO

/** For calls whose files and directories are all open: what is not there is gone. */
export const goneIsStale = Effect.mapError((error: FilesystemError) =>
  error === errors.ENOENT ? errors.ESTALE : error
)
