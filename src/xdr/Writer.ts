/**
 * A cursor that appends values to a list of chunks, as a gathering write of a socket wants them.
 *
 * Small values fill chunks that are allocated ahead; data that is long enough to be worth a chunk of its own is linked
 * in as it lies. `take` hands out what was written and goes on behind it, so that one writer serves a connection for
 * its whole life and nothing is copied twice.
 */

import { Buffer } from "node:buffer"
import * as Bytestring from "./Bytestring.ts"
import type { Chunks } from "./Reader.ts"

/** From this length on, linking a chunk is cheaper than copying it. */
const LINK_FROM = 2048

/** Up to this length, bytes are set one by one faster than the engine's own functions for many are called. */
const FEW = 32

export class Writer {
  private buffer: Buffer
  private view: DataView
  /** Where the part of `buffer` that was not handed out begins. */
  private start = 0
  private at = 0
  private done: Array<Uint8Array> = []
  private doneLength = 0

  private readonly chunkSize: number

  /** `chunkSize`: bytes that are allocated ahead. */
  constructor(chunkSize = 4096) {
    this.chunkSize = chunkSize
    this.buffer = Buffer.allocUnsafeSlow(chunkSize)
    this.view = new DataView(this.buffer.buffer)
  }

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.doneLength + this.at - this.start
  }

  uint32(value: number): void {
    this.ensure(4)
    this.view.setUint32(this.at, value)
    this.at += 4
  }

  int32(value: number): void {
    this.uint32(value)
  }

  uint64(value: bigint): void {
    this.ensure(8)
    this.view.setBigUint64(this.at, value)
    this.at += 8
  }

  /** A number from 0 to 2^53 - 1 as a uint64. */
  uint53(value: number): void {
    this.ensure(8)
    this.view.setUint32(this.at, Math.floor(value / 0x1_0000_0000))
    this.view.setUint32(this.at + 4, value >>> 0)
    this.at += 8
  }

  /** Bytes as they are. */
  append(bytes: Uint8Array): void {
    if (bytes.length >= LINK_FROM) {
      this.close()
      this.done.push(bytes)
      this.doneLength += bytes.length
    } else {
      this.ensure(bytes.length)
      this.buffer.set(bytes, this.at)
      this.at += bytes.length
    }
  }

  /** Bytes and their padding to a multiple of four. */
  bytes(bytes: Uint8Array): void {
    this.append(bytes)
    this.pad(bytes.length)
  }

  zeros(count: number): void {
    this.ensure(count)
    const { at, buffer } = this
    if (count > FEW) buffer.fill(0, at, at + count)
    else for (let i = 0; i < count; i++) buffer[at + i] = 0
    this.at += count
  }

  /** Text as a counted string: its length in bytes, the bytes (see `Bytestring`), padding. */
  text(text: string): void {
    if (text.length <= FEW && this.ascii(text)) return
    const most = text.length * 3
    if (most < LINK_FROM && text.isWellFormed()) {
      this.ensure(4 + most)
      const length = this.buffer.write(text, this.at + 4, "utf8")
      this.view.setUint32(this.at, length)
      this.at += 4 + length
      this.pad(length)
    } else {
      const bytes = Bytestring.encode(text)
      this.uint32(bytes.length)
      this.bytes(bytes)
    }
  }

  /** Writes short text if all of it is ASCII, as most names are; gives whether it did. */
  private ascii(text: string): boolean {
    const { length } = text
    this.ensure(4 + FEW)
    const { buffer } = this
    const start = this.at + 4
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      buffer[start + i] = unit
    }
    this.view.setUint32(this.at, length)
    this.at = start + length
    this.pad(length)
    return true
  }

  /** Pieces that make one opaque together, and their padding. */
  chunks(chunks: Chunks): void {
    let length = 0
    for (let i = 0; i < chunks.length; i++) {
      this.append(chunks[i]!)
      length += chunks[i]!.length
    }
    this.pad(length)
  }

  /**
   * Makes room for `length` bytes, with one check for all of them, and gives where they begin in {@link target}. The caller
   * sets each of them before anything else is written.
   */
  claim(length: number): number {
    this.ensure(length)
    const at = this.at
    this.at += length
    return at
  }

  /** Where claimed bytes are. */
  get target(): DataView {
    return this.view
  }

  /** Makes room for a uint32 that is known only later, and gives what sets it. */
  reserveUint32(): Reserved {
    this.ensure(4)
    const reserved = new Reserved(this.view, this.at)
    this.at += 4
    return reserved
  }

  /** Forgets all but the first `length` bytes of what was not taken yet: undoes a value that could not be written. */
  truncate(length: number): void {
    const chunks = this.take()
    for (let i = 0; this.doneLength < length; i++) {
      const kept = chunks[i]!.subarray(0, length - this.doneLength)
      this.done.push(kept)
      this.doneLength += kept.length
    }
  }

  /** What was written since the last `take`. The chunks belong to the caller and are never written to again. */
  take(): Array<Uint8Array> {
    this.close()
    const taken = this.done
    this.done = []
    this.doneLength = 0
    return taken
  }

  private pad(length: number): void {
    const pad = -length & 3
    if (pad > 0) this.zeros(pad)
  }

  private ensure(length: number): void {
    if (this.buffer.length - this.at < length) this.renew(length)
  }

  /** Ends the chunk that is being filled. */
  private close(): void {
    if (this.at === this.start) return
    this.done.push(this.buffer.subarray(this.start, this.at))
    this.doneLength += this.at - this.start
    this.start = this.at
  }

  private renew(length: number): void {
    this.close()
    this.buffer = Buffer.allocUnsafeSlow(Math.max(this.chunkSize, length))
    this.view = new DataView(this.buffer.buffer)
    this.start = this.at = 0
  }
}

/** A uint32 whose place is known before its value. */
export class Reserved {
  private readonly view: DataView
  private readonly at: number

  constructor(view: DataView, at: number) {
    this.view = view
    this.at = at
  }

  set(value: number): void {
    this.view.setUint32(this.at, value)
  }
}
