/** A file's attributes: GETATTR, SETATTR, ACCESS (RFC 1813, 3.3.1, 3.3.2, 3.3.4). */

import { EXECUTE, READ, SEARCH, WRITE } from "../../../exports/Permissions.ts"
import type { Attributes, Time } from "../../../filesystem/Attributes.ts"
import { errors } from "../../../filesystem/FilesystemError.ts"
import * as Checks from "../Checks.ts"
import { syncing } from "../Losses.ts"
import {
  ACCESS,
  ACCESS3_DELETE,
  ACCESS3_EXECUTE,
  ACCESS3_EXTEND,
  ACCESS3_LOOKUP,
  ACCESS3_MODIFY,
  ACCESS3_READ,
  GETATTR,
  SETATTR
} from "../Nfs3Calls.ts"
import { wireSeconds } from "../Nfs3Types.ts"
import { NFS3_OK, onFile, postOp, type Target, unchanged, wccData } from "../Operation.ts"

export const getattr = onFile(GETATTR, {
  idempotent: true,
  mounts: true,
  handle: (args) => args.object,
  run: (object) => object.operations.getattr(object.file),
  ok: (object, attributes) => ({ status: NFS3_OK, objAttributes: postOp(object, attributes) }),
  failed: (status) => ({ status })
})

export const setattr = onFile(SETATTR, {
  idempotent: false,
  handle: (args) => args.object,
  run: ({ access, file, operations, server, share }, { guard, newAttributes }) => {
    const allowed = access.setattr(newAttributes)
    const guarded = (before: Attributes) => (isSameTime(before.ctime, guard!) ? allowed(before) : errors.ENOTSYNC)
    return (
      Checks.attributes(share, newAttributes) ??
      syncing(server, operations.setattr(file, guard === undefined ? allowed : guarded))
    )
  },
  ok: (object, wcc) => ({ status: NFS3_OK, objWcc: wccData(object, wcc) }),
  failed: (status, attributes) => ({ status, objWcc: unchanged(attributes) })
})

/** Whether a client that was told `time` says `guard`. */
const isSameTime = (time: Time, guard: Time): boolean =>
  wireSeconds(time.seconds) === guard.seconds && time.nanoseconds === guard.nanoseconds

export const access = onFile(ACCESS, {
  idempotent: true,
  handle: (args) => args.object,
  run: ({ file, operations }) => operations.getattr(file),
  ok: (object, attributes, { access: asked }) => ({
    status: NFS3_OK,
    objAttributes: postOp(object, attributes),
    access: asked & rights(object, attributes)
  }),
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})

/** The bits of ACCESS that the caller has. Unlike READ and WRITE they do not favour the owner: clients decide by them. */
const rights = ({ access, readOnly }: Target, attributes: Attributes): number => {
  const held = access.permissions(attributes)
  const reads = (held & READ) === 0 ? 0 : ACCESS3_READ
  const writes = (held & WRITE) !== 0 && !(readOnly && isStored(attributes))
  if (attributes.type === "directory") {
    if ((held & SEARCH) === 0) return reads
    return reads | ACCESS3_LOOKUP | (writes ? ACCESS3_MODIFY | ACCESS3_EXTEND | ACCESS3_DELETE : 0)
  }
  const executes = (held & EXECUTE) === 0 ? 0 : ACCESS3_EXECUTE
  return reads | executes | (writes ? ACCESS3_MODIFY | ACCESS3_EXTEND : 0)
}

/** Whether writing it changes the filesystem: what goes into a device or a FIFO stays with the client. */
const isStored = ({ type }: Attributes): boolean => type === "regular" || type === "directory" || type === "symlink"
