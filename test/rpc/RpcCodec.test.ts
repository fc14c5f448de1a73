import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import { arbitraryOf, asDecoded, bytes } from "effect-nfs/testing"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Auth from "../../src/rpc/Auth.ts"
import { type CallDecoder, RpcCodec } from "../../src/rpc/RpcCodec.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { property } from "../support/runs.ts"

const codec = Effect.runSync(Effect.provide(RpcCodec, RpcCodec.layer()))

const natural = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })))

const encode = <A>(codec: Xdr.Codec<A>, value: A): Buffer => Buffer.from(Result.getOrThrow(Xdr.encode(codec, value)))

const header = { xid: 7, type: RpcMessage.CALL, rpcVersion: 2, program: 1, version: 1, procedure: 1 }

const call = (options: Partial<RpcMessage.CallHeader> & { auth?: Auth.OpaqueAuth; args?: Uint8Array } = {}): Buffer => {
  const { args = Buffer.alloc(0), auth = Auth.none, ...rest } = options
  return Buffer.concat([
    encode(RpcMessage.callHeader, { ...header, ...rest }),
    encode(Auth.opaqueAuth, auth),
    encode(Auth.opaqueAuth, Auth.none),
    args
  ])
}

/** What a server answers to a record, as a client reads it. */
const refusal = (decoder: CallDecoder, record: Uint8Array) => {
  const incoming = decoder.decode([record])
  if (incoming._tag !== "Refused") return incoming._tag
  const writer = new Writer()
  codec.writeRejected(writer, incoming.xid, incoming.reply)
  const reply = Result.getOrThrow(Xdr.decode(RpcMessage.replyHeader, writer.take()))
  assert.deepStrictEqual([reply.xid, reply.type], [7, RpcMessage.REPLY])
  return reply.body
}

describe("CallDecoder", () => {
  it.prop(
    "reads every call, in any pieces",
    [arbitraryOf(RpcMessage.callHeader), arbitraryOf(Auth.authSys), bytes(), natural],
    ([header, parms, args, cut]) => {
      const auth = { flavor: Auth.AUTH_SYS, body: encode(Auth.authSys, parms) }
      const record = call({ ...header, type: RpcMessage.CALL, rpcVersion: 2, auth, args })
      const at = cut % (record.length + 1)
      const incoming = codec.makeDecoder().decode([record.subarray(0, at), record.subarray(at)])
      if (incoming._tag !== "Call") return assert.fail(incoming._tag)
      assert.deepStrictEqual(incoming.header, { ...header, type: RpcMessage.CALL, rpcVersion: 2 })
      const { gid, gids, machineName, uid } = parms
      assert.deepStrictEqual(incoming.credentials, { _tag: "Sys", uid, gid, gids, machineName })
      assert.isTrue(Buffer.concat(incoming.args.rest()).equals(args))
    },
    property(200, 16)
  )

  it.prop(
    "answers any bytes with a call, a refusal or a shrug",
    [bytes(), natural, natural],
    ([garbage, at, cut]) => {
      const damaged = call({ auth: Auth.sys({ uid: 1, gid: 2, gids: [3] }) })
      damaged[at % damaged.length]! ^= 1 << (at & 7)
      for (const record of [garbage, damaged, damaged.subarray(0, cut % damaged.length)]) {
        assert.include(["Call", "Refused", "Unreadable"], codec.makeDecoder().decode([record])._tag)
      }
    },
    property(300, 60)
  )

  it.prop(
    "shrugs at what is shorter than a header, refuses what is cut off behind it",
    [natural],
    ([cut]) => {
      const record = call({ auth: Auth.sys({ uid: 1, gid: 2 }) })
      const length = cut % record.length
      const expected =
        length < 24
          ? "Unreadable"
          : {
              status: "MSG_DENIED",
              // Up to the end of the credential, or in the verifier.
              reply: { stat: "AUTH_ERROR", why: length < record.length - 8 ? "AUTH_BADCRED" : "AUTH_BADVERF" }
            }
      assert.deepStrictEqual(refusal(codec.makeDecoder(), record.subarray(0, length)), expected as never)
    },
    property(100)
  )

  it("shrugs at a reply", () => {
    assert.strictEqual(refusal(codec.makeDecoder(), call({ type: RpcMessage.REPLY })), "Unreadable")
  })

  it("refuses other versions of RPC", () => {
    for (const rpcVersion of [0, 1, 3, 0xffffffff]) {
      assert.deepStrictEqual(refusal(codec.makeDecoder(), call({ rpcVersion })), {
        status: "MSG_DENIED",
        reply: { stat: "RPC_MISMATCH", low: 2, high: 2 }
      })
    }
  })

  it("refuses credentials that it does not know, cannot read, or that are too long", () => {
    const why = (auth: Auth.OpaqueAuth) => {
      const body = refusal(codec.makeDecoder(), call({ auth }))
      return typeof body === "object" && body.status === "MSG_DENIED" && body.reply.stat === "AUTH_ERROR"
        ? body.reply.why
        : body
    }
    assert.strictEqual(why({ flavor: 6, body: new Uint8Array(8) }), "AUTH_REJECTEDCRED")
    assert.strictEqual(why({ flavor: Auth.AUTH_SYS, body: new Uint8Array(8) }), "AUTH_BADCRED")
    const long = Buffer.concat([
      encode(RpcMessage.callHeader, header),
      Buffer.from("0000000100000191", "hex"),
      Buffer.alloc(412)
    ])
    assert.deepStrictEqual(refusal(codec.makeDecoder(), long), {
      status: "MSG_DENIED",
      reply: { stat: "AUTH_ERROR", why: "AUTH_BADCRED" }
    })
  })

  it("gives the same credentials as the same object, and only these", () => {
    const decoder = codec.makeDecoder()
    const credentialsOf = (auth: Auth.OpaqueAuth) => {
      const record = call({ auth })
      const incoming = decoder.decode([record])
      // What a decoder remembers must not be what the network delivered.
      record.fill(0xff)
      return incoming._tag === "Call" ? incoming.credentials : assert.fail(incoming._tag)
    }
    const first = credentialsOf(Auth.sys({ uid: 1, gid: 1 }))
    assert.strictEqual(credentialsOf(Auth.sys({ uid: 1, gid: 1 })), first)
    assert.deepStrictEqual(credentialsOf(Auth.none), { _tag: "None" })
    assert.strictEqual(credentialsOf(Auth.sys({ uid: 1, gid: 1 })), first)
    const other = credentialsOf(Auth.sys({ uid: 2, gid: 1 }))
    assert.deepInclude(other, { uid: 2 })
    assert.deepInclude(credentialsOf(Auth.sys({ uid: 1, gid: 1 })), { uid: 1 })
    assert.deepInclude(credentialsOf(Auth.sys({ uid: 1, gid: 1, gids: [0] })), { gids: [0] })
    // The same bytes of another flavour are something else.
    const { body } = Auth.sys({ uid: 1, gid: 1, gids: [0] })
    assert.deepStrictEqual(credentialsOf({ flavor: Auth.AUTH_NONE, body }), { _tag: "None" })
    assert.strictEqual(decoder.decode([call({ auth: { flavor: 6, body } })])._tag, "Refused")
  })
})

describe("RpcCodec", () => {
  it.prop(
    "writes results behind a header that clients read",
    [natural, arbitraryOf(Auth.authSys)],
    ([xid, value]) => {
      const writer = new Writer()
      codec.writeSuccess(writer, xid, Auth.authSys, value)
      const whole = Xdr.struct({ header: RpcMessage.replyHeader, value: Auth.authSys })
      const read = Result.getOrThrow(Xdr.decode(whole, writer.take()))
      assert.deepStrictEqual(asDecoded(whole, read), {
        header: {
          xid,
          type: RpcMessage.REPLY,
          body: { status: "MSG_ACCEPTED", verifier: { flavor: 0, body: new Uint8Array(0) }, reply: { stat: "SUCCESS" } }
        },
        value: asDecoded(Auth.authSys, value)
      })
    },
    property(100)
  )

  it.prop(
    "writes every refusal",
    [natural, arbitraryOf(RpcMessage.acceptedReply)],
    ([xid, reply]) => {
      const writer = new Writer()
      codec.writeAccepted(writer, xid, reply)
      const { body } = Result.getOrThrow(Xdr.decode(RpcMessage.replyHeader, writer.take()))
      assert.deepStrictEqual(body.status === "MSG_ACCEPTED" && body.reply, reply)
    },
    property(50)
  )

  it("allows records of the payload and what stands around it", () => {
    const { maxPayload, maxRecord } = Effect.runSync(Effect.provide(RpcCodec, RpcCodec.layer({ maxPayload: 65_536 })))
    assert.strictEqual(maxPayload, 65_536)
    assert.isAtLeast(maxRecord, 65_536 + 1_024)
  })
})
