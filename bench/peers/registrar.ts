/**
 * A portmapper for programs that refuse to run without one: says yes to whatever is registered, and remembers nothing. It
 * listens on a socket of the filesystem that only its program gets to see, so the machine's own is never told.
 */

import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ProcessFailed } from "../processes.ts"

/** A reply to SET and UNSET: accepted, SUCCESS, and TRUE; its xid is still to be set. */
const yes = (xid: number): Buffer => {
  const reply = Buffer.alloc(32)
  reply.writeUInt32BE(0x8000_0000 + 28)
  reply.writeUInt32BE(xid, 4)
  reply.writeUInt32BE(1, 8)
  reply.writeUInt32BE(1, 28)
  return reply
}

const serve = (socket: Net.Socket): void => {
  let received = Buffer.alloc(0)
  socket.on("error", () => {})
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 8) {
      const end = 4 + (received.readUInt32BE() & 0x7fff_ffff)
      if (received.length < end) return
      socket.write(yes(received.readUInt32BE(4)))
      received = received.subarray(end)
    }
  })
}

/** Listens there as long as the surrounding scope lives. */
export const listen = (path: string): Effect.Effect<void, ProcessFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Server, ProcessFailed>((resume) => {
      const server = Net.createServer(serve)
      server.once("error", ({ message }) => resume(Effect.fail(new ProcessFailed({ message }))))
      server.listen(path, () => resume(Effect.succeed(server)))
    }),
    // Its only connections are those of a program that has ended by now.
    (server) => Effect.sync(() => void server.close())
  ).pipe(Effect.asVoid)
