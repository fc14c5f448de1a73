/**
 * Memory for large data on its way, used again once it has left. New memory would cost more than the data: the system
 * clears each page of it, and the engine collects its garbage after each 64 MiB.
 */

import { Buffer } from "node:buffer"
import type { Chunks } from "./Reader.ts"

/** Below this length, new memory costs little. */
const LEAST = 2 * 1024

/** Data come in powers of two, in records that are a little longer. */
const AROUND = 1024

/** What is longer is too rare to be kept. */
const MOST = 1024 * 1024 + AROUND

/** Bytes that are kept for the next ones. */
const KEPT = 16 * 1024 * 1024

/** A piece of memory that knows whether somebody has it. */
class Loan extends ArrayBuffer {
  isOut = true
}

/** What came back, by {@link shelfOf} its length. */
const shelves: Array<Array<Loan>> = []
let kept = 0

/**
 * Memory of `length` bytes, which hold anything. Who never gives it back does no harm: then it is collected as all else is.
 */
export const lend = (length: number): Buffer => {
  if (length < LEAST || length > MOST) return Buffer.allocUnsafeSlow(length)
  const shelf = shelfOf(length)
  const known = shelves[shelf]?.pop()
  if (known === undefined) return Buffer.from(new Loan(2 ** shelf + AROUND), 0, length)
  known.isOut = true
  kept -= known.byteLength
  return Buffer.from(known, 0, length)
}

/** The logarithm of the power of two that is enough. */
const shelfOf = (length: number): number => 32 - Math.clz32(Math.max(1, length - AROUND) - 1)

/** Whether a piece is, or is a part of, memory that was lent. */
export const isLent = (piece: Uint8Array): boolean => piece.length > 0 && piece.buffer instanceof Loan

/** Takes back what of these pieces was lent. Nobody looks at them any more, nor at others of the same memory. */
export const giveBack = (pieces: Chunks): void => {
  for (const { buffer } of pieces) {
    if (buffer instanceof Loan && buffer.isOut) keep(buffer)
  }
}

const keep = (loan: Loan): void => {
  const shelf = shelfOf(loan.byteLength)
  if (kept + loan.byteLength > KEPT) clearAllBut(shelf)
  if (kept + loan.byteLength > KEPT) return
  loan.isOut = false
  kept += loan.byteLength
  const others = shelves[shelf]
  if (others === undefined) shelves[shelf] = [loan]
  else others.push(loan)
}

/** What is asked for has another length now. */
const clearAllBut = (kind: number): void => {
  shelves.forEach((loans, shelf) => {
    if (shelf === kind) return
    for (const { byteLength } of loans) kept -= byteLength
    loans.length = 0
  })
}
