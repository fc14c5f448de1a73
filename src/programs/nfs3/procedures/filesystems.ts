/** What a filesystem is like: FSSTAT, FSINFO, PATHCONF (RFC 1813, 3.3.18 to 3.3.20). */
import * as Effect from "effect/Effect"
import { NAME_MAX } from "../../../filesystem/Filesystem.ts"
import * as Checks from "../Checks.ts"
import { FSF3_CANSETTIME, FSF3_HOMOGENEOUS, FSF3_LINK, FSF3_SYMLINK, FSINFO, FSSTAT, PATHCONF } from "../Nfs3Calls.ts"
import { onFile, postOp, type Target } from "../Operation.ts"

/** What READ and WRITE had best be multiples of. */
const TRANSFER_MULTIPLE = 4096

/** The `count` of READDIR that serves best. */
const PREFERRED_LISTING = 65_536

const attributesOf = (target: Target) => target.operations.getattr(target.file)

export const fsstat = onFile(FSSTAT, {
  idempotent: true,
  handle: (args) => args.fsroot,
  run: (root) =>
    Effect.zipWith(attributesOf(root), root.operations.statfs(root.file), (attributes, statfs) => ({
      status: "NFS3_OK",
      objAttributes: postOp(root, attributes),
      tbytes: quantity(statfs.totalBytes),
      fbytes: quantity(statfs.freeBytes),
      abytes: quantity(statfs.availableBytes),
      tfiles: quantity(statfs.totalFiles),
      ffiles: quantity(statfs.freeFiles),
      afiles: quantity(statfs.availableFiles),
      invarsec: 0
    })),
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})

/** Clients count in signed 64 bits, where numbers above 2^63 are negative; filesystems without limit say Infinity. */
const quantity = (n: number): number => Math.min(Math.max(Math.floor(n), 0), Number.MAX_SAFE_INTEGER)

export const fsinfo = onFile(FSINFO, {
  idempotent: true,
  handle: (args) => args.fsroot,
  run: (root, _args, { maxTransfer }) => {
    const { linkMax, symlinks, timeDelta } = root.operations.properties
    return Effect.map(attributesOf(root), (attributes) => ({
      status: "NFS3_OK",
      objAttributes: postOp(root, attributes),
      rtmax: maxTransfer,
      rtpref: maxTransfer,
      rtmult: TRANSFER_MULTIPLE,
      wtmax: maxTransfer,
      wtpref: maxTransfer,
      wtmult: TRANSFER_MULTIPLE,
      dtpref: Math.min(PREFERRED_LISTING, maxTransfer),
      maxfilesize: Checks.maxFileSize(root.operations),
      timeDelta,
      properties: FSF3_HOMOGENEOUS | FSF3_CANSETTIME | (linkMax > 1 ? FSF3_LINK : 0) | (symlinks ? FSF3_SYMLINK : 0)
    }))
  },
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})

export const pathconf = onFile(PATHCONF, {
  idempotent: true,
  handle: (args) => args.object,
  run: (object) => {
    const { caseInsensitive, casePreserving, linkMax } = object.operations.properties
    return Effect.map(attributesOf(object), (attributes) => ({
      status: "NFS3_OK",
      objAttributes: postOp(object, attributes),
      linkmax: linkMax,
      nameMax: NAME_MAX,
      noTrunc: true,
      chownRestricted: true,
      caseInsensitive,
      casePreserving
    }))
  },
  failed: (status, attributes) => ({ status, objAttributes: attributes })
})
