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

/** A piece of memory that knows whose it is, and whether somebody has it. */
class Loan extends ArrayBuffer {
  readonly lender: Loans
  isOut = true

  constructor(lender: Loans, length: number) {
    super(length)
    this.lender = lender
  }
}

/** What is lent for one purpose: only who knows the purpose knows when nobody looks at it any more. */
export class Loans {
  /** What came back, by {@link shelfOf} its length. */
  private readonly shelves: Array<Array<Loan>> = []
  private kept = 0

  /**
   * Memory of `length` bytes, which hold anything. Who never gives it back does no harm: then it is collected as all else is.
   */
  lend(length: number): Buffer {
    if (length < LEAST || length > MOST) return Buffer.allocUnsafeSlow(length)
    const shelf = shelfOf(length)
    const known = this.shelves[shelf]?.pop()
    if (known === undefined) return Buffer.from(new Loan(this, 2 ** shelf + AROUND), 0, length)
    known.isOut = true
    this.kept -= known.byteLength
    return Buffer.from(known, 0, length)
  }

  /** Whether a piece is, or is a part of, memory that was lent here. */
  has(piece: Uint8Array): boolean {
    const { buffer } = piece
    return buffer instanceof Loan && buffer.lender === this
  }

  /** Takes back what of these pieces was lent here. Nobody looks at them any more, nor at others of the same memory. */
  giveBack(pieces: Chunks): void {
    for (const { buffer } of pieces) {
      if (buffer instanceof Loan && buffer.lender === this && buffer.isOut) this.keep(buffer)
    }
  }

  private keep(loan: Loan): void {
    const shelf = shelfOf(loan.byteLength)
    if (this.kept + loan.byteLength > KEPT) this.clearAllBut(shelf)
    if (this.kept + loan.byteLength > KEPT) return
    loan.isOut = false
    this.kept += loan.byteLength
    const others = this.shelves[shelf]
    if (others === undefined) this.shelves[shelf] = [loan]
    else others.push(loan)
  }

  /** What is asked for has another length now. */
  private clearAllBut(kind: number): void {
    this.shelves.forEach((loans, shelf) => {
      if (shelf === kind) return
      for (const { byteLength } of loans) this.kept -= byteLength
      loans.length = 0
    })
  }
}

/** The logarithm of the power of two that is enough. */
const shelfOf = (length: number): number => 32 - Math.clz32(Math.max(1, length - AROUND) - 1)

/** For calls: what they bring is given back by who has put it where it belongs. */
export const incoming = new Loans()

/** For replies: their connection gives back what has left. */
export const outgoing = new Loans()
