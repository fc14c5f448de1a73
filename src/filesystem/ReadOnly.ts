/** A filesystem that nobody can change. */

import type { Operations } from "./Filesystem.ts"
import { fail } from "./FilesystemError.ts"
import { forward } from "./Forwarding.ts"

/** `fs` as it is, but every change fails with EROFS, before anything else is looked at. */
export const readOnly = (fs: Operations): Operations => forward(fs, changes)

const refuse = () => fail.EROFS

/** COMMIT is not among them: it changes nothing. */
const changes: Partial<Operations> = {
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
}
