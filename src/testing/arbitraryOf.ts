/**
 * Values of any XDR type, derived from the codec itself: whoever defines a protocol has its generator for nothing.
 *
 * ```ts
 * it.prop("LOOKUP's arguments survive", [arbitraryOf(lookupArgs)], ([args]) => ...)
 * ```
 */

import { Buffer } from "node:buffer"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Bytestring from "../xdr/Bytestring.ts"
import * as Xdr from "../xdr/Xdr.ts"

/** Values that `codec` can write: any within its bounds, the bounds among them; longer ones as `size` allows. */
export const arbitraryOf = <A>(codec: Xdr.Codec<A>): Arbitrary.Arbitrary<A> => ofShape(codec.shape)

/**
 * `value` as it comes back from the network: opaque data in one piece, whatever pieces it was in, and as plain bytes.
 * Two values are the same for a codec when these are deeply equal.
 */
export const asDecoded = <A>(codec: Xdr.Codec<A>, value: A): unknown => plain(codec.shape, value)

/** Bytes, at most `maximum`. */
export const bytes = (maximum = MOST, minimum = 0): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(byte, { minLength: minimum, maxLength: Math.min(maximum, MOST) }), (values) =>
    Uint8Array.from(values)
  )

/** Text of at most `maximum` bytes: letters, any other characters, and bytes that are no characters at all. */
export const text = (maximum = MOST): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(piece, { maxLength: Math.min(maximum, MOST) }), (pieces) =>
    Bytestring.decode(Buffer.concat(pieces).subarray(0, maximum))
  )

/** The longest array that a generator may be asked for. */
const MOST = 0xffff_ffff

const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const byte = integer(0, 255)
const uint32 = integer(0, 0xffff_ffff)
const bool = Arbitrary.schema(Schema.Boolean)

const piece: Arbitrary.Arbitrary<Buffer> = Arbitrary.map(
  Arbitrary.all({ kind: integer(0, 2), byte, codePoint: integer(0, 0x10_ffff) }),
  ({ byte, codePoint, kind }) =>
    kind === 0 ? Buffer.of(byte & 0x7f) : kind === 1 ? Buffer.of(byte) : Buffer.from(String.fromCodePoint(codePoint))
)

/** The arbitrary of a shape. What it generates is of the type that the codec says; the shape cannot express that. */
const ofShape = <A>(shape: Xdr.Shape): Arbitrary.Arbitrary<A> => untyped(shape) as Arbitrary.Arbitrary<A>

const untyped = (shape: Xdr.Shape): Arbitrary.Arbitrary<unknown> => {
  switch (shape._tag) {
    case "Void":
      return Arbitrary.Constant(undefined)
    case "Uint32":
      return uint32
    case "Int32":
      return integer(-0x8000_0000, 0x7fff_ffff)
    case "Uint64":
      return Arbitrary.map(Arbitrary.all([uint32, uint32]), ([high, low]) => (BigInt(high) << 32n) | BigInt(low))
    case "Uint53":
      return integer(0, Number.MAX_SAFE_INTEGER)
    case "Bool":
      return bool
    case "Enumeration":
      return oneOf(Object.keys(shape.values))
    case "Opaque":
      return bytes(shape.length, shape.length)
    case "VariableOpaque":
      return bytes(shape.maximum)
    case "Data":
      return Arbitrary.map(Arbitrary.array(bytes()), (chunks) => upTo(shape.maximum, chunks))
    case "String":
      return text(shape.maximum)
    case "Array":
      return Arbitrary.array(ofShape(shape.element.shape), { maxLength: shape.maximum })
    case "List":
      return Arbitrary.array(ofShape(shape.element.shape))
    case "Optional":
      return Arbitrary.map(Arbitrary.array(ofShape(shape.element.shape), { maxLength: 1 }), ([value]) => value)
    case "Struct":
      return Arbitrary.all(mapValues(shape.fields, (field) => untyped(field.shape)))
    case "Union": {
      const arms = shape.arms.map(([value, arm]) =>
        Arbitrary.map(ofShape<object>(arm.shape), (fields) => ({ [shape.discriminant]: value, ...fields }))
      )
      return Arbitrary.flatMap(integer(0, arms.length - 1), (index) => arms[index]!)
    }
    case "Mapped":
      return Arbitrary.map(untyped(shape.from.shape), shape.to)
  }
}

const oneOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(integer(0, values.length - 1), (index) => values[index]!)

/** Chunks with at most `maximum` bytes together. */
const upTo = (maximum: number, chunks: Xdr.Chunks): Xdr.Chunks => {
  let left = maximum
  return chunks.map((chunk) => {
    const part = chunk.subarray(0, left)
    left -= part.length
    return part
  })
}

/** The shape says what `value` is; its type cannot. */
const plain = (shape: Xdr.Shape, value: unknown): unknown => {
  switch (shape._tag) {
    case "Opaque":
    case "VariableOpaque":
      return Uint8Array.from(value as Uint8Array)
    case "Data":
      return Uint8Array.from(Buffer.concat(value as Xdr.Chunks))
    case "Array":
    case "List":
      return (value as ReadonlyArray<unknown>).map((element) => plain(shape.element.shape, element))
    case "Optional":
      return value === undefined ? undefined : plain(shape.element.shape, value)
    case "Struct": {
      const struct = value as Readonly<Record<string, unknown>>
      return mapValues(shape.fields, (field, name) => plain(field.shape, struct[name]))
    }
    case "Union": {
      const tag = (value as Readonly<Record<string, unknown>>)[shape.discriminant]
      const [discriminant, arm] = shape.arms.find(([discriminant]) => discriminant === tag)!
      return { [shape.discriminant]: discriminant, ...(plain(arm.shape, value) as object) }
    }
    case "Void":
    case "Uint32":
    case "Int32":
    case "Uint64":
    case "Uint53":
    case "Bool":
    case "Enumeration":
    case "String":
    case "Mapped":
      return value
  }
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A, name: string) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value, name)]))
