/**
 * File handles: what a client holds instead of a file, for as long as the file exists.
 *
 * A handle says all by itself which file it means (its export and the filesystem's key), so no table has to remember it
 * and it survives restarts. A keyed checksum at its end keeps clients from making handles up:
 *
 *     version (1)  length of the key (1)  zeros (2)  export (4)  key, padded with zeros  checksum (8)
 *
 * The checksum is SipHash-2-4 with a secret key: for a message this short it costs less than a lookup in a table of
 * verified handles.
 */

import { Buffer } from "node:buffer"
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

/** What a handle says. */
export interface Content {
  readonly exportId: number
  /** A view of the handle. */
  readonly key: Uint8Array
}

/** Makes and checks handles with a secret of 16 bytes. */
export class FileHandles {
  private readonly checksum: SipHash

  constructor(secret: Uint8Array) {
    this.checksum = new SipHash(secret)
  }

  encode(exportId: number, key: Uint8Array): Uint8Array {
    const length = lengthFor(key.length)
    const handle = Buffer.alloc(length)
    handle[0] = VERSION
    handle[1] = key.length
    handle.writeUInt32BE(exportId, 4)
    handle.set(key, KEY_AT)
    const { checksum } = this
    checksum.update(handle, 0, length - CHECKSUM_LENGTH)
    handle.writeInt32BE(checksum.high, length - 8)
    handle.writeInt32BE(checksum.low, length - 4)
    return handle
  }

  /** What `handle` says; `undefined` when it was not made here. */
  decode(handle: Uint8Array): Content | undefined {
    const { length } = handle
    const keyLength = handle[1]
    if (length > MAXIMUM || handle[0] !== VERSION || keyLength === undefined || length !== lengthFor(keyLength)) {
      return undefined
    }
    const { checksum } = this
    checksum.update(handle, 0, length - CHECKSUM_LENGTH)
    if (int32(handle, length - 8) !== checksum.high || int32(handle, length - 4) !== checksum.low) return undefined
    return { exportId: int32(handle, 4) >>> 0, key: handle.subarray(KEY_AT, KEY_AT + keyLength) }
  }
}

const int32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
