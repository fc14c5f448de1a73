/**
 * The limit: a server in plain Node that does what no server can do without, and nothing else. It frames records, looks at
 * their procedure, and answers with what was encoded before it began, the xid set. It has no files, knows no errors,
 * checks nothing, and copies the data of a WRITE once.
 */

import { Buffer } from "node:buffer"
import * as Net from "node:net"
import type { Attributes } from "../../src/filesystem/Attributes.ts"
import * as Mount from "../../src/programs/mount/MountCalls.ts"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { Fattr3 } from "../../src/programs/nfs3/Nfs3Types.ts"
import { writeRecord } from "../../src/rpc/RecordMarking.ts"
import { REPLY } from "../../src/rpc/RpcMessage.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { announce } from "./announce.ts"

/** About as long as this server's handles. */
const handle = new Uint8Array(40).fill(1)

const time = { seconds: 1_700_000_000, nanoseconds: 0 }

const attributes: Attributes = {
  type: "regular",
  mode: 0o644,
  nlink: 1,
  uid: 0,
  gid: 0,
  size: 1024 * 1024,
  used: 1024 * 1024,
  rdev: { major: 0, minor: 0 },
  fileid: 2n,
  atime: time,
  mtime: time,
  ctime: time,
  change: 0n
}
const fattr: Fattr3 = { fsid: 1n, attributes }

/** A successful reply as a record; its xid is still to be set. */
const reply = <A>(codec: Xdr.Codec<A>, result: A): Buffer => {
  const writer = new Writer()
  writeRecord(writer, (writer) => {
    writer.uint32(0)
    writer.uint32(REPLY)
    writer.zeros(16)
    codec.write(writer, result)
  })
  return Buffer.from(Xdr.join(writer.take()))
}

const wcc = { before: { size: attributes.size, mtime: time, ctime: time }, after: fattr }

const read = (count: number): Buffer =>
  reply(Nfs3.READ.result, {
    status: "NFS3_OK",
    fileAttributes: fattr,
    count,
    eof: false,
    data: [new Uint8Array(count)]
  })

const write = (count: number): Buffer =>
  reply(Nfs3.WRITE.result, { status: "NFS3_OK", fileWcc: wcc, count, committed: "UNSTABLE", verf: new Uint8Array(8) })

const made = { status: "NFS3_OK", obj: handle, objAttributes: fattr, dirWcc: wcc } as const

/** The answers that are always the same, by procedure number. */
const answers: Readonly<Record<number, Buffer>> = {
  [Nfs3.NULL.number]: reply(Nfs3.NULL.result, undefined),
  [Nfs3.GETATTR.number]: reply(Nfs3.GETATTR.result, { status: "NFS3_OK", objAttributes: fattr }),
  [Nfs3.LOOKUP.number]: reply(Nfs3.LOOKUP.result, {
    status: "NFS3_OK",
    object: handle,
    objAttributes: fattr,
    dirAttributes: fattr
  }),
  [Nfs3.ACCESS.number]: reply(Nfs3.ACCESS.result, { status: "NFS3_OK", objAttributes: fattr, access: 0x3f }),
  [Nfs3.CREATE.number]: reply(Nfs3.CREATE.result, made),
  [Nfs3.MKDIR.number]: reply(Nfs3.MKDIR.result, made),
  [Nfs3.REMOVE.number]: reply(Nfs3.REMOVE.result, { status: "NFS3_OK", dirWcc: wcc })
}

/** A listing of 1,000 entries, as many in an answer as fit into 64 KiB. */
const ENTRIES = 1000
const ENTRIES_EACH = 340

/** By the cookie that they continue from. */
const listings: Readonly<Record<number, Buffer>> = Object.fromEntries(
  Array.from({ length: Math.ceil(ENTRIES / ENTRIES_EACH) }, (_, page) => {
    const first = page * ENTRIES_EACH
    const entries = Array.from({ length: Math.min(ENTRIES_EACH, ENTRIES - first) }, (_, i) => ({
      fileid: 2n,
      name: `f${String(first + i).padStart(5, "0")}`,
      cookie: BigInt(first + i + 1),
      nameAttributes: fattr,
      nameHandle: handle
    }))
    const eof = first + entries.length === ENTRIES
    const result = { status: "NFS3_OK", dirAttributes: fattr, cookieverf: new Uint8Array(8), entries, eof } as const
    return [first, reply(Nfs3.READDIRPLUS.result, result)]
  })
)

const mounted = reply(Mount.MNT3.result, { status: "MNT3_OK", fhandle: handle, authFlavors: [1] })

/** Answers to READ and WRITE, by their size. */
const memo = (make: (count: number) => Buffer): ((count: number) => Buffer) => {
  const known = new Map<number, Buffer>()
  return (count) => {
    const buffer = known.get(count) ?? make(count)
    known.set(count, buffer)
    return buffer
  }
}
const reads = memo(read)
const writes = memo(write)

const LAST = 0x80000000
const SLAB = 512 * 1024

/** From this length on, an answer is sent as it lies. */
const LINK_FROM = 64 * 1024

/** Where the arguments of a call begin: behind its credential and verifier. */
const argumentsAt = (call: Buffer, at: number): number => {
  const verifier = at + 32 + call.readUInt32BE(at + 28)
  return verifier + 8 + call.readUInt32BE(verifier + 4)
}

/** Where a file handle that begins at `at` ends. */
const handleEnd = (call: Buffer, at: number): number => at + 4 + ((call.readUInt32BE(at) + 3) & ~3)

class Connection {
  private readonly socket: Net.Socket
  /** A record that arrives in pieces. */
  private record: Buffer = Buffer.alloc(4096)
  private recordLength = 0
  /** Where the data of WRITEs goes. */
  private readonly sink = Buffer.allocUnsafeSlow(4 * SLAB)
  private slab = Buffer.allocUnsafeSlow(SLAB)
  private from = 0
  private at = 0

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    socket.on("error", () => {})
  }

  private onData(chunk: Buffer): void {
    // All that was written has left: the slab can be filled again.
    if (this.socket.writableLength === 0) this.from = this.at = 0
    this.socket.cork()
    let at = 0
    while (at < chunk.length) {
      if (this.recordLength === 0 && chunk.length - at >= 4) {
        const end = at + 4 + chunk.readUInt32BE(at) - LAST
        if (end <= chunk.length) {
          this.answer(chunk, at + 4, true)
          at = end
          continue
        }
      }
      at = this.collect(chunk, at)
    }
    this.flush()
    this.socket.uncork()
  }

  /** Takes the next part of a record that does not lie in one chunk: its only copy, its data's too. */
  private collect(chunk: Buffer, at: number): number {
    const missing =
      this.recordLength < 4 ? 4 - this.recordLength : 4 + this.record.readUInt32BE(0) - LAST - this.recordLength
    const end = Math.min(chunk.length, at + missing)
    this.recordLength += chunk.copy(this.record, this.recordLength, at, end)
    if (this.recordLength === 4) {
      const length = 4 + this.record.readUInt32BE(0) - LAST
      if (this.record.length < length) {
        const mark = this.record
        this.record = Buffer.allocUnsafeSlow(length)
        mark.copy(this.record, 0, 0, 4)
      }
    } else if (end - at === missing) {
      this.recordLength = 0
      this.answer(this.record, 4, false)
    }
    return end
  }

  /** Answers the call at `at`. */
  private answer(call: Buffer, at: number, inChunk: boolean): void {
    const xid = call.readUInt32BE(at)
    const program = call.readUInt32BE(at + 12)
    const procedure = call.readUInt32BE(at + 20)
    if (program === Mount.PROGRAM) {
      this.send(mounted, xid)
    } else if (procedure === Nfs3.READ.number) {
      this.send(reads(call.readUInt32BE(handleEnd(call, argumentsAt(call, at)) + 8)), xid)
    } else if (procedure === Nfs3.WRITE.number) {
      const offsetAt = handleEnd(call, argumentsAt(call, at))
      const count = call.readUInt32BE(offsetAt + 8)
      if (inChunk) call.copy(this.sink, 0, offsetAt + 20, offsetAt + 20 + count)
      this.send(writes(count), xid)
    } else {
      const cookieAt = () => handleEnd(call, argumentsAt(call, at)) + 4
      const isListing = procedure === Nfs3.READDIRPLUS.number
      const answer = isListing ? listings[call.readUInt32BE(cookieAt())] : answers[procedure]
      if (answer === undefined) this.socket.destroy()
      else this.send(answer, xid)
    }
  }

  private send(answer: Buffer, xid: number): void {
    const linked = answer.length >= LINK_FROM
    const copied = linked ? 8 : answer.length
    if (this.slab.length - this.at < copied) {
      this.flush()
      this.slab = Buffer.allocUnsafeSlow(SLAB)
      this.from = this.at = 0
    }
    answer.copy(this.slab, this.at, 0, copied)
    this.slab.writeUInt32BE(xid, this.at + 4)
    this.at += copied
    if (linked) {
      this.flush()
      this.socket.write(answer.subarray(copied))
    }
  }

  private flush(): void {
    if (this.at > this.from) this.socket.write(this.slab.subarray(this.from, this.at))
    this.from = this.at
  }
}

process.once("SIGTERM", () => process.exit())

const server = Net.createServer({ noDelay: true }, (socket) => new Connection(socket))
server.listen(0, "127.0.0.1", () => announce((server.address() as Net.AddressInfo).port))
