import { assert, it } from "@effect/vitest"
import { Loans } from "../../src/xdr/Loans.ts"

const KIB = 1024
const MIB = 1024 * KIB

const loans = new Loans()

it("memory that was given back is lent again, to one at a time", () => {
  const first = loans.lend(60 * KIB)
  assert.strictEqual(first.length, 60 * KIB)
  loans.giveBack([first])
  const second = loans.lend(50 * KIB)
  assert.strictEqual(second.buffer, first.buffer)
  assert.strictEqual(second.length, 50 * KIB)
  assert.notStrictEqual(loans.lend(50 * KIB).buffer, first.buffer)
})

it("what is given back twice, or in parts, is lent once", () => {
  const memory = loans.lend(128 * KIB)
  loans.giveBack([memory.subarray(0, 10), memory.subarray(10)])
  loans.giveBack([memory])
  assert.strictEqual(loans.lend(128 * KIB).buffer, memory.buffer)
  assert.notStrictEqual(loans.lend(128 * KIB).buffer, memory.buffer)
})

it("what another has lent is not taken", () => {
  const others = new Loans()
  const memory = others.lend(64 * KIB)
  assert.isTrue(others.has(memory))
  assert.isFalse(loans.has(memory))
  loans.giveBack([memory])
  assert.notStrictEqual(loans.lend(64 * KIB).buffer, memory.buffer)
  others.giveBack([memory])
  assert.strictEqual(others.lend(64 * KIB).buffer, memory.buffer)
})

it("only what was lent is taken", () => {
  const other = Buffer.alloc(64 * KIB)
  assert.isFalse(loans.has(other))
  loans.giveBack([other, Buffer.alloc(0), new Uint8Array(3)])
  assert.notStrictEqual(loans.lend(64 * KIB).buffer, other.buffer)
})

it.each([0, 1, 100, 2 * KIB - 1, 2 * KIB, 3 * KIB, 3 * KIB + 1, 65 * KIB, MIB, MIB + KIB, MIB + KIB + 1, 16 * MIB])(
  "%i bytes can be had",
  (length) => {
    const memory = loans.lend(length)
    assert.strictEqual(memory.length, length)
    assert.strictEqual(loans.has(memory), length >= 2 * KIB && length <= MIB + KIB)
    assert.isBelow(memory.buffer.byteLength, Math.max(2 * length, 10))
    loans.giveBack([memory])
    assert.strictEqual(loans.lend(length).length, length)
  }
)

it("a power of two and the little that a record has around it take the same memory", () => {
  const memory = loans.lend(64 * KIB)
  loans.giveBack([memory])
  assert.strictEqual(loans.lend(64 * KIB + 300).buffer, memory.buffer)
})

it("16 MiB are kept at most, of what was last asked for", () => {
  const lent = (length: number) => Array.from({ length: 17 * (MIB / length) }, () => loans.lend(length))
  const keptOf = (length: number): number => {
    const all = lent(length)
    loans.giveBack(all)
    const before = new Set(all.map(({ buffer }) => buffer))
    const again = lent(length)
    loans.giveBack(again)
    return again.filter(({ buffer }) => before.has(buffer)).reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
  }
  for (const length of [MIB, 64 * KIB, MIB]) {
    const kept = keptOf(length)
    assert.isAtMost(kept, 16 * MIB)
    assert.isAbove(kept, 14 * MIB)
  }
})
