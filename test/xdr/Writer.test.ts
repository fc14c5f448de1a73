import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Bytestring from "../../src/xdr/Bytestring.ts"
import { Reader } from "../../src/xdr/Reader.ts"
import { type Reserved, Writer } from "../../src/xdr/Writer.ts"

/** One thing to do with a writer; `n` says how much of it. */
const command = Arbitrary.schema(
  Schema.Struct({
    what: Schema.Literals([
      "uint32",
      "uint64",
      "append",
      "zeros",
      "claim",
      "bytes",
      "text",
      "strange",
      "chunks",
      "reserve",
      "truncate",
      "take"
    ]),
    n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6000 }))
  })
)

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])

const word = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}

const filled = (n: number): Buffer => Buffer.alloc(n, n)

describe("Writer", () => {
  it.prop(
    "writes what a plain buffer would hold",
    [Arbitrary.array(command)],
    ([commands]) => {
      const writer = new Writer(128)
      /** What was not taken yet, and what was: the chunks, and a copy of what they must hold for ever. */
      let expected: Array<Buffer> = []
      const taken: Array<readonly [chunks: ReadonlyArray<Uint8Array>, copy: Buffer]> = []
      let reserved: Array<{ readonly place: Reserved; readonly index: number }> = []
      const settle = (value: number): void => {
        for (const { index, place } of reserved) {
          place.set(value)
          expected[index] = word(value)
        }
        reserved = []
      }
      for (const { n, what } of commands) {
        switch (what) {
          case "uint32":
            writer.uint32(n)
            expected.push(word(n))
            break
          case "uint64":
            writer.uint64(BigInt(n) << 32n)
            expected.push(word(n), word(0))
            break
          case "append":
            writer.append(filled(n))
            expected.push(filled(n))
            break
          case "zeros":
            writer.zeros(n)
            expected.push(Buffer.alloc(n))
            break
          case "claim": {
            const at = writer.claim(8)
            writer.target.setUint32(at, n)
            writer.target.setUint32(at + 4, ~n)
            expected.push(word(n), word(~n >>> 0))
            break
          }
          case "bytes":
            writer.bytes(filled(n))
            expected.push(padded(filled(n)))
            break
          case "text":
          case "strange": {
            const text = (what === "text" ? "aä" : "\udcffa").repeat(n / 4)
            writer.text(text)
            expected.push(word(Bytestring.byteLength(text)), padded(Bytestring.encode(text)))
            break
          }
          case "chunks":
            writer.chunks([filled(n), filled(n % 100), filled(n * 2)])
            expected.push(padded(Buffer.concat([filled(n), filled(n % 100), filled(n * 2)])))
            break
          case "reserve":
            reserved.push({ place: writer.reserveUint32(), index: expected.length })
            expected.push(word(0))
            break
          case "truncate": {
            settle(n)
            const whole = Buffer.concat(expected)
            const length = n % (whole.length + 1)
            writer.truncate(length)
            expected = [whole.subarray(0, length)]
            break
          }
          case "take": {
            settle(n)
            taken.push([writer.take(), Buffer.concat(expected)])
            expected = []
            assert.strictEqual(writer.length, 0)
          }
        }
        assert.strictEqual(writer.length, Buffer.concat(expected).length)
      }
      settle(1)
      taken.push([writer.take(), Buffer.concat(expected)])
      for (const [chunks, copy] of taken) assert.isTrue(Buffer.concat(chunks).equals(copy))
    },
    { arbitrary: { runs: 300, size: 40 } }
  )

  it("writes short names, whether or not they are ASCII alone", () => {
    for (let length = 0; length <= 70; length++) {
      for (const end of ["", "ä", "\udcff", "\u{1f4be}"]) {
        const name = "n".repeat(length) + end
        const writer = new Writer(16)
        writer.text(name)
        writer.zeros(length)
        const bytes = Bytestring.encode(name)
        assert.strictEqual(Bytestring.byteLength(name), bytes.length)
        const expected = Buffer.concat([word(bytes.length), padded(bytes), Buffer.alloc(length)])
        assert.isTrue(Buffer.concat(writer.take()).equals(expected), name)
      }
    }
  })

  it("links long data as it lies, and copies short data", () => {
    const writer = new Writer()
    const long = filled(5000)
    const short = filled(100)
    writer.bytes(short)
    writer.chunks([long, short])
    const chunks = writer.take()
    assert.include(chunks, long)
    assert.notInclude(chunks, short)
    short.fill(0)
    assert.isTrue(Buffer.concat(chunks).equals(Buffer.concat([filled(100), long, filled(100)])))
  })
})

describe("Reader", () => {
  const cuts = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))))

  it.prop(
    "knows what is left, however it lies",
    [cuts],
    ([cuts]) => {
      const whole = Buffer.from(Array.from({ length: 100 }, (_, i) => i))
      const places = [0, ...cuts.toSorted((a, b) => a - b), 100]
      const reader = new Reader(places.slice(1).map((end, i) => whole.subarray(places[i], end)))
      for (let at = 0; at < 100; at += 4) {
        assert.strictEqual(reader.remaining, 100 - at)
        assert.isTrue(Buffer.concat(reader.rest()).equals(whole.subarray(at)))
        assert.strictEqual(reader.uint32(), whole.readUInt32BE(at))
      }
      assert.strictEqual(reader.remaining, 0)
      assert.isEmpty(reader.rest())
      assert.throws(() => reader.uint32())
    },
    { arbitrary: { runs: 200, size: 20 } }
  )

  it.prop(
    "reads a number across any cut",
    [cuts],
    ([cuts]) => {
      const whole = Buffer.from(
        "00000000000000070000000000000001001fffffffffffff8000000000000000ffffffffffffffff",
        "hex"
      )
      const places = [0, ...cuts.filter((cut) => cut < 40).toSorted((a, b) => a - b), 40]
      const reader = () => new Reader(places.slice(1).map((end, i) => whole.subarray(places[i], end)))
      const most = Number.MAX_SAFE_INTEGER
      const [exact, saturating] = [reader(), reader()]
      for (const [bigint, number] of [
        [7n, 7],
        [1n, 1],
        [BigInt(most), most],
        [2n ** 63n, most],
        [2n ** 64n - 1n, most]
      ] as const) {
        assert.strictEqual(exact.uint64(), bigint)
        assert.strictEqual(saturating.uint53(), number)
      }
    },
    { arbitrary: { runs: 200, size: 20 } }
  )
})
