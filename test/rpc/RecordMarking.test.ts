import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { RecordDecoder, writeRecord } from "../../src/rpc/RecordMarking.ts"
import { Loans } from "../../src/xdr/Loans.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import { bufferBytes } from "../support/memory.ts"
import { property } from "../support/runs.ts"

const LIMIT = 1024 * 1024

const mark = (length: number, last: boolean): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(((last ? 0x80000000 : 0) | length) >>> 0)
  return bytes
}

/** Bytes that are nowhere the same as a little further on. */
const content = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 7 + (i >> 8)) & 0xff
  return bytes
}

/** A record as fragments of these lengths; the last one takes what is left. */
const fragmented = (record: Buffer, lengths: ReadonlyArray<number>): Buffer => {
  const parts: Array<Buffer> = []
  let at = 0
  for (const length of lengths) {
    const end = Math.min(record.length, at + length)
    parts.push(mark(end - at, false), record.subarray(at, end))
    at = end
  }
  parts.push(mark(record.length - at, true), record.subarray(at))
  return Buffer.concat(parts)
}

/** `stream` in chunks of these lengths, again and again; each in memory of its own. */
const chunked = (stream: Buffer, lengths: ReadonlyArray<number>): Array<Buffer> => {
  const chunks: Array<Buffer> = []
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = Math.max(1, lengths[i % lengths.length]!)
    chunks.push(Buffer.from(new Uint8Array(stream.subarray(at, at + length)).buffer))
    at += length
  }
  return chunks
}

const loans = new Loans()

const collector = (limit = LIMIT) => {
  const records: Array<ReadonlyArray<Uint8Array>> = []
  const decoder = new RecordDecoder(limit, (record) => records.push(record), loans)
  return { decoder, records }
}

/** Bytes of the memory that a record's pieces keep alive. */
const kept = (record: ReadonlyArray<Uint8Array>): number =>
  [...new Set(record.map((piece) => piece.buffer))].reduce((sum, buffer) => sum + buffer.byteLength, 0)

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const tiny = between(0, 12)
/** Mostly tiny, sometimes above the length from which pieces are kept as views. */
const length = Schema.Union([tiny, tiny, tiny, tiny, tiny, between(0, 12_000)])

const stream = Arbitrary.all({
  records: Arbitrary.array(
    Arbitrary.all({
      length: Arbitrary.schema(length),
      fragments: Arbitrary.array(Arbitrary.schema(length), { maxLength: 6 })
    }),
    { maxLength: 6 }
  ),
  chunks: Arbitrary.array(Arbitrary.schema(Schema.Union([between(1, 9), between(1, 9), between(1, 20_000)])), {
    minLength: 1,
    maxLength: 6
  })
})

describe("RecordDecoder", () => {
  it.prop(
    "gives the same records for any split into fragments and chunks",
    [stream],
    ([{ chunks, records }]) => {
      const sent = records.map(({ length }, i) => content(length, i))
      const parts = sent.map((record, i) => fragmented(record, records[i]!.fragments))
      const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, part) => sum + part.length, 0))
      const { decoder, records: received } = collector()
      let pushed = 0
      for (const chunk of chunked(Buffer.concat(parts), chunks)) {
        assert.isUndefined(decoder.push(chunk))
        pushed += chunk.length
        assert.strictEqual(received.length, ends.filter((end) => end <= pushed).length, "a record came late or early")
      }
      // Looked at in the end: nothing that was given is changed by what comes later.
      assert.isTrue(received.every((record, i) => Buffer.concat(record).equals(sent[i]!)))
    },
    property(300, 20)
  )

  it("keeps nothing of a chunk, whose memory is for the next one", () => {
    const { decoder, records } = collector()
    const sent = [3, 0, 5, 1000, 2048, 50_000, 7, 300_000, 12].map((length, i) => content(length, i))
    const stream = Buffer.concat(sent.map((record) => fragmented(record, [])))
    const chunk = Buffer.alloc(65_536)
    for (let at = 0; at < stream.length; at += chunk.length) {
      decoder.push(chunk.subarray(0, stream.copy(chunk, 0, at)))
      chunk.fill(0xee)
    }
    assert.deepStrictEqual(
      records.map((record) => Buffer.concat(record)),
      sent
    )
  })

  it("gives large data in memory of their own, which is lent", () => {
    const { decoder, records } = collector()
    const chunk = Buffer.concat([10, 60_000, 20, 70_000].map((length, i) => fragmented(content(length, i), [])))
    decoder.push(chunk)
    assert.deepStrictEqual(
      records.map((record) => record.map((piece) => loans.has(piece))),
      [[false], [true], [false], [true]]
    )
    assert.strictEqual(records[0]![0]!.buffer, records[2]![0]!.buffer)
    assert.notStrictEqual(records[1]![0]!.buffer, records[3]![0]!.buffer)
  })

  it("gives an empty record", () => {
    const { decoder, records } = collector()
    decoder.push(Buffer.concat([mark(0, true), mark(0, false), mark(0, false), mark(0, true)]))
    assert.deepStrictEqual(records, [[], []])
  })

  describe("the limit", () => {
    it("allows what is just as long", () => {
      const { decoder, records } = collector(100)
      assert.isUndefined(decoder.push(fragmented(content(100, 1), [])))
      assert.isUndefined(decoder.push(fragmented(content(100, 2), [50, 0, 49])))
      assert.deepStrictEqual(
        records.map((record) => Buffer.concat(record)),
        [content(100, 1), content(100, 2)]
      )
    })

    it("is told at once, by the mark alone", () => {
      for (const length of [101, 0x7fffffff]) {
        for (const last of [true, false]) {
          const { decoder, records } = collector(100)
          const [first, ...rest] = chunked(mark(length, last), [3])
          assert.isUndefined(decoder.push(first!))
          assert.strictEqual(decoder.push(rest[0]!), length)
          assert.strictEqual(records.length, 0)
        }
      }
    })

    it("counts all fragments of a record, and each record on its own", () => {
      const { decoder, records } = collector(100)
      assert.isUndefined(decoder.push(Buffer.concat([mark(60, false), content(60, 1), mark(40, true), content(40, 1)])))
      assert.isUndefined(decoder.push(Buffer.concat([mark(60, false), content(60, 1)])))
      assert.strictEqual(decoder.push(mark(41, false)), 101)
      assert.strictEqual(records.length, 1)
    })

    it("leaves the records before it", () => {
      const { decoder, records } = collector(100)
      assert.strictEqual(decoder.push(Buffer.concat([mark(2, true), content(2, 1), mark(200, true)])), 200)
      assert.strictEqual(records.length, 1)
    })
  })

  it("says how long the record will be that has begun, and whether one has", () => {
    const { decoder } = collector()
    const seen = (...chunks: ReadonlyArray<Buffer>) => {
      decoder.push(Buffer.concat(chunks))
      return [decoder.begun, decoder.expected(100), decoder.completed, decoder.received]
    }
    assert.deepStrictEqual([decoder.begun, decoder.expected(100)], [false, 0])
    assert.deepStrictEqual(seen(Buffer.from([0x80])), [true, 0, 0, 0])
    assert.deepStrictEqual(seen(Buffer.from([0, 0, 101])), [true, 101, 0, 0])
    assert.deepStrictEqual(seen(content(100, 1)), [true, 101, 0, 100])
    assert.deepStrictEqual(seen(content(1, 1)), [false, 0, 1, 101])
    // What is short is not asked for.
    assert.deepStrictEqual(seen(mark(100, true)), [true, 0, 1, 101])
    // A fragment that is not the last one says nothing, but that there is more.
    assert.deepStrictEqual(seen(content(100, 1), mark(100, false), content(100, 1)), [true, 0, 2, 301])
    assert.deepStrictEqual(seen(mark(1, false)), [true, LIMIT, 2, 301])
    assert.deepStrictEqual(seen(content(1, 1), mark(0, false)), [true, LIMIT, 2, 302])
    assert.deepStrictEqual(seen(mark(7, true)), [true, 108, 2, 302])
    assert.deepStrictEqual(seen(content(7, 1), mark(0, false)), [true, 0, 3, 309])
    assert.deepStrictEqual(seen(mark(0, true)), [false, 0, 4, 309])
  })

  describe("memory and time", () => {
    it("takes no memory for what has not arrived", () => {
      const decoders = Array.from({ length: 200 }, () => collector().decoder)
      const before = bufferBytes()
      for (const decoder of decoders) decoder.push(Buffer.concat([mark(LIMIT, true), content(10, 1)]))
      assert.isBelow(bufferBytes() - before, decoders.length * 16_384)
    })

    it("takes a record byte by byte in linear time and with little more memory than its length", () => {
      const { decoder, records } = collector()
      const record = content(LIMIT, 1)
      const bytes = fragmented(record, [])
      const started = performance.now()
      for (let at = 0; at < bytes.length; at++) decoder.push(bytes.subarray(at, at + 1))
      // Quadratic copying would take minutes.
      assert.isBelow(performance.now() - started, 5_000)
      assert.isTrue(Buffer.concat(records[0]!).equals(record))
      assert.isBelow(records[0]!.length, 10)
      assert.isBelow(kept(records[0]!), 2.1 * LIMIT)
    })

    it("takes a record of one-byte fragments likewise", () => {
      const { decoder, records } = collector()
      const record = content(LIMIT / 8, 1)
      const bytes = fragmented(
        record,
        Array.from({ length: record.length - 1 }, () => 1)
      )
      const started = performance.now()
      for (const chunk of chunked(bytes, [65_536])) decoder.push(chunk)
      assert.isBelow(performance.now() - started, 5_000)
      assert.isTrue(Buffer.concat(records[0]!).equals(record))
      assert.isBelow(kept(records[0]!), 2.1 * record.length)
    })

    it("is not made to keep chunks of which little is data", () => {
      const { decoder, records } = collector()
      // Chunks of 64 KiB, each with 4 KiB of the record and besides only empty fragments.
      const filling = Buffer.concat(Array.from({ length: 15_359 }, () => mark(0, false)))
      const pieces = Array.from({ length: 50 }, (_, i) => content(4096, i))
      for (const piece of pieces) {
        const chunk = new Uint8Array(65_536)
        chunk.set(mark(4096, false))
        chunk.set(piece, 4)
        chunk.set(filling, 4100)
        decoder.push(Buffer.from(chunk.buffer))
      }
      decoder.push(mark(0, true))
      assert.isTrue(Buffer.concat(records[0]!).equals(Buffer.concat(pieces)))
      assert.isBelow(kept(records[0]!), 2.1 * 50 * 4096)
    })
  })
})

describe("writeRecord", () => {
  it("writes what a RecordDecoder reads", () => {
    const writer = new Writer(64)
    const bodies = [content(0, 0), content(3, 1), content(5_000, 2), content(60, 3)]
    for (const body of bodies) writeRecord(writer, (writer) => writer.append(body))
    const { decoder, records } = collector()
    decoder.push(Buffer.concat(writer.take()))
    assert.deepStrictEqual(
      records.map((record) => Buffer.concat(record)),
      bodies
    )
  })
})
