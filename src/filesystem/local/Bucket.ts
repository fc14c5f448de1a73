/**
 * A part of a directory's snapshot: the entries whose hashes begin with the same bits, as records in one buffer.
 *
 * New records are appended, whatever they say: that a name is there, or that it is gone. Only when somebody wants to read
 * the bucket are they sorted by cookie, and of several with one name the last counts. So a change costs the same in every
 * directory, and no entry costs an object.
 *
 * A record is 32-bit words: two of the cookie, two of the fileid, then a byte with the length of the name, a byte that says
 * whether it was removed, and the name. A cookie is 31 and 23 bits of the name's hash, and 8 bits that tell names with the
 * same hash apart. All of it is positive in a signed word.
 */

import { Buffer } from "node:buffer"
import * as Bytestring from "../../xdr/Bytestring.ts"

/** Tells names with the same hash apart. */
const RANK = 0xff

/** Where a record's bytes begin that are not words. */
const LENGTH_AT = 16
const REMOVED_AT = 17
const NAME_AT = 18

/** Words of the longest record. */
const RECORD_MAX = (NAME_AT + 255 + 3) >>> 2

/** Words in use from which on a full bucket is split, which it is at twice that many (32 KiB) at the latest. */
const MANY = 4096

/** A bucket is split by so many bits. */
const SPLIT_BITS = 3
const HASH_BITS = 31

/** Bytes that a bucket takes besides its records: a few objects. */
const OVERHEAD = 512

/** A name in a directory. */
export interface SnapshotEntry {
  readonly name: string
  /** `undefined` when whoever read the directory did not learn it. */
  readonly fileid: bigint | undefined
  readonly cookie: bigint
}

/** Two words as a fileid, and back. */
const pair = new Int32Array(2)
const fileids = new BigUint64Array(pair.buffer)

/** Words of the record at a position. */
const sizeOf = (data: Buffer, at: number): number => (NAME_AT + 3 + data[(at << 2) + LENGTH_AT]!) >>> 2

export class Bucket {
  /** The lowest first word of a cookie in it. */
  readonly first: number
  /** How many bits of that all its cookies share. */
  private readonly bits: number
  private words = new Int32Array(0)
  /** The same memory. */
  private data = Buffer.alloc(0)
  /** Words in use. */
  private end = 0
  /** The words up to here are sorted, one record a name. */
  private sorted = 0
  /** Whether records were appended that replace others. */
  private patched = false

  constructor(first: number, bits: number, capacity = RECORD_MAX) {
    this.first = first
    this.bits = bits
    this.allocate(capacity)
  }

  /** Of memory. */
  get bytes(): number {
    return this.data.length + OVERHEAD
  }

  /** Whether a record may not fit. */
  get full(): boolean {
    return this.end + RECORD_MAX > this.words.length
  }

  /** Appends a record, for which there is room; of several with one name the last counts. `fileid` 0 is unknown. */
  append(high: number, low: number, name: Uint8Array, start: number, end: number, fileid: bigint): void {
    const { data, end: at, words } = this
    words[at] = high
    words[at + 1] = low & ~RANK
    fileids[0] = fileid
    words[at + 2] = pair[0]!
    words[at + 3] = pair[1]!
    const byte = at << 2
    data[byte + LENGTH_AT] = end - start
    data[byte + REMOVED_AT] = 0
    for (let to = byte + NAME_AT, from = start; from < end; from++) data[to++] = name[from]!
    this.end = at + sizeOf(data, at)
  }

  /** The same for what may be there already: it is there with this fileid, or removed (`undefined`). */
  patch(high: number, low: number, name: Uint8Array, fileid: bigint | undefined): void {
    const at = this.end
    this.append(high, low, name, 0, name.length, fileid ?? 0n)
    if (fileid === undefined) this.data[(at << 2) + REMOVED_AT] = 1
    this.patched = true
  }

  /** Makes room for a record. Gives the buckets that take its place when this one has become too large. */
  makeRoom(): ReadonlyArray<Bucket> | undefined {
    if (this.patched) this.settle()
    if (this.end >= MANY && this.bits + SPLIT_BITS <= HASH_BITS) return this.split()
    // While a directory is read its buckets fill up; once it was listed they stay mostly as they are.
    this.resize(this.end + (this.sorted > 0 ? this.end >>> 2 : this.end) + RECORD_MAX)
    return undefined
  }

  /** Where the first entry after a cookie is; the bucket is settled. */
  positionAfter(high: number, low: number): number {
    const { end, words } = this
    let at = 0
    while (at < end && (words[at]! < high || (words[at] === high && words[at + 1]! <= low))) at = this.next(at)
    return at
  }

  /** The entry at a position, `undefined` at the end; the bucket is settled. */
  entryAt(at: number): SnapshotEntry | undefined {
    const { data, words } = this
    if (at >= this.end) return undefined
    const byte = at << 2
    pair[0] = words[at + 2]!
    pair[1] = words[at + 3]!
    return {
      name: Bytestring.decode(data, byte + NAME_AT, byte + NAME_AT + data[byte + LENGTH_AT]!),
      fileid: (pair[0] | pair[1]) === 0 ? undefined : fileids[0],
      cookie: (BigInt(words[at]!) << 32n) | BigInt(words[at + 1]!)
    }
  }

  /** The position after the entry at a position. */
  next(at: number): number {
    return at + sizeOf(this.data, at)
  }

  /** Sorts the records, and removes those that do not count; takes no more memory than it needs then. */
  settle(): void {
    if (this.sorted === this.end) return
    const staying = this.staying()
    const { data, words } = this
    let length = 0
    for (const at of staying) length += sizeOf(data, at)
    this.allocate(length)
    this.end = 0
    for (const at of staying) this.copy(words, at, sizeOf(data, at))
    this.sorted = this.end
    this.patched = false
  }

  /** The positions of the records that count, by cookie, which those that are new are given now. */
  private staying(): ReadonlyArray<number> {
    const { data, end, words } = this
    const order: Array<number> = []
    for (let at = 0; at < end; at = this.next(at)) order.push(at)
    order.sort(
      (a, b) => words[a]! - words[b]! || (words[a + 1]! & ~RANK) - (words[b + 1]! & ~RANK) || this.compare(a, b)
    )
    const staying: Array<number> = []
    for (let i = 0; i < order.length;) {
      const at = order[i]!
      let next = i + 1
      while (next < order.length && this.sameHash(at, order[next]!)) next++
      if (next > i + 1) staying.push(...this.ranked(order.slice(i, next)))
      else if (data[(at << 2) + REMOVED_AT] === 0) staying.push(at)
      i = next
    }
    return staying
  }

  /**
   * Those that count among records with one hash, which come by name and then age. A name keeps the cookie that it was
   * listed with, and a new one gets the next that is free.
   */
  private ranked(records: ReadonlyArray<number>): ReadonlyArray<number> {
    const { data, words } = this
    const staying: Array<number> = []
    const fresh: Array<number> = []
    const taken = new Set<number>()
    for (let i = 0; i < records.length; i++) {
      const oldest = records[i]!
      while (i + 1 < records.length && this.compareNames(oldest, records[i + 1]!) === 0) i++
      const latest = records[i]!
      if (data[(latest << 2) + REMOVED_AT] !== 0) continue
      staying.push(latest)
      if (oldest < this.sorted) {
        words[latest + 1] = words[oldest + 1]!
        taken.add(words[latest + 1]! & RANK)
      } else {
        fresh.push(latest)
      }
    }
    let rank = 0
    for (const at of fresh) {
      while (taken.has(rank)) rank++
      words[at + 1]! |= Math.min(rank++, RANK)
    }
    return staying.sort((a, b) => words[a + 1]! - words[b + 1]!)
  }

  private sameHash(a: number, b: number): boolean {
    const { words } = this
    return words[a] === words[b] && (words[a + 1]! & ~RANK) === (words[b + 1]! & ~RANK)
  }

  /** By name, then age. */
  private compare(a: number, b: number): number {
    return this.compareNames(a, b) || a - b
  }

  private compareNames(a: number, b: number): number {
    const { data } = this
    const nameA = (a << 2) + NAME_AT
    const nameB = (b << 2) + NAME_AT
    const endA = nameA + data[(a << 2) + LENGTH_AT]!
    const endB = nameB + data[(b << 2) + LENGTH_AT]!
    return data.compare(data, nameB, endB, nameA, endA)
  }

  /** Buckets with its records, none of which replaces another, by the next bits of their hashes. */
  private split(): ReadonlyArray<Bucket> {
    const { data, sorted, words } = this
    const bits = this.bits + SPLIT_BITS
    const shift = HASH_BITS - bits
    const capacity = (this.end >>> SPLIT_BITS) * 2 + RECORD_MAX
    const parts = Array.from(
      { length: 1 << SPLIT_BITS },
      (_, i) => new Bucket(this.first | (i << shift), bits, capacity)
    )
    for (let at = 0, size = 0; at < this.end; at += size) {
      size = sizeOf(data, at)
      const part = parts[(words[at]! >>> shift) & (parts.length - 1)]!
      if (part.full) part.resize(2 * part.words.length)
      part.copy(words, at, size)
      if (at < sorted) part.sorted = part.end
    }
    return parts
  }

  /** Appends a record of another bucket. */
  private copy(words: Int32Array, at: number, size: number): void {
    for (let i = 0; i < size; i++) this.words[this.end + i] = words[at + i]!
    this.end += size
  }

  private resize(capacity: number): void {
    const { words } = this
    this.allocate(capacity)
    this.words.set(words.subarray(0, this.end))
  }

  private allocate(capacity: number): void {
    this.words = new Int32Array(capacity)
    this.data = Buffer.from(this.words.buffer)
  }
}
