/**
 * Names on the wire and on disks are bytes; inside they are JavaScript strings.
 *
 * Valid UTF-8 becomes an ordinary string. Every byte that is not part of valid UTF-8 becomes a lone surrogate
 * (0x80 is U+DC80, 0xFF is U+DCFF), which no valid UTF-8 yields, and turns back into the same byte: a round trip
 * never changes a name.
 */

import { Buffer } from "node:buffer"

const REPLACEMENT = "\uFFFD"
const ESCAPE = 0xdc00

/** Up to this length, characters are looked at one by one faster than the engine's own functions for text are called. */
const FEW = 32

/** The string that `bytes[start, end)` stand for. */
export const decode = (bytes: Buffer, start = 0, end = bytes.length): string => {
  const text = bytes.toString("utf8", start, end)
  // A replacement character is either in the bytes themselves or the decoder's mark for a byte that is not UTF-8.
  return text.includes(REPLACEMENT) ? decodeEscaping(bytes.subarray(start, end)) : text
}

/** The bytes that `text` stands for: the inverse of {@link decode}. */
export const encode = (text: string): Buffer => (text.isWellFormed() ? Buffer.from(text, "utf8") : encodeEscaped(text))

/** How many bytes {@link encode} gives, without making them. */
export const byteLength = (text: string): number => {
  if (text.length <= FEW && isAscii(text)) return text.length
  const length = Buffer.byteLength(text, "utf8")
  // A lone surrogate counts as three bytes there; as an escape it stands for one.
  return text.isWellFormed() ? length : length - 2 * countEscapes(text)
}

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return false
  }
  return true
}

const isEscape = (unit: number): boolean => unit >= ESCAPE + 0x80 && unit <= ESCAPE + 0xff

const countEscapes = (text: string): number => {
  let count = 0
  for (const character of text) {
    if (character.length === 1 && isEscape(character.charCodeAt(0))) count++
  }
  return count
}

const encodeEscaped = (text: string): Buffer => {
  const parts: Array<Buffer> = []
  for (const character of text) {
    const unit = character.charCodeAt(0)
    parts.push(character.length === 1 && isEscape(unit) ? Buffer.of(unit - ESCAPE) : Buffer.from(character, "utf8"))
  }
  return Buffer.concat(parts)
}

const decodeEscaping = (bytes: Buffer): string => {
  let text = ""
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at)
    text += length === 0 ? String.fromCharCode(ESCAPE + bytes[at]!) : bytes.toString("utf8", at, at + length)
    at += length || 1
  }
  return text
}

/** Length of the well-formed UTF-8 sequence at `at` (Unicode, table 3-7), 0 when there is none. */
const sequenceLength = (bytes: Buffer, at: number): number => {
  const first = bytes[at]!
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4) return 0
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (at + length > bytes.length) return 0
  const second = bytes[at + 1]!
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let i = 2; i < length; i++) {
    if ((bytes[at + i]! & 0xc0) !== 0x80) return 0
  }
  return length
}
