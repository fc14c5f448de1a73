import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { arbitraryOf, asDecoded, bytes } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import * as XdrError from "../../src/xdr/XdrError.ts"
import { property } from "../support/runs.ts"

const codecs: Readonly<Record<string, Xdr.Codec<any>>> = {
  callHeader: RpcMessage.callHeader,
  replyHeader: RpcMessage.replyHeader,
  replyBody: RpcMessage.replyBody,
  acceptedReply: RpcMessage.acceptedReply,
  rejectedReply: RpcMessage.rejectedReply,
  opaqueAuth: Auth.opaqueAuth,
  authSys: Auth.authSys,
  authStat: Auth.authStat
}

const natural = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })))
const options = property(100, 16)

const encode = <A>(codec: Xdr.Codec<A>, value: A): Buffer => Buffer.from(Result.getOrThrow(Xdr.encode(codec, value)))

for (const [name, codec] of Object.entries(codecs)) {
  describe(name, () => {
    const value = arbitraryOf(codec)

    it.prop(
      "is read as it was written",
      [value],
      ([value]) => {
        const decoded = Result.getOrThrow(Xdr.decode(codec, encode(codec, value)))
        assert.deepStrictEqual(asDecoded(codec, decoded), asDecoded(codec, value))
      },
      options
    )

    it.prop(
      "is an error when it is cut off",
      [value, natural],
      ([value, cut]) => {
        const encoded = encode(codec, value)
        assert.isTrue(Result.isFailure(Xdr.decode(codec, encoded.subarray(0, cut % encoded.length))))
      },
      options
    )

    it.prop(
      "is a value or an error, whatever the bytes",
      [bytes(), value, natural],
      ([garbage, value, at]) => {
        const damaged = encode(codec, value)
        damaged[at % damaged.length]! ^= 1 << (at & 7)
        for (const input of [garbage, damaged]) {
          const decoded = Xdr.decode(codec, input)
          if (Result.isFailure(decoded)) assert.isTrue(XdrError.is(decoded.failure))
          else assert.isTrue(encode(codec, decoded.success).equals(input))
        }
      },
      options
    )
  })
}

describe("the bytes are those of RFC 5531", () => {
  const hex = <A>(codec: Xdr.Codec<A>, value: A): string => encode(codec, value).toString("hex")
  const reply = (body: RpcMessage.ReplyBody) =>
    hex(RpcMessage.replyHeader, { xid: 0xabcd, type: RpcMessage.REPLY, body })
  const accepted = (reply_: RpcMessage.AcceptedReply) =>
    reply({ status: "MSG_ACCEPTED", verifier: Auth.none, reply: reply_ })
  const denied = (reply_: RpcMessage.RejectedReply) => reply({ status: "MSG_DENIED", reply: reply_ })

  it("of a call", () => {
    assert.strictEqual(
      hex(RpcMessage.callHeader, {
        xid: 1,
        type: RpcMessage.CALL,
        rpcVersion: 2,
        program: 100003,
        version: 3,
        procedure: 6
      }),
      "00000001" + "00000000" + "00000002" + "000186a3" + "00000003" + "00000006"
    )
  })

  it("of every reply", () => {
    const start = "0000abcd" + "00000001"
    const verifier = "00000000" + "00000000"
    assert.strictEqual(accepted({ stat: "SUCCESS" }), `${start}00000000${verifier}00000000`)
    assert.strictEqual(accepted({ stat: "PROG_UNAVAIL" }), `${start}00000000${verifier}00000001`)
    assert.strictEqual(
      accepted({ stat: "PROG_MISMATCH", low: 2, high: 4 }),
      `${start}00000000${verifier}000000020000000200000004`
    )
    assert.strictEqual(accepted({ stat: "PROC_UNAVAIL" }), `${start}00000000${verifier}00000003`)
    assert.strictEqual(accepted({ stat: "GARBAGE_ARGS" }), `${start}00000000${verifier}00000004`)
    assert.strictEqual(accepted({ stat: "SYSTEM_ERR" }), `${start}00000000${verifier}00000005`)
    assert.strictEqual(denied({ stat: "RPC_MISMATCH", low: 2, high: 2 }), `${start}00000001000000000000000200000002`)
    assert.strictEqual(denied({ stat: "AUTH_ERROR", why: "AUTH_TOOWEAK" }), `${start}000000010000000100000005`)
  })

  it("of credentials", () => {
    const sys = Auth.sys({ uid: 1000, gid: 100, gids: [4, 24], machineName: "host1" })
    assert.strictEqual(sys.flavor, 1)
    assert.strictEqual(
      Buffer.from(sys.body).toString("hex"),
      "00000000" + "00000005" + "686f737431000000" + "000003e8" + "00000064" + "00000002" + "00000004" + "00000018"
    )
    assert.deepStrictEqual(
      Auth.credentials(sys),
      Result.succeed({ _tag: "Sys", uid: 1000, gid: 100, gids: [4, 24], machineName: "host1" })
    )
  })
})

describe("credentials", () => {
  const refused = (flavor: number, body: string) => Auth.credentials({ flavor, body: Buffer.from(body, "hex") })
  const stamp = "00000000" + "00000000"
  const seventeen = "00000011" + "00000001".repeat(17)

  it("of other flavours are rejected", () => {
    for (const flavor of [2, 3, 6, 7, 0xffffffff])
      assert.deepStrictEqual(refused(flavor, ""), Result.fail("AUTH_REJECTEDCRED"))
  })

  it("that are garbled are bad", () => {
    assert.deepStrictEqual(refused(1, ""), Result.fail("AUTH_BADCRED"))
    assert.deepStrictEqual(refused(1, `${stamp}0000000000000000${seventeen}`), Result.fail("AUTH_BADCRED"))
    assert.deepStrictEqual(refused(1, `${stamp}00000000000000000000000000000000`), Result.fail("AUTH_BADCRED"))
  })
})
