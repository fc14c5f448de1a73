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
  const memory = lend(122 * KIB)
  giveBack([memory.subarray(0, 10), memory.subarray(10)])
  giveBack([memory])
  assert.strictEqual(lend(122 * KIB).buffer, memory.buffer)
  assert.notStrictEqual(lend(122 * KIB).buffer, memory.buffer)
})

it("only what was lent is taken", () => {
  const other = Buffer.alloc(64 * KIB)
  assert.isFalse(isLent(other))
  giveBack([other, Buffer.alloc(0), new Uint8Array(3)])
  assert.notStrictEqual(lend(64 * KIB).buffer, other.buffer)
})

it.each([0, 1, 100, 2 * KIB - 1, 2 * KIB, 2 * KIB + 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 16 * MIB])(
  "%i bytes can be had",
  (length) => {
    const memory = lend(length)
    assert.strictEqual(memory.length, length)
    assert.strictEqual(isLent(memory), length >= 2 * KIB && length <= 2 * MIB)
    giveBack([memory])
    assert.strictEqual(lend(length).length, length)
  }
)

it("16 MiB are kept at most", () => {
  const all = Array.from({ length: 20 }, () => lend(2 * MIB))
  giveBack(all)
  const again = Array.from({ length: 20 }, () => lend(2 * MIB))
  assert.isAtMost(again.filter(({ buffer }) => all.some((one) => one.buffer === buffer)).length, 8)
})
