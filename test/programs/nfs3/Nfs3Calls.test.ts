import { assert, describe, it } from "@effect/vitest"
import { arbitraryOf } from "effect-nfs/testing"
import * as Result from "effect/Result"
import type { Attributes } from "../../../src/filesystem/Attributes.ts"
import * as Nfs3Calls from "../../../src/programs/nfs3/Nfs3Calls.ts"
import {
  type Fattr3,
  fattr3,
  filename3,
  mode3,
  nfstime3,
  sattr3,
  wccData
} from "../../../src/programs/nfs3/Nfs3Types.ts"
import * as Xdr from "../../../src/xdr/Xdr.ts"
import { encode, testCodec } from "../codecs.ts"

describe("types", () => {
  testCodec("fattr3", fattr3)
  testCodec("sattr3", sattr3)
  testCodec("wcc_data", wccData)
  testCodec("nfstime3", nfstime3)
  testCodec("mode3", mode3)
})

for (const call of Object.values(Nfs3Calls)) {
  if (typeof call === "number") continue
  describe(call.name, () => {
    testCodec("arguments", call.args as Xdr.Codec<unknown>)
    testCodec("results", call.result as Xdr.Codec<unknown>)
  })
}

describe("fattr3", () => {
  const { shape } = fattr3
  if (shape._tag !== "Mapped") throw new Error("fattr3 is not described by its fields")
  const { from, to } = shape

  it.prop(
    "is written as its definition says",
    [arbitraryOf(from)],
    ([fields]) => {
      assert.deepStrictEqual(encode(fattr3, to(fields) as Fattr3), encode(from, fields))
    },
    { arbitrary: { runs: 500 } }
  )

  const time = (seconds: number, nanoseconds = 0) => ({ seconds, nanoseconds })
  const attributes: Attributes = {
    type: "directory",
    mode: 0o1755,
    nlink: 2,
    uid: 1000,
    gid: 100,
    size: 2 ** 40 + 5,
    used: 4096,
    rdev: { major: 8, minor: 1 },
    fileid: 0x1122334455667788n,
    atime: time(1, 2),
    mtime: time(3, 4),
    ctime: time(5, 6),
    change: 99n
  }
  const decoded = (attributes: Attributes) =>
    Result.getOrThrow(Xdr.decode(fattr3, encode(fattr3, { fsid: 7n, attributes }))).attributes

  it("has the bytes of RFC 1813", () => {
    const hex = [
      "00000002 000003ed 00000002 000003e8 00000064",
      "0000010000000005 0000000000001000 00000008 00000001",
      "0000000000000007 1122334455667788",
      "00000001 00000002 00000003 00000004 00000005 00000006"
    ]
    assert.strictEqual(encode(fattr3, { fsid: 7n, attributes }).toString("hex"), hex.join("").replaceAll(" ", ""))
  })

  it("carries times as near as it can", () => {
    const { atime, ctime, mtime } = decoded({
      ...attributes,
      atime: time(-5, 3),
      mtime: time(2 ** 33, 4),
      ctime: time(2 ** 32 - 1)
    })
    assert.deepStrictEqual([atime, mtime, ctime], [time(0, 3), time(2 ** 32 - 1, 4), time(2 ** 32 - 1)])
    const wcc = { before: { size: 1, mtime: time(-1), ctime: time(2 ** 40) }, after: undefined }
    const { before } = Result.getOrThrow(Xdr.decode(wccData, encode(wccData, wcc)))
    assert.deepStrictEqual(before, { size: 1, mtime: time(0), ctime: time(2 ** 32 - 1) })
  })

  it("carries permission bits only", () => {
    assert.strictEqual(decoded({ ...attributes, mode: 0o104755 }).mode, 0o4755)
    assert.strictEqual(Result.getOrThrow(Xdr.decode(mode3, encode(Xdr.uint32, 0o100644))), 0o644)
  })

  it("carries the largest sizes", () => {
    const { size, used } = decoded({ ...attributes, size: Number.MAX_SAFE_INTEGER, used: 2 ** 32 })
    assert.deepStrictEqual([size, used], [Number.MAX_SAFE_INTEGER, 2 ** 32])
  })
})

describe("sattr3", () => {
  it("takes an absent attribute for one that is not set", () => {
    assert.deepStrictEqual(encode(sattr3, {}), encode(sattr3, { mode: undefined, atime: undefined }))
    assert.strictEqual(encode(sattr3, {}).length, 24)
    assert.strictEqual(
      encode(sattr3, { mode: 0o644, mtime: "now", atime: { seconds: 1, nanoseconds: 2 } }).toString("hex"),
      "00000001000001a4" + "00000000".repeat(3) + "000000020000000100000002" + "00000001"
    )
  })
})

describe("names", () => {
  it("are decoded beyond 255 bytes, so that NAMETOOLONG can be answered", () => {
    const long = "x".repeat(4096)
    assert.strictEqual(Result.getOrThrow(Xdr.decode(filename3, encode(filename3, long))), long)
    assert.isTrue(Result.isFailure(Xdr.encode(filename3, `${long}x`)))
  })
})
