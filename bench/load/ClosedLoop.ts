/**
 * The closed loop: connections x depth slots, each of which sends its next request when its last one is answered.
 *
 * Everything here runs in the callbacks of the sockets, in plain functions that allocate next to nothing: all replies of
 * a chunk are taken, the requests that follow them are copied one after the other into a slab, and one write sends them.
 * The clock is read once a chunk. So the time between two replies that arrive together is not seen; what a request waits
 * for in this process is part of its latency.
 */

import * as Net from "node:net"
import type { Histogram } from "./Histogram.ts"
import { InFlight } from "./InFlight.ts"
import { allocate, explain, ReplyStream, succeeded, xidOf } from "./ReplyStream.ts"
import { type Request, XID_AT } from "./Request.ts"

/** Requests that a slot sends one after the other, again and again. */
export type Cycle = ReadonlyArray<Request>

export interface Options {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Requests in flight on each connection. */
  readonly depth: number
  /** Slots share these: slot i runs through the one at i modulo their number. */
  readonly cycles: ReadonlyArray<Cycle>
  readonly latencies: Histogram
  /** Something went wrong: the loop has ended. */
  readonly onFailure: (message: string) => void
}

const SLAB = 512 * 1024

/** From this length on, file data is handed to the socket as it lies instead of being copied. */
const LINK_FROM = 16 * 1024

/** Replies are looked at before the next chunk arrives, so all connections receive into the same place. */
const RECEIVE = 256 * 1024

export class ClosedLoop {
  readonly options: Options
  readonly inFlight: InFlight
  readonly received = allocate(RECEIVE)
  private readonly connections: ReadonlyArray<Connection>
  /** Where each slot is in its cycle. */
  private readonly positions: Uint32Array
  private stopping = false
  private stopped: (() => void) | undefined = undefined
  private ended = false

  constructor(options: Options) {
    this.options = options
    const { connections, cycles, depth } = options
    const slots = connections * depth
    this.inFlight = new InFlight(slots)
    // Slots that share a cycle begin at different places of it.
    this.positions = Uint32Array.from({ length: slots }, (_, slot) => {
      const cycle = cycles[slot % cycles.length]!
      const sharers = Math.ceil(slots / cycles.length)
      return Math.floor((Math.floor(slot / cycles.length) * cycle.length) / sharers)
    })
    this.connections = Array.from({ length: connections }, (_, index) => new Connection(this, index * depth))
  }

  /** Connects and sends the first requests. */
  start(): void {
    for (const connection of this.connections) connection.start()
  }

  /** Sends nothing more; `stopped` is called when everything is answered. */
  stop(stopped: () => void): void {
    this.stopping = true
    this.stopped = stopped
    this.endIfDone()
  }

  /** Cuts everything off. */
  destroy(): void {
    this.ended = true
    for (const connection of this.connections) connection.destroy()
  }

  fail(message: string): void {
    if (this.ended) return
    this.destroy()
    this.options.onFailure(message)
  }

  /** What a slot sends next. */
  next(slot: number): Request {
    const { cycles } = this.options
    const cycle = cycles[slot % cycles.length]!
    const position = this.positions[slot]!
    this.positions[slot] = position + 1 === cycle.length ? 0 : position + 1
    return cycle[position]!
  }

  /** What a slot sent last. */
  last(slot: number): Request {
    const { cycles } = this.options
    const cycle = cycles[slot % cycles.length]!
    const position = this.positions[slot]!
    return cycle[position === 0 ? cycle.length - 1 : position - 1]!
  }

  get goesOn(): boolean {
    return !this.stopping && !this.ended
  }

  endIfDone(): void {
    if (!this.stopping || this.ended || this.inFlight.size > 0) return
    this.destroy()
    this.stopped?.()
  }
}

class Connection {
  private readonly loop: ClosedLoop
  private readonly firstSlot: number
  private readonly replies: ReplyStream
  private socket: Net.Socket | undefined = undefined
  private slab = allocate(SLAB)
  /** Where the part of the slab that was not handed to the socket begins. */
  private from = 0
  private at = 0
  /** Pieces that go out with the next flush, in order. */
  private pieces: Array<Uint8Array> = []
  private now = 0

  constructor(loop: ClosedLoop, firstSlot: number) {
    this.loop = loop
    this.firstSlot = firstSlot
    this.replies = new ReplyStream((bytes, at, length) => this.onReply(bytes, at, length))
  }

  start(): void {
    const { loop } = this
    const { depth, host, port } = loop.options
    const socket = Net.connect({
      host,
      port,
      noDelay: true,
      // Without this the socket would allocate for each chunk that arrives.
      onread: {
        buffer: loop.received.buffer,
        callback: (length) => {
          this.onChunk(length)
          return true
        }
      }
    })
    this.socket = socket
    socket.on("connect", () => {
      this.now = performance.now()
      for (let i = 0; i < depth; i++) this.send(this.firstSlot + i)
      this.flush()
    })
    socket.on("error", (error) => loop.fail(`the connection to port ${port} failed: ${error.message}`))
    socket.on("close", () => loop.fail("the server closed the connection"))
  }

  destroy(): void {
    this.socket?.destroy()
  }

  private onChunk(length: number): void {
    this.now = performance.now()
    // All that was written has left: the slab can be filled again, while it is in the processor's cache.
    if (this.socket?.writableLength === 0) this.from = this.at = 0
    this.replies.push(this.loop.received, length)
    this.flush()
    this.loop.endIfDone()
  }

  private onReply(bytes: DataView, at: number, length: number): void {
    const { loop } = this
    if (length < 4) return loop.fail(`a record of ${length} bytes is no reply`)
    const xid = xidOf(bytes, at)
    const slot = loop.inFlight.slotOf(xid)
    if (slot < this.firstSlot || slot >= this.firstSlot + loop.options.depth) {
      return loop.fail(`the reply with xid ${xid} answers no call of its connection`)
    }
    const { minReply } = loop.last(slot)
    if (!succeeded(bytes, at, length, minReply)) return loop.fail(explain(bytes, at, length, minReply))
    loop.options.latencies.record(this.now - loop.inFlight.end(xid))
    if (loop.goesOn) this.send(slot)
  }

  private send(slot: number): void {
    const { data, head } = this.loop.next(slot)
    const copied = data === undefined || data.length >= LINK_FROM ? 0 : data.length
    if (SLAB - this.at < head.length + copied) this.renew()
    const { slab } = this
    slab.buffer.set(head, this.at)
    slab.view.setUint32(this.at + XID_AT, this.loop.inFlight.begin(slot, this.now))
    this.at += head.length
    if (data === undefined) return
    if (copied > 0) {
      slab.buffer.set(data, this.at)
      this.at += copied
    } else {
      this.cut()
      this.pieces.push(data)
    }
  }

  /** The socket may still hold parts of a full slab, which is left to it. */
  private renew(): void {
    this.cut()
    this.slab = allocate(SLAB)
    this.from = this.at = 0
  }

  private cut(): void {
    if (this.at > this.from) this.pieces.push(this.slab.buffer.subarray(this.from, this.at))
    this.from = this.at
  }

  private flush(): void {
    this.cut()
    const { pieces, socket } = this
    if (pieces.length === 0 || socket === undefined) return
    this.pieces = []
    if (pieces.length > 1) socket.cork()
    for (const piece of pieces) socket.write(piece)
    if (pieces.length > 1) socket.uncork()
  }
}
