import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { arbitraryOf, asDecoded, bytes } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Reader } from "../../src/xdr/Reader.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import * as XdrError from "../../src/xdr/XdrError.ts"

const color = Xdr.enumeration({ RED: 0, GREEN: 1, BLUE: -5 })

const everything = Xdr.struct({
  count: Xdr.uint32,
  offset: Xdr.int32,
  id: Xdr.uint64,
  size: Xdr.uint53,
  sure: Xdr.bool,
  color,
  verifier: Xdr.opaque(8),
  odd: Xdr.opaque(5),
  body: Xdr.variableOpaque(400),
  data: Xdr.data(1 << 20),
  name: Xdr.string(255),
  gids: Xdr.array(Xdr.uint32, 16),
  after: Xdr.optional(Xdr.struct({ seconds: Xdr.uint32, name: Xdr.string(7) })),
  entries: Xdr.list(Xdr.struct({ id: Xdr.uint64, name: Xdr.string(255) }))
})

/** Every combinator, alone and with others inside. */
const codecs: Readonly<Record<string, Xdr.Codec<any>>> = {
  nothing: Xdr.nothing,
  uint32: Xdr.uint32,
  int32: Xdr.int32,
  uint64: Xdr.uint64,
  uint53: Xdr.uint53,
  bool: Xdr.bool,
  enumeration: color,
  opaque: Xdr.opaque(16),
  "opaque of odd length": Xdr.opaque(7),
  "opaque of no length": Xdr.opaque(0),
  variableOpaque: Xdr.variableOpaque(400),
  data: Xdr.data(1 << 20),
  string: Xdr.string(1024),
  "short string": Xdr.string(3),
  array: Xdr.array(Xdr.string(9), 100),
  list: Xdr.list(Xdr.uint32),
  "list of lists": Xdr.list(Xdr.list(Xdr.optional(Xdr.uint64))),
  optional: Xdr.optional(Xdr.uint64),
  struct: everything,
  "struct without fields": Xdr.struct({}),
  union: Xdr.union(
    "color",
    color,
    {
      RED: Xdr.struct({ depth: Xdr.uint32 }),
      BLUE: Xdr.struct({ sky: Xdr.data(100), sea: Xdr.optional(Xdr.string(20)) })
    },
    Xdr.struct({ grass: Xdr.bool })
  ),
  "union without default": Xdr.union("color", color, { RED: Xdr.struct({}), GREEN: Xdr.struct({ tree: Xdr.int32 }) }),
  "union by bool": Xdr.union("set", Xdr.bool, { true: Xdr.struct({ mode: Xdr.uint32 }), false: Xdr.struct({}) }),
  map: Xdr.map(
    Xdr.struct({ high: Xdr.uint32, low: Xdr.uint32 }),
    ({ high, low }) => `${high}:${low}`,
    (text) => {
      const [high, low] = text.split(":").map(Number)
      return { high: high!, low: low! }
    }
  ),
  "everything in a list": Xdr.list(everything)
}

const encode = <A>(codec: Xdr.Codec<A>, value: A): Uint8Array => Result.getOrThrow(Xdr.encode(codec, value))

/** Cuts bytes where these numbers say, anywhere. */
const split = (bytes: Uint8Array, cuts: ReadonlyArray<number>): Xdr.Chunks => {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const natural = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })))
/** Counts, discriminants and booleans look like this. */
const small = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 5 })))
const cuts = Arbitrary.array(natural)

const options = { arbitrary: { runs: 100, size: 16 } }

for (const [name, codec] of Object.entries(codecs)) {
  describe(name, () => {
    const value = arbitraryOf(codec)

    it.prop(
      "what is written is read, and takes whole units",
      [value],
      ([value]) => {
        const encoded = encode(codec, value)
        assert.strictEqual(encoded.length % 4, 0)
        const decoded = Result.getOrThrow(Xdr.decode(codec, encoded))
        assert.deepStrictEqual(asDecoded(codec, decoded), asDecoded(codec, value))
        assert.deepStrictEqual(Buffer.from(encode(codec, decoded)), Buffer.from(encoded))
      },
      options
    )

    it.prop(
      "it does not matter how the bytes are cut into chunks",
      [value, cuts],
      ([value, cuts]) => {
        const encoded = encode(codec, value)
        const decoded = Result.getOrThrow(Xdr.decode(codec, split(encoded, cuts)))
        assert.deepStrictEqual(asDecoded(codec, decoded), asDecoded(codec, value))
      },
      options
    )

    it.prop(
      "truncated bytes are an error",
      [value, natural],
      ([value, cut]) => {
        const encoded = encode(codec, value)
        if (encoded.length > 0) {
          assert.isTrue(Result.isFailure(Xdr.decode(codec, encoded.subarray(0, cut % encoded.length))))
        }
      },
      options
    )

    it.prop(
      "bytes behind the value are an error",
      [value, bytes(8, 1)],
      ([value, more]) => {
        const longer = Buffer.concat([encode(codec, value), more])
        // A list or an optional may find its next element there, but never its end.
        const decoded = Xdr.decode(codec, longer)
        if (Result.isSuccess(decoded)) assert.deepStrictEqual(Buffer.from(encode(codec, decoded.success)), longer)
      },
      options
    )

    it.prop(
      "flipped bits are a value or an error",
      [value, natural],
      ([value, bit]) => {
        const encoded = Buffer.from(encode(codec, value))
        if (encoded.length > 0) {
          encoded[(bit >>> 3) % encoded.length]! ^= 1 << (bit & 7)
          assertAnswers(codec, encoded)
        }
      },
      options
    )

    it.prop("arbitrary bytes are a value or an error", [bytes()], ([bytes]) => assertAnswers(codec, bytes), options)

    it.prop(
      "small words are a value or an error",
      [Arbitrary.array(small)],
      ([words]) => {
        const bytes = Buffer.alloc(words.length * 4)
        for (const [i, word] of words.entries()) bytes.writeInt32BE(word, i * 4)
        assertAnswers(codec, bytes)
      },
      options
    )
  })
}

/** Asserts that `bytes` are decoded or refused; a value must be the one that they stand for. */
const assertAnswers = <A>(codec: Xdr.Codec<A>, bytes: Uint8Array): void => {
  const decoded = Xdr.decode(codec, bytes)
  if (Result.isFailure(decoded)) {
    assert.isTrue(XdrError.is(decoded.failure))
    assert.isNotEmpty(decoded.failure.reason)
  } else {
    const again = Result.getOrThrow(Xdr.decode(codec, encode(codec, decoded.success)))
    assert.deepStrictEqual(asDecoded(codec, again), asDecoded(codec, decoded.success))
  }
}

describe("the bytes", () => {
  const hex = <A>(codec: Xdr.Codec<A>, value: A): string => Buffer.from(encode(codec, value)).toString("hex")

  it("are those of RFC 4506", () => {
    assert.strictEqual(hex(Xdr.nothing, undefined), "")
    assert.strictEqual(hex(Xdr.uint32, 0x01020304), "01020304")
    assert.strictEqual(hex(Xdr.int32, -2), "fffffffe")
    assert.strictEqual(hex(Xdr.uint64, 0x0102030405060708n), "0102030405060708")
    assert.strictEqual(hex(Xdr.uint53, 2 ** 53 - 1), "001fffffffffffff")
    assert.strictEqual(hex(Xdr.bool, true), "00000001")
    assert.strictEqual(hex(color, "BLUE"), "fffffffb")
    assert.strictEqual(hex(Xdr.opaque(3), Buffer.of(1, 2, 3)), "01020300")
    assert.strictEqual(hex(Xdr.variableOpaque(9), Buffer.of(1, 2, 3, 4, 5)), "000000050102030405000000")
    assert.strictEqual(hex(Xdr.data(9), [Buffer.of(1), Buffer.of(2, 3)]), "0000000301020300")
    assert.strictEqual(hex(Xdr.string(9), "ab"), "0000000261620000")
    assert.strictEqual(hex(Xdr.string(9), "\udcff"), "00000001ff000000")
    assert.strictEqual(hex(Xdr.array(Xdr.uint32, 2), [7, 8]), "000000020000000700000008")
    assert.strictEqual(hex(Xdr.list(Xdr.uint32), [7, 8]), "0000000100000007000000010000000800000000")
    assert.strictEqual(hex(Xdr.optional(Xdr.uint32), undefined), "00000000")
    assert.strictEqual(hex(Xdr.optional(Xdr.uint32), 7), "0000000100000007")
    assert.strictEqual(hex(codecs["union by bool"]!, { set: true, mode: 7 }), "0000000100000007")
  })
})

describe("numbers", () => {
  it.prop(
    "beyond 2^53 - 1 a size is 2^53 - 1",
    [arbitraryOf(Xdr.uint64)],
    ([value]) => {
      const most = BigInt(Number.MAX_SAFE_INTEGER)
      const read = Result.getOrThrow(Xdr.decode(Xdr.uint53, encode(Xdr.uint64, value)))
      assert.strictEqual(BigInt(read), value > most ? most : value)
    },
    options
  )
})

describe("what a type cannot hold is an error", () => {
  const refused = <A>(codec: Xdr.Codec<A>, ...values: ReadonlyArray<A>) => {
    for (const value of values) assert.isTrue(Result.isFailure(Xdr.encode(codec, value)), String(value))
  }

  it("when it is written", () => {
    refused(Xdr.uint32, -1, 2 ** 32, 1.5, NaN, Infinity)
    refused(Xdr.int32, 2 ** 31, -(2 ** 31) - 1, 0.5, NaN)
    refused(Xdr.uint64, -1n, 2n ** 64n)
    refused(Xdr.uint53, -1, 2 ** 53, 0.5, NaN, Infinity)
    refused(color, "PINK" as "RED")
    refused(Xdr.opaque(4), new Uint8Array(3), new Uint8Array(5))
    refused(Xdr.variableOpaque(4), new Uint8Array(5))
    refused(Xdr.data(4), [new Uint8Array(3), new Uint8Array(2)])
    refused(Xdr.string(4), "abcde", "ääa", "\udc80\udc80\udc80\udc80\udc80")
    refused(Xdr.array(Xdr.uint32, 1), [1, 2])
    refused(codecs["union without default"]!, { color: "BLUE" })
  })

  it("when it is read", () => {
    const read = (codec: Xdr.Codec<any>, hex: string) =>
      assert.isTrue(Result.isFailure(Xdr.decode(codec, Buffer.from(hex, "hex"))), hex)
    read(Xdr.bool, "00000002")
    read(color, "00000002")
    read(Xdr.opaque(3), "01020304")
    read(Xdr.variableOpaque(4), "000000050102030405000000")
    read(Xdr.variableOpaque(4), "0000000101000001")
    read(Xdr.data(4), "000000050102030405000000")
    read(Xdr.string(1), "0000000261620000")
    read(Xdr.array(Xdr.uint32, 1), "000000020000000700000008")
    read(Xdr.optional(Xdr.uint32), "0000000200000007")
    read(codecs["union without default"]!, "fffffffb")
  })

  it("exactly the maximum is not", () => {
    for (const [codec, value] of [
      [Xdr.variableOpaque(5), new Uint8Array(5)],
      [Xdr.data(5), new Uint8Array(5)],
      [Xdr.string(4), "ää"],
      [Xdr.string(2), "\udc80\udc80"],
      [Xdr.array(Xdr.uint32, 2), [1, 2]]
    ] as ReadonlyArray<readonly [Xdr.Codec<any>, any]>) {
      const given = codec.shape._tag === "Data" ? [value] : value
      assert.deepStrictEqual(
        asDecoded(codec, Result.getOrThrow(Xdr.decode(codec, encode(codec, given)))),
        asDecoded(codec, given)
      )
    }
  })
})

describe("counts that lie", () => {
  const most = 0xffff_ffff
  const liars: Readonly<Record<string, Xdr.Codec<any>>> = {
    variableOpaque: Xdr.variableOpaque(most),
    data: Xdr.data(most),
    string: Xdr.string(most),
    array: Xdr.array(Xdr.uint64, most),
    "array of structs": Xdr.array(everything, most),
    "array of nothing": Xdr.array(Xdr.struct({}), most),
    "array of arrays of nothing": Xdr.array(Xdr.array(Xdr.nothing, most), most)
  }
  for (const [name, codec] of Object.entries(liars)) {
    it(`are refused at once: ${name}`, () => {
      const lie = Buffer.alloc(64, 0xff)
      for (const chunks of [[lie], split(lie, [3, 9, 10, 40])]) {
        const before = process.memoryUsage()
        const begin = performance.now()
        for (let i = 0; i < 1000; i++) assert.isTrue(Result.isFailure(Xdr.decode(codec, chunks)))
        assert.isBelow(performance.now() - begin, 1000)
        const after = process.memoryUsage()
        assert.isBelow(after.arrayBuffers - before.arrayBuffers, 16 << 20)
      }
    })
  }
})

describe("a struct", () => {
  it("has the fields of its arm only when it is a union's", () => {
    const decoded = Result.getOrThrow(Xdr.decode(codecs["union by bool"]!, Buffer.alloc(4)))
    assert.deepStrictEqual(decoded, { set: false })
  })

  it("reads and writes its fields in their order", () => {
    const order: Array<string> = []
    const spy = (name: string): Xdr.Codec<number> => ({
      shape: { _tag: "Uint32" },
      read: (reader: Reader) => {
        order.push(`read ${name}`)
        return reader.uint32()
      },
      write: (writer: Writer, value: number) => {
        order.push(`write ${name}`)
        writer.uint32(value)
      }
    })
    const codec = Xdr.struct({ b: spy("b"), a: spy("a"), 'it\'s "c"': spy("c") })
    const encoded = encode(codec, { a: 1, b: 2, 'it\'s "c"': 3 })
    assert.deepStrictEqual(Xdr.decode(codec, encoded), Result.succeed({ b: 2, a: 1, 'it\'s "c"': 3 }))
    assert.deepStrictEqual(order, ["write b", "write a", "write c", "read b", "read a", "read c"])
  })
})

describe("decode and encode", () => {
  it("let defects through", () => {
    const broken: Xdr.Codec<number> = {
      shape: { _tag: "Uint32" },
      read: () => {
        throw new TypeError("broken")
      },
      write: () => {
        throw new TypeError("broken")
      }
    }
    assert.throws(() => Xdr.decode(broken, Buffer.alloc(4)), TypeError)
    assert.throws(() => Xdr.encode(broken, 1), TypeError)
  })

  it("do without copies where data lies in one piece", () => {
    const data = Buffer.alloc(10_000, 7)
    const writer = new Writer(64)
    Xdr.data(1 << 20).write(writer, [data])
    const chunks = writer.take()
    assert.include(chunks, data)
    const record = Buffer.concat(chunks)
    const [view] = Result.getOrThrow(Xdr.decode(Xdr.data(1 << 20), record))
    assert.strictEqual(view!.buffer, record.buffer)
    const opaque = Result.getOrThrow(Xdr.decode(Xdr.variableOpaque(1 << 20), record))
    assert.strictEqual(opaque.buffer, record.buffer)
  })
})
