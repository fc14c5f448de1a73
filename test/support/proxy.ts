/**
 * A TCP proxy on the loopback that stands between an RPC client and its server and looks at every record: it passes them
 * on, loses them, or cuts the connection, so that tests can see what a bad network does.
 *
 * ```ts
 * const proxy = yield* Proxy.make(server.address.port)
 * const client = yield* RpcClient.make({ port: proxy.port })
 * proxy.onReply = () => Math.random() < 0.1 ? "cut" : "pass"
 * ```
 */

import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { RecordDecoder } from "../../src/rpc/RecordMarking.ts"

/** What happens to a record: it is passed on; it is lost; or the connection ends instead. */
export type Verdict = "pass" | "drop" | "cut"

/** Judges a record by its bytes (without mark; the first four are the xid). */
export type Judge = (record: Buffer) => Verdict

export interface Proxy {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number
  /** What happens to calls; at first, all pass. */
  onCall: Judge
  /** What happens to replies; at first, all pass. */
  onReply: Judge
  /** How connections are cut: as by a program that ends, or as by a machine that breaks. */
  cutBy: "close" | "reset"
  /** Cuts all connections. */
  readonly cutUnsafe: () => void
  /** Connections that were made so far. */
  readonly connected: number
  /** Connections that were cut so far. */
  readonly cuts: number
}

const LIMIT = 64 * 1024 * 1024

/** A proxy before `port` of 127.0.0.1 that lives as long as the surrounding scope. */
export const make = (port: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Relay>((resume) => {
        const relay = new Relay(port)
        relay.server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(relay)))
      }),
      (relay) =>
        Effect.sync(() => {
          relay.server.close()
          relay.cutUnsafe()
        })
    ),
    (relay): Proxy => relay
  )

class Relay implements Proxy {
  readonly server = Net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.connect(client))
  onCall: Judge = () => "pass"
  onReply: Judge = () => "pass"
  cutBy: "close" | "reset" = "close"
  connected = 0
  cuts = 0
  private readonly target: number
  private readonly open = new Set<() => void>()

  constructor(target: number) {
    this.target = target
  }

  get port(): number {
    return (this.server.address() as Net.AddressInfo).port
  }

  cutUnsafe(): void {
    for (const cut of this.open) cut()
  }

  private connect(client: Net.Socket): void {
    this.connected++
    const server = Net.connect({ host: "127.0.0.1", port: this.target, noDelay: true, allowHalfOpen: true })
    const cut = (): void => {
      if (!this.open.delete(cut)) return
      this.cuts++
      for (const socket of [client, server]) {
        if (this.cutBy === "reset") socket.resetAndDestroy()
        else socket.destroy()
      }
    }
    this.open.add(cut)
    this.relay(client, server, (record) => this.onCall(record), cut)
    this.relay(server, client, (record) => this.onReply(record), cut)
    for (const socket of [client, server]) {
      socket.on("error", () => {})
      socket.on("close", () => {
        this.open.delete(cut)
        client.destroy()
        server.destroy()
      })
    }
  }

  private relay(from: Net.Socket, to: Net.Socket, judge: Judge, cut: () => void): void {
    const records = new RecordDecoder(LIMIT, (chunks) => {
      if (from.destroyed) return
      const record = Buffer.concat(chunks)
      const verdict = judge(record)
      if (verdict === "cut") return cut()
      if (verdict === "drop") return
      const mark = Buffer.alloc(4)
      mark.writeUInt32BE((0x80000000 | record.length) >>> 0)
      to.cork()
      to.write(mark)
      to.write(record)
      to.uncork()
      if (to.writableNeedDrain) from.pause()
    })
    from.on("data", (chunk: Buffer) => {
      if (records.push(chunk) !== undefined) cut()
    })
    from.on("end", () => to.end())
    to.on("drain", () => from.resume())
  }
}
