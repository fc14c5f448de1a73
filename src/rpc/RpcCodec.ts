/** Between bytes and messages: what a server reads from a record and writes into one, and how large records may be. */

import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { type Chunks, Reader } from "../xdr/Reader.ts"
import type { Writer } from "../xdr/Writer.ts"
import type * as Xdr from "../xdr/Xdr.ts"
import * as XdrError from "../xdr/XdrError.ts"
import { AUTH_SYS, type Credentials, credentials, none, type OpaqueAuth, opaqueAuth } from "./Auth.ts"
import {
  type AcceptedReply,
  CALL,
  callHeader,
  type CallHeader,
  REPLY,
  type RejectedReply,
  replyHeader,
  RPC_VERSION
} from "./RpcMessage.ts"

/** What a record may hold besides its payload: headers, credentials, arguments. */
const OVERHEAD = 4096

/** What a record turned out to be. */
export type Incoming =
  /** A call whose arguments `args` is about to read. */
  | {
      readonly _tag: "Call"
      readonly header: CallHeader
      readonly credentials: Credentials
      readonly args: Reader
    }
  /** A call that is refused before its program is looked at. */
  | { readonly _tag: "Refused"; readonly xid: number; readonly reply: RejectedReply }
  /** Nothing that could be answered. */
  | { readonly _tag: "Unreadable" }

/** Reads the calls of one connection. */
export interface CallDecoder {
  readonly decode: (record: Chunks) => Incoming
}

export class RpcCodec extends Context.Service<
  RpcCodec,
  {
    /** Most bytes of data that a READ or WRITE may carry. */
    readonly maxPayload: number
    /** Most bytes of a record: the payload and what stands around it. */
    readonly maxRecord: number
    /** A decoder for the calls of one connection, which remembers the credentials that it saw. */
    readonly makeDecoder: () => CallDecoder
    /** Writes a successful reply; throws an `XdrError` when the result does not fit its codec, having written something. */
    readonly writeSuccess: <A>(writer: Writer, xid: number, result: Xdr.Codec<A>, value: A) => void
    /** Writes a reply without a result. */
    readonly writeAccepted: (writer: Writer, xid: number, reply: AcceptedReply) => void
    readonly writeRejected: (writer: Writer, xid: number, reply: RejectedReply) => void
  }
>()("effect-nfs/RpcCodec") {
  /** `maxPayload`: bytes, default 1 MiB. */
  static readonly layer = (options: { readonly maxPayload?: number | undefined } = {}): Layer.Layer<RpcCodec> => {
    const maxPayload = options.maxPayload ?? 1024 * 1024
    return Layer.succeed(RpcCodec, {
      maxPayload,
      maxRecord: maxPayload + OVERHEAD,
      makeDecoder,
      writeSuccess,
      writeAccepted,
      writeRejected
    })
  }
}

/** Users of one client that are remembered. */
const KNOWN_CREDENTIALS = 32

const unreadable: Incoming = { _tag: "Unreadable" }

const makeDecoder = (): CallDecoder => {
  // Clients send the same few credentials again and again, those used last first; whoever derives something from them can
  // remember it by object.
  const known: Array<{ readonly body: Uint8Array; readonly credentials: Credentials }> = []

  const recall = (auth: OpaqueAuth): Result.Result<Credentials, RejectedReply> => {
    if (auth.flavor === AUTH_SYS) {
      const at = known.findIndex(({ body }) => sameBytes(auth.body, body))
      if (at > 0) known.unshift(...known.splice(at, 1))
      if (at >= 0) return Result.succeed(known[0]!.credentials)
    }
    const parsed = credentials(auth)
    if (Result.isFailure(parsed)) return Result.fail({ stat: "AUTH_ERROR", why: parsed.failure })
    if (auth.flavor === AUTH_SYS) {
      known.unshift({ body: Uint8Array.prototype.slice.call(auth.body), credentials: parsed.success })
      if (known.length > KNOWN_CREDENTIALS) known.pop()
    }
    return Result.succeed(parsed.success)
  }

  return {
    decode: (record) => {
      const args = new Reader(record)
      let header: CallHeader | undefined
      let credential: OpaqueAuth | undefined
      try {
        header = callHeader.read(args)
        if (header.type !== CALL) return unreadable
        if (header.rpcVersion !== RPC_VERSION) {
          return refused(header, { stat: "RPC_MISMATCH", low: RPC_VERSION, high: RPC_VERSION })
        }
        credential = opaqueAuth.read(args)
        opaqueAuth.read(args)
      } catch (error) {
        if (!XdrError.is(error)) throw error
        if (header === undefined) return unreadable
        return refused(header, {
          stat: "AUTH_ERROR",
          why: credential === undefined ? "AUTH_BADCRED" : "AUTH_BADVERF"
        })
      }
      const caller = recall(credential)
      return Result.isFailure(caller)
        ? refused(header, caller.failure)
        : { _tag: "Call", header, credentials: caller.success, args }
    }
  }
}

const refused = (header: CallHeader, reply: RejectedReply): Incoming => ({ _tag: "Refused", xid: header.xid, reply })

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false
  }
  return true
}

const writeSuccess = <A>(writer: Writer, xid: number, result: Xdr.Codec<A>, value: A): void => {
  // `replyHeader` with MSG_ACCEPTED, AUTH_NONE and SUCCESS, spelled out: it stands before every result.
  writer.uint32(xid)
  writer.uint32(REPLY)
  writer.zeros(16)
  result.write(writer, value)
}

const writeAccepted = (writer: Writer, xid: number, reply: AcceptedReply): void =>
  replyHeader.write(writer, { xid, type: REPLY, body: { status: "MSG_ACCEPTED", verifier: none, reply } })

const writeRejected = (writer: Writer, xid: number, reply: RejectedReply): void =>
  replyHeader.write(writer, { xid, type: REPLY, body: { status: "MSG_DENIED", reply } })
