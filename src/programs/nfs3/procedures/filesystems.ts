/** What a filesystem is like: FSSTAT, FSINFO, PATHCONF (RFC 1813, 3.3.18 to 3.3.20). */

import * as Effect from "effect/Effect"
import { NAME_MAX } from "../../../filesystem/Filesystem.ts"
import { FSF3_CANSETTIME, FSF3_HOMOGENEOUS, FSF3_LINK, FSF3_SYMLINK, FSINFO, FSSTAT, PATHCONF } from "../Nfs3Calls.ts"
import { NFS3_OK, onFile, postOp } from "../Operation.ts"

/** What the offsets and counts of READ and WRITE had best be multiples of. */
const TRANSFER_MULTIPLE = 4096

/** The count of READDIR that serves best. */
const PREFERRED_LISTING = 65_536

export const fsstat = onFile(FSSTAT, {
  idempotent: true,
  handle: (args) => args.fsroot,
  run: ({ file, operations }) => Effect.all([operations.getattr(file), operations.statfs(file)]),
  ok: (root, [attributes, statfs]) => ({
    status: NFS3_OK,
    objAttributes: postOp(root, attributes),
    tbytes: quantity(statfs.totalBytes),
    fbytes: quantity(statfs.freeBytes),
    abytes: quantity(statfs.availableBytes),
    tfiles: quantity(statfs.totalFiles),
    ffiles: quantity(statfs.freeFiles),
    afiles: quantity(statfs.availableFiles),
    invarsec: 0
  }),
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})

/** Clients count in signed 64 bits, where numbers above 2^63 are negative; filesystems without limit say Infinity. */
const quantity = (n: number): number => Math.min(Math.max(Math.floor(n), 0), Number.MAX_SAFE_INTEGER)

export const fsinfo = onFile(FSINFO, {
  idempotent: true,
  mounts: true,
  handle: (args) => args.fsroot,
  run: ({ file, operations }) => operations.getattr(file),
  ok: (root, attributes) => {
    const { maxTransfer } = root.server
    const { linkMax, symlinks, timeDelta } = root.operations.properties
    return {
      status: NFS3_OK,
      objAttributes: postOp(root, attributes),
      rtmax: maxTransfer,
      rtpref: maxTransfer,
      rtmult: TRANSFER_MULTIPLE,
      wtmax: maxTransfer,
      wtpref: maxTransfer,
      wtmult: TRANSFER_MULTIPLE,
      dtpref: Math.min(PREFERRED_LISTING, maxTransfer),
      maxfilesize: root.share.maxFileSize,
      timeDelta,
      properties: FSF3_HOMOGENEOUS | FSF3_CANSETTIME | (linkMax > 1 ? FSF3_LINK : 0) | (symlinks ? FSF3_SYMLINK : 0)
    }
  },
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})

export const pathconf = onFile(PATHCONF, {
  idempotent: true,
  handle: (args) => args.object,
  run: ({ file, operations }) => operations.getattr(file),
  ok: (object, attributes) => {
    const { caseInsensitive, casePreserving, linkMax } = object.operations.properties
    return {
      status: NFS3_OK,
      objAttributes: postOp(object, attributes),
      linkmax: Math.min(linkMax, 0xffff_ffff),
      nameMax: NAME_MAX,
      noTrunc: true,
      chownRestricted: true,
      caseInsensitive,
      casePreserving
    }
  },
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})
