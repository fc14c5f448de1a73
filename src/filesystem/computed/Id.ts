/** Files as ids, which are all that has to be known of them. */

import { Buffer } from "node:buffer"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { type File, KEY_MAX } from "../Filesystem.ts"
import { SipHash } from "../SipHash.ts"

/** The most bytes that an id may have. What has a longer one is listed, and then ENAMETOOLONG. */
export const ID_MAX = KEY_MAX - 1

/** A file is its id. */
export interface Id extends File {
  readonly id: string
}

/** The file with this id, unless that is too long. A key is the length of the id, the id, and zeros. */
export const fileOf = (id: string): Id | undefined => {
  const bytes = Bytestring.encode(id)
  if (bytes.length > ID_MAX) return undefined
  const key = Buffer.alloc(KEY_MAX)
  key[0] = bytes.length
  key.set(bytes, 1)
  return { id, key }
}

export const fromKey = (key: Uint8Array): Id | undefined => {
  if (key.length !== KEY_MAX || key[0]! > ID_MAX) return undefined
  return fileOf(Bytestring.decode(Buffer.from(key), 1, 1 + key[0]!))
}

/** The key is no secret, and always the same. */
const sipHash = new SipHash(new Uint8Array(16))

/** A hash: that two of a million files have the same id happens to one of 30 million filesystems. */
export const fileidOf = (id: string): bigint => {
  const bytes = Bytestring.encode(id)
  sipHash.update(bytes, 0, bytes.length)
  return (BigInt(sipHash.high >>> 0) << 32n) | BigInt(sipHash.low >>> 0) || 1n
}
