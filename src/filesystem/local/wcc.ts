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
  let after = yield* inodes.attributes(inode)
  if (after.change === before.change) {
    inode.changedAgain()
    after = { ...after, change: after.change + 1n }
  }
  return { before, after, atomic: false } satisfies Wcc
})

/**
 * A directory after we changed its entries. Clients recognise a change by its mtime, so it must move even when the kernel's
 * clock has not.
 */
export const entriesChanged = Effect.fnUntraced(function* (
  volume: Volume,
  directory: Inode,
  before: Attributes,
  patches: ReadonlyArray<Patch>
) {
  let wcc = yield* changed(volume, directory, before)
  if (Stat.nanoseconds(wcc.after.mtime) === Stat.nanoseconds(before.mtime)) {
    yield* Effect.ignore(volume.locate(directory, (file) => volume.syscalls.utimes(file, undefined, now())))
    wcc = yield* changed(volume, directory, before)
  }
  volume.listings.changed(directory.id, before.change, wcc.after.change, patches)
  if (directory.listed?.change === before.change) directory.listed = wcc.after
  return wcc
})

/** The time of day to the nanosecond, never before what the kernel's clock says. */
const now = () => {
  const nanoseconds = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n
  return { seconds: Number(nanoseconds / 1_000_000_000n), nanoseconds: Number(nanoseconds % 1_000_000_000n) }
}
