/**
 * Who calls, whatever carries the calls: what comes from it is decoded and becomes requests, and what becomes of these is
 * encoded as replies. When requests enter the pool, and how bytes travel, is up to its transport: `Connection`, `Datagrams`.
 *
 * Everything here runs in the callbacks of a socket or of the pool, in plain functions.
 */

import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Throttle } from "../pool/Throttle.ts"
import type { WorkerPool } from "../pool/WorkerPool.ts"
import { lengthOf } from "../xdr/Chunks.ts"
import type { Chunks, Reader } from "../xdr/Reader.ts"
import { Writer } from "../xdr/Writer.ts"
import * as XdrError from "../xdr/XdrError.ts"
import type { AuthError, Credentials } from "./Auth.ts"
import type { ByteBudget } from "./ByteBudget.ts"
import type { Clients } from "./Clients.ts"
import type { Complaints } from "./Complaints.ts"
import type { Settled } from "./Limits.ts"
import type { ProgramTable } from "./ProgramTable.ts"
import { Origin, type Recipient, type Replay, type ReplayCache } from "./ReplayCache.ts"
import { Request } from "./Request.ts"
import type { CallDecoder, RpcCodec } from "./RpcCodec.ts"
import type { AcceptedReply, CallHeader, RejectedReply } from "./RpcMessage.ts"
import type { Priority, Procedure, Transport } from "./RpcProgram.ts"

/** What all peers of a server share. */
export interface Shared {
  readonly pool: WorkerPool["Service"]
  readonly codec: RpcCodec["Service"]
  readonly replays: ReplayCache
  /** As they are now. */
  limits: Settled
  readonly clients: Clients
  /** Who calls by datagrams: an account of its own, since anybody can put a client's address on one. */
  readonly correspondents: Clients
  readonly budget: ByteBudget
  readonly complaints: Complaints
  /** How the pool knows the classes. */
  readonly classes: { readonly [P in Priority]: CallClass }
  /** The services that handlers and log messages run with. */
  readonly context: Context.Context<never>
}

/** How calls of a priority are run. */
export interface CallClass {
  /** The pool's number of the class. */
  readonly priority: number
  /** Milliseconds that a call may wait and run. */
  readonly timeLimit: number
  /** Whether its replies are short: then long ones that a client has not read yet do not hold them back. */
  readonly short: boolean
}

/** Room for replies to changes that is allocated ahead. */
const KEPT_CHUNK = 8 * 1024

export abstract class Peer implements Recipient {
  abstract readonly transport: Transport
  abstract readonly address: string
  abstract readonly port: number
  /** Whose turn in the pool its calls use. */
  abstract readonly lane: unknown
  protected readonly shared: Shared
  protected readonly programs: ProgramTable
  protected readonly origin = new Origin(this)
  /** Replies that are to be sent. */
  protected readonly writer: Writer
  /** Where replies are written that are kept. */
  private remembered: Writer | undefined = undefined
  private readonly calls: CallDecoder

  constructor(shared: Shared, programs: ProgramTable, calls: CallDecoder, writer: Writer) {
    this.shared = shared
    this.programs = programs
    this.calls = calls
    this.writer = writer
  }

  /** Nobody is left to send a reply to. */
  protected abstract readonly closed: boolean
  /** Most bytes of a reply. */
  protected abstract readonly maxReply: number
  /** Brings a request into the pool. */
  protected abstract enqueue(request: Request): void
  /** Writes a message as it is framed here. */
  protected abstract frame(writer: Writer, body: (writer: Writer) => void): void
  /** Sees to it that what was written is sent, soon. */
  protected abstract scheduleFlush(): void
  /** What came is nothing that could be answered. */
  protected abstract onUnreadable(): void
  abstract expect(): void
  abstract received(): void
  abstract destroy(): void
  /** Reads nothing more of who calls while something is owed there. */
  abstract heed(throttle: Throttle): void

  /** The services that handlers run with. */
  get context(): Context.Context<never> {
    return this.shared.context
  }

  classOf(priority: Priority): CallClass {
    return this.shared.classes[priority]
  }

  resend(reply: Uint8Array): void {
    if (this.closed) return
    this.writer.append(reply)
    this.scheduleFlush()
  }

  /** A call has ended, or will never start. */
  finish(request: Request, exit: Exit.Exit<unknown, unknown>): void {
    const unheard = this.closed && request.replay === undefined
    const died = Exit.hasDies(exit)
    if (Exit.isSuccess(exit)) {
      if (!unheard) this.answer(request, exit.value)
    } else if (request.expired) {
      if (died) this.logDeath(request, exit.cause)
      if (!unheard) this.answerLate(request)
    } else if (!request.started) {
      // It never started: this peer is gone, or the pool stopped.
      if (request.replay !== undefined) this.shared.replays.abandon(request.replay)
      this.destroy()
    } else if (!unheard || died) {
      const refusal = died ? Option.none() : Exit.findErrorOption(exit)
      if (Option.isSome(refusal)) {
        this.reject(request, { stat: "AUTH_ERROR", why: (refusal.value as AuthError).why })
      } else {
        this.logDeath(request, exit.cause)
        this.answerWithout(request, SYSTEM_ERR)
      }
    }
  }

  /** Takes a message: refuses it at once, or makes a request of it. */
  protected receive(message: Chunks): void {
    const { codec } = this.shared
    const incoming = this.calls.decode(message)
    if (incoming._tag === "Unreadable") {
      this.onUnreadable()
    } else if (incoming._tag === "Refused") {
      this.write((writer) => codec.writeRejected(writer, incoming.xid, incoming.reply))
    } else {
      const found = this.programs.find(incoming.header)
      if ("stat" in found) this.write((writer) => codec.writeAccepted(writer, incoming.header.xid, found))
      else this.accept(incoming.header, incoming.credentials, incoming.args, found, lengthOf(message))
    }
  }

  private logDeath(request: Request, cause: Cause.Cause<unknown>): void {
    this.log(Effect.logError(`${request.procedure.name} died`, cause))
  }

  protected log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.shared.context)(message)
  }

  private accept(
    header: CallHeader,
    credentials: Credentials,
    reader: Reader,
    procedure: Procedure<any, any>,
    length: number
  ): void {
    let replay: Replay | undefined
    if (!procedure.idempotent) {
      replay = this.shared.replays.begin(this.address, header, reader.rest(), this.origin)
      if (replay === undefined) return
    }
    let request: Request
    try {
      const args: unknown = procedure.args.read(reader)
      request = new Request(this, header.xid, procedure, args, credentials, replay, length)
    } catch (error) {
      if (replay !== undefined) this.shared.replays.abandon(replay)
      const garbage = XdrError.is(error)
      if (!garbage) this.log(Effect.logError(`the arguments of ${procedure.name} could not be read`, error))
      const reply = garbage ? GARBAGE_ARGS : SYSTEM_ERR
      this.write((writer) => this.shared.codec.writeAccepted(writer, header.xid, reply))
      return
    }
    this.enqueue(request)
  }

  private answer(request: Request, value: unknown): void {
    const { codec } = this.shared
    const { procedure, xid } = request
    const writer = this.writerFor(request)
    const start = writer.length
    try {
      this.frame(writer, (writer) => codec.writeSuccess(writer, xid, procedure.result, value))
    } catch (error) {
      writer.truncate(start)
      this.log(Effect.logError(`the result of ${procedure.name} could not be encoded`, error))
      this.answerWithout(request, SYSTEM_ERR)
      return
    }
    if (writer.length - start > this.maxReply) {
      writer.truncate(start)
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
    this.reply(request, (writer) => this.shared.codec.writeAccepted(writer, request.xid, reply))
  }

  private reject(request: Request, reply: RejectedReply): void {
    this.reply(request, (writer) => this.shared.codec.writeRejected(writer, request.xid, reply))
  }

  /** Answers a call with less than a result. */
  private reply(request: Request, body: (writer: Writer) => void): void {
    const writer = this.writerFor(request)
    this.frame(writer, body)
    this.deliver(request, writer)
  }

  /** Replies that are kept for repetitions are copied, and so have a writer of their own. */
  private writerFor({ replay }: Request): Writer {
    return replay === undefined ? this.writer : (this.remembered ??= new Writer(KEPT_CHUNK))
  }

  /** Sends a reply that was written to this peer's writer, or keeps it for repetitions and sends it to who asked last. */
  private deliver(request: Request, writer: Writer): void {
    const { replay } = request
    if (replay === undefined) {
      this.scheduleFlush()
    } else {
      replay.answer(writer.take())
    }
  }

  private write(body: (writer: Writer) => void): void {
    this.frame(this.writer, body)
    this.scheduleFlush()
  }
}

const SYSTEM_ERR: AcceptedReply = { stat: "SYSTEM_ERR" }
const GARBAGE_ARGS: AcceptedReply = { stat: "GARBAGE_ARGS" }

/** IPv4 addresses in their own form also where the socket is an IPv6 one. */
export const plainAddress = (address: string): string => (address.startsWith("::ffff:") ? address.slice(7) : address)
