/**
 * Record marking (RFC 5531, section 11): on a byte stream every message is a record of one or more fragments, each with
 * its length and a mark on the last one before it.
 */

import { Buffer } from "node:buffer"
import type { Chunks } from "../xdr/Reader.ts"
import type { Writer } from "../xdr/Writer.ts"

const LAST = 0x80000000

/** Pieces shorter than this are copied together: a record sent byte by byte must not cost an object for each byte. */
const COPY_BELOW = 4096

/** So are pieces of chunks that are longer than this many times the piece: a view keeps all of its chunk in memory. */
const KEPT_TIMES = 4

/**
 * Cuts a stream of chunks into records. What lies whole in a chunk is given as a view; nothing is allocated for data
 * that has not arrived, whatever a length promises.
 */
export class RecordDecoder {
  /** Records that are complete. */
  completed = 0
  /** Bytes of records that came, without marks. */
  received = 0
  private readonly limit: number
  private readonly onRecord: (record: Chunks) => void
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

  /** `limit`: most bytes of a record. `onRecord` is called for each record, within `push`. */
  constructor(limit: number, onRecord: (record: Chunks) => void) {
    this.limit = limit
    this.onRecord = onRecord
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
      const end = Math.min(chunk.length, at + this.missing)
      const piece = chunk.subarray(at, end)
      this.missing -= end - at
      this.received += end - at
      at = end
      const complete = this.missing === 0 && this.last
      if (complete && this.length === 0) {
        this.complete([piece])
      } else {
        this.append(piece)
        if (complete) this.complete(this.finish())
      }
    }
    return undefined
  }

  private complete(record: Chunks): void {
    this.completed++
    this.onRecord(record)
  }

  private append(piece: Buffer): void {
    this.length += piece.length
    if (piece.length >= COPY_BELOW && piece.length * KEPT_TIMES >= piece.buffer.byteLength) {
      this.closeTail()
      this.pieces.push(piece)
      return
    }
    const needed = this.tailLength + piece.length
    if (this.tail === undefined || needed > this.tail.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed * 2, COPY_BELOW))
      this.tail?.copy(grown, 0, 0, this.tailLength)
      this.tail = grown
    }
    piece.copy(this.tail, this.tailLength)
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
