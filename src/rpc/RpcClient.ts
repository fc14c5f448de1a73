/**
 * Calls the procedures of RPC programs over one TCP connection, any number at once. It is what the project's own tests and
 * benches speak with a server; it does not reconnect.
 */

import { randomInt } from "node:crypto"
import * as Net from "node:net"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { type Chunks, Reader } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import type * as Xdr from "../xdr/Xdr.ts"
import * as XdrError from "../xdr/XdrError.ts"
import { none, type OpaqueAuth, opaqueAuth } from "./Auth.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import { CALL, callHeader, REPLY, type ReplyBody, replyHeader, RPC_VERSION } from "./RpcMessage.ts"
import type { Procedure, RpcProgram } from "./RpcProgram.ts"

/** The server answered, but not with a result. */
export class RpcRefused extends Data.TaggedError("RpcRefused")<{ readonly reply: ReplyBody }> {}

/** The connection could not be made, or ended before the answer. */
export class RpcDisconnected extends Data.TaggedError("RpcDisconnected")<{ readonly message: string }> {}

export type RpcClientError = RpcRefused | RpcDisconnected | XdrError.XdrError

export interface RpcClient {
  /** Calls a procedure. Interrupting it forgets the answer, not the call. */
  readonly call: <A, B>(
    program: Pick<RpcProgram, "program" | "version">,
    number: number,
    procedure: Pick<Procedure<A, B>, "args" | "result">,
    args: A,
    options?: CallOptions
  ) => Effect.Effect<B, RpcClientError>
  /** Sends bytes as they are. */
  readonly sendUnsafe: (bytes: Uint8Array) => void
  /** Fails when the connection ends. */
  readonly closed: Effect.Effect<never, RpcDisconnected>
}

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

/** By xid; calls that repeat each other share one, and the first answer. */
type PendingCalls = Map<number, Array<Pending>>

/** Largest reply that is accepted. */
const MAX_RECORD = 64 * 1024 * 1024

/** A connection that lives as long as the surrounding scope. */
export const make = Effect.fnUntraced(function* (options: {
  readonly host?: string | undefined
  readonly port: number
  /** For calls that have none of their own; default AUTH_NONE. */
  readonly auth?: OpaqueAuth | undefined
}): Effect.fn.Return<RpcClient, RpcDisconnected, Scope.Scope> {
  const pending: PendingCalls = new Map()
  const watchers = new Set<(exit: Exit.Exit<never, RpcDisconnected>) => void>()
  let ended: Exit.Exit<never, RpcDisconnected> | undefined
  let lastXid = randomInt(0x1_0000_0000)
  const socket = yield* connect(options.host ?? "127.0.0.1", options.port)
  const records = new RecordDecoder(MAX_RECORD, (record) => {
    if (!receive(record, pending)) socket.destroy()
  })
  socket.on("data", (chunk: Buffer) => {
    if (records.push(chunk) !== undefined) socket.destroy()
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    ended = Exit.fail(new RpcDisconnected({ message: "the connection ended before the answer" }))
    for (const calls of pending.values()) {
      for (const { resume } of calls) resume(ended)
    }
    for (const watcher of watchers) watcher(ended)
    pending.clear()
  })

  return {
    call: (program, number, procedure, args, callOptions) =>
      Effect.callback((resume) => {
        if (ended !== undefined) return resume(ended)
        const xid = callOptions?.xid ?? (lastXid = (lastXid + 1) >>> 0)
        const writer = new Writer()
        try {
          writeRecord(writer, (writer) => {
            callHeader.write(writer, {
              xid,
              type: CALL,
              rpcVersion: RPC_VERSION,
              program: program.program,
              version: program.version,
              procedure: number
            })
            opaqueAuth.write(writer, callOptions?.auth ?? options.auth ?? none)
            opaqueAuth.write(writer, none)
            procedure.args.write(writer, args)
          })
        } catch (error) {
          if (!XdrError.is(error)) throw error
          return resume(Exit.fail(error))
        }
        const call: Pending = { xid, result: procedure.result, resume }
        const repeated = pending.get(xid)
        if (repeated === undefined) pending.set(xid, [call])
        else repeated.push(call)
        send(socket, writer.take())
        return Effect.sync(() => forget(pending, call))
      }),
    sendUnsafe: (bytes) => {
      socket.write(bytes)
    },
    closed: Effect.callback((resume) => {
      if (ended !== undefined) return resume(ended)
      watchers.add(resume)
      return Effect.sync(() => {
        watchers.delete(resume)
      })
    })
  }
})

const connect = (host: string, port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, RpcDisconnected>((resume) => {
      const socket = Net.connect({ host, port, noDelay: true })
      socket.once("error", (error) => resume(Effect.fail(new RpcDisconnected({ message: error.message }))))
      socket.once("connect", () => {
        socket.removeAllListeners("error")
        resume(Effect.succeed(socket))
      })
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => socket.destroy()),
    { interruptible: true }
  )

const send = (socket: Net.Socket, chunks: Chunks): void => {
  socket.cork()
  for (const chunk of chunks) socket.write(chunk)
  socket.uncork()
}

const forget = (pending: PendingCalls, call: Pending): void => {
  const others = pending.get(call.xid)?.filter((other) => other !== call) ?? []
  if (others.length === 0) pending.delete(call.xid)
  else pending.set(call.xid, others)
}

/** Hands a reply to whom it belongs; `false` for what is not a reply. */
const receive = (record: Chunks, pending: PendingCalls): boolean => {
  const reader = new Reader(record)
  const header = readHeader(reader)
  if (header === undefined) return false
  const { body, xid } = header
  const calls = pending.get(xid)
  if (calls === undefined) return true
  pending.delete(xid)
  const accepted = body.status === "MSG_ACCEPTED" && body.reply.stat === "SUCCESS"
  const exit = accepted ? readResult(reader, calls[0]!.result) : Exit.fail(new RpcRefused({ reply: body }))
  for (const { resume } of calls) resume(exit)
  return true
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
