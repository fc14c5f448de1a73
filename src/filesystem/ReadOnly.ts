/** A filesystem that nobody can change. */

import type { Operations } from "./Filesystem.ts"
import { fail } from "./FilesystemError.ts"
import { forward } from "./Forwarding.ts"

const refuse = () => fail.EROFS

/** Every change, failing with EROFS before anything is looked at. COMMIT is not among them: it changes nothing. */
export const refusals = {
  setattr: refuse,
  write: refuse,
  create: refuse,
  mkdir: refuse,
  symlink: refuse,
  mknod: refuse,
  remove: refuse,
  rmdir: refuse,
  rename: refuse,
  link: refuse
} satisfies Partial<Operations>

/** `fs` as it is, but every change fails with EROFS. */
export const readOnly = (fs: Operations): Operations => forward(fs, refusals)
