/** Files before and after a change of ours. */

import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import type { Wcc } from "../Filesystem.ts"
import type { Inode } from "./Inode.ts"
import type { Patch } from "./Snapshot.ts"
import * as Stat from "./Stat.ts"
import type { Volume } from "./Volume.ts"

/**
 * The attributes of a file that we have just changed. Programs on the host may have changed it, too, between our looks at
 * it and our change, so the pair is never `atomic`.
 */
export const changed = Effect.fnUntraced(function* ({ inodes }: Volume, inode: Inode, before: Attributes) {
  inode.changed()
  return { before, after: yield* inodes.attributes(inode), atomic: false } satisfies Wcc
})

/** Nanoseconds for which the kernel's clock for files may stand still, and so be behind a time that we gave. */
const TICK = 20_000_000n

/**
 * A directory after we changed its entries. Clients recognise a change by its mtime, so it must move on even when the
 * kernel's clock has not.
 */
export const entriesChanged = Effect.fnUntraced(function* (
  volume: Volume,
  directory: Inode,
  before: Attributes,
  patches: ReadonlyArray<Patch>
) {
  let wcc = yield* changed(volume, directory, before)
  const last = Stat.nanoseconds(before.mtime)
  const behind = last - Stat.nanoseconds(wcc.after.mtime)
  if (behind >= 0n && behind < TICK) {
    const next = Stat.time(last + Stat.nanoseconds(volume.properties.timeDelta))
    yield* Effect.ignore(volume.syscalls.utimes({ fd: directory.fd, path: undefined }, undefined, next))
    wcc = yield* changed(volume, directory, before)
  }
  volume.listings.changed(directory.id, before.change, wcc.after.change, patches)
  if (directory.listed?.change === before.change) directory.listed = wcc.after
  return wcc
})
