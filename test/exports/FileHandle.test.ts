import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { bytes } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { FileHandles, lengthFor } from "../../src/exports/FileHandle.ts"
import { KEY_MAX } from "../../src/filesystem/Filesystem.ts"

const options = { arbitrary: { runs: 300, size: 64 } }
const uint32 = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })))
const secret = bytes(16, 16)
const key = bytes(KEY_MAX)

describe("FileHandles", () => {
  it("have a length that every client takes", () => {
    for (let length = 0; length <= KEY_MAX; length++) {
      assert.strictEqual(lengthFor(length) % 4, 0)
      assert.isAtMost(lengthFor(length), 64)
    }
    assert.strictEqual(lengthFor(16), 32)
  })

  it.prop(
    "say what was put into them",
    [secret, uint32, key],
    ([secret, id, key]) => {
      const handles = new FileHandles(secret)
      const handle = handles.encode(id, key)
      assert.strictEqual(handle.length, lengthFor(key.length))
      const content = handles.decode(handle)
      assert.isDefined(content)
      assert.strictEqual(content.exportId, id)
      assert.deepStrictEqual(Uint8Array.from(content.key), key)
    },
    options
  )

  it("are the same and good however many were made and looked at before", () => {
    const secret = new Uint8Array(16).fill(7)
    const handles = new FileHandles(secret)
    const keys = Array.from({ length: 30_000 }, (_, i) => {
      const key = Buffer.alloc(16)
      key.writeUInt32BE(i, 12)
      return key
    })
    const first = keys.map((key, i) => handles.encode(i & 3, key))
    // Checked by somebody who has made none of them, and who then meets forgeries of what it remembers.
    const other = new FileHandles(secret)
    for (const handle of first) assert.isDefined(other.decode(handle))
    for (const [i, key] of keys.entries()) {
      assert.deepStrictEqual(handles.encode(i & 3, key), first[i])
      for (const one of [handles, other]) {
        const content = one.decode(Uint8Array.from(first[i]!))
        assert.isDefined(content)
        assert.strictEqual(content.exportId, i & 3)
        assert.isTrue(key.equals(content.key))
        const forged = Uint8Array.from(first[i]!)
        forged[24 + (i & 7)]! ^= 1 << ((i >> 3) & 7)
        assert.isUndefined(one.decode(forged))
      }
      // The same file in another export is another file.
      assert.notDeepEqual(handles.encode((i & 3) + 1, key), first[i])
    }
  })

  it("say what was put into them, also when the key's memory has been used for another since", () => {
    const handles = new FileHandles(new Uint8Array(16))
    const key = new Uint8Array(16)
    const made = Array.from({ length: 10_000 }, (_, i) => {
      key[14] = i >> 8
      key[15] = i
      return handles.encode(1, key)
    })
    for (const [i, handle] of made.entries()) {
      const content = handles.decode(handle)
      assert.isDefined(content)
      assert.deepStrictEqual([content.key[14], content.key[15]], [i >> 8, i & 255])
    }
  })

  it.prop(
    "are not accepted with any bit changed, any length changed, or by another server",
    [secret, uint32, key, uint32],
    ([secret, id, key, random]) => {
      const handles = new FileHandles(secret)
      const handle = handles.encode(id, key)
      for (let bit = 0; bit < handle.length * 8; bit++) {
        const forged = Uint8Array.from(handle)
        forged[bit >> 3]! ^= 1 << (bit & 7)
        assert.isUndefined(handles.decode(forged))
      }
      for (let length = 0; length < handle.length; length++) {
        assert.isUndefined(handles.decode(handle.subarray(0, length)))
      }
      assert.isUndefined(handles.decode(Buffer.concat([handle, Buffer.alloc(4)])))
      const other = Uint8Array.from(secret)
      other[random & 15]! ^= 1
      assert.isUndefined(new FileHandles(other).decode(handle))
    },
    { arbitrary: { runs: 50, size: 64 } }
  )

  it.prop(
    "are not made of arbitrary bytes",
    [bytes(80)],
    ([bytes]) => assert.isUndefined(new FileHandles(new Uint8Array(16)).decode(bytes)),
    options
  )
})
