/**
 * Memory for short replies that are forgotten in the order in which they came. A pool that others use, too, as `Buffer` has one,
 * would stay in memory as a whole for each of them, with all that is long gone beside it.
 */

import { Buffer } from "node:buffer"
import { copyTo, lengthOf } from "../xdr/Chunks.ts"
import type { Chunks } from "../xdr/Reader.ts"

/** Bytes that are allocated at once; what is longer than an eighth of them has memory of its own. */
const SIZE = 8 * 1024

export class Slab {
  private room = Buffer.alloc(0)
  private used = 0

  /** A copy of these bytes, one after the other. */
  keep(chunks: Chunks): Uint8Array {
    const length = lengthOf(chunks)
    if (length > SIZE / 8) return copyTo(Buffer.allocUnsafeSlow(length), chunks)
    if (this.used + length > this.room.length) {
      this.room = Buffer.allocUnsafeSlow(SIZE)
      this.used = 0
    }
    const begin = this.used
    this.used += length
    return copyTo(this.room.subarray(begin, this.used), chunks)
  }
}
