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
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RoomWaiter } from "../pool/RoomWaiter.ts"
import { Task } from "../pool/Task.ts"
import type { WorkerPool } from "../pool/WorkerPool.ts"
import type { Chunks, Reader } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import * as Xdr from "../xdr/Xdr.ts"
import * as XdrError from "../xdr/XdrError.ts"
import type { Credentials } from "./Auth.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import { Origin, type Recipient, type Replay, type ReplayCache } from "./ReplayCache.ts"
import type { CallDecoder, RpcCodec } from "./RpcCodec.ts"
import type { AcceptedReply, CallHeader } from "./RpcMessage.ts"
import type { Caller, Priority, Procedure } from "./RpcProgram.ts"

/** Bytes of replies, unsent ones and those to come, above which a client has to wait for the next. */
const MAX_UNSENT = 8 * 1024 * 1024

/** Room for replies that is allocated ahead. */
const REPLY_CHUNK = 16 * 1024

/** Milliseconds that a client has to end its side of a connection that was ended here. */
const LINGER = 1000

/** What all connections of a server share. */
export interface Shared {
  readonly pool: WorkerPool["Service"]
  readonly codec: RpcCodec["Service"]
  readonly programs: ProgramTable
  readonly replays: ReplayCache
  readonly maxInFlight: number
  /** How the pool knows the classes. */
  readonly classes: { readonly [P in Priority]: CallClass }
  /** The services that handlers and log messages run with. */
  readonly context: Context.Context<never>
  readonly onClose: (connection: Connection) => void
}

/** How calls of a priority are run. */
export interface CallClass {
  /** The pool's number of the class. */
  readonly priority: number
  /** Milliseconds that a call may wait and run. */
  readonly timeLimit: number
}

export class Connection implements Recipient, RoomWaiter {
  readonly address: string
  readonly port: number
  private readonly shared: Shared
  private readonly socket: Socket
  private readonly origin = new Origin(this)
  private readonly records: RecordDecoder
  private readonly calls: CallDecoder
  private readonly writer = new Writer(REPLY_CHUNK)
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
  private closed = false
  /** No further calls are read: the server or the client is ending the connection. */
  private draining = false
  private flushScheduled = false

  constructor(socket: Socket, shared: Shared) {
    this.socket = socket
    this.shared = shared
    this.address = plainAddress(socket.remoteAddress ?? "")
    this.port = socket.remotePort ?? 0
    this.calls = shared.codec.makeDecoder()
    this.records = new RecordDecoder(shared.codec.maxRecord, (record) => this.receive(record))
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    socket.on("drain", () => this.onDrain())
    socket.on("end", () => this.drain())
    // `close` follows; what happened to a client's connection is not this server's error.
    socket.on("error", () => {})
    socket.on("close", () => this.onClose())
  }

  /** Names the other end. */
  get peer(): string {
    return `${this.address} ${this.port}`
  }

  /** The services that handlers run with. */
  get context(): Context.Context<never> {
    return this.shared.context
  }

  classOf(priority: Priority): CallClass {
    return this.shared.classes[priority]
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

  resend(reply: Uint8Array): void {
    if (this.closed) return
    this.writer.append(reply)
    this.scheduleFlush()
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

  /** A call has ended, or will never start. */
  finish(request: Request, exit: Exit.Exit<unknown, unknown>): void {
    this.costInFlight -= request.cost
    const last = this.inFlight.pop()!
    if (last !== request) {
      this.inFlight[request.place] = last
      last.place = request.place
    }
    const unheard = this.closed && request.replay === undefined
    const died = Exit.hasDies(exit)
    if (Exit.isSuccess(exit)) {
      if (!unheard) this.answer(request, exit.value)
    } else if (request.expired) {
      if (died) this.logDeath(request, exit.cause)
      if (!unheard) this.answerLate(request)
    } else if (request.fiber === undefined) {
      // It never started: this connection has been closed, or the pool stopped.
      if (request.replay !== undefined) this.shared.replays.abandon(request.replay)
      this.destroy()
    } else if (!unheard || died) {
      this.logDeath(request, exit.cause)
      this.answerWithout(request, SYSTEM_ERR)
    }
    if (this.waiting.length > 0) this.admit()
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

  private receive(record: Chunks): void {
    if (this.socket.destroyed) return
    const { codec, programs } = this.shared
    const incoming = this.calls.decode(record)
    if (incoming._tag === "Unreadable") {
      this.log(Effect.logDebug(`closed the connection of ${this.address}: what it sent is not a call`))
      this.destroy()
    } else if (incoming._tag === "Refused") {
      this.write((writer) => codec.writeRejected(writer, incoming.xid, incoming.reply))
    } else {
      const found = programs.find(incoming.header)
      if ("stat" in found) this.write((writer) => codec.writeAccepted(writer, incoming.header.xid, found))
      else this.accept(incoming.header, incoming.credentials, incoming.args, found)
    }
  }

  private accept(header: CallHeader, credentials: Credentials, reader: Reader, procedure: Procedure<any, any>): void {
    let replay: Replay | undefined
    if (!procedure.idempotent) {
      replay = this.shared.replays.begin(this.address, header, reader.rest(), this.origin)
      if (replay === undefined) return
    }
    try {
      const args: unknown = procedure.args.read(reader)
      this.waiting.push(new Request(this, header.xid, procedure, args, credentials, replay))
    } catch (error) {
      if (replay !== undefined) this.shared.replays.abandon(replay)
      const garbage = XdrError.is(error)
      if (!garbage) this.log(Effect.logError(`the arguments of ${procedure.name} could not be read`, error))
      const reply = garbage ? GARBAGE_ARGS : SYSTEM_ERR
      this.write((writer) => this.shared.codec.writeAccepted(writer, header.xid, reply))
      return
    }
    this.admit()
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

  private answer(request: Request, value: unknown): void {
    const { codec } = this.shared
    const { procedure, xid } = request
    const writer = request.replay === undefined ? this.writer : new Writer(512)
    const start = writer.length
    try {
      writeRecord(writer, (writer) => codec.writeSuccess(writer, xid, procedure.result, value))
    } catch (error) {
      writer.truncate(start)
      this.log(Effect.logError(`the result of ${procedure.name} could not be encoded`, error))
      this.answerWithout(request, SYSTEM_ERR)
      return
    }
    this.deliver(request, writer)
  }

  /** The time limit has ended a call that waited, or that is not a mutation: the client may ask again later. */
  private answerLate(request: Request): void {
    const { late } = request.procedure
    if (late === undefined) this.answerWithout(request, SYSTEM_ERR)
    else this.answer(request, late(request.args))
  }

  private answerWithout(request: Request, reply: AcceptedReply): void {
    const writer = request.replay === undefined ? this.writer : new Writer(64)
    writeRecord(writer, (writer) => this.shared.codec.writeAccepted(writer, request.xid, reply))
    this.deliver(request, writer)
  }

  /** Sends a reply that was written to this connection's writer, or keeps it for repetitions and sends it to who asked last. */
  private deliver(request: Request, writer: Writer): void {
    const { replay } = request
    if (replay === undefined) {
      this.scheduleFlush()
    } else {
      replay.answer(Xdr.join(writer.take()))
    }
  }

  private write(body: (writer: Writer) => void): void {
    writeRecord(this.writer, body)
    this.scheduleFlush()
  }

  private scheduleFlush(): void {
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
    this.shared.onClose(this)
  }

  private logDeath(request: Request, cause: Cause.Cause<unknown>): void {
    this.log(Effect.logError(`${request.procedure.name} died`, cause))
  }

  private log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.shared.context)(message)
  }
}

const SYSTEM_ERR: AcceptedReply = { stat: "SYSTEM_ERR" }
const GARBAGE_ARGS: AcceptedReply = { stat: "GARBAGE_ARGS" }

/** IPv4 addresses in their own form also where the socket is an IPv6 one. */
const plainAddress = (address: string): string => (address.startsWith("::ffff:") ? address.slice(7) : address)

/** Bytes that a call without data pins, about. */
const CALL_COST = 1024

/** One call, as the pool sees it. */
class Request extends Task implements Caller {
  readonly connection: Connection
  readonly xid: number
  readonly procedure: Procedure<any, any>
  readonly args: unknown
  readonly credentials: Credentials
  readonly replay: Replay | undefined
  readonly priority: number
  override readonly timeLimit: number
  override readonly cost: number
  /** Its index among its connection's calls in flight. */
  place = 0

  constructor(
    connection: Connection,
    xid: number,
    procedure: Procedure<any, any>,
    args: unknown,
    credentials: Credentials,
    replay: Replay | undefined
  ) {
    super()
    this.connection = connection
    this.xid = xid
    this.procedure = procedure
    this.args = args
    this.credentials = credentials
    this.replay = replay
    const { cost, priority } = procedure
    const callClass = connection.classOf(typeof priority === "function" ? priority(args) : priority)
    this.priority = callClass.priority
    this.timeLimit = callClass.timeLimit
    this.cost = cost === undefined ? CALL_COST : CALL_COST + cost(args)
  }

  get lane(): Connection {
    return this.connection
  }

  get uninterruptible(): boolean {
    return !this.procedure.idempotent
  }

  get context(): Context.Context<never> {
    return this.connection.context
  }

  get effect(): Effect.Effect<unknown> {
    return this.procedure.handler(this.args, this)
  }

  get address(): string {
    return this.connection.address
  }

  get port(): number {
    return this.connection.port
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.connection.finish(this, exit)
  }
}
