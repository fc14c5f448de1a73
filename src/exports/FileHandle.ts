/**
 * File handles: what a client holds instead of a file, for as long as the file exists.
 *
 * A handle says all by itself which file it means (its export and the filesystem's key), so no table has to remember it
 * and it survives restarts. A keyed checksum at its end keeps clients from making handles up:
 *
 *     version (1)  length of the key (1)  zeros (2)  export (4)  key, padded with zeros  checksum (8)
 *
 * The checksum is SipHash-2-4 with a secret key. The handles that were made or checked last are remembered, in a table of
 * fixed size with one place for each: a listing gives, and clients come back with, mostly the same.
 */

import { SipHash } from "../filesystem/SipHash.ts"

const VERSION = 1
const KEY_AT = 8
const CHECKSUM_LENGTH = 8

/** The length of a version 1 MOUNT's handles, which therefore can name every file with a key of up to 16 bytes. */
const MINIMUM = 32

/** The most that NFS version 3 allows. */
const MAXIMUM = 64

/** The length of the handles of files whose keys have `keyLength` bytes: a multiple of 4, since Linux refuses others. */
export const lengthFor = (keyLength: number): number =>
  Math.max(MINIMUM, KEY_AT + keyLength + (-keyLength & 3) + CHECKSUM_LENGTH)

/** Handles that are remembered at most, which takes 2 MB: a power of two. */
const REMEMBERED = 8192

/** What a handle says. */
export interface Content {
  readonly exportId: number
  /** A view of the handle, or of one like it. */
  readonly key: Uint8Array
}

/** A handle that was made or checked here. */
interface Remembered extends Content {
  readonly handle: Uint8Array
}

/** Makes and checks handles with a secret of 16 bytes. */
export class FileHandles {
  private readonly checksum: SipHash
  private readonly remembered = Array.from<Remembered | undefined>({ length: REMEMBERED })

  constructor(secret: Uint8Array) {
    this.checksum = new SipHash(secret)
  }

  /** The handle is the same object for the same file, mostly: nobody changes it. */
  encode(exportId: number, key: Uint8Array): Uint8Array {
    const place = placeOf(key, 0, key.length)
    const known = this.remembered[place]
    if (known !== undefined && known.exportId === exportId && isSame(known.key, key)) return known.handle
    return this.remember(place, exportId, this.make(exportId, key)).handle
  }

  /** What `handle` says; `undefined` when it was not made here. */
  decode(handle: Uint8Array): Content | undefined {
    const { length } = handle
    const keyLength = handle[1]
    if (length > MAXIMUM || handle[0] !== VERSION || keyLength === undefined || length !== lengthFor(keyLength)) {
      return undefined
    }
    const place = placeOf(handle, KEY_AT, keyLength)
    const known = this.remembered[place]
    if (known !== undefined && isSame(known.handle, handle)) return known
    if (!this.isMade(handle)) return undefined
    return this.remember(place, int32(handle, 4) >>> 0, new Uint8Array(handle))
  }

  /** `handle` is nobody else's. */
  private remember(place: number, exportId: number, handle: Uint8Array): Remembered {
    const remembered = { exportId, key: handle.subarray(KEY_AT, KEY_AT + handle[1]!), handle }
    this.remembered[place] = remembered
    return remembered
  }

  private make(exportId: number, key: Uint8Array): Uint8Array {
    const length = lengthFor(key.length)
    const handle = new Uint8Array(length)
    handle[0] = VERSION
    handle[1] = key.length
    setInt32(handle, 4, exportId)
    handle.set(key, KEY_AT)
    const { checksum } = this
    checksum.update(handle, 0, length - CHECKSUM_LENGTH)
    setInt32(handle, length - 8, checksum.high)
    setInt32(handle, length - 4, checksum.low)
    return handle
  }

  private isMade(handle: Uint8Array): boolean {
    const { length } = handle
    const { checksum } = this
    checksum.update(handle, 0, length - CHECKSUM_LENGTH)
    return int32(handle, length - 8) === checksum.high && int32(handle, length - 4) === checksum.low
  }
}

/** Where a handle with this key is remembered, if it is. */
const placeOf = (bytes: Uint8Array, start: number, length: number): number => {
  let mixed = length
  for (let at = start; at < start + length; at += 4) {
    mixed = Math.imul(mixed ^ int32(bytes, at), 0x9e37_79b1)
    mixed ^= mixed >>> 15
  }
  return mixed & (REMEMBERED - 1)
}

/** Compares all bytes, whichever differ: how long it takes tells nothing about a handle. */
const isSame = (one: Uint8Array, other: Uint8Array): boolean => {
  if (one.length !== other.length) return false
  let difference = 0
  for (let i = 0; i < one.length; i++) difference |= one[i]! ^ other[i]!
  return difference === 0
}

const int32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

const setInt32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
