/**
 * Calls the procedures of RPC programs over one TCP connection, any number at once. The project's own tests and benches
 * speak with a server through it, and the server with rpcbind; it does not reconnect.
 */

import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Chunks } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import * as XdrError from "../xdr/XdrError.ts"
import { none, type OpaqueAuth } from "./Auth.ts"
import { type Call, ClientCalls, RpcDisconnected, writeCall } from "./ClientCalls.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import { privileged } from "./SourcePort.ts"

export { type CallOptions, type RpcClientError, RpcDisconnected, RpcRefused } from "./ClientCalls.ts"

export interface RpcClient {
  /** Calls a procedure. Interrupting it forgets the answer, not the call. */
  readonly call: Call
  /** Sends bytes as they are. */
  readonly sendUnsafe: (bytes: Uint8Array) => void
  /** Fails when the connection ends. */
  readonly closed: Effect.Effect<never, RpcDisconnected>
}

export interface Options {
  readonly host?: string | undefined
  readonly port: number
  /** Address of this machine to call from; default: the system picks one. */
  readonly localAddress?: string | undefined
  /** For calls that have none of their own; default AUTH_NONE. */
  readonly auth?: OpaqueAuth | undefined
  /** From a port below 1024, where this process may use one; default `false`. */
  readonly privileged?: boolean | undefined
}

/** Largest reply that is accepted. */
const MAX_RECORD = 64 * 1024 * 1024

/** A connection that lives as long as the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<RpcClient, RpcDisconnected, Scope.Scope> {
  const calls = new ClientCalls()
  const watchers = new Set<(exit: Exit.Exit<never, RpcDisconnected>) => void>()
  let ended: Exit.Exit<never, RpcDisconnected> | undefined
  const open = connect(options)
  const socket = yield* options.privileged ? privileged(open) : open(0)
  const records = new RecordDecoder(MAX_RECORD, (record) => {
    if (!calls.receive(record)) socket.destroy()
  })
  socket.on("data", (chunk: Buffer) => {
    if (records.push(chunk) !== undefined) socket.destroy()
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    ended = Exit.fail(new RpcDisconnected({ message: "the connection ended before the answer" }))
    calls.fail(ended)
    for (const watcher of watchers) watcher(ended)
  })

  return {
    call: (program, number, procedure, args, callOptions) =>
      Effect.callback((resume) => {
        if (ended !== undefined) return resume(ended)
        const xid = callOptions?.xid ?? calls.nextXid()
        const writer = new Writer()
        try {
          writeRecord(writer, (writer) =>
            writeCall(writer, xid, program, number, procedure.args, args, callOptions?.auth ?? options.auth ?? none)
          )
        } catch (error) {
          if (!XdrError.is(error)) throw error
          return resume(Exit.fail(error))
        }
        const call = { xid, result: procedure.result, resume }
        calls.add(call)
        send(socket, writer.take())
        return Effect.sync(() => calls.forget(call))
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

const connect =
  ({ host = "127.0.0.1", localAddress, port }: Options) =>
  (localPort: number) =>
    Effect.acquireRelease(
      Effect.callback<Net.Socket, RpcDisconnected>((resume) => {
        const socket = Net.connect({
          host,
          port,
          noDelay: true,
          ...(localAddress !== undefined && { localAddress }),
          ...(localPort > 0 && { localPort })
        })
        socket.once("error", ({ code, message }: NodeJS.ErrnoException) =>
          resume(Effect.fail(new RpcDisconnected({ message, code })))
        )
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
