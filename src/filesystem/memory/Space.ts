/** How much a filesystem may hold, and does. */

import { totalmem } from "node:os"
import { getHeapStatistics } from "node:v8"
import type { Statfs } from "../Filesystem.ts"

export interface Quota {
  /** Bytes of file data, symbolic links and directory entries. Default: half of the memory that this process may use. */
  readonly bytes?: number | undefined
  /** Files, directories and other inodes. Default: 1,000,000, or as many as half of the engine's heap holds; at most 16,000,000. */
  readonly inodes?: number | undefined
}

/** What every entry of a directory is charged with, however long its name: so that no rename can run out of space. */
export const ENTRY_BYTES = 128

/** The engine's maps hold 2^24 entries. */
const MOST_INODES = 16_000_000

export class Space {
  private readonly bytes: number
  private readonly inodes: number
  private usedBytes = 0
  private usedInodes = 0

  constructor(quota: Quota = {}) {
    this.bytes = Math.floor(quota.bytes ?? usableMemory() / 2)
    this.inodes = Math.floor(Math.min(quota.inodes ?? usableInodes(), MOST_INODES))
  }

  get freeBytes(): number {
    return Math.max(0, this.bytes - this.usedBytes)
  }

  get freeInodes(): number {
    return Math.max(0, this.inodes - this.usedInodes)
  }

  /** Notes what is used more, or less when negative. Who calls has looked first whether it is free. */
  use(bytes: number, inodes = 0): void {
    this.usedBytes += bytes
    this.usedInodes += inodes
  }

  statfs(): Statfs {
    return {
      totalBytes: this.bytes,
      freeBytes: this.freeBytes,
      availableBytes: this.freeBytes,
      totalFiles: this.inodes,
      freeFiles: this.freeInodes,
      availableFiles: this.freeInodes
    }
  }
}

/** What a small file takes of the engine's heap, which the bytes of files are not in: 1,200 bytes, measured, and room to spare. */
const HEAP_OF_INODE = 2048

const usableInodes = (): number => Math.min(1_000_000, getHeapStatistics().heap_size_limit / 2 / HEAP_OF_INODE)

/** The machine's memory, or what the container that we run in may use of it. */
const usableMemory = (): number => {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}
