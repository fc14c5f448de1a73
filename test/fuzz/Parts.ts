/**
 * A message as the parts that XDR makes it of, so that a mutation can hit a length, a discriminant or a name instead of
 * just any byte: a codec writes its value into a `Writer` that takes down what it is told to write.
 */

import { Buffer } from "node:buffer"
import * as Bytestring from "../../src/xdr/Bytestring.ts"
import type { Chunks } from "../../src/xdr/Reader.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import type * as Xdr from "../../src/xdr/Xdr.ts"

export interface Part {
  /**
   * A `word` is a number, a length, a discriminant or a boolean; a `wide` one has 64 bits. Opaque data and text have their
   * length, if they have one, in the word before.
   */
  readonly kind: "word" | "wide" | "opaque" | "text"
  /** Without padding. */
  readonly bytes: Buffer
}

class PartsWriter extends Writer {
  readonly parts: Array<Part> = []

  override uint32(value: number): void {
    this.parts.push(word(value))
  }

  override uint64(value: bigint): void {
    this.parts.push(wide(value))
  }

  override uint53(value: number): void {
    this.parts.push(wide(BigInt(value)))
  }

  override bytes(bytes: Uint8Array): void {
    this.parts.push({ kind: "opaque", bytes: Buffer.from(bytes) })
  }

  override text(text: string): void {
    const bytes = Buffer.from(Bytestring.encode(text))
    this.parts.push(word(bytes.length), { kind: "text", bytes })
  }

  override chunks(chunks: Chunks): void {
    this.bytes(Buffer.concat(chunks))
  }
}

export const word = (value: number): Part => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return { kind: "word", bytes }
}

export const wide = (value: bigint): Part => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value))
  return { kind: "wide", bytes }
}

/** Opaque data with its length. */
export const counted = (bytes: Uint8Array): ReadonlyArray<Part> => [
  word(bytes.length),
  { kind: "opaque", bytes: Buffer.from(bytes) }
]

/** Whether the word before this part is its length. */
export const isCounted = (parts: ReadonlyArray<Part>, index: number): boolean => {
  const before = parts[index - 1]
  return before?.kind === "word" && before.bytes.readUInt32BE() === parts[index]!.bytes.length
}

/** What `value` is made of; arguments of calls only, since results have codecs that write otherwise. */
export const of = <A>(codec: Xdr.Codec<A>, value: A): ReadonlyArray<Part> => {
  const writer = new PartsWriter()
  codec.write(writer, value)
  return writer.parts
}

/** The bytes of a message. */
export const join = (parts: ReadonlyArray<Part>): Buffer =>
  Buffer.concat(parts.flatMap(({ bytes }) => [bytes, padding.subarray(0, -bytes.length & 3)]))

const padding = Buffer.alloc(3)
