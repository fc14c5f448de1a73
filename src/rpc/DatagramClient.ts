/** Calls the procedures of RPC programs over UDP: each call is one datagram, repeated until it is answered. */

import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Writer } from "../xdr/Writer.ts"
import * as XdrError from "../xdr/XdrError.ts"
import { none } from "./Auth.ts"
import { type Call, ClientCalls, type RpcClientError, RpcDisconnected, writeCall } from "./ClientCalls.ts"
import type * as RpcClient from "./RpcClient.ts"
import { privileged } from "./SourcePort.ts"

export interface DatagramClient {
  /** Calls a procedure; fails with `RpcDisconnected` when no answer comes in time. */
  readonly call: Call
}

export interface Options extends RpcClient.Options {
  /** How long to wait before a call is repeated for the first time; twice as long each time after. Default 250 ms. */
  readonly repeatAfter?: Duration.Input | undefined
  /** How long to wait for an answer at all; default 3 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** A client for one server, whose address is given in numbers, that lives as long as the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<DatagramClient, RpcDisconnected, Scope.Scope> {
  const calls = new ClientCalls()
  const repeatAfter = Duration.toMillis(Duration.fromInputUnsafe(options.repeatAfter ?? "250 millis"))
  const timeout = options.timeout ?? "3 seconds"
  const open = connect(options.host ?? "127.0.0.1", options.port)
  const socket = yield* options.privileged ? privileged(open) : open(0)
  socket.on("message", (message) => void calls.receive([message]))
  let ended: Exit.Exit<never, RpcDisconnected> | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      ended = Exit.fail(new RpcDisconnected({ message: "the client has ended" }))
      calls.fail(ended)
    })
  )
  // Such as ECONNREFUSED: nobody listens there.
  socket.on("error", ({ code, message }: NodeJS.ErrnoException) =>
    calls.fail(Exit.fail(new RpcDisconnected({ message, code })))
  )

  const send: Call = (program, number, procedure, args, callOptions) =>
    Effect.callback((resume) => {
      if (ended !== undefined) return resume(ended)
      const xid = callOptions?.xid ?? calls.nextXid()
      const writer = new Writer()
      try {
        writeCall(writer, xid, program, number, procedure.args, args, callOptions?.auth ?? options.auth ?? none)
      } catch (error) {
        if (!XdrError.is(error)) throw error
        return resume(Exit.fail(error))
      }
      const message = writer.take()
      let wait = repeatAfter
      let repetition: NodeJS.Timeout
      const transmit = (): void => {
        socket.send(message)
        repetition = setTimeout(transmit, wait)
        wait *= 2
      }
      const done = (): void => {
        clearTimeout(repetition)
        calls.forget(call)
      }
      const call = {
        xid,
        result: procedure.result,
        resume: (exit: Exit.Exit<any, RpcClientError>) => {
          done()
          resume(exit)
        }
      }
      calls.add(call)
      transmit()
      return Effect.sync(done)
    })

  const late = Effect.fail(new RpcDisconnected({ message: `no answer from port ${options.port} in time` }))
  return {
    call: (program, number, procedure, args, callOptions) =>
      send(program, number, procedure, args, callOptions).pipe(
        Effect.timeoutOrElse({ duration: timeout, orElse: () => late })
      )
  }
})

const connect = (host: string, port: number) => (localPort: number) =>
  Effect.acquireRelease(
    Effect.callback<Dgram.Socket, RpcDisconnected>((resume) => {
      const socket = Dgram.createSocket(Net.isIPv6(host) ? "udp6" : "udp4")
      socket.once("error", ({ code, message }: NodeJS.ErrnoException) => {
        socket.close()
        resume(Effect.fail(new RpcDisconnected({ message, code })))
      })
      socket.once("connect", () => {
        socket.removeAllListeners("error")
        resume(Effect.succeed(socket))
      })
      // Connected, it receives from this server only.
      socket.bind(localPort, () => socket.connect(port, host))
    }),
    (socket) => Effect.sync(() => socket.close())
  )
