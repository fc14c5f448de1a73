/** What the operating system's errors mean in the contract. */

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
