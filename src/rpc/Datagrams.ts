/**
 * RPC over UDP: one datagram is one message. Nothing is promised there, so nothing waits: a call for which there is no
 * room is dropped, and so is a reply that does not get away. Clients repeat what is not answered.
 */

import type { RemoteInfo, Socket } from "node:dgram"
import type * as Exit from "effect/Exit"
import type { Throttle } from "../pool/Throttle.ts"
import { Writer } from "../xdr/Writer.ts"
import { Peer, plainAddress, type Shared } from "./Peer.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import type { Request } from "./Request.ts"
import type { CallDecoder } from "./RpcCodec.ts"

/**
 * Most bytes of a reply: what every network carries in one packet. A longer one would come in fragments, and be lost with any
 * of them; and whoever puts another's address on a call has that one sent the reply. What does not fit is answered with
 * SYSTEM_ERR: long replies are for TCP.
 */
export const MAX_REPLY = 1400

/** Bytes of replies that may wait for the network. */
const MAX_UNSENT = 256 * 1024

/** What comes to a socket. */
export class Datagrams {
  readonly socket: Socket
  readonly shared: Shared
  readonly programs: ProgramTable
  readonly calls: CallDecoder
  /** Calls that are in the pool. */
  readonly inFlight = new Set<Request>()
  closed = false

  constructor(socket: Socket, shared: Shared, programs: ProgramTable) {
    this.socket = socket
    this.shared = shared
    this.programs = programs
    this.calls = shared.codec.makeDecoder()
    socket.on("message", (message, from) => {
      // Nobody can be answered at port 0.
      if (!this.closed && from.port !== 0) new Datagram(this, from).take(message)
    })
    // What could not be received is repeated.
    socket.on("error", () => {})
  }

  /** Takes and answers no more; calls that are not mutations end. */
  close(): void {
    this.closed = true
    for (const request of [...this.inFlight]) this.shared.pool.cancelUnsafe(request)
  }
}

/** Who sent a datagram, and waits for the answer. */
class Datagram extends Peer {
  readonly transport = "udp"
  readonly address: string
  readonly port: number
  protected readonly maxReply = MAX_REPLY
  private readonly datagrams: Datagrams
  private readonly from: RemoteInfo

  constructor(datagrams: Datagrams, from: RemoteInfo) {
    super(datagrams.shared, datagrams.programs, datagrams.calls, new Writer(512))
    this.datagrams = datagrams
    this.from = from
    this.address = plainAddress(from.address)
    this.port = from.port
    // Its sender may ask again at any time.
    this.origin.silent = true
  }

  /** All that an address asks over UDP. */
  get lane(): string {
    return this.address
  }

  take(message: Buffer): void {
    const { correspondents, pool } = this.shared
    const client = correspondents.of(this.address)
    if (client.throttle !== undefined) {
      correspondents.remember(client)
      if (client.throttle.owing) return
      client.throttle.charge(1, message.length)
    }
    this.receive([message])
    pool.flushUnsafe()
  }

  // There is nothing to be read later.
  heed(_: Throttle): void {}

  override finish(request: Request, exit: Exit.Exit<unknown, unknown>): void {
    this.datagrams.inFlight.delete(request)
    super.finish(request, exit)
  }

  // There is no connection to be kept for a reply, nor to be ended: who lost a call asks again.
  expect(): void {}

  received(): void {}

  destroy(): void {}

  protected get closed(): boolean {
    return this.datagrams.closed
  }

  protected enqueue(request: Request): void {
    const { inFlight } = this.datagrams
    const { limits, pool, replays } = this.shared
    if (inFlight.size < limits.callsInFlight && pool.offerUnsafe(request)) inFlight.add(request)
    else if (request.replay !== undefined) replays.abandon(request.replay)
  }

  protected frame(writer: Writer, body: (writer: Writer) => void): void {
    body(writer)
  }

  protected scheduleFlush(): void {
    const { socket } = this.datagrams
    const reply = this.writer.take()
    this.origin.recipient = undefined
    // The callback keeps what goes wrong, such as a network that is gone, from being the socket's error.
    if (socket.getSendQueueSize() <= MAX_UNSENT) socket.send(reply, this.port, this.from.address, () => {})
  }

  protected onUnreadable(): void {}
}
