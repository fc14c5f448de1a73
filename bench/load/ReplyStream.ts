/**
 * Cuts what a server sends into replies, and looks at no more of them than their first words: a generator that decoded
 * results would measure itself. What a reply holds behind these words is checked before the clock runs.
 */

import { Buffer } from "node:buffer"
import * as Result from "effect/Result"
import { nfsstat3 } from "../../src/programs/nfs3/Nfs3Types.ts"
import { acceptedReply, REPLY } from "../../src/rpc/RpcMessage.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { EMPTY_REPLY } from "./Request.ts"

const LAST = 0x80000000

/** xid, REPLY, MSG_ACCEPTED, the verifier (two words), SUCCESS, and the status of NFS procedures. */
const HEAD = 28

/** A reply of `length` bytes whose first words stand in `bytes` at `at`. */
export type OnReply = (bytes: DataView, at: number, length: number) => void

/** A place to receive bytes in, and to read words from. */
export interface Bytes {
  readonly buffer: Buffer
  readonly view: DataView
}

export const allocate = (length: number): Bytes => {
  const buffer = Buffer.allocUnsafeSlow(length)
  return { buffer, view: new DataView(buffer.buffer) }
}

export class ReplyStream {
  private readonly onReply: OnReply
  /** The first words of a reply that arrives in pieces. */
  private readonly head = allocate(HEAD)
  /** Bytes of it so far. */
  private length = 0
  private readonly mark = Buffer.alloc(4)
  private markLength = 0
  /** Bytes of the current fragment that are still to come. */
  private missing = 0
  private last = false

  constructor(onReply: OnReply) {
    this.onReply = onReply
  }

  /** Takes the next bytes: the first `end` of the chunk. */
  push(chunk: Bytes, end: number): void {
    const { view } = chunk
    let at = 0
    while (at < end) {
      if (this.length === 0 && this.missing === 0 && this.markLength === 0 && end - at >= 4) {
        const length = view.getUint32(at) - LAST
        if (length >= 0 && length <= end - at - 4) {
          this.onReply(view, at + 4, length)
          at += 4 + length
          continue
        }
      }
      at = this.collect(chunk.buffer, at, end)
    }
  }

  /** Takes the next part of a reply that does not lie in one piece; gives where it ends. */
  private collect(chunk: Buffer, at: number, end: number): number {
    if (this.missing === 0) {
      const to = Math.min(end, at + 4 - this.markLength)
      this.markLength += chunk.copy(this.mark, this.markLength, at, to)
      if (this.markLength < 4) return to
      this.markLength = 0
      const mark = this.mark.readUInt32BE(0)
      this.last = mark >= LAST
      this.missing = mark % LAST
      if (this.missing > 0 || !this.last) return to
      at = to
    } else {
      const to = Math.min(end, at + this.missing)
      if (this.length < HEAD) chunk.copy(this.head.buffer, this.length, at, Math.min(to, at + HEAD - this.length))
      this.length += to - at
      this.missing -= to - at
      at = to
    }
    if (this.missing === 0 && this.last) {
      const { length } = this
      this.length = 0
      this.onReply(this.head.view, 0, length)
    }
    return at
  }
}

export const xidOf = (bytes: DataView, at: number): number => bytes.getUint32(at)

/** Whether a reply says that the call was carried out. */
export const succeeded = (bytes: DataView, at: number, length: number, minReply: number): boolean =>
  length >= minReply &&
  bytes.getUint32(at + 4) === REPLY &&
  bytes.getUint32(at + 8) === 0 &&
  bytes.getUint32(at + 16) === 0 &&
  bytes.getUint32(at + 20) === 0 &&
  (minReply === EMPTY_REPLY || bytes.getUint32(at + 24) === 0)

/** Why it does not, for people. */
export const explain = (bytes: DataView, at: number, length: number, minReply: number): string => {
  if (length < EMPTY_REPLY || bytes.getUint32(at + 4) !== REPLY) return "what came is no successful reply"
  if (bytes.getUint32(at + 8) !== 0) return "the call was denied"
  if (bytes.getUint32(at + 16) !== 0) return "the reply has a verifier, which this generator does not understand"
  if (bytes.getUint32(at + 20) !== 0) {
    const reply = Xdr.decode(acceptedReply, word(bytes, at + 20))
    return `the call was not carried out: ${Result.isSuccess(reply) ? reply.success.stat : "PROG_MISMATCH"}`
  }
  if (minReply > EMPTY_REPLY && length >= HEAD && bytes.getUint32(at + 24) !== 0) {
    const status = Xdr.decode(nfsstat3, word(bytes, at + 24))
    return Result.isSuccess(status) ? status.success : `NFS status ${bytes.getUint32(at + 24)}`
  }
  return `a successful reply has ${length} bytes and should have at least ${minReply}`
}

const word = (bytes: DataView, at: number): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset + at, 4)
