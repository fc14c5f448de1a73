/**
 * Record marking (RFC 5531, section 11): on a byte stream every message is a record of one or more fragments, each with
 * its length and a mark on the last one before it.
 */

import { Buffer } from "node:buffer"
import type { Loans } from "../xdr/Loans.ts"
import type { Chunks } from "../xdr/Reader.ts"
import type { Writer } from "../xdr/Writer.ts"

const LAST = 0x80000000

/** Pieces from this length on have memory of their own. */
const LARGE = 2 * 1024

/** Small records share so much memory with those that came with them: a view keeps all of it. */
const SHARED = 16 * 1024

/** What a record that is sent byte by byte begins with. */
const TAIL = 4096

/**
 * Cuts a stream of chunks into records, which are copies: the memory of a chunk is for the next one. Nothing is allocated for
 * data that has not arrived, whatever a length promises.
 */
export class RecordDecoder {
  /** Records that are complete. */
  completed = 0
  /** Bytes of records that came, without marks. */
  received = 0
  private readonly limit: number
  private readonly onRecord: (record: Chunks) => void
  private readonly loans: Loans | undefined
  private readonly mark = Buffer.alloc(4)
  private markLength = 0
  /** Bytes of the current fragment that are still to come. */
  private missing = 0
  private last = true
  private pieces: Array<Uint8Array> = []
  /** Small pieces that arrived one after the other; belongs behind `pieces`. */
  private tail: Buffer | undefined = undefined
  private tailLength = 0
  private length = 0
  /** Where small records of a chunk are copied to. */
  private shared = Buffer.alloc(0)
  private sharedLength = 0

  /**
   * `limit`: most bytes of a record. `onRecord` is called for each record, within `push`. `loans`: what lends the memory for large
   * pieces, if somebody gives it back.
   */
  constructor(limit: number, onRecord: (record: Chunks) => void, loans?: Loans) {
    this.limit = limit
    this.onRecord = onRecord
    this.loans = loans
  }

  /** Whether a record has begun that is not complete. */
  get begun(): boolean {
    return this.missing > 0 || !this.last || this.markLength > 0
  }

  /**
   * Bytes of the record that has begun, once it is complete, as far as it says: when it has more fragments it may become as
   * long as any. 0 where that is not more than `few` so far.
   */
  expected(few: number): number {
    const announced = this.length + this.missing
    if (announced <= few) return 0
    return this.last ? announced : this.limit
  }

  /** Takes the next chunk of the stream; the length of a record that exceeds the limit, after which it takes no more. */
  push(chunk: Buffer): number | undefined {
    let at = 0
    while (at < chunk.length) {
      if (this.missing === 0) {
        let mark: number
        if (this.markLength === 0 && chunk.length - at >= 4) {
          mark = chunk.readUInt32BE(at)
          at += 4
        } else {
          // The chunk cuts the mark.
          const end = Math.min(chunk.length, at + 4 - this.markLength)
          this.markLength += chunk.copy(this.mark, this.markLength, at, end)
          at = end
          if (this.markLength < 4) return undefined
          this.markLength = 0
          mark = this.mark.readUInt32BE(0)
        }
        this.last = mark >= LAST
        this.missing = this.last ? mark - LAST : mark
        if (this.length + this.missing > this.limit) return this.length + this.missing
        if (this.missing === 0) {
          if (this.last) this.complete(this.finish())
          continue
        }
      }
      const start = at
      at = Math.min(chunk.length, at + this.missing)
      this.missing -= at - start
      this.received += at - start
      const complete = this.missing === 0 && this.last
      if (complete && this.length === 0) {
        this.complete([at - start < LARGE ? this.share(chunk, start, at) : this.copy(chunk, start, at)])
      } else {
        this.append(chunk, start, at)
        if (complete) this.complete(this.finish())
      }
    }
    return undefined
  }

  /** A copy beside those of the small records before. */
  private share(chunk: Buffer, start: number, end: number): Uint8Array {
    const length = end - start
    if (this.shared.length - this.sharedLength < length) {
      this.shared = Buffer.allocUnsafeSlow(Math.min(SHARED, chunk.length - start))
      this.sharedLength = 0
    }
    const from = this.sharedLength
    this.sharedLength += chunk.copy(this.shared, from, start, end)
    return this.shared.subarray(from, this.sharedLength)
  }

  private complete(record: Chunks): void {
    this.completed++
    this.onRecord(record)
  }

  private copy(chunk: Buffer, start: number, end: number): Uint8Array {
    const memory = this.loans?.lend(end - start) ?? Buffer.allocUnsafeSlow(end - start)
    chunk.copy(memory, 0, start, end)
    return memory
  }

  private append(chunk: Buffer, start: number, end: number): void {
    const length = end - start
    this.length += length
    if (length >= LARGE) {
      this.closeTail()
      this.pieces.push(this.copy(chunk, start, end))
      return
    }
    const needed = this.tailLength + length
    if (this.tail === undefined || needed > this.tail.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed * 2, TAIL))
      this.tail?.copy(grown, 0, 0, this.tailLength)
      this.tail = grown
    }
    chunk.copy(this.tail, this.tailLength, start, end)
    this.tailLength = needed
  }

  private closeTail(): void {
    if (this.tailLength > 0) this.pieces.push(this.tail!.subarray(0, this.tailLength))
    this.tail = undefined
    this.tailLength = 0
  }

  private finish(): Chunks {
    this.closeTail()
    const record = this.pieces
    this.pieces = []
    this.length = 0
    return record
  }
}

/** Writes one record of one fragment: what `body` writes, with its mark before it. */
export const writeRecord = (writer: Writer, body: (writer: Writer) => void): void => {
  const mark = writer.reserveUint32()
  const start = writer.length
  body(writer)
  mark.set((LAST | (writer.length - start)) >>> 0)
}
