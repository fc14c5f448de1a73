/**
 * What names a directory has, in little memory and in an order that outlasts changes and restarts: by a hash of each name,
 * which is its cookie.
 *
 * So a listing may stop anywhere and go on there, in this snapshot or a later one, whatever came and went meanwhile:
 * whoever stayed is listed once. (Two of a million names have the same hash in one of 30,000 directories. Their cookies
 * differ as long as the snapshot lives; when it is read anew, the order of the two may change.)
 */

import * as Bytestring from "../../xdr/Bytestring.ts"
import { NAME_MAX } from "../Filesystem.ts"
import { SipHash } from "../SipHash.ts"
import { Bucket, type SnapshotEntry } from "./Bucket.ts"

/** Hashes a name and leaves two words. */
export interface NameHash {
  readonly low: number
  readonly high: number
  update(bytes: Uint8Array, start: number, end: number): void
}

/** The key is no secret, and always the same, so that cookies hold after a restart. */
const sipHash = new SipHash(new Uint8Array(16))

/** A change of a directory. */
export interface Patch {
  readonly name: string
  /** Of the file that has the name now; `undefined` when nobody has it any more. */
  readonly fileid: bigint | undefined
}

export class Snapshot {
  /** The version of the directory that this shows. */
  version: bigint
  private readonly hash: NameHash
  /** By the hashes that are in them; together they hold all. */
  private readonly buckets: Array<Bucket> = [new Bucket(0, 0)]
  private memory = this.buckets[0]!.bytes
  /** Grows with everything that is added or patched. */
  private changes = 0
  private high = 0
  private low = 0

  constructor(version: bigint, hash: NameHash = sipHash) {
    this.version = version
    this.hash = hash
  }

  /** Bytes of memory that it takes. */
  get bytes(): number {
    return this.memory
  }

  /** Adds the name `bytes[start, end)`, which it does not have. A fileid of 0 is one that is not known. */
  add(bytes: Uint8Array, start: number, end: number, fileid: bigint): void {
    // Nobody could ask for a longer one.
    if (end - start > NAME_MAX) return
    const bucket = this.roomFor(bytes, start, end)
    bucket.append(this.high, this.low, bytes, start, end, fileid)
  }

  /** Takes over a change. */
  patch({ fileid, name }: Patch): void {
    const bytes = Bytestring.encode(name)
    if (bytes.length > NAME_MAX) return
    const bucket = this.roomFor(bytes, 0, bytes.length)
    bucket.patch(this.high, this.low, bytes, fileid)
  }

  /** The entries after a cookie, in order. It may be patched meanwhile, and what is listed next will show it. */
  *after(cookie: bigint): Generator<SnapshotEntry, void> {
    let high = Number(cookie >> 32n)
    let low = Number(cookie & 0xffff_ffffn)
    for (let index = this.indexOf(high); index < this.buckets.length; index++) {
      const bucket = this.settled(index)
      const { changes } = this
      let at = bucket.positionAfter(high, low)
      for (let entry = bucket.entryAt(at); entry !== undefined; entry = bucket.entryAt(at)) {
        yield entry
        if (this.changes !== changes) {
          high = Number(entry.cookie >> 32n)
          low = Number(entry.cookie & 0xffff_ffffn)
          index = this.indexOf(high) - 1
          break
        }
        at = bucket.next(at)
      }
    }
  }

  private settled(index: number): Bucket {
    const bucket = this.buckets[index]!
    const before = bucket.bytes
    bucket.settle()
    this.memory += bucket.bytes - before
    return bucket
  }

  /** The bucket that a name belongs to, with room for it. Leaves the name's hash in `high` and `low`. */
  private roomFor(bytes: Uint8Array, start: number, end: number): Bucket {
    const { buckets, hash } = this
    hash.update(bytes, start, end)
    this.high = hash.high >>> 1
    this.low = hash.low >>> 1
    // No entry has the cookie 0, 1 or 2.
    if (this.high === 0) this.low |= 0x100
    this.changes++
    for (;;) {
      const index = this.indexOf(this.high)
      const bucket = buckets[index]!
      if (!bucket.full) return bucket
      const before = bucket.bytes
      const parts = bucket.makeRoom()
      if (parts !== undefined) buckets.splice(index, 1, ...parts)
      for (const part of parts ?? [bucket]) this.memory += part.bytes
      this.memory -= before
    }
  }

  /** Which bucket has the hashes that begin with `high`. */
  private indexOf(high: number): number {
    const { buckets } = this
    let low = 0
    let end = buckets.length
    while (end - low > 1) {
      const middle = (low + end) >>> 1
      if (buckets[middle]!.first <= high) low = middle
      else end = middle
    }
    return low
  }
}
