/** How failures are called in NFS version 3. */

import type { Attributes } from "../../filesystem/Attributes.ts"
import { type Code, type FilesystemError, is } from "../../filesystem/FilesystemError.ts"
import type { Nfsstat3 } from "./Nfs3Types.ts"

/** Every status but success. */
export type FailureStatus = Exclude<Nfsstat3, "NFS3_OK">

/** A failure in the protocol's own terms. */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly status: FailureStatus
  /** The file's attributes of the moment that it failed; without, they are asked for afterwards. */
  readonly attributes: Attributes | undefined
}

export const refusal = (status: FailureStatus, attributes?: Attributes): Refusal => ({
  _tag: "Refusal",
  status,
  attributes
})

/** Why a procedure fails. */
export type Failure = FilesystemError | Refusal

const statuses: { readonly [K in Code]: FailureStatus } = {
  EPERM: "NFS3ERR_PERM",
  ENOENT: "NFS3ERR_NOENT",
  EIO: "NFS3ERR_IO",
  ENXIO: "NFS3ERR_NXIO",
  EACCES: "NFS3ERR_ACCES",
  EEXIST: "NFS3ERR_EXIST",
  EXDEV: "NFS3ERR_XDEV",
  ENODEV: "NFS3ERR_NODEV",
  ENOTDIR: "NFS3ERR_NOTDIR",
  EISDIR: "NFS3ERR_ISDIR",
  EINVAL: "NFS3ERR_INVAL",
  EFBIG: "NFS3ERR_FBIG",
  ENOSPC: "NFS3ERR_NOSPC",
  EROFS: "NFS3ERR_ROFS",
  EMLINK: "NFS3ERR_MLINK",
  ENAMETOOLONG: "NFS3ERR_NAMETOOLONG",
  ENOTEMPTY: "NFS3ERR_NOTEMPTY",
  EDQUOT: "NFS3ERR_DQUOT",
  ESTALE: "NFS3ERR_STALE",
  EBADHANDLE: "NFS3ERR_BADHANDLE",
  ENOTSUP: "NFS3ERR_NOTSUPP",
  ENOTSYNC: "NFS3ERR_NOT_SYNC",
  EAGAIN: "NFS3ERR_JUKEBOX"
}

export const statusOf = (failure: Failure): FailureStatus => (is(failure) ? statuses[failure.code] : failure.status)
