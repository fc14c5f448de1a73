/**
 * Remembers the replies to calls that must not be executed twice, so that a client that lost a reply with its connection
 * and asks again is told what happened the first time.
 *
 * A call is the same call when address, xid, program, version, procedure and a checksum of its arguments agree, and when it
 * comes over the same connection as before or that one is closed: several clients behind one address may use the same
 * xids, but none of them has a dead connection with another's.
 */
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import type { Chunks } from "../xdr/Reader.ts"
import type { CallHeader } from "./RpcMessage.ts"

/** Arguments are told apart by this many bytes of them; the rest is file data. */
const CHECKED_BYTES = 256

/** Where replies go. */
export interface Origin {
  readonly closed: boolean
  /** Sends a reply of which the bytes exist already. */
  readonly resend: (reply: Uint8Array) => void
}

/** The calls that are remembered of one address, by xid. */
interface Client {
  readonly address: string
  readonly calls: Map<number, Replay>
}

/** A call that is being executed, or was. */
export class Replay {
  /** Where the reply goes: to the connection that asked last. */
  origin: Origin
  /** Undefined while the call is executed. */
  reply: Uint8Array | undefined = undefined
  readonly client: Client
  readonly header: CallHeader
  private readonly checksum: number

  constructor(client: Client, header: CallHeader, checksum: number, origin: Origin) {
    this.client = client
    this.header = header
    this.checksum = checksum
    this.origin = origin
  }

  isRepeatedBy(header: CallHeader, checksum: number, origin: Origin): boolean {
    return this.checksum === checksum && this.header.procedure === header.procedure &&
      this.header.program === header.program && this.header.version === header.version &&
      (this.origin === origin || this.origin.closed)
  }
}

export class ReplayCache {
  private readonly capacity: number
  private readonly clients = new Map<string, Client>()
  /** The last `capacity` calls; the oldest is overwritten. */
  private readonly ring: Array<Replay> = []
  private at = 0

  /** `capacity`: calls that are remembered, all clients together. */
  constructor(capacity: number) {
    this.capacity = capacity
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
      known.origin = origin
      if (known.reply !== undefined) origin.resend(known.reply)
      return undefined
    }
    const replay = new Replay(client, header, checksum, origin)
    client.calls.set(header.xid, replay)
    const oldest = this.ring[this.at]
    this.ring[this.at] = replay
    this.at = (this.at + 1) % this.capacity
    if (oldest !== undefined) this.abandon(oldest)
    return replay
  }

  /** Forgets a call: when it is asked for again, it is executed. */
  abandon(replay: Replay): void {
    const { client, header } = replay
    if (client.calls.get(header.xid) === replay) client.calls.delete(header.xid)
    if (client.calls.size === 0) this.clients.delete(client.address)
  }

  private clientOf(address: string): Client {
    const known = this.clients.get(address)
    if (known !== undefined) return known
    const client: Client = { address, calls: new Map() }
    this.clients.set(address, client)
    return client
  }
}

const checksumOf = (args: Chunks): number => {
  const head = args[0]
  if (head === undefined) return 0
  if (args.length === 1 || head.length >= CHECKED_BYTES) return crc32(head.subarray(0, CHECKED_BYTES))
  let total = 0
  for (const piece of args) total += piece.length
  return crc32(Buffer.concat(args, Math.min(total, CHECKED_BYTES)))
}
