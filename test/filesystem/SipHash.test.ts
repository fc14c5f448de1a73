import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { SipHash } from "../../src/filesystem/SipHash.ts"

describe("SipHash", () => {
  // Of the reference implementation: messages 00, 00 01, 00 01 02, ... under the key 00 01 ... 0f.
  const vectors: { readonly [length: number]: string } = {
    0: "726fdb47dd0e0e31",
    1: "74f839c593dc67fd",
    2: "0d6c8009d9a94f5a",
    7: "ab0200f58b01d137",
    8: "93f5f5799a932462",
    9: "9e0082df0ba9e4b0",
    15: "a129ca6149be45e5",
    16: "3f2acc7f57c29bdb",
    63: "958a324ceb064572"
  }

  it("gives what the reference implementation gives", () => {
    const sipHash = new SipHash(Uint8Array.from({ length: 16 }, (_, i) => i))
    for (const [length, hash] of Object.entries(vectors)) {
      // Wherever in the bytes the message stands.
      for (const start of [0, 3]) {
        sipHash.update(
          Uint8Array.from({ length: 70 }, (_, i) => i - start),
          start,
          start + Number(length)
        )
        const given = Buffer.alloc(8)
        given.writeInt32BE(sipHash.high, 0)
        given.writeInt32BE(sipHash.low, 4)
        assert.strictEqual(given.toString("hex"), hash, `length ${length}, start ${start}`)
      }
    }
  })
})
