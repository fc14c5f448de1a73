/** Requests as bytes, made once before the clock runs: to send one is to copy it and to set its xid. */

import * as Auth from "../../src/rpc/Auth.ts"
import { writeRecord } from "../../src/rpc/RecordMarking.ts"
import { CALL, callHeader, RPC_VERSION } from "../../src/rpc/RpcMessage.ts"
import type { RpcProgram } from "../../src/rpc/RpcProgram.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"

/** Root, as the kernel's client is for most of what it does itself. */
export const auth = Auth.sys({ uid: 0, gid: 0, machineName: "bench" })

/** Where the xid stands in a request: behind the record mark. */
export const XID_AT = 4

/** The length of a successful reply without a result. */
export const EMPTY_REPLY = 24

export interface Request {
  /** From the record mark on. */
  readonly head: Buffer
  /** File data that follows; many requests share it. */
  readonly data: Uint8Array | undefined
  /** A shorter reply cannot have done what was asked for. Replies longer than empty ones carry an NFS status. */
  readonly minReply: number
}

export interface Call<A> {
  readonly program: Pick<RpcProgram, "program" | "version">
  readonly procedure: { readonly number: number; readonly args: Xdr.Codec<A> }
  readonly args: A
  /** Bytes that the result has at least, its status included. */
  readonly minResult: number
}

export const encode = <A>({ args, minResult, procedure, program }: Call<A>): Request => {
  const writer = new Writer()
  writeRecord(writer, (writer) => {
    callHeader.write(writer, {
      xid: 0,
      type: CALL,
      rpcVersion: RPC_VERSION,
      program: program.program,
      version: program.version,
      procedure: procedure.number
    })
    Auth.opaqueAuth.write(writer, auth)
    Auth.opaqueAuth.write(writer, Auth.none)
    procedure.args.write(writer, args)
  })
  // Long data is linked in as it lies, at the end: the writer's own bytes are one chunk before it.
  const [head, data] = writer.take()
  return { head: Buffer.from(head!), data, minReply: EMPTY_REPLY + minResult }
}
