/**
 * XDR (RFC 4506) as codecs: one value reads and writes one type, and combinators build them so that a protocol file
 * reads like the definitions of its RFC.
 *
 * Lengths are checked against their maximum and against what is left before anything is allocated; a violation is an
 * `XdrError`. Codecs throw it inside, where a decoder runs for every request; `decode` gives it as a `Result`.
 */

import * as Result from "effect/Result"
import * as Bytestring from "./Bytestring.ts"
import { copyTo, lengthOf } from "./Chunks.ts"
import { type Chunks, Reader } from "./Reader.ts"
import { Writer } from "./Writer.ts"
import * as XdrError from "./XdrError.ts"

export type { Chunks } from "./Reader.ts"
export type { XdrError } from "./XdrError.ts"

/** Reads and writes values of one type. */
export interface Codec<A> {
  /** Reads one value; throws an `XdrError`. */
  readonly read: (reader: Reader) => A
  /** Appends one value; throws an `XdrError` for one that the type cannot hold. */
  readonly write: (writer: Writer, value: A) => void
  /** What the type is, for those who derive something from it (documentation, arbitraries of tests). */
  readonly shape: Shape
}

/** The type of a codec's values. */
export type Type<C> = C extends Codec<infer A> ? A : never

/** The structure of a codec. */
export type Shape =
  | { readonly _tag: "Void" | "Uint32" | "Int32" | "Uint64" | "Uint53" | "Bool" }
  | { readonly _tag: "Enumeration"; readonly values: Readonly<Record<string, number>> }
  | { readonly _tag: "Opaque"; readonly length: number }
  | { readonly _tag: "VariableOpaque" | "Data" | "String"; readonly maximum: number }
  | { readonly _tag: "Array"; readonly element: Codec<any>; readonly maximum: number }
  | { readonly _tag: "List" | "Optional"; readonly element: Codec<any> }
  | { readonly _tag: "Struct"; readonly fields: Readonly<Record<string, Codec<any>>> }
  | {
      readonly _tag: "Union"
      readonly discriminant: string
      readonly arms: ReadonlyArray<readonly [value: unknown, codec: Codec<any>]>
    }
  | { readonly _tag: "Mapped"; readonly from: Codec<any>; readonly to: (value: any) => unknown }

/** The value that `bytes` hold, all of them; an `XdrError` for anything else. */
export const decode = <A>(codec: Codec<A>, bytes: Uint8Array | Chunks): Result.Result<A, XdrError.XdrError> => {
  const reader = new Reader(bytes instanceof Uint8Array ? [bytes] : bytes)
  try {
    const value = codec.read(reader)
    return reader.remaining === 0 ? Result.succeed(value) : Result.fail(trailing)
  } catch (error) {
    if (XdrError.is(error)) return Result.fail(error)
    throw error
  }
}

const trailing = XdrError.make("there are bytes after the value")

/** The bytes of `value`; an `XdrError` when the type cannot hold it. */
export const encode = <A>(codec: Codec<A>, value: A): Result.Result<Uint8Array, XdrError.XdrError> => {
  const writer = new Writer(256)
  try {
    codec.write(writer, value)
  } catch (error) {
    if (XdrError.is(error)) return Result.fail(error)
    throw error
  }
  return Result.succeed(join(writer.take()))
}

/** One piece with the bytes of `chunks`; a single chunk is given as it is. */
export const join = (chunks: Chunks): Uint8Array => {
  if (chunks.length === 1) return chunks[0]!
  return copyTo(new Uint8Array(lengthOf(chunks)), chunks)
}

const make = <A>(shape: Shape, read: Codec<A>["read"], write: Codec<A>["write"]): Codec<A> => ({ shape, read, write })

/** Nothing (RFC 4506, 4.16). */
export const nothing: Codec<undefined> = make(
  { _tag: "Void" },
  () => undefined,
  () => {}
)

/** 32 bits without sign (4.2). */
export const uint32: Codec<number> = make(
  { _tag: "Uint32" },
  (r) => r.uint32(),
  (w, n) => {
    if (n >>> 0 !== n) throw outOfRange
    w.uint32(n)
  }
)

/** 32 bits with sign (4.1). */
export const int32: Codec<number> = make(
  { _tag: "Int32" },
  (r) => r.int32(),
  (w, n) => {
    if ((n | 0) !== n) throw outOfRange
    w.int32(n)
  }
)

/** 64 bits without sign (4.5), exact. */
export const uint64: Codec<bigint> = make(
  { _tag: "Uint64" },
  (r) => r.uint64(),
  (w, n) => {
    if (n < 0n || n > UINT64_MAX) throw outOfRange
    w.uint64(n)
  }
)

/**
 * 64 bits without sign as a number. What exceeds 2^53 - 1 is read as 2^53 - 1: for sizes and offsets, where both are
 * beyond every file.
 */
export const uint53: Codec<number> = make(
  { _tag: "Uint53" },
  (r) => r.uint53(),
  (w, n) => {
    if (n < 0 || !Number.isSafeInteger(n)) throw outOfRange
    w.uint53(n)
  }
)

/** TRUE or FALSE (4.4). */
export const bool: Codec<boolean> = make(
  { _tag: "Bool" },
  (r) => {
    const value = r.uint32()
    if (value > 1) throw notBool
    return value === 1
  },
  (w, b) => w.uint32(b ? 1 : 0)
)

const UINT64_MAX = 0xffff_ffff_ffff_ffffn

const outOfRange = XdrError.make("a number is out of its type's range")
const notBool = XdrError.make("a bool is neither 0 nor 1")
const notEnumerated = XdrError.make("a value is not one of its enumeration")
const tooLong = XdrError.make("a length exceeds its maximum")
const tooFew = XdrError.make("the data ends before its elements")
const wrongLength = XdrError.make("an opaque has not its fixed length")
const noArm = XdrError.make("a union has no arm for its discriminant")

/** Named numbers (4.3); inside they are their names. */
export const enumeration = <const V extends Readonly<Record<string, number>>>(values: V): Codec<keyof V & string> => {
  const names = new Map(Object.entries(values).map(([name, value]) => [value, name]))
  return make<keyof V & string>(
    { _tag: "Enumeration", values },
    (r) => {
      const name = names.get(r.int32())
      if (name === undefined) throw notEnumerated
      return name
    },
    (w, name) => {
      const value = values[name]
      if (value === undefined) throw notEnumerated
      w.int32(value)
    }
  )
}

/** Exactly `length` bytes (4.9). What is read is a view. */
export const opaque = (length: number): Codec<Uint8Array> =>
  make<Uint8Array>(
    { _tag: "Opaque", length },
    (r) => r.bytes(length),
    (w, bytes) => {
      if (bytes.length !== length) throw wrongLength
      w.bytes(bytes)
    }
  )

/** Counted bytes, at most `maximum` (4.10), in one piece. What is read is a view where the network delivered it so. */
export const variableOpaque = (maximum: number): Codec<Uint8Array> =>
  make<Uint8Array>(
    { _tag: "VariableOpaque", maximum },
    (r) => r.bytes(count(r, maximum)),
    (w, bytes) => {
      if (bytes.length > maximum) throw tooLong
      w.uint32(bytes.length)
      w.bytes(bytes)
    }
  )

/** Counted bytes like {@link variableOpaque}, in pieces that are never joined: for file data. */
export const data = (maximum: number): Codec<Chunks> =>
  make(
    { _tag: "Data", maximum },
    (r) => r.chunks(count(r, maximum)),
    (w, chunks) => {
      const length = lengthOf(chunks)
      if (length > maximum) throw tooLong
      w.uint32(length)
      w.chunks(chunks)
    }
  )

/** A counted string of at most `maximum` bytes (4.11). Bytes that are not UTF-8 survive (see `Bytestring`). */
export const string = (maximum: number): Codec<string> =>
  make(
    { _tag: "String", maximum },
    (r) => r.text(count(r, maximum)),
    (w, text) => {
      if (text.length * 3 > maximum && Bytestring.byteLength(text) > maximum) throw tooLong
      w.text(text)
    }
  )

const count = (r: Reader, maximum: number): number => {
  const length = r.uint32()
  if (length > maximum) throw tooLong
  return length
}

/** Counted elements that are not void, at most `maximum` (4.13). */
export const array = <A>(element: Codec<A>, maximum: number): Codec<ReadonlyArray<A>> =>
  make<ReadonlyArray<A>>(
    { _tag: "Array", element, maximum },
    (r) => {
      const length = count(r, maximum)
      // The least that an element takes is four bytes: a count that lies is found out before anything is made.
      if (length > r.remaining / 4) throw tooFew
      const elements: Array<A> = []
      for (let i = 0; i < length; i++) elements.push(element.read(r))
      return elements
    },
    (w, elements) => {
      if (elements.length > maximum) throw tooLong
      w.uint32(elements.length)
      for (let i = 0; i < elements.length; i++) element.write(w, elements[i]!)
    }
  )

/**
 * A linked list (4.19): `struct *entry { ...; entry *next; }`, each element preceded by TRUE and the end marked by
 * FALSE. It has no count that could lie: it is as long as its bytes.
 */
export const list = <A>(element: Codec<A>): Codec<ReadonlyArray<A>> =>
  make<ReadonlyArray<A>>(
    { _tag: "List", element },
    (r) => {
      const elements: Array<A> = []
      while (bool.read(r)) elements.push(element.read(r))
      return elements
    },
    (w, elements) => {
      for (let i = 0; i < elements.length; i++) {
        w.uint32(1)
        element.write(w, elements[i]!)
      }
      w.uint32(0)
    }
  )

/** A value or nothing (4.19). */
export const optional = <A>(element: Codec<A>): Codec<A | undefined> =>
  make<A | undefined>(
    { _tag: "Optional", element },
    (r) => (bool.read(r) ? element.read(r) : undefined),
    (w, value) => {
      if (value === undefined) {
        w.uint32(0)
      } else {
        w.uint32(1)
        element.write(w, value)
      }
    }
  )

type Fields = Readonly<Record<string, Codec<any>>>
type Flatten<A> = { readonly [K in keyof A]: A[K] }
/** The values of a struct with these fields. */
export type StructType<F extends Fields> = { readonly [K in keyof F]: Type<F[K]> }

/** Fields one after the other (4.14). */
export const struct = <const F extends Fields>(fields: F): Codec<StructType<F>> => {
  const names = Object.keys(fields)
  const codecs = Object.values(fields)
  // Written out as source, so that every struct has an object literal and call sites of its own: the engine then knows
  // its shape, which a loop over names would hide. The names are ours, never from the network.
  const literal = names.map((name, i) => `${JSON.stringify(name)}: codecs[${i}].read(r)`).join(", ")
  const statements = names.map((name, i) => `codecs[${i}].write(w, value[${JSON.stringify(name)}])`).join("; ")
  // oxlint-disable-next-line typescript/no-implied-eval, typescript/no-unsafe-call
  const read = new Function("codecs", `return (r) => ({ ${literal} })`)(codecs) as Codec<StructType<F>>["read"]
  // oxlint-disable-next-line typescript/no-implied-eval, typescript/no-unsafe-call
  const write = new Function("codecs", `return (w, value) => { ${statements} }`)(codecs) as Codec<
    StructType<F>
  >["write"]
  return make({ _tag: "Struct", fields }, read, write)
}

/** The values of a union: the discriminant's field beside the fields of its arm. */
export type UnionType<D extends string, V, Arms, Default> =
  | { [K in keyof Arms]: Flatten<{ readonly [_ in D]: Restore<K> } & Type<Arms[K]>> }[keyof Arms]
  | (Default extends Codec<infer A> ? Flatten<{ readonly [_ in D]: Exclude<V, RestoreKeys<Arms>> } & A> : never)

type Restore<K> = K extends "true" ? true : K extends "false" ? false : K
type RestoreKeys<Arms> = { [K in keyof Arms]: Restore<K> }[keyof Arms]

/**
 * One of several structs, told apart by a value before it (4.15).
 *
 * `arms` are keyed by the discriminant's value; all others have the `otherwise` arm, and without one they are errors.
 * Arms are structs: `struct({})` for void. Their fields stand beside the discriminant's: `{ status: "NFS3_OK", ... }`.
 */
export const union = <
  const D extends string,
  V extends string | boolean,
  const Arms extends { readonly [K in `${V}`]?: Codec<any> },
  const Default extends Codec<any> | undefined = undefined
>(
  discriminant: D,
  codec: Codec<V>,
  arms: Arms,
  otherwise?: Default
): Codec<UnionType<D, V, Arms, Default>> => {
  const armOf = (value: V): Codec<any> => {
    const arm = (arms as Readonly<Record<string, Codec<any> | undefined>>)[String(value)] ?? otherwise
    if (arm === undefined) throw noArm
    return arm
  }
  const values: ReadonlyArray<V> =
    codec.shape._tag === "Enumeration" ? (Object.keys(codec.shape.values) as Array<V>) : ([false, true] as Array<V>)
  return make(
    {
      _tag: "Union",
      discriminant,
      arms: values.flatMap((value) => {
        const arm = (arms as Readonly<Record<string, Codec<any> | undefined>>)[String(value)] ?? otherwise
        return arm === undefined ? [] : [[value, arm] as const]
      })
    },
    (r) => {
      const value = codec.read(r)
      return { [discriminant]: value, ...armOf(value).read(r) }
    },
    (w, value) => {
      const discriminated = (value as unknown as Readonly<Record<D, V>>)[discriminant]
      const arm = armOf(discriminated)
      codec.write(w, discriminated)
      arm.write(w, value)
    }
  )
}

/** The same bytes for another type. */
export const map = <A, B>(from: Codec<A>, to: (a: A) => B, back: (b: B) => A): Codec<B> =>
  make(
    { _tag: "Mapped", from, to },
    (r) => to(from.read(r)),
    (w, b) => from.write(w, back(b))
  )
