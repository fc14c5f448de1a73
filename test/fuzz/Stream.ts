/** Messages on a byte stream, well framed or not, and what a reader that knows nothing else makes of the bytes. */

import { Buffer } from "node:buffer"
import type { Random } from "../support/random.ts"

const LAST = 0x8000_0000

const mark = (length: number, last: boolean): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(((last ? LAST : 0) | length) >>> 0)
  return bytes
}

/** A message as a record of one fragment. */
const whole = (message: Buffer): Buffer => Buffer.concat([mark(message.length, true), message])

/** A message as a record of many fragments, some of them empty, maybe the last one, too. */
const fragmented = (message: Buffer, random: Random): Buffer => {
  const pieces: Array<Buffer> = []
  let at = 0
  while (at < message.length) {
    const length = random.chance(0.2) ? 0 : random.between(1, Math.max(1, Math.min(message.length - at, 200)))
    at += length
    pieces.push(mark(length, false), message.subarray(at - length, at))
  }
  if (pieces.length === 0 || random.chance(0.3)) return Buffer.concat([...pieces, mark(0, true)])
  // The mark of the last piece says so.
  const last = pieces.at(-1)!
  return Buffer.concat([...pieces.slice(0, -2), mark(last.length, true), last])
}

/** A message whose mark lies about its length, or never ends its record. */
const misframed = (message: Buffer, random: Random): Buffer => {
  const length = random.pick([
    message.length + random.between(1, 8),
    Math.max(0, message.length - random.between(1, 8)),
    0,
    0x7fff_ffff,
    1024 * 1024 + 4096,
    1024 * 1024 + 4097,
    random.int(LAST)
  ])
  return Buffer.concat([mark(length, random.chance(0.7)), message])
}

/** Messages one after the other; `chaos` is the share of records that are misframed. */
export const write = (messages: ReadonlyArray<Buffer>, random: Random, chaos: number): Buffer =>
  Buffer.concat(
    messages.map((message) =>
      random.chance(chaos)
        ? misframed(message, random)
        : random.chance(0.15)
          ? fragmented(message, random)
          : whole(message)
    )
  )

/** Bytes as a network may deliver them: in few large pieces or many small ones. */
export const cut = (bytes: Buffer, random: Random): ReadonlyArray<Buffer> => {
  const most = random.pick([64, 1460, 65_536, bytes.length])
  const pieces: Array<Buffer> = []
  for (let at = 0; at < bytes.length;) {
    const length = random.between(1, Math.max(1, most))
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}

export interface Records {
  readonly complete: ReadonlyArray<Buffer>
  /** Whether a record is longer than any may be, so that nothing after it can be read. */
  readonly tooLong: boolean
}

/** The records that a stream has. */
export const read = (bytes: Buffer, limit: number): Records => {
  const complete: Array<Buffer> = []
  let fragments: Array<Buffer> = []
  let length = 0
  for (let at = 0; at + 4 <= bytes.length;) {
    const head = bytes.readUInt32BE(at)
    const fragment = head % LAST
    length += fragment
    if (length > limit) return { complete, tooLong: true }
    at += 4
    if (at + fragment > bytes.length) break
    fragments.push(bytes.subarray(at, at + fragment))
    at += fragment
    if (head >= LAST) {
      complete.push(Buffer.concat(fragments))
      fragments = []
      length = 0
    }
  }
  return { complete, tooLong: false }
}
