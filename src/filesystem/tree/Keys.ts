/**
 * Keys for filesystems that number their files themselves: an instance (8 bytes), which is another after each start, and a
 * number (8 bytes), which is given once. So the key of an earlier instance is stale and never taken for another file's.
 * Only the root's key is constant, so that a mount survives a restart.
 */

import { Buffer } from "node:buffer"
import { randomBytes } from "node:crypto"

const INSTANCE_LENGTH = 8
const KEY_LENGTH = 16

/** The number of the root. */
export const ROOT = 1

/** A number that no file has, for names in listings whose file is gone: not 0, which macOS does not bear. */
export const GONE = 2

/** The root's instance. */
const CONSTANT_INSTANCE = Buffer.alloc(INSTANCE_LENGTH)

export class Keys {
  private readonly instance = randomInstance()

  /** The key of the file with this number. */
  of(number: number): Uint8Array {
    const key = Buffer.allocUnsafe(KEY_LENGTH)
    key.set(this.instanceOf(number))
    key.writeUInt32BE(Math.floor(number / 0x1_0000_0000), 8)
    key.writeUInt32BE(number >>> 0, 12)
    return key
  }

  /** The number in a key of this instance; `undefined` when it is none. */
  numberIn(key: Uint8Array): number | undefined {
    if (key.length !== KEY_LENGTH) return undefined
    let number = 0
    for (let i = INSTANCE_LENGTH; i < KEY_LENGTH; i++) number = number * 256 + key[i]!
    const instance = this.instanceOf(number)
    for (let i = 0; i < INSTANCE_LENGTH; i++) {
      if (key[i] !== instance[i]) return undefined
    }
    return number
  }

  private instanceOf(number: number): Uint8Array {
    return number === ROOT ? CONSTANT_INSTANCE : this.instance
  }
}

/** Never the root's. */
const randomInstance = (): Buffer => {
  const instance = randomBytes(INSTANCE_LENGTH)
  instance[0]! |= 1
  return instance
}
