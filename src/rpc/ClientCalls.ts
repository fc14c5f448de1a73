/** What clients over TCP and UDP have in common: how a call is written, and to whom a reply belongs. */

import { randomInt } from "node:crypto"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Chunks, Reader } from "../xdr/Reader.ts"
import type { Writer } from "../xdr/Writer.ts"
import type * as Xdr from "../xdr/Xdr.ts"
import * as XdrError from "../xdr/XdrError.ts"
import { none, type OpaqueAuth, opaqueAuth } from "./Auth.ts"
import { CALL, callHeader, REPLY, type ReplyBody, replyHeader, RPC_VERSION } from "./RpcMessage.ts"
import type { Procedure, RpcProgram } from "./RpcProgram.ts"

/** The server answered, but not with a result. */
export class RpcRefused extends Data.TaggedError("RpcRefused")<{ readonly reply: ReplyBody }> {}

/** The connection could not be made, or ended before the answer; over UDP, no answer came. */
export class RpcDisconnected extends Data.TaggedError("RpcDisconnected")<{
  readonly message: string
  /** The system's error, such as `ECONNREFUSED`. */
  readonly code?: string | undefined
}> {}

export type RpcClientError = RpcRefused | RpcDisconnected | XdrError.XdrError

/** Calls a procedure. Interrupting it forgets the answer, not the call. */
export type Call = <A, B>(
  program: Pick<RpcProgram, "program" | "version">,
  number: number,
  procedure: Pick<Procedure<A, B>, "args" | "result">,
  args: A,
  options?: CallOptions
) => Effect.Effect<B, RpcClientError>

export interface CallOptions {
  readonly auth?: OpaqueAuth | undefined
  /** Default: one more than the last, from a random start. */
  readonly xid?: number | undefined
}

interface Pending {
  readonly xid: number
  readonly result: Xdr.Codec<any>
  readonly resume: (exit: Exit.Exit<any, RpcClientError>) => void
}

/** Calls that wait for their replies. */
export class ClientCalls {
  /** By xid; calls that repeat each other share one, and the first answer. */
  private readonly pending = new Map<number, Array<Pending>>()
  private lastXid = randomInt(0x1_0000_0000)

  nextXid(): number {
    this.lastXid = (this.lastXid + 1) >>> 0
    return this.lastXid
  }

  add(call: Pending): void {
    const repeated = this.pending.get(call.xid)
    if (repeated === undefined) this.pending.set(call.xid, [call])
    else repeated.push(call)
  }

  forget(call: Pending): void {
    const others = this.pending.get(call.xid)?.filter((other) => other !== call) ?? []
    if (others.length === 0) this.pending.delete(call.xid)
    else this.pending.set(call.xid, others)
  }

  /** Hands a reply to whom it belongs; `false` for what is not a reply. */
  receive(message: Chunks): boolean {
    const reader = new Reader(message)
    const header = readHeader(reader)
    if (header === undefined) return false
    const { body, xid } = header
    const calls = this.pending.get(xid)
    if (calls === undefined) return true
    this.pending.delete(xid)
    const accepted = body.status === "MSG_ACCEPTED" && body.reply.stat === "SUCCESS"
    const exit = accepted ? readResult(reader, calls[0]!.result) : Exit.fail(new RpcRefused({ reply: body }))
    for (const { resume } of calls) resume(exit)
    return true
  }

  /** None of them will be answered. */
  fail(why: Exit.Exit<never, RpcDisconnected>): void {
    for (const calls of this.pending.values()) {
      for (const { resume } of calls) resume(why)
    }
    this.pending.clear()
  }
}

/** Writes a call; throws an `XdrError` when its arguments do not fit their codec. */
export const writeCall = <A>(
  writer: Writer,
  xid: number,
  { program, version }: Pick<RpcProgram, "program" | "version">,
  procedure: number,
  codec: Xdr.Codec<A>,
  args: A,
  auth: OpaqueAuth
): void => {
  callHeader.write(writer, { xid, type: CALL, rpcVersion: RPC_VERSION, program, version, procedure })
  opaqueAuth.write(writer, auth)
  opaqueAuth.write(writer, none)
  codec.write(writer, args)
}

const readHeader = (reader: Reader) => {
  try {
    const header = replyHeader.read(reader)
    return header.type === REPLY ? header : undefined
  } catch (error) {
    if (!XdrError.is(error)) throw error
    return undefined
  }
}

const readResult = <A>(reader: Reader, result: Xdr.Codec<A>): Exit.Exit<A, XdrError.XdrError> => {
  try {
    return Exit.succeed(result.read(reader))
  } catch (error) {
    if (!XdrError.is(error)) throw error
    return Exit.fail(error)
  }
}
