/** What every codec of a protocol has to stand. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { arbitraryOf, asDecoded, bytes } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Xdr from "../../src/xdr/Xdr.ts"
import * as XdrError from "../../src/xdr/XdrError.ts"

export const encode = <A>(codec: Xdr.Codec<A>, value: A): Buffer =>
  Buffer.from(Result.getOrThrow(Xdr.encode(codec, value)))

const natural = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })))
const options = { arbitrary: { runs: 100, size: 12 } }

/** Round trips, truncated and damaged bytes. */
export const testCodec = <A>(name: string, codec: Xdr.Codec<A>) =>
  describe(name, () => {
    const value = arbitraryOf(codec)

    it.prop(
      "what is written is read",
      [value],
      ([value]) => {
        const encoded = encode(codec, value)
        const decoded = Result.getOrThrow(Xdr.decode(codec, encoded))
        assert.deepStrictEqual(asDecoded(codec, decoded), asDecoded(codec, value))
        assert.deepStrictEqual(encode(codec, decoded), encoded)
      },
      options
    )

    it.prop(
      "truncated bytes are an error",
      [value, natural],
      ([value, cut]) => {
        const encoded = encode(codec, value)
        if (encoded.length === 0) return
        assert.isTrue(Result.isFailure(Xdr.decode(codec, encoded.subarray(0, cut % encoded.length))))
      },
      options
    )

    it.prop(
      "damaged bytes are a value or an error",
      [value, natural],
      ([value, bit]) => {
        const damaged = encode(codec, value)
        if (damaged.length > 0) damaged[(bit >>> 3) % damaged.length]! ^= 1 << (bit & 7)
        assertAnswers(codec, damaged)
      },
      options
    )

    it.prop("garbage is a value or an error", [bytes(200)], ([bytes]) => assertAnswers(codec, bytes), options)
  })

const assertAnswers = <A>(codec: Xdr.Codec<A>, bytes: Uint8Array): void => {
  const decoded = Xdr.decode(codec, bytes)
  if (Result.isFailure(decoded)) assert.isTrue(XdrError.is(decoded.failure))
  else encode(codec, decoded.success)
}
