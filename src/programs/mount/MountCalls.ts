/**
 * The MOUNT program as a client sees it: arguments and results of its procedures in version 1 (RFC 1094, appendix A) and
 * version 3 (RFC 1813, appendix I), which differ in MNT only.
 */

import * as Xdr from "../../xdr/Xdr.ts"

export const PROGRAM = 100005

/** MNTPATHLEN is 1024. What is longer is decoded to be answered that there is no such export. */
const dirpath = Xdr.string(4096)

/** MNTNAMLEN is 255. */
const name = Xdr.string(255)

export const mountstat3 = Xdr.enumeration({
  MNT3_OK: 0,
  MNT3ERR_PERM: 1,
  MNT3ERR_NOENT: 2,
  MNT3ERR_IO: 5,
  MNT3ERR_ACCES: 13,
  MNT3ERR_NOTDIR: 20,
  MNT3ERR_INVAL: 22,
  MNT3ERR_NAMETOOLONG: 63,
  MNT3ERR_NOTSUPP: 10004,
  MNT3ERR_SERVERFAULT: 10006
})

export type Mountstat3 = Xdr.Type<typeof mountstat3>

/** What a procedure is called, takes and gives. */
const call = <A, B>(number: number, name: string, args: Xdr.Codec<A>, result: Xdr.Codec<B>) => ({
  number,
  name,
  args,
  result
})

/** The length of each file handle of version 1. */
export const FHSIZE1 = 32

/** Version 1 has UNIX error numbers for its status; those of version 3 are the same. */
export const MNT1 = call(
  1,
  "MNT",
  dirpath,
  Xdr.union("status", mountstat3, { MNT3_OK: Xdr.struct({ directory: Xdr.opaque(FHSIZE1) }) }, Xdr.struct({}))
)

/** `authFlavors`: what a client may authenticate with. */
export const MNT3 = call(
  1,
  "MNT",
  dirpath,
  Xdr.union(
    "status",
    mountstat3,
    { MNT3_OK: Xdr.struct({ fhandle: Xdr.variableOpaque(64), authFlavors: Xdr.array(Xdr.uint32, 64) }) },
    Xdr.struct({})
  )
)

export const DUMP = call(2, "DUMP", Xdr.nothing, Xdr.list(Xdr.struct({ hostname: name, directory: dirpath })))

export const UMNT = call(3, "UMNT", dirpath, Xdr.nothing)

export const UMNTALL = call(4, "UMNTALL", Xdr.nothing, Xdr.nothing)

/** An export without `groups` is for everybody. */
export const EXPORT = call(
  5,
  "EXPORT",
  Xdr.nothing,
  Xdr.list(Xdr.struct({ directory: dirpath, groups: Xdr.list(name) }))
)
