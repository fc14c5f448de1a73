import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { bytes, text } from "effect-nfs/testing"
import * as Bytestring from "../../src/xdr/Bytestring.ts"

const options = { arbitrary: { runs: 1000, size: 60 } }

const roundTrip = (bytes: Uint8Array): void => {
  const buffer = Buffer.from(bytes)
  const decoded = Bytestring.decode(buffer)
  assert.strictEqual(Bytestring.encode(decoded).toString("hex"), buffer.toString("hex"))
  assert.strictEqual(Bytestring.byteLength(decoded), buffer.length)
}

describe("Bytestring", () => {
  it.prop("any bytes come back", [bytes()], ([bytes]) => roundTrip(bytes), options)

  it.prop(
    "bytes of text that was cut come back",
    [text()],
    ([text]) => {
      const encoded = Bytestring.encode(text)
      for (let cut = 0; cut <= encoded.length; cut++) roundTrip(encoded.subarray(cut))
    },
    { arbitrary: { runs: 200, size: 30 } }
  )

  it.prop(
    "text comes back",
    [text()],
    ([text]) => {
      const encoded = Bytestring.encode(text)
      assert.strictEqual(Bytestring.decode(encoded), text)
      assert.strictEqual(Bytestring.byteLength(text), encoded.length)
    },
    options
  )

  it.prop(
    "different bytes are different strings",
    [bytes(), bytes()],
    ([a, b]) => {
      const same = Bytestring.decode(Buffer.from(a)) === Bytestring.decode(Buffer.from(b))
      assert.strictEqual(same, Buffer.from(a).equals(b))
    },
    options
  )

  it.prop(
    "a part of a buffer is decoded as if it were alone",
    [bytes(), bytes(), bytes()],
    ([before, part, after]) => {
      const whole = Buffer.concat([before, part, after])
      const decoded = Bytestring.decode(whole, before.length, before.length + part.length)
      assert.strictEqual(decoded, Bytestring.decode(Buffer.from(part)))
    },
    options
  )

  it("every sequence of up to two bytes comes back, as a string of its own", () => {
    const seen = new Set<string>([""])
    for (let first = 0; first < 256; first++) {
      seen.add(Bytestring.decode(Buffer.of(first)))
      for (let second = 0; second < 256; second++) {
        const bytes = Buffer.of(first, second)
        const text = Bytestring.decode(bytes)
        if (!Bytestring.encode(text).equals(bytes)) assert.fail(bytes.toString("hex"))
        seen.add(text)
      }
    }
    assert.strictEqual(seen.size, 1 + 256 + 65_536)
  })

  it("valid UTF-8 is ordinary text", () => {
    for (const text of [
      "",
      "plain",
      "grüße",
      "日本",
      "\u{1f600}",
      "\ufffd",
      "\u0000",
      "\ud7ff\ue000\uffff\u{10ffff}"
    ]) {
      assert.strictEqual(Bytestring.decode(Buffer.from(text)), text)
      assert.strictEqual(Bytestring.encode(text).toString(), text)
    }
  })

  it("each byte that is not UTF-8 is a lone surrogate, and only those", () => {
    const cases: ReadonlyArray<readonly [hex: string, text: string]> = [
      ["80", "\udc80"],
      ["ff", "\udcff"],
      ["61ff62", "a\udcffb"],
      ["c0af", "\udcc0\udcaf"], // overlong
      ["e08080", "\udce0\udc80\udc80"], // overlong
      ["eda080", "\udced\udca0\udc80"], // a surrogate
      ["edb280", "\udced\udcb2\udc80"], // the surrogate that stands for 80
      ["f08f8080", "\udcf0\udc8f\udc80\udc80"], // overlong
      ["f4908080", "\udcf4\udc90\udc80\udc80"], // beyond Unicode
      ["e282", "\udce2\udc82"], // cut off
      ["e28261", "\udce2\udc82a"],
      ["f09f98", "\udcf0\udc9f\udc98"],
      ["efbfbdff", "\ufffd\udcff"] // a replacement character that is there
    ]
    for (const [hex, text] of cases) assert.strictEqual(Bytestring.decode(Buffer.from(hex, "hex")), text, hex)
  })
})
