/** What the system and the filesystem below a directory are like. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Descriptors from "../../pool/Descriptors.ts"
import type { Properties } from "../Filesystem.ts"
import { here, mountOf, pathOf } from "./Fs.ts"
import { mountinfo } from "./Mounts.ts"

/** What is known of filesystems, by their magic numbers (statfs(2)). */
interface Kind {
  readonly maxFileSize: (blockSize: number) => number
  readonly linkMax: number
}

const LARGEST = 2 ** 52

/** Those that have the attributes of an open file in memory, so that nobody waits for them. */
const kinds: Readonly<Record<number, Kind>> = {
  // ext2, ext3, ext4
  0xef53: { maxFileSize: (blockSize) => 2 ** 32 * blockSize - blockSize, linkMax: 65_000 },
  // tmpfs
  0x0102_1994: { maxFileSize: () => LARGEST, linkMax: 2 ** 31 - 1 },
  // xfs
  0x5846_5342: { maxFileSize: () => LARGEST, linkMax: 2 ** 31 - 1 },
  // btrfs
  0x9123_683e: { maxFileSize: () => LARGEST, linkMax: 65_535 },
  // f2fs
  0xf2f5_2010: { maxFileSize: (blockSize) => 2 ** 30 * blockSize, linkMax: 65_000 },
  // zfs
  0x2fc1_2fc1: { maxFileSize: () => LARGEST, linkMax: 2 ** 31 - 1 }
}

const UNKNOWN: Kind = { maxFileSize: () => LARGEST, linkMax: 127 }

export interface Host {
  /** Whether the attributes of open files are at hand. */
  readonly prompt: boolean
  /** Whether the directory is all of its filesystem, so that nothing of that can be outside. */
  readonly whole: boolean
  readonly properties: Omit<Properties, "timeDelta">
}

/** About an open directory. */
export const of = (root: number): Host => {
  const { bsize, type } = fs.statfsSync(here(root))
  const known = kinds[type]
  const { linkMax, maxFileSize } = known ?? UNKNOWN
  return {
    // What may not be asked for its attributes is known by its mount.
    prompt: known !== undefined && mountOf(root) !== undefined,
    whole: isWhole(root),
    properties: {
      maxFileSize: Math.min(maxFileSize(bsize), LARGEST),
      linkMax,
      symlinks: true,
      caseInsensitive: false,
      casePreserving: true
    }
  }
}

/** Whether it is where a filesystem is mounted, and from its root. */
const isWhole = (root: number): boolean => {
  try {
    const id = mountOf(root)
    const mount = mountinfo().find((mount) => mount.id === id)
    return mount?.source === "/" && mount.point === pathOf(root)
  } catch {
    return false
  }
}

/** Files that stay open, of all filesystems. */
const MOST_FILES = 16_384

/** Filesystems that are open. */
let sharers = 0

/**
 * Gives how many files a filesystem may have open besides those in use, as long as the surrounding scope lives: its share of a
 * part of what the process may have. A file may take two descriptors.
 */
export const share: Effect.Effect<() => number, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    sharers++
    return () => Math.max(64, Math.floor(Math.min(MOST_FILES, Descriptors.limit() / 8) / sharers))
  }),
  () =>
    Effect.sync(() => {
      sharers--
    })
)

/** libuv's threads for calls about files, which all filesystems of the process share. */
const THREADS = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4)
const SYNCS = Math.max(1, THREADS >> 1)

/** Calls that wait for a disk take a half of the threads for syncs, and for writes all but one of the rest. */
export const syncs = Semaphore.makeUnsafe(SYNCS)
export const writes = Semaphore.makeUnsafe(Math.max(1, THREADS - SYNCS - 1))
