/** Bytes in pieces, as they came or will go. */

import type { Chunks } from "./Reader.ts"

/** Bytes of all pieces. */
export const lengthOf = (chunks: Chunks): number => {
  let length = 0
  for (let i = 0; i < chunks.length; i++) length += chunks[i]!.length
  return length
}

/** Copies the pieces to the beginning of `target`, one after the other; gives `target`. */
export const copyTo = (target: Uint8Array, chunks: Chunks): Uint8Array => {
  let at = 0
  for (const chunk of chunks) {
    target.set(chunk, at)
    at += chunk.length
  }
  return target
}
