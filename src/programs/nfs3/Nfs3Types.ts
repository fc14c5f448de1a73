/**
 * The data types of NFS version 3 (RFC 1813, sections 2.4 to 2.6), as they are used by several procedures.
 *
 * Inside, files have the filesystem contract's attributes: an attribute structure of the wire is those and a fsid.
 */

import type { Attributes, FileType, SetAttributes, Time } from "../../filesystem/Attributes.ts"
import type { Writer } from "../../xdr/Writer.ts"
import * as Xdr from "../../xdr/Xdr.ts"

/** The most bytes of a file handle (NFS3_FHSIZE). */
export const FHSIZE = 64

/**
 * The longest name and the longest path that are decoded. Names of more than 255 bytes are decoded to be answered
 * NFS3ERR_NAMETOOLONG: were this the limit of names, they would be GARBAGE_ARGS, which clients report as a broken server.
 */
const TEXT_MAX = 4096

export const nfsstat3 = Xdr.enumeration({
  NFS3_OK: 0,
  NFS3ERR_PERM: 1,
  NFS3ERR_NOENT: 2,
  NFS3ERR_IO: 5,
  NFS3ERR_NXIO: 6,
  NFS3ERR_ACCES: 13,
  NFS3ERR_EXIST: 17,
  NFS3ERR_XDEV: 18,
  NFS3ERR_NODEV: 19,
  NFS3ERR_NOTDIR: 20,
  NFS3ERR_ISDIR: 21,
  NFS3ERR_INVAL: 22,
  NFS3ERR_FBIG: 27,
  NFS3ERR_NOSPC: 28,
  NFS3ERR_ROFS: 30,
  NFS3ERR_MLINK: 31,
  NFS3ERR_NAMETOOLONG: 63,
  NFS3ERR_NOTEMPTY: 66,
  NFS3ERR_DQUOT: 69,
  NFS3ERR_STALE: 70,
  NFS3ERR_REMOTE: 71,
  NFS3ERR_BADHANDLE: 10001,
  NFS3ERR_NOT_SYNC: 10002,
  NFS3ERR_BAD_COOKIE: 10003,
  NFS3ERR_NOTSUPP: 10004,
  NFS3ERR_TOOSMALL: 10005,
  NFS3ERR_SERVERFAULT: 10006,
  NFS3ERR_BADTYPE: 10007,
  NFS3ERR_JUKEBOX: 10008
})
export type Nfsstat3 = Xdr.Type<typeof nfsstat3>

export const ftype3 = Xdr.enumeration({
  NF3REG: 1,
  NF3DIR: 2,
  NF3BLK: 3,
  NF3CHR: 4,
  NF3LNK: 5,
  NF3SOCK: 6,
  NF3FIFO: 7
})

/** Sizes and offsets saturate, file ids and cookies are exact (see `Xdr.uint53`). */
export const size3 = Xdr.uint53
export const offset3 = Xdr.uint53
export const count3 = Xdr.uint32
export const fileid3 = Xdr.uint64
export const cookie3 = Xdr.uint64

export const filename3 = Xdr.string(TEXT_MAX)
export const nfspath3 = Xdr.string(TEXT_MAX)
export const nfsFh3 = Xdr.variableOpaque(FHSIZE)
export const postOpFh3 = Xdr.optional(nfsFh3)
export const cookieverf3 = Xdr.opaque(8)
export const createverf3 = Xdr.opaque(8)
export const writeverf3 = Xdr.opaque(8)

const MODE_BITS = 0o7777

/** Permission bits. Clients that send the file's type in the bits above, as POSIX has it, are understood. */
export const mode3 = Xdr.map(
  Xdr.uint32,
  (mode) => mode & MODE_BITS,
  (mode) => mode & MODE_BITS
)

export const specdata3 = Xdr.struct({ major: Xdr.uint32, minor: Xdr.uint32 })

/** Seconds as the protocol carries them: times before 1970 and after 2106 become the nearest that it can. */
export const wireSeconds = (seconds: number): number => Math.min(Math.max(seconds, 0), 0xffff_ffff)

export const nfstime3: Xdr.Codec<Time> = Xdr.map(
  Xdr.struct({ seconds: Xdr.uint32, nanoseconds: Xdr.uint32 }),
  (time) => time,
  (time) => ({ seconds: wireSeconds(time.seconds), nanoseconds: time.nanoseconds })
)

/** A file's attributes and the number of the filesystem that it is in. */
export interface Fattr3 {
  readonly fsid: bigint
  readonly attributes: Attributes
}

/** The value of `ftype3` for what the contract calls it. */
const typeNumbers: { readonly [K in FileType]: number } = {
  regular: 1,
  directory: 2,
  block: 3,
  character: 4,
  symlink: 5,
  socket: 6,
  fifo: 7
}

/** `fattr3` word for word. */
const fattr3Fields = Xdr.struct({
  type: Xdr.enumeration(typeNumbers),
  mode: mode3,
  nlink: Xdr.uint32,
  uid: Xdr.uint32,
  gid: Xdr.uint32,
  size: size3,
  used: size3,
  rdev: specdata3,
  fsid: Xdr.uint64,
  fileid: fileid3,
  atime: nfstime3,
  mtime: nfstime3,
  ctime: nfstime3
})

const FATTR3_LENGTH = 84

const setTime = (target: DataView, at: number, time: Time): void => {
  target.setUint32(at, wireSeconds(time.seconds))
  target.setUint32(at + 4, time.nanoseconds)
}

const setSize = (target: DataView, at: number, size: number): void => {
  target.setUint32(at, Math.floor(size / 0x1_0000_0000))
  target.setUint32(at + 4, size >>> 0)
}

/** Writes what `fattr3Fields` would, in half the time: it stands in almost every reply, often many times. */
const writeFattr3 = (writer: Writer, { attributes, fsid }: Fattr3): void => {
  const at = writer.claim(FATTR3_LENGTH)
  const target = writer.target
  target.setUint32(at, typeNumbers[attributes.type])
  target.setUint32(at + 4, attributes.mode & MODE_BITS)
  target.setUint32(at + 8, attributes.nlink)
  target.setUint32(at + 12, attributes.uid)
  target.setUint32(at + 16, attributes.gid)
  setSize(target, at + 20, attributes.size)
  setSize(target, at + 28, attributes.used)
  target.setUint32(at + 36, attributes.rdev.major)
  target.setUint32(at + 40, attributes.rdev.minor)
  target.setBigUint64(at + 44, fsid)
  target.setBigUint64(at + 52, attributes.fileid)
  setTime(target, at + 60, attributes.atime)
  setTime(target, at + 68, attributes.mtime)
  setTime(target, at + 76, attributes.ctime)
}

const toFattr3 = ({ fsid, ...attributes }: Xdr.Type<typeof fattr3Fields>): Fattr3 => ({
  fsid,
  // The change counter does not travel: NFSv3 clients compare ctime.
  attributes: { ...attributes, change: 0n }
})

export const fattr3: Xdr.Codec<Fattr3> = {
  shape: { _tag: "Mapped", from: fattr3Fields, to: toFattr3 },
  read: (reader) => toFattr3(fattr3Fields.read(reader)),
  write: writeFattr3
}

/** Attributes after an operation, where they could be had. */
export const postOpAttr = Xdr.optional(fattr3)
export type PostOpAttr = Xdr.Type<typeof postOpAttr>

/** What a client compares with its cached attributes to find out whether it was alone. */
const wccAttr = Xdr.struct({ size: size3, mtime: nfstime3, ctime: nfstime3 })

/** "Weak cache consistency": what an operation has changed, before and after. */
export const wccData = Xdr.struct({ before: Xdr.optional(wccAttr), after: postOpAttr })
export type WccData = Xdr.Type<typeof wccData>

const setTime3 = Xdr.union(
  "how",
  Xdr.enumeration({ DONT_CHANGE: 0, SET_TO_SERVER_TIME: 1, SET_TO_CLIENT_TIME: 2 }),
  { SET_TO_CLIENT_TIME: Xdr.struct({ time: nfstime3 }) },
  Xdr.struct({})
)

/** `set_atime` and `set_mtime`: nothing to set, the server's time, or this one. */
const timeToSet: Xdr.Codec<Time | "now" | undefined> = Xdr.map(
  setTime3,
  (set) => (set.how === "SET_TO_CLIENT_TIME" ? set.time : set.how === "SET_TO_SERVER_TIME" ? "now" : undefined),
  (time): Xdr.Type<typeof setTime3> => {
    if (time === undefined) return { how: "DONT_CHANGE" }
    return time === "now" ? { how: "SET_TO_SERVER_TIME" } : { how: "SET_TO_CLIENT_TIME", time }
  }
)

/** Attributes to set. Each `set_it` with its value is an optional value; a field that is absent is not set either. */
export const sattr3 = Xdr.struct({
  mode: Xdr.optional(mode3),
  uid: Xdr.optional(Xdr.uint32),
  gid: Xdr.optional(Xdr.uint32),
  size: Xdr.optional(size3),
  atime: timeToSet,
  mtime: timeToSet
}) as Xdr.Codec<SetAttributes>

/** A name in a directory. */
export const diropargs3 = Xdr.struct({ dir: nfsFh3, name: filename3 })
