/**
 * Memory for short replies that are forgotten in the order in which they came. A pool that others use, too, as `Buffer` has one,
 * would stay in memory as a whole for each of them, with all that is long gone beside it.
 */

import { Buffer } from "node:buffer"

/** Bytes that are allocated at once; what is longer than an eighth of them has memory of its own. */
const SIZE = 8 * 1024

export class Slab {
  private room = Buffer.alloc(0)
  private used = 0

  /** A copy of these bytes, one after the other. */
  keep(chunks: ReadonlyArray<Uint8Array>): Uint8Array {
    let length = 0
    for (const chunk of chunks) length += chunk.length
    if (length > SIZE / 8) return fill(Buffer.allocUnsafeSlow(length), chunks)
    if (this.used + length > this.room.length) {
      this.room = Buffer.allocUnsafeSlow(SIZE)
      this.used = 0
    }
    const begin = this.used
    this.used += length
    return fill(this.room.subarray(begin, this.used), chunks)
  }
}

const fill = (target: Uint8Array, chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  let at = 0
  for (const chunk of chunks) {
    target.set(chunk, at)
    at += chunk.length
  }
  return target
}
