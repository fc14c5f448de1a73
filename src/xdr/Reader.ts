/**
 * A cursor over the bytes of one record, which may lie in several chunks as the network delivered them.
 *
 * Nothing is copied but what straddles two chunks: opaque data comes out as views. Every read checks what is left
 * first and throws an `XdrError`; `Xdr.decode` is where that becomes a typed failure.
 */

import { Buffer } from "node:buffer"
import * as Bytestring from "./Bytestring.ts"
import * as XdrError from "./XdrError.ts"

/** Bytes that lie in one or several pieces, in order. */
export type Chunks = ReadonlyArray<Uint8Array>

const EMPTY = Buffer.alloc(0)

const truncated = XdrError.make("the data ends too early")
const padding = XdrError.make("padding bytes are not zero")

export class Reader {
  private buffer!: Buffer
  /** Of all the memory that `buffer` is in. */
  private view!: DataView
  /** Where `buffer` begins there. */
  private origin = 0
  /** Position in `buffer`. */
  private at = 0
  /** Chunks after `buffer`, the next one last. */
  private readonly later: Array<Buffer>
  private laterLength = 0

  constructor(chunks: Chunks) {
    this.later = []
    for (let i = chunks.length - 1; i > 0; i--) {
      this.later.push(asBuffer(chunks[i]!))
      this.laterLength += chunks[i]!.length
    }
    this.enter(asBuffer(chunks[0] ?? EMPTY))
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.buffer.length - this.at + this.laterLength
  }

  uint32(): number {
    if (this.buffer.length - this.at < 4) this.gather(4)
    const value = this.view.getUint32(this.origin + this.at)
    this.at += 4
    return value
  }

  int32(): number {
    return this.uint32() | 0
  }

  uint64(): bigint {
    if (this.buffer.length - this.at < 8) this.gather(8)
    const value = this.view.getBigUint64(this.origin + this.at)
    this.at += 8
    return value
  }

  /** A uint64 as a number, saturating at 2^53 - 1. */
  uint53(): number {
    const high = this.uint32()
    const low = this.uint32()
    return high > 0x1fffff ? Number.MAX_SAFE_INTEGER : high * 0x1_0000_0000 + low
  }

  /** A view of `length` bytes in one piece, and past their padding to a multiple of four. */
  bytes(length: number): Buffer {
    if (length === 0) return EMPTY
    if (this.buffer.length - this.at < length) this.gather(length)
    const bytes = this.buffer.subarray(this.at, this.at + length)
    this.at += length
    this.skipPadding(length)
    return bytes
  }

  /** Text of `length` bytes (see `Bytestring`), and past its padding. */
  text(length: number): string {
    if (this.buffer.length - this.at < length) this.gather(length)
    const text = Bytestring.decode(this.buffer, this.at, this.at + length)
    this.at += length
    this.skipPadding(length)
    return text
  }

  /** Views of `length` bytes as they lie, never joined, and past their padding. */
  chunks(length: number): Chunks {
    if (length > this.remaining) throw truncated
    const chunks: Array<Buffer> = []
    let missing = length
    while (missing > 0) {
      if (this.at === this.buffer.length) this.advance()
      const end = Math.min(this.buffer.length, this.at + missing)
      if (end > this.at) chunks.push(this.buffer.subarray(this.at, end))
      missing -= end - this.at
      this.at = end
    }
    this.skipPadding(length)
    return chunks
  }

  /** The rest as it lies, without moving. */
  rest(): Chunks {
    const rest: Array<Buffer> = []
    if (this.at < this.buffer.length) rest.push(this.buffer.subarray(this.at))
    for (let i = this.later.length - 1; i >= 0; i--) rest.push(this.later[i]!)
    return rest
  }

  private skipPadding(length: number): void {
    const pad = -length & 3
    if (pad === 0) return
    if (this.buffer.length - this.at < pad) this.gather(pad)
    for (let i = 0; i < pad; i++) {
      if (this.buffer[this.at + i] !== 0) throw padding
    }
    this.at += pad
  }

  private advance(): void {
    const next = this.later.pop()
    if (next === undefined) throw truncated
    this.laterLength -= next.length
    this.enter(next)
  }

  private enter(buffer: Buffer): void {
    this.buffer = buffer
    this.view = viewOf(buffer.buffer)
    this.origin = buffer.byteOffset
    this.at = 0
  }

  /** Makes the next `length` bytes lie in one piece: the only copy that reading makes. */
  private gather(length: number): void {
    if (length > this.remaining) throw truncated
    const joined = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      if (this.at === this.buffer.length) this.advance()
      const end = Math.min(this.buffer.length, this.at + length - filled)
      filled += this.buffer.copy(joined, filled, this.at, end)
      this.at = end
    }
    if (this.at < this.buffer.length) {
      const rest = this.buffer.subarray(this.at)
      this.later.push(rest)
      this.laterLength += rest.length
    }
    this.enter(joined)
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The memory that was looked at last, as a view: small records that come together lie in one. */
let lastMemory: ArrayBufferLike = EMPTY.buffer
let lastView: DataView = new DataView(lastMemory)

const viewOf = (memory: ArrayBufferLike): DataView => {
  if (memory !== lastMemory) {
    lastMemory = memory
    lastView = new DataView(memory)
  }
  return lastView
}
