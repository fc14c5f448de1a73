/** A client that a well-behaved `RpcClient` is not: it says what bytes go out when, stops reading, ends or breaks. */

import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Auth from "../../src/rpc/Auth.ts"
import { RecordDecoder } from "../../src/rpc/RecordMarking.ts"
import * as RpcMessage from "../../src/rpc/RpcMessage.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"

export interface CallBytes {
  readonly xid: number
  readonly program?: number
  readonly version?: number
  readonly procedure?: number
  readonly rpcVersion?: number
  readonly type?: number
  readonly auth?: Auth.OpaqueAuth
  readonly args?: Uint8Array
}

/** `body` as a record of one fragment. */
export const record = (body: Uint8Array): Buffer => {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE((0x80000000 | body.length) >>> 0)
  return Buffer.concat([mark, body])
}

const encode = <A>(codec: Xdr.Codec<A>, value: A): Uint8Array => Result.getOrThrow(Xdr.encode(codec, value))

/** A call as it goes over the wire. */
export const call = (options: CallBytes): Buffer => {
  const {
    args,
    auth = Auth.none,
    procedure = 0,
    program = 1,
    rpcVersion = 2,
    type = RpcMessage.CALL,
    version = 1,
    xid
  } = options
  return record(
    Buffer.concat([
      encode(RpcMessage.callHeader, { xid, type, rpcVersion, program, version, procedure }),
      encode(Auth.opaqueAuth, auth),
      encode(Auth.opaqueAuth, Auth.none),
      args ?? Buffer.alloc(0)
    ])
  )
}

export class RawClient {
  readonly socket: Net.Socket
  /** All replies that came, in their order. */
  readonly replies: Array<Buffer> = []
  /** The server ended its side. */
  ended = false
  closed = false

  constructor(socket: Net.Socket) {
    this.socket = socket
    const records = new RecordDecoder(64 * 1024 * 1024, (chunks) => this.replies.push(Buffer.concat(chunks)))
    socket.on("data", (chunk: Buffer) => records.push(chunk))
    socket.on("end", () => (this.ended = true))
    socket.on("close", () => (this.closed = true))
    socket.on("error", () => {})
  }

  send(...bytes: ReadonlyArray<Uint8Array>): void {
    this.socket.write(Buffer.concat(bytes))
  }

  /** The xids of the replies that came, in their order. */
  get xids(): Array<number> {
    return this.replies.map((reply) => reply.readUInt32BE(0))
  }

  replyTo(xid: number): Buffer | undefined {
    return this.replies.find((reply) => reply.readUInt32BE(0) === xid)
  }
}

/** A connection that is there until the scope ends. The client's side stays open when the server ends its own. */
export const connect = (
  port: number,
  options: Partial<Net.TcpNetConnectOpts> = {}
): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RawClient>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true, ...options })
      socket.once("error", (error) => resume(Effect.die(error)))
      socket.once("connect", () => resume(Effect.succeed(new RawClient(socket))))
    }),
    (client) => Effect.sync(() => client.socket.destroy())
  )

/** Waits until `condition` holds; it must within some seconds. */
export const eventually = (condition: () => boolean, what = String(condition)): Effect.Effect<void> =>
  Effect.promise(async () => {
    const deadline = performance.now() + 8_000
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })

/** Gives the network and the event loop time for what should not happen. */
export const settled: Effect.Effect<void> = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 30)))
