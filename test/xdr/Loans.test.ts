import { assert, it } from "@effect/vitest"
import { giveBack, isLent, lend } from "../../src/xdr/Loans.ts"

const KIB = 1024
const MIB = 1024 * KIB

it("memory that was given back is lent again, to one at a time", () => {
  const first = lend(60 * KIB)
  assert.strictEqual(first.length, 60 * KIB)
  giveBack([first])
  const second = lend(50 * KIB)
  assert.strictEqual(second.buffer, first.buffer)
  assert.strictEqual(second.length, 50 * KIB)
  assert.notStrictEqual(lend(50 * KIB).buffer, first.buffer)
})

it("what is given back twice, or in parts, is lent once", () => {
  const memory = lend(128 * KIB)
  giveBack([memory.subarray(0, 10), memory.subarray(10)])
  giveBack([memory])
  assert.strictEqual(lend(128 * KIB).buffer, memory.buffer)
  assert.notStrictEqual(lend(128 * KIB).buffer, memory.buffer)
})

it("only what was lent is taken", () => {
  const other = Buffer.alloc(64 * KIB)
  assert.isFalse(isLent(other))
  giveBack([other, Buffer.alloc(0), new Uint8Array(3)])
  assert.notStrictEqual(lend(64 * KIB).buffer, other.buffer)
})

it.each([0, 1, 100, 2 * KIB - 1, 2 * KIB, 3 * KIB, 3 * KIB + 1, 65 * KIB, MIB, MIB + KIB, MIB + KIB + 1, 16 * MIB])(
  "%i bytes can be had",
  (length) => {
    const memory = lend(length)
    assert.strictEqual(memory.length, length)
    assert.strictEqual(isLent(memory), length >= 2 * KIB && length <= MIB + KIB)
    assert.isBelow(memory.buffer.byteLength, Math.max(2 * length, 10))
    giveBack([memory])
    assert.strictEqual(lend(length).length, length)
  }
)

it("a power of two and the little that a record has around it take the same memory", () => {
  const memory = lend(64 * KIB)
  giveBack([memory])
  assert.strictEqual(lend(64 * KIB + 300).buffer, memory.buffer)
})

it("16 MiB are kept at most, of what was last asked for", () => {
  const lent = (length: number) => Array.from({ length: 17 * (MIB / length) }, () => lend(length))
  const keptOf = (length: number): number => {
    const all = lent(length)
    giveBack(all)
    const before = new Set(all.map(({ buffer }) => buffer))
    const again = lent(length)
    giveBack(again)
    return again.filter(({ buffer }) => before.has(buffer)).reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
  }
  for (const length of [MIB, 64 * KIB, MIB]) {
    const kept = keptOf(length)
    assert.isAtMost(kept, 16 * MIB)
    assert.isAbove(kept, 14 * MIB)
  }
})
