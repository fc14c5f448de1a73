/**
 * The data of a file, in pages: what was never written is a hole and costs nothing.
 *
 * Reading hands out views where it can. A page that was viewed is never written again: the next write replaces it by a
 * copy, so that a view stays as it is for as long as somebody has it. Where that happened, writes and reads meet (a
 * database), and from then on the first small reads after a write are copied out instead, which together cost less than
 * another copy of the page.
 */

import { Buffer } from "node:buffer"
import type { Chunks } from "../../xdr/Reader.ts"

/**
 * Measured: with 16 KiB sequential writes are a quarter slower; 64 KiB wins little, and a small write that has to copy or
 * begin a page pays double.
 */
export const PAGE_SIZE = 32_768

/** A page's length is a multiple of this: the block that `used` counts in. */
const BLOCK = 512

/** The least of a page that is not the first one: a sparse file shall not have more pages than its bytes account for. */
const LEAST = 4096

/** Reads up to this length are worth copying out of a page that readers and writers share. */
const SMALL_READ = 8192

/** So many copies for small reads cost about as much as the copy of a page. */
const COPIES = 4

/** The engine's maps hold 2^24 entries. */
const MOST_PAGES = 16_000_000

const zeros = Buffer.alloc(PAGE_SIZE)

/** What lies beyond `bytes` in the page, and beyond the file's size in `bytes`, is zero. */
interface Page {
  bytes: Buffer
  /** Whether somebody may have a view of `bytes`. */
  viewed: boolean
  /** Whether a write once found the page viewed. */
  contended: boolean
  /** How many small reads were copied out since the last write. */
  copies: number
}

export class Pages {
  private readonly pages = new Map<number, Page>()
  private bytes: number
  private allocated = 0

  /** `size`: that of the hole to begin with. */
  constructor(size = 0) {
    this.bytes = size
  }

  /** Bytes of the file. */
  get size(): number {
    return this.bytes
  }

  /** Bytes that its pages take. */
  get used(): number {
    return this.allocated
  }

  /** By how much `used` grows when `length` bytes are written at `offset`; more than there can be when it cannot be. */
  growth(offset: number, length: number): number {
    if (this.pages.size > MOST_PAGES - length / PAGE_SIZE) return Infinity
    let growth = 0
    const end = offset + length
    for (let at = offset; at < end;) {
      const index = Math.floor(at / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const old = this.pages.get(index)?.bytes.length ?? 0
      growth += capacity(index, old, Math.min(end - start, PAGE_SIZE)) - old
      at = start + PAGE_SIZE
    }
    return growth
  }

  /** Writes `chunks`, which are `length` bytes together, at `offset`. */
  write(offset: number, chunks: Chunks, length: number): void {
    const end = offset + length
    let chunk = 0
    let done = 0
    for (let at = offset; at < end;) {
      const index = Math.floor(at / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const to = Math.min(end - start, PAGE_SIZE)
      const bytes = this.writable(index, at - start, to)
      for (let from = at - start; from < to;) {
        const source = chunks[chunk]!
        const taken = Math.min(source.length - done, to - from)
        bytes.set(taken === source.length ? source : source.subarray(done, done + taken), from)
        from += taken
        done += taken
        if (done === source.length) {
          chunk++
          done = 0
        }
      }
      at = start + to
    }
    if (end > this.bytes) this.bytes = end
  }

  /** The bytes from `offset` on, `length` or as many as there are, as they are now and stay. */
  read(offset: number, length: number): Chunks {
    const chunks: Array<Uint8Array> = []
    const end = Math.min(offset + length, this.bytes)
    for (let at = offset; at < end;) {
      const index = Math.floor(at / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const from = at - start
      const to = Math.min(end - start, PAGE_SIZE)
      const page = this.pages.get(index)
      const written = page === undefined ? from : Math.max(from, Math.min(to, page.bytes.length))
      if (written > from) chunks.push(look(page!, from, written, length))
      if (written < to) chunks.push(zeros.subarray(0, to - written))
      at = start + to
    }
    return chunks
  }

  /** Cuts off what lies beyond `size`, or adds a hole up to there. */
  truncate(size: number): void {
    const keep = Math.ceil(size / PAGE_SIZE)
    for (const index of this.from(keep)) {
      this.allocated -= this.pages.get(index)!.bytes.length
      this.pages.delete(index)
    }
    this.bytes = size
    const last = this.pages.get(keep - 1)
    const length = size - (keep - 1) * PAGE_SIZE
    if (last === undefined || last.bytes.length <= length) return
    // A shorter copy gives memory back, and whoever has a view keeps what they saw.
    const bytes = Buffer.alloc(roundUp(length))
    last.bytes.copy(bytes, 0, 0, length)
    this.install(last, bytes)
  }

  /** The indices of the pages from `first` on; tries those that the file could have, or has, whichever are fewer. */
  private from(first: number): ReadonlyArray<number> {
    const indices: Array<number> = []
    const end = Math.ceil(this.bytes / PAGE_SIZE)
    if (end - first < this.pages.size) {
      for (let index = first; index < end; index++) {
        if (this.pages.has(index)) indices.push(index)
      }
    } else {
      for (const index of this.pages.keys()) {
        if (index >= first) indices.push(index)
      }
    }
    return indices
  }

  /** The bytes of a page that nobody has a view of, long enough for a write of [from, to), which its caller does. */
  private writable(index: number, from: number, to: number): Buffer {
    let page = this.pages.get(index)
    if (page === undefined) {
      page = { bytes: none, viewed: false, contended: false, copies: 0 }
      this.pages.set(index, page)
    }
    const old = page.bytes
    const length = capacity(index, old.length, to)
    page.copies = 0
    if (length === old.length && !page.viewed) return old
    if (page.viewed) page.contended = true
    const bytes = Buffer.allocUnsafeSlow(length)
    // Everything but what will be written.
    if (from > 0 || to < old.length) bytes.set(old)
    if (from > old.length) bytes.fill(0, old.length, from)
    if (length > Math.max(to, old.length)) bytes.fill(0, Math.max(to, old.length))
    this.install(page, bytes)
    return bytes
  }

  private install(page: Page, bytes: Buffer): void {
    this.allocated += bytes.length - page.bytes.length
    page.bytes = bytes
    page.viewed = false
  }
}

const none = Buffer.alloc(0)

const roundUp = (length: number): number => Math.ceil(length / BLOCK) * BLOCK

/**
 * How long a page becomes for a write that ends at `to`: as long as it must when it is new, then faster, so that a file
 * that grows bit by bit is not copied each time, and at once to its full length where the file is long already.
 */
const capacity = (index: number, old: number, to: number): number => {
  if (to <= old) return old
  if (old === 0) return index > 0 ? Math.max(LEAST, roundUp(to)) : roundUp(to)
  return index > 0 ? PAGE_SIZE : Math.min(PAGE_SIZE, Math.max(2 * old, roundUp(to)))
}

/** The bytes [from, to) of a page for a read of `length` bytes. */
const look = (page: Page, from: number, to: number, length: number): Uint8Array => {
  if (page.contended && length <= SMALL_READ && page.copies < COPIES) {
    page.copies++
    const copy = Buffer.allocUnsafe(to - from)
    page.bytes.copy(copy, 0, from, to)
    return copy
  }
  page.viewed = true
  return page.bytes.subarray(from, to)
}
