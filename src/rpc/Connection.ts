/**
 * One client's connection: its calls on their way into the pool, its replies on their way out.
 *
 * Everything here runs in the callbacks of its socket or of the pool, in plain functions: a chunk of calls is decoded, put
 * into the pool and, as far as nothing has to wait, answered before the callback ends, with one write for all replies.
 *
 * Calls beyond `maxInFlight`, or beyond the room in the pool's queue, wait here in the order of their arrival; while any
 * does, and while replies pile up unread, the socket is not read: TCP then slows the client down.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Socket } from "node:net"
import type { RoomWaiter } from "../pool/Scheduler.ts"
import { Task } from "../pool/Task.ts"
import { priorityIndex, type WorkerPool } from "../pool/WorkerPool.ts"
import type { Chunks, Reader } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import * as Xdr from "../xdr/Xdr.ts"
import * as XdrError from "../xdr/XdrError.ts"
import type { Credentials } from "./Auth.ts"
import { RecordDecoder, writeRecord } from "./RecordMarking.ts"
import type { Origin, Replay, ReplayCache } from "./ReplayCache.ts"
import type { CallDecoder, RpcCodec } from "./RpcCodec.ts"
import type { AcceptedReply, CallHeader } from "./RpcMessage.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import type { Caller, Procedure } from "./RpcProgram.ts"

/** Unsent bytes of replies above which a client that does not read them is not read from. */
const MAX_UNSENT = 4 * 1024 * 1024

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
  /** The services that handlers and log messages run with. */
  readonly context: Context.Context<never>
  readonly onClose: (connection: Connection) => void
}

export class Connection implements Origin, RoomWaiter {
  closed = false
  readonly address: string
  readonly port: number
  private readonly shared: Shared
  private readonly socket: Socket
  private readonly records: RecordDecoder
  private readonly calls: CallDecoder
  private readonly writer = new Writer(REPLY_CHUNK)
  private readonly inFlight = new Set<Request>()
  /** Calls that wait for their turn to enter the pool. */
  private readonly waiting: Array<Request> = []
  private awaitsRoom = false
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
    socket.on("drain", () => this.regulate())
    socket.on("end", () => this.drain())
    // `close` follows; what happened to a client's connection is not this server's error.
    socket.on("error", () => {})
    socket.on("close", () => this.onClose())
  }

  /** The services that handlers run with. */
  get context(): Context.Context<never> {
    return this.shared.context
  }

  /** Reads no more calls; ends when those in progress are answered. */
  drain(): void {
    this.draining = true
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
    this.inFlight.delete(request)
    if (Exit.isSuccess(exit)) {
      this.answer(request, exit.value)
    } else if (!Exit.hasDies(exit)) {
      // Interrupted, or the pool has stopped: nobody is there any more to be answered.
      if (request.replay !== undefined) this.shared.replays.abandon(request.replay)
    } else {
      this.log(Effect.logError(`${request.procedure.name} died`, exit.cause))
      this.answerWithout(request, SYSTEM_ERR)
    }
    if (this.waiting.length > 0) this.admit()
    if (this.draining) this.endIfDone()
  }

  private onData(chunk: Buffer): void {
    const tooLong = this.records.push(chunk)
    if (tooLong !== undefined) {
      this.log(Effect.logWarning(
        `closed the connection of ${this.address}: a record of ${tooLong} bytes is above the limit of ${this.shared.codec.maxRecord}`
      ))
      this.destroy()
      return
    }
    this.shared.pool.flushUnsafe()
    this.flush()
    this.regulate()
  }

  private receive(record: Chunks): void {
    if (this.closed) return
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

  private accept(
    header: CallHeader,
    credentials: Credentials,
    reader: Reader,
    procedure: Procedure<any, any>
  ): void {
    let replay: Replay | undefined
    if (!procedure.idempotent) {
      replay = this.shared.replays.begin(this.address, header, reader.rest(), this)
      if (replay === undefined) return
    }
    let args: unknown
    try {
      args = procedure.args.read(reader)
    } catch (error) {
      if (!XdrError.is(error)) throw error
      if (replay !== undefined) this.shared.replays.abandon(replay)
      this.write((writer) => this.shared.codec.writeAccepted(writer, header.xid, GARBAGE_ARGS))
      return
    }
    this.waiting.push(new Request(this, header.xid, procedure, args, credentials, replay))
    this.admit()
  }

  /** Lets waiting calls into the pool as far as there is room. */
  private admit(): void {
    const { maxInFlight, pool } = this.shared
    let admitted = 0
    while (admitted < this.waiting.length && this.inFlight.size < maxInFlight && !this.awaitsRoom) {
      const request = this.waiting[admitted]!
      if (pool.offerUnsafe(request)) {
        this.inFlight.add(request)
        admitted++
      } else {
        this.awaitsRoom = true
        pool.awaitRoomUnsafe(this)
      }
    }
    if (admitted === this.waiting.length) this.waiting.length = 0
    else if (admitted > 0) this.waiting.splice(0, admitted)
  }

  /** Reads from the socket only while everything keeps up. */
  private regulate(): void {
    if (this.closed || this.draining) return
    const behind = this.waiting.length > 0 || this.socket.writableLength > MAX_UNSENT
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
      replay.reply = Xdr.join(writer.take())
      replay.origin.resend(replay.reply)
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
    if (this.closed || this.inFlight.size > 0 || this.waiting.length > 0) return
    this.flush()
    // A client that does not end its side, too, is not waited for.
    this.socket.end(() => setTimeout(() => this.socket.destroy(), LINGER).unref())
    // Data that still comes must be read for the close to be seen, and is not looked at.
    this.socket.removeAllListeners("data")
    this.socket.resume()
  }

  private onClose(): void {
    this.closed = true
    const { pool, replays } = this.shared
    if (this.awaitsRoom) pool.forgetRoomUnsafe(this)
    for (const request of this.waiting) {
      if (request.replay !== undefined) replays.abandon(request.replay)
    }
    this.waiting.length = 0
    // Mutations that have started go on, and their replies wait for the client to come back.
    for (const request of [...this.inFlight]) pool.cancelUnsafe(request)
    this.shared.onClose(this)
  }

  private log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.shared.context)(message)
  }
}

const SYSTEM_ERR: AcceptedReply = { stat: "SYSTEM_ERR" }
const GARBAGE_ARGS: AcceptedReply = { stat: "GARBAGE_ARGS" }

/** IPv4 addresses in their own form also where the socket is an IPv6 one. */
const plainAddress = (address: string): string => address.startsWith("::ffff:") ? address.slice(7) : address

/** One call, as the pool sees it. */
class Request extends Task implements Caller {
  readonly connection: Connection
  readonly xid: number
  readonly procedure: Procedure<any, any>
  readonly args: unknown
  readonly credentials: Credentials
  readonly replay: Replay | undefined
  readonly priority: number

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
    const { priority } = procedure
    this.priority = priorityIndex(typeof priority === "function" ? priority(args) : priority)
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
