/** A portion of a directory, from a snapshot of its names. */

import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import type { Entry, File, Listing, ListRequest } from "../Filesystem.ts"
import type { FilesystemError } from "../FilesystemError.ts"
import type { SnapshotEntry } from "../local/Bucket.ts"
import type { Snapshot } from "../local/Snapshot.ts"
import { GONE } from "./Keys.ts"

/** Entries that are looked at together. */
const TOGETHER = 8

/** For an entry that is gone since the names were read. */
const MISSING = { fileid: BigInt(GONE) }

/** `complete` gives what was asked for of an entry; `undefined` for one that is gone. */
export const portion = <F extends File>(
  snapshot: Snapshot,
  { cookie, fits }: ListRequest,
  directory: Attributes,
  complete: (name: string) => Effect.Effect<Pick<Entry<F>, "fileid" | "found"> | undefined, FilesystemError>
): Effect.Effect<Listing<F>, FilesystemError> =>
  Effect.suspend(() => {
    const fitting: Array<SnapshotEntry> = []
    let eof = true
    for (const entry of snapshot.after(cookie)) {
      eof = fits(entry.name)
      if (!eof) break
      fitting.push(entry)
    }
    return Effect.map(
      Effect.forEach(
        fitting,
        ({ cookie, name }) => Effect.map(complete(name), (rest) => ({ name, cookie, ...(rest ?? MISSING) })),
        { concurrency: TOGETHER }
      ),
      (entries) => ({ entries, eof, directory })
    )
  })
