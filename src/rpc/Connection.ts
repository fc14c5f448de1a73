/**
 * One client's connection: its calls on their way into the pool, its replies on their way out.
 *
 * Everything here runs in the callbacks of its socket or of the pool, in plain functions: a chunk of calls is decoded, put
 * into the pool and, as far as nothing has to wait, answered before the callback ends, with one write for all replies.
 *
 * Calls beyond `callsInFlight`, beyond the room in the pool's queue, or whose replies would pile up unread, wait here, each
 * class in a line of its own (`CallLine`). While many wait, the socket is not read: TCP then slows the client down. Some are
 * read ahead, since what has not been read cannot be ranked: behind the many READs of a copy may be a short question. Nor is
 * it read while there is no room in the memory that all connections share (`ByteBudget`), or the client asks for more than its
 * rate allows (`Throttle`): see `Gate`.
 */

import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Throttle } from "../pool/Throttle.ts"
import { incoming, outgoing } from "../xdr/Loans.ts"
import type { Chunks } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import { CallLine, type Host } from "./CallLine.ts"
import type { Client, Visit } from "./Clients.ts"
import { Gate } from "./Gate.ts"
import { Peer, type Shared } from "./Peer.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import type { Request } from "./Request.ts"
import { type Observed, Watch } from "./Watch.ts"

/** Bytes that waiting calls may pin before no more are read: a thousand READs, or one large WRITE. */
const READ_AHEAD = 1024 * 1024

/** Room for replies that is allocated ahead. */
const REPLY_CHUNK = 16 * 1024

/** Milliseconds that a client has to end its side of a connection that was ended here. */
const LINGER = 1000

export class Connection extends Peer implements Host, Visit {
  readonly transport = "tcp"
  readonly address: string
  readonly port: number
  protected closed = false
  protected readonly maxReply = Infinity
  private readonly socket: Socket
  private readonly onGone: (connection: Connection) => void
  private readonly records: RecordDecoder
  private readonly gate: Gate
  private readonly watch: Watch
  /**
   * Calls that are in the pool, in no order; each knows its place. (A `Set` that is added to and deleted from for every call
   * leaves a trail of old tables, each of which keeps its successor from being collected.)
   */
  private readonly inFlight: Array<Request> = []
  /** By the pool's number of the class; where the pool has others, too, there are holes. */
  private readonly lines: Array<CallLine> = []
  /** Replies that are due to this client, to calls that its earlier connection made. */
  private expected = 0
  /** No further calls are read: the server or the client is ending the connection. */
  private draining = false
  private flushScheduled = false

  constructor(
    socket: Socket,
    client: Client,
    shared: Shared,
    programs: ProgramTable,
    onGone: (connection: Connection) => void
  ) {
    super(shared, programs, shared.codec.makeDecoder(), new Writer(REPLY_CHUNK))
    this.socket = socket
    this.onGone = onGone
    for (const callClass of Object.values(shared.classes)) {
      this.lines[callClass.priority] = new CallLine(this, shared, callClass)
    }
    this.address = client.address
    this.port = socket.remotePort ?? 0
    this.records = new RecordDecoder(shared.codec.maxRecord, (record) => this.onRecord(record), incoming)
    this.gate = new Gate(this, client, shared.budget)
    this.watch = new Watch(this.observed)
    setImmediate(() => this.origin.settle())
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    socket.on("drain", () => this.onDrain())
    socket.on("end", () => this.drain())
    // What happened to a client's connection is not this server's error. `close` follows later, when the client may be back.
    socket.on("error", () => {
      this.origin.silent = true
    })
    socket.on("close", () => this.onClose())
  }

  /** Names the other end. */
  get name(): string {
    return Connection.nameOf(this.address, this.port)
  }

  static nameOf(address: string, port: number | undefined): string {
    return `${address} ${port}`
  }

  get heardAt(): number {
    return this.origin.heardAt
  }

  get lane(): Connection {
    return this
  }

  /** Reads no more calls; ends when those in progress are answered. */
  drain(): void {
    this.draining = true
    this.origin.silent = true
    this.socket.pause()
    this.gate.close(this.held)
    this.endIfDone()
  }

  /** Ends it at once. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Ends it when the client has stopped, `passed` milliseconds after the last look. */
  look(passed: number): void {
    const wrong = this.watch.look(this.observed, passed, this.shared.limits)
    if (wrong === "idle") {
      this.drain()
    } else if (wrong === "stalled") {
      this.shared.complaints.about(
        "stalled",
        `closed the connection of ${this.address}: it stopped in the middle of a call, or before its replies`
      )
      // Otherwise the system would keep what is not sent.
      this.socket.resetAndDestroy()
    }
  }

  /** What limits it has changed, or what held it back: goes on as far as it may. */
  goOn(): void {
    this.lines.forEach((line) => line.admit())
    this.shared.pool.flushUnsafe()
    this.regulate()
  }

  heed(throttle: Throttle): void {
    this.gate.heed(throttle)
  }

  expect(): void {
    this.expected++
  }

  received(): void {
    this.expected--
  }

  get unsent(): number {
    return this.closed ? 0 : this.writer.length + this.socket.writableLength
  }

  get crowded(): boolean {
    return this.gate.crowded
  }

  admitted(request: Request): void {
    request.place = this.inFlight.push(request) - 1
  }

  movedOn(): void {
    this.regulate()
  }

  override finish(request: Request, exit: Exit.Exit<unknown, unknown>): void {
    const line = this.lines[request.priority]!
    line.ended(request)
    const last = this.inFlight.pop()!
    if (last !== request) {
      this.inFlight[request.place] = last
      last.place = request.place
    }
    super.finish(request, exit)
    line.admit()
  }

  protected enqueue(request: Request): void {
    this.lines[request.priority]!.enqueue(request)
  }

  protected frame(writer: Writer, body: (writer: Writer) => void): void {
    writeRecord(writer, body)
  }

  protected onUnreadable(): void {
    this.log(Effect.logDebug(`closed the connection of ${this.address}: what it sent is not a call`))
    this.destroy()
  }

  private onData(chunk: Buffer): void {
    this.origin.heard()
    const before = this.records.completed
    const tooLong = this.records.push(chunk)
    if (tooLong !== undefined) {
      this.shared.complaints.about(
        "too long",
        `closed the connection of ${this.address}: a record of ${tooLong} bytes is above the limit of ${this.shared.codec.maxRecord}`
      )
      this.destroy()
      return
    }
    this.gate.onRead(this.records.completed - before, chunk.length)
    this.shared.pool.flushUnsafe()
    this.flush()
    this.regulate()
  }

  private onRecord(record: Chunks): void {
    if (!this.socket.destroyed) this.receive(record)
  }

  private onDrain(): void {
    this.goOn()
    this.flush()
    this.regulate()
  }

  /** Reads from the socket only while everything keeps up. */
  private regulate(): void {
    if (this.closed || this.socket.destroyed) return
    if (this.draining) {
      this.gate.close(this.held)
      return
    }
    const { pinned } = this
    const open = this.gate.isOpen(pinned + this.unsent, this.records)
    const behind = !open || pinned >= READ_AHEAD
    this.origin.silent = behind
    if (behind !== this.socket.isPaused()) {
      if (behind) this.socket.pause()
      else this.socket.resume()
    }
  }

  /** Bytes that it holds, besides a record that is being received. */
  private get held(): number {
    return this.pinned + this.unsent
  }

  private get observed(): Observed {
    const { records, socket } = this
    return {
      heardAt: this.origin.heardAt,
      listening: !socket.isPaused(),
      busy: this.inFlight.length > 0 || this.pinned > 0 || this.expected > 0,
      receiving: records.begun,
      records: records.completed,
      received: records.received,
      unsent: this.unsent,
      sent: socket.bytesWritten - socket.writableLength,
      writing: writing(socket)
    }
  }

  /** Bytes that waiting calls pin. */
  private get pinned(): number {
    let pinned = 0
    this.lines.forEach((line) => {
      pinned += line.pinned
    })
    return pinned
  }

  protected scheduleFlush(): void {
    if (this.flushScheduled) return
    this.flushScheduled = true
    process.nextTick(() => {
      this.flushScheduled = false
      this.flush()
      this.regulate()
      if (this.draining) this.endIfDone()
    })
  }

  private flush(): void {
    const { length } = this.writer
    if (length === 0) return
    this.gate.onWritten(length)
    const chunks = this.writer.take()
    if (this.closed) return
    if (chunks.length === 1) {
      this.socket.write(chunks[0]!)
    } else {
      // None of them is written again before all have left.
      const lent = chunks.filter((chunk) => outgoing.has(chunk))
      const last = chunks.pop()!
      this.socket.cork()
      for (const chunk of chunks) this.socket.write(chunk)
      if (lent.length === 0) this.socket.write(last)
      else this.socket.write(last, (error) => (error ? undefined : outgoing.giveBack(lent)))
      this.socket.uncork()
    }
  }

  private endIfDone(): void {
    if (this.closed || this.inFlight.length > 0 || this.pinned > 0 || this.expected > 0) return
    this.flush()
    // A client that does not end its side, too, is not waited for.
    this.socket.end(() => setTimeout(() => this.socket.destroy(), LINGER).unref())
    // Data that still comes must be read for the close to be seen, and is not looked at.
    this.socket.removeAllListeners("data")
    this.socket.resume()
  }

  private onClose(): void {
    this.closed = true
    this.origin.silent = true
    this.origin.recipient = undefined
    const { pool, replays } = this.shared
    // What the client's next connection asked for again goes on.
    const goesOn = ({ replay }: Request): boolean => replay?.inherited ?? false
    this.lines.forEach((line) => {
      for (const { replay } of line.leave(goesOn)) if (replay !== undefined) replays.abandon(replay)
    })
    // So do mutations that have started: their replies wait for the client to come back.
    for (const request of [...this.inFlight]) {
      if (!goesOn(request)) pool.cancelUnsafe(request)
    }
    this.lines.forEach((line) => line.admit())
    pool.flushUnsafe()
    this.gate.close(0)
    this.onGone(this)
  }
}

/** Bytes that are left of the write in progress. Only the handle knows; without it, a long write is seen when it has ended. */
const writing = (socket: Socket): number =>
  (socket as { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0
