/**
 * Remembers the replies to calls that must not be executed twice, so that a client that lost a reply with its connection
 * and asks again is told what happened the first time.
 *
 * A call is the same call when address, xid, program, version, procedure and a checksum of its arguments agree, and when it
 * comes over the same connection as before, or one of both may have taken the other's place: several clients behind one
 * address may use the same xids. They start at random ones, mostly, so what cannot be told is taken for a repetition.
 */

import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import { lengthOf } from "../xdr/Chunks.ts"
import type { Chunks } from "../xdr/Reader.ts"
import type { CallHeader } from "./RpcMessage.ts"
import { Slab } from "./Slab.ts"

/** Arguments are told apart by this many bytes of them; the rest is file data. */
const CHECKED_BYTES = 256

/** A connection, as far as it matters here. */
export interface Recipient {
  /** Sends a reply of which the bytes exist already. */
  readonly resend: (reply: Uint8Array) => void
  /** It waits for the reply to a call that another connection executes. */
  readonly expect: () => void
  /** It waits for one less. */
  readonly received: () => void
  /** Ends it at once: a call of it is lost, which its client shall notice. */
  readonly destroy: () => void
}

/** Milliseconds without a word after which a connection may be gone. Clients wait for longer before they repeat a call. */
const SILENCE = 1000

/** How many connections have begun; and how many of them so long ago that what came before them has been looked for since. */
let begun = 0
let settled = 0

/** Where a call came from. It is remembered for longer than the connection lives. */
export class Origin {
  /** The client has ended the connection, or may have, unnoticed because it is not read from. */
  silent = false
  /** When something came over the connection last, as `performance.now` has it. */
  heardAt = performance.now()
  /** Undefined when the connection is closed. */
  recipient: Recipient | undefined
  /** Its number among all. */
  private readonly number = ++begun
  /** The last of those that had begun before something came over it. */
  private heardAfter = 0

  constructor(recipient: Recipient) {
    this.recipient = recipient
  }

  /** Whatever had come over others when it began has been read by now, where they are read from. */
  settle(): void {
    settled = this.number
  }

  /** Something has come. */
  heard(): void {
    this.heardAt = performance.now()
    this.heardAfter = settled
  }

  /**
   * Whether a call that came over the other connection, and now comes over this one, may be one call of one client, which gave
   * up the older connection for the younger. What it had sent over the older may be read at any time: it lies in buffers on
   * both sides, and gets lost and is sent again, long after the client has closed its end. So only silence tells that an older
   * connection is somebody else's: it is open, and nothing has come since the younger began, not even its end.
   */
  mayReplace(other: Origin): boolean {
    if (other.silent || performance.now() - other.heardAt > SILENCE) return true
    return this.number < other.number || other.heardAfter >= this.number
  }
}

/** Addresses that are remembered. */
const MAX_CLIENTS = 256

/** Calls that are remembered of all addresses: 40 MiB, about. */
const MAX_CALLS = 65_536

/** The calls that are remembered of one address. */
interface Client {
  readonly address: string
  /** By xid. */
  readonly calls: Map<number, Replay>
  /** In the order in which they came, from `oldest` on. */
  readonly ring: Array<Replay>
  oldest: number
  readonly replies: Slab
  /** Grows with every call of any client. */
  usedAt: number
}

/** A call that is being executed, or was. */
export class Replay {
  /** Undefined while the call is executed. */
  reply: Uint8Array | undefined = undefined
  /** Whether it will not be executed. */
  abandoned = false
  readonly client: Client
  readonly header: CallHeader
  private readonly checksum: number
  /** The connection that executes it. */
  private readonly first: Origin
  /** The connection that asked last. */
  private last: Origin
  /** Connections, besides the first, that wait for the reply. */
  private heirs: ReadonlyArray<Origin> = none

  constructor(client: Client, header: CallHeader, checksum: number, origin: Origin) {
    this.client = client
    this.header = header
    this.checksum = checksum
    this.first = this.last = origin
  }

  /** Whether another connection waits for the reply. */
  get inherited(): boolean {
    return this.heirs.some((origin) => origin.recipient !== undefined)
  }

  isRepeatedBy(header: CallHeader, checksum: number, origin: Origin): boolean {
    return (
      this.checksum === checksum &&
      this.header.procedure === header.procedure &&
      this.header.program === header.program &&
      this.header.version === header.version &&
      (this.first === origin || this.last === origin || origin.mayReplace(this.last))
    )
  }

  /** Sees to it that `origin` is sent the reply, now or when there is one. */
  repeat(origin: Origin): void {
    this.last = origin
    if (this.reply !== undefined) {
      origin.recipient?.resend(this.reply)
    } else if (origin !== this.first && !this.heirs.includes(origin)) {
      this.heirs = [...this.heirs, origin]
      origin.recipient?.expect()
    }
  }

  /** The call has been executed: the reply, which is copied, goes to all who wait for it. */
  answer(chunks: ReadonlyArray<Uint8Array>): void {
    const reply = this.client.replies.keep(chunks)
    this.reply = reply
    this.first.recipient?.resend(reply)
    for (const { recipient } of this.heirs) {
      recipient?.resend(reply)
      recipient?.received()
    }
    this.heirs = none
  }

  /** The call will not be executed. */
  lose(): void {
    for (const { recipient } of this.heirs) recipient?.destroy()
    this.heirs = none
  }
}

export class ReplayCache {
  private capacity: number
  private readonly maxCalls: number
  private readonly clients = new Map<string, Client>()
  private total = 0
  private time = 0

  /**
   * `capacity`: calls that are remembered of each address, so that no client makes another's be forgotten. `maxCalls`: of all;
   * above it, those of the address are forgotten that has not called for the longest time.
   */
  constructor(capacity: number, maxCalls = MAX_CALLS) {
    this.capacity = capacity
    this.maxCalls = maxCalls
  }

  /** Calls that are remembered. */
  get size(): number {
    return this.total
  }

  /** Another capacity. What is above it is forgotten at once, the oldest first, but for calls that are still executed. */
  resize(capacity: number): void {
    this.capacity = capacity
    for (const client of [...this.clients.values()]) {
      const { oldest, ring } = client
      const inOrder = [...ring.slice(oldest), ...ring.slice(0, oldest)]
      const surplus = inOrder.filter((replay) => !isExecuted(replay)).slice(0, Math.max(0, ring.length - capacity))
      const gone = new Set(surplus)
      ring.splice(0, ring.length, ...inOrder.filter((replay) => !gone.has(replay)))
      client.oldest = 0
      this.total -= surplus.length
      for (const replay of surplus) this.forget(replay)
    }
  }

  /**
   * Remembers a call that is about to be executed. For a repetition it gives `undefined` and sees to the answer: `origin`
   * is sent the reply, now or when there is one.
   */
  begin(address: string, header: CallHeader, args: Chunks, origin: Origin): Replay | undefined {
    const checksum = checksumOf(args)
    const client = this.clientOf(address)
    const known = client.calls.get(header.xid)
    if (known?.isRepeatedBy(header, checksum, origin)) {
      known.repeat(origin)
      return undefined
    }
    const replay = new Replay(client, header, checksum, origin)
    client.calls.set(header.xid, replay)
    this.remember(client, replay)
    return replay
  }

  /** Forgets a call that is not executed: when it is asked for again, it will be. */
  abandon(replay: Replay): void {
    this.forget(replay)
    replay.abandoned = true
    replay.lose()
  }

  private remember(client: Client, replay: Replay): void {
    client.usedAt = ++this.time
    const { ring } = client
    // A call that is still executed is not forgotten: then the ring is as long as calls are in flight.
    for (let tried = 0; ring.length >= this.capacity && tried < ring.length; tried++) {
      const at = client.oldest
      client.oldest = (at + 1) % ring.length
      const oldest = ring[at]!
      if (isExecuted(oldest)) continue
      this.forget(oldest)
      ring[at] = replay
      return
    }
    ring.push(replay)
    this.total++
    while (this.total > this.maxCalls && this.clients.size > 1) this.forgetClient()
  }

  private forget(replay: Replay): void {
    const { client, header } = replay
    if (client.calls.get(header.xid) === replay) client.calls.delete(header.xid)
    if (client.calls.size === 0 && this.clients.get(client.address) === client) this.drop(client)
  }

  /** Forgets the client that has not called for the longest time. */
  private forgetClient(): void {
    let idle: Client | undefined
    for (const client of this.clients.values()) {
      if (idle === undefined || client.usedAt < idle.usedAt) idle = client
    }
    if (idle !== undefined) this.drop(idle)
  }

  private drop(client: Client): void {
    this.clients.delete(client.address)
    this.total -= client.ring.length
  }

  private clientOf(address: string): Client {
    const known = this.clients.get(address)
    if (known !== undefined) return known
    if (this.clients.size >= MAX_CLIENTS) this.forgetClient()
    const client: Client = { address, calls: new Map(), ring: [], oldest: 0, replies: new Slab(), usedAt: 0 }
    this.clients.set(address, client)
    return client
  }
}

/** Whether a call is still executed. */
const isExecuted = ({ abandoned, reply }: Replay): boolean => reply === undefined && !abandoned

const none: ReadonlyArray<Origin> = []

const checksumOf = (args: Chunks): number => {
  const head = args[0]
  if (head === undefined) return 0
  if (args.length === 1 || head.length >= CHECKED_BYTES) return crc32(head.subarray(0, CHECKED_BYTES))
  return crc32(Buffer.concat(args, Math.min(lengthOf(args), CHECKED_BYTES)))
}
