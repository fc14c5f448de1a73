/**
 * The procedures of NFS version 3 as a client sees them: number, name, arguments and results of each (RFC 1813, section 3.3).
 *
 * Results are unions over their status. The fields of the failing arm are the same for every failure.
 */

import * as Xdr from "../../xdr/Xdr.ts"
import {
  cookie3,
  cookieverf3,
  count3,
  createverf3,
  diropargs3,
  fattr3,
  fileid3,
  filename3,
  ftype3,
  nfsFh3,
  nfspath3,
  nfsstat3,
  nfstime3,
  offset3,
  postOpAttr,
  postOpFh3,
  sattr3,
  size3,
  specdata3,
  wccData,
  writeverf3
} from "./Nfs3Types.ts"

export const PROGRAM = 100003
export const VERSION = 3

/** A READ or WRITE is as long as its record, whose length is limited before anything is decoded. */
const fileData = Xdr.data(0xffff_ffff)

const result = <const Ok extends Xdr.Codec<any>, const Failed extends Xdr.Codec<any>>(ok: Ok, failed: Failed) =>
  Xdr.union("status", nfsstat3, { NFS3_OK: ok }, failed)

/** What a procedure is called, takes and gives. */
const call = <A, B>(number: number, name: string, args: Xdr.Codec<A>, result: Xdr.Codec<B>) => ({
  number,
  name,
  args,
  result
})

export const NULL = call(0, "NULL", Xdr.nothing, Xdr.nothing)

export const GETATTR = call(
  1,
  "GETATTR",
  Xdr.struct({ object: nfsFh3 }),
  result(Xdr.struct({ objAttributes: fattr3 }), Xdr.struct({}))
)

/** `guard`: the ctime that the object must have. */
export const SETATTR = call(
  2,
  "SETATTR",
  Xdr.struct({ object: nfsFh3, newAttributes: sattr3, guard: Xdr.optional(nfstime3) }),
  result(Xdr.struct({ objWcc: wccData }), Xdr.struct({ objWcc: wccData }))
)

export const LOOKUP = call(
  3,
  "LOOKUP",
  Xdr.struct({ what: diropargs3 }),
  result(
    Xdr.struct({ object: nfsFh3, objAttributes: postOpAttr, dirAttributes: postOpAttr }),
    Xdr.struct({ dirAttributes: postOpAttr })
  )
)

/** Bits of ACCESS. */
export const ACCESS3_READ = 0x01
export const ACCESS3_LOOKUP = 0x02
export const ACCESS3_MODIFY = 0x04
export const ACCESS3_EXTEND = 0x08
export const ACCESS3_DELETE = 0x10
export const ACCESS3_EXECUTE = 0x20

export const ACCESS = call(
  4,
  "ACCESS",
  Xdr.struct({ object: nfsFh3, access: Xdr.uint32 }),
  result(Xdr.struct({ objAttributes: postOpAttr, access: Xdr.uint32 }), Xdr.struct({ objAttributes: postOpAttr }))
)

export const READLINK = call(
  5,
  "READLINK",
  Xdr.struct({ symlink: nfsFh3 }),
  result(Xdr.struct({ symlinkAttributes: postOpAttr, data: nfspath3 }), Xdr.struct({ symlinkAttributes: postOpAttr }))
)

export const READ = call(
  6,
  "READ",
  Xdr.struct({ file: nfsFh3, offset: offset3, count: count3 }),
  result(
    Xdr.struct({ fileAttributes: postOpAttr, count: count3, eof: Xdr.bool, data: fileData }),
    Xdr.struct({ fileAttributes: postOpAttr })
  )
)

const stableHow = Xdr.enumeration({ UNSTABLE: 0, DATA_SYNC: 1, FILE_SYNC: 2 })
export type StableHow = Xdr.Type<typeof stableHow>

export const WRITE = call(
  7,
  "WRITE",
  Xdr.struct({ file: nfsFh3, offset: offset3, count: count3, stable: stableHow, data: fileData }),
  result(
    Xdr.struct({ fileWcc: wccData, count: count3, committed: stableHow, verf: writeverf3 }),
    Xdr.struct({ fileWcc: wccData })
  )
)

const made = result(
  Xdr.struct({ obj: postOpFh3, objAttributes: postOpAttr, dirWcc: wccData }),
  Xdr.struct({ dirWcc: wccData })
)

export const CREATE = call(
  8,
  "CREATE",
  Xdr.struct({
    where: diropargs3,
    how: Xdr.union("mode", Xdr.enumeration({ UNCHECKED: 0, GUARDED: 1, EXCLUSIVE: 2 }), {
      UNCHECKED: Xdr.struct({ objAttributes: sattr3 }),
      GUARDED: Xdr.struct({ objAttributes: sattr3 }),
      EXCLUSIVE: Xdr.struct({ verf: createverf3 })
    })
  }),
  made
)

export const MKDIR = call(9, "MKDIR", Xdr.struct({ where: diropargs3, attributes: sattr3 }), made)

export const SYMLINK = call(
  10,
  "SYMLINK",
  Xdr.struct({ where: diropargs3, symlink: Xdr.struct({ symlinkAttributes: sattr3, symlinkData: nfspath3 }) }),
  made
)

const devicedata3 = Xdr.struct({ devAttributes: sattr3, spec: specdata3 })
const pipedata3 = Xdr.struct({ pipeAttributes: sattr3 })

export const MKNOD = call(
  11,
  "MKNOD",
  Xdr.struct({
    where: diropargs3,
    what: Xdr.union(
      "type",
      ftype3,
      { NF3CHR: devicedata3, NF3BLK: devicedata3, NF3SOCK: pipedata3, NF3FIFO: pipedata3 },
      Xdr.struct({})
    )
  }),
  made
)

const removed = result(Xdr.struct({ dirWcc: wccData }), Xdr.struct({ dirWcc: wccData }))

export const REMOVE = call(12, "REMOVE", Xdr.struct({ object: diropargs3 }), removed)

export const RMDIR = call(13, "RMDIR", Xdr.struct({ object: diropargs3 }), removed)

const renamed = Xdr.struct({ fromdirWcc: wccData, todirWcc: wccData })

export const RENAME = call(14, "RENAME", Xdr.struct({ from: diropargs3, to: diropargs3 }), result(renamed, renamed))

const linked = Xdr.struct({ fileAttributes: postOpAttr, linkdirWcc: wccData })

export const LINK = call(15, "LINK", Xdr.struct({ file: nfsFh3, link: diropargs3 }), result(linked, linked))

const entry3 = Xdr.struct({ fileid: fileid3, name: filename3, cookie: cookie3 })

export const READDIR = call(
  16,
  "READDIR",
  Xdr.struct({ dir: nfsFh3, cookie: cookie3, cookieverf: cookieverf3, count: count3 }),
  result(
    Xdr.struct({ dirAttributes: postOpAttr, cookieverf: cookieverf3, entries: Xdr.list(entry3), eof: Xdr.bool }),
    Xdr.struct({ dirAttributes: postOpAttr })
  )
)

const entryplus3 = Xdr.struct({
  fileid: fileid3,
  name: filename3,
  cookie: cookie3,
  nameAttributes: postOpAttr,
  nameHandle: postOpFh3
})
export type Entryplus3 = Xdr.Type<typeof entryplus3>

export const READDIRPLUS = call(
  17,
  "READDIRPLUS",
  Xdr.struct({ dir: nfsFh3, cookie: cookie3, cookieverf: cookieverf3, dircount: count3, maxcount: count3 }),
  result(
    Xdr.struct({ dirAttributes: postOpAttr, cookieverf: cookieverf3, entries: Xdr.list(entryplus3), eof: Xdr.bool }),
    Xdr.struct({ dirAttributes: postOpAttr })
  )
)

const failedOnObject = Xdr.struct({ objAttributes: postOpAttr })

export const FSSTAT = call(
  18,
  "FSSTAT",
  Xdr.struct({ fsroot: nfsFh3 }),
  result(
    Xdr.struct({
      objAttributes: postOpAttr,
      tbytes: size3,
      fbytes: size3,
      abytes: size3,
      tfiles: size3,
      ffiles: size3,
      afiles: size3,
      invarsec: Xdr.uint32
    }),
    failedOnObject
  )
)

/** Bits of FSINFO's `properties`. */
export const FSF3_LINK = 0x01
export const FSF3_SYMLINK = 0x02
export const FSF3_HOMOGENEOUS = 0x08
export const FSF3_CANSETTIME = 0x10

export const FSINFO = call(
  19,
  "FSINFO",
  Xdr.struct({ fsroot: nfsFh3 }),
  result(
    Xdr.struct({
      objAttributes: postOpAttr,
      rtmax: Xdr.uint32,
      rtpref: Xdr.uint32,
      rtmult: Xdr.uint32,
      wtmax: Xdr.uint32,
      wtpref: Xdr.uint32,
      wtmult: Xdr.uint32,
      dtpref: Xdr.uint32,
      maxfilesize: size3,
      timeDelta: nfstime3,
      properties: Xdr.uint32
    }),
    failedOnObject
  )
)

export const PATHCONF = call(
  20,
  "PATHCONF",
  Xdr.struct({ object: nfsFh3 }),
  result(
    Xdr.struct({
      objAttributes: postOpAttr,
      linkmax: Xdr.uint32,
      nameMax: Xdr.uint32,
      noTrunc: Xdr.bool,
      chownRestricted: Xdr.bool,
      caseInsensitive: Xdr.bool,
      casePreserving: Xdr.bool
    }),
    failedOnObject
  )
)

export const COMMIT = call(
  21,
  "COMMIT",
  Xdr.struct({ file: nfsFh3, offset: offset3, count: count3 }),
  result(Xdr.struct({ fileWcc: wccData, verf: writeverf3 }), Xdr.struct({ fileWcc: wccData }))
)
