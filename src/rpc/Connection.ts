/**
 * One client's connection: its calls on their way into the pool, its replies on their way out.
 *
 * Everything here runs in the callbacks of its socket or of the pool, in plain functions: a chunk of calls is decoded, put
 * into the pool and, as far as nothing has to wait, answered before the callback ends, with one write for all replies.
 *
 * Calls beyond `maxInFlight`, or beyond the room in the pool's queue, wait here in the order of their arrival; while any
 * does, and while replies pile up unread, the socket is not read: TCP then slows the client down.
 */

import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { RoomWaiter } from "../pool/RoomWaiter.ts"
import type { Chunks } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import { Peer, plainAddress, type Shared } from "./Peer.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import type { Request } from "./Request.ts"

/** Bytes of replies, unsent ones and those to come, above which a client has to wait for the next. */
const MAX_UNSENT = 8 * 1024 * 1024

/** Room for replies that is allocated ahead. */
const REPLY_CHUNK = 16 * 1024

/** Milliseconds that a client has to end its side of a connection that was ended here. */
const LINGER = 1000

export class Connection extends Peer implements RoomWaiter {
  readonly transport = "tcp"
  readonly address: string
  readonly port: number
  protected closed = false
  protected readonly maxReply = Infinity
  private readonly socket: Socket
  private readonly onGone: (connection: Connection) => void
  private readonly records: RecordDecoder
  /**
   * Calls that are in the pool, in no order; each knows its place. (A `Set` that is added to and deleted from for every call
   * leaves a trail of old tables, each of which keeps its successor from being collected.)
   */
  private readonly inFlight: Array<Request> = []
  /** Bytes that these bring or ask for. */
  private costInFlight = 0
  /** Calls that wait for their turn to enter the pool. */
  private readonly waiting: Array<Request> = []
  private awaitsRoom = false
  /** Replies that are due to this client, to calls that its earlier connection made. */
  private expected = 0
  /** No further calls are read: the server or the client is ending the connection. */
  private draining = false
  private flushScheduled = false

  constructor(socket: Socket, shared: Shared, programs: ProgramTable, onGone: (connection: Connection) => void) {
    super(shared, programs, shared.codec.makeDecoder(), new Writer(REPLY_CHUNK))
    this.socket = socket
    this.onGone = onGone
    this.address = plainAddress(socket.remoteAddress ?? "")
    this.port = socket.remotePort ?? 0
    this.records = new RecordDecoder(shared.codec.maxRecord, (record) => this.onRecord(record))
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    socket.on("drain", () => this.onDrain())
    socket.on("end", () => this.drain())
    // `close` follows; what happened to a client's connection is not this server's error.
    socket.on("error", () => {})
    socket.on("close", () => this.onClose())
  }

  /** Names the other end. */
  get name(): string {
    return `${this.address} ${this.port}`
  }

  get lane(): Connection {
    return this
  }

  /** Reads no more calls; ends when those in progress are answered. */
  drain(): void {
    this.draining = true
    this.origin.silent = true
    this.socket.pause()
    this.endIfDone()
  }

  /** Ends it at once. */
  destroy(): void {
    this.socket.destroy()
  }

  expect(): void {
    this.expected++
  }

  received(): void {
    this.expected--
  }

  /** Bytes that the call costs which waits longest for its turn. */
  get cost(): number {
    return this.waiting[0]?.cost ?? 0
  }

  /** The class of that call. */
  get priority(): number | undefined {
    return this.waiting[0]?.priority
  }

  onRoom(): void {
    this.awaitsRoom = false
    this.admit()
    this.regulate()
  }

  onStopped(): void {
    this.awaitsRoom = false
    this.destroy()
  }

  override finish(request: Request, exit: Exit.Exit<unknown, unknown>): void {
    this.costInFlight -= request.cost
    const last = this.inFlight.pop()!
    if (last !== request) {
      this.inFlight[request.place] = last
      last.place = request.place
    }
    super.finish(request, exit)
    if (this.waiting.length > 0) this.admit()
  }

  protected enqueue(request: Request): void {
    this.waiting.push(request)
    this.admit()
  }

  protected frame(writer: Writer, body: (writer: Writer) => void): void {
    writeRecord(writer, body)
  }

  protected onUnreadable(): void {
    this.log(Effect.logDebug(`closed the connection of ${this.address}: what it sent is not a call`))
    this.destroy()
  }

  private onData(chunk: Buffer): void {
    this.origin.heardAt = Date.now()
    const tooLong = this.records.push(chunk)
    if (tooLong !== undefined) {
      this.log(
        Effect.logWarning(
          `closed the connection of ${this.address}: a record of ${tooLong} bytes is above the limit of ${this.shared.codec.maxRecord}`
        )
      )
      this.destroy()
      return
    }
    this.shared.pool.flushUnsafe()
    this.flush()
    this.regulate()
  }

  private onRecord(record: Chunks): void {
    if (!this.socket.destroyed) this.receive(record)
  }

  /** Lets waiting calls into the pool as far as there is room. */
  private admit(): void {
    const { maxInFlight, pool } = this.shared
    let admitted = 0
    while (
      admitted < this.waiting.length &&
      this.inFlight.length < maxInFlight &&
      !this.awaitsRoom &&
      !this.congested
    ) {
      const request = this.waiting[admitted]!
      if (pool.offerUnsafe(request)) {
        request.place = this.inFlight.push(request) - 1
        this.costInFlight += request.cost
        admitted++
      } else {
        this.awaitsRoom = true
        pool.awaitRoomUnsafe(this)
      }
    }
    if (admitted === this.waiting.length) this.waiting.length = 0
    else if (admitted > 0) this.waiting.splice(0, admitted)
  }

  /** Whether the client does not read its replies. */
  private get congested(): boolean {
    if (this.closed) return false
    const unsent = this.writer.length + this.socket.writableLength
    // However large, one call at a time is always answered.
    return unsent > MAX_UNSENT || (this.inFlight.length > 0 && unsent + this.costInFlight > MAX_UNSENT)
  }

  private onDrain(): void {
    this.goOn()
    this.flush()
    this.regulate()
  }

  /** Runs what waited for something else than the pool. */
  private goOn(): void {
    if (this.waiting.length === 0) return
    this.admit()
    this.shared.pool.flushUnsafe()
  }

  /** Reads from the socket only while everything keeps up. */
  private regulate(): void {
    if (this.closed || this.draining) return
    const behind = this.waiting.length > 0
    this.origin.silent = behind
    if (behind !== this.socket.isPaused()) {
      if (behind) this.socket.pause()
      else this.socket.resume()
    }
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
    if (this.writer.length === 0) return
    const chunks = this.writer.take()
    if (this.closed) return
    if (chunks.length === 1) {
      this.socket.write(chunks[0]!)
    } else {
      this.socket.cork()
      for (const chunk of chunks) this.socket.write(chunk)
      this.socket.uncork()
    }
  }

  private endIfDone(): void {
    if (this.closed || this.inFlight.length > 0 || this.waiting.length > 0 || this.expected > 0) return
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
    for (const request of this.waiting.splice(0)) {
      if (goesOn(request)) this.waiting.push(request)
      else if (request.replay !== undefined) replays.abandon(request.replay)
    }
    // So do mutations that have started: their replies wait for the client to come back.
    for (const request of [...this.inFlight]) {
      if (!goesOn(request)) pool.cancelUnsafe(request)
    }
    if (this.awaitsRoom && this.waiting.length === 0) pool.forgetRoomUnsafe(this)
    this.goOn()
    this.onGone(this)
  }
}
