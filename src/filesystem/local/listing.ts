/** READDIR: entries in the order of their names' hashes, which are their cookies. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import { type Entry, FIRST_COOKIE, type Guard, type Listing, type ListRequest } from "../Filesystem.ts"
import { fail, type FilesystemError, is } from "../FilesystemError.ts"
import type { SnapshotEntry } from "./Bucket.ts"
import { at, call, type Fails } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import type { Glimpse } from "./Inodes.ts"
import type { Snapshot } from "./Snapshot.ts"
import { shared } from "./Turn.ts"
import { look, lookNow, type Volume } from "./Volume.ts"

/** Entries of one portion that are looked at together, of those that have to be waited for. */
const TOGETHER = 8

/** Entries that are looked at here and now before others get a turn. */
const AT_ONCE = 64

export const readdir = (volume: Volume, file: Inode, request: ListRequest, guard: Guard): Fails<Listing<Inode>> =>
  volume.inodes.use(file, (directory) => {
    // Only to ask: nobody waits for a directory to be read who does not want to know what is in it.
    const allowed = shared(
      directory.attributes,
      Effect.flatMap(volume.inodes.attributes(directory), (attributes) => {
        if (directory.type !== "directory") return fail.ENOTDIR
        const refused = guard(attributes)
        return refused === undefined ? Effect.succeed(attributes) : Effect.fail(refused)
      })
    )
    return allowed.pipe(
      Effect.flatMap((attributes) => snapshotOf(volume, directory, attributes, request.cookie >= FIRST_COOKIE)),
      Effect.flatMap((seen) => portion(volume, directory, seen, request))
    )
  })

/** What a directory holds, and its attributes of that time: newer ones would make clients believe that it is what there is. */
interface Seen {
  readonly snapshot: Snapshot
  readonly attributes: Attributes
}

const snapshotOf = (volume: Volume, directory: Inode, attributes: Attributes, continues: boolean): Fails<Seen> =>
  Effect.flatMap(
    volume.listings.listing(directory.id, attributes.change, volume.load(directory), continues),
    (snapshot) => {
      if (snapshot.version === attributes.change) directory.listed = attributes
      const then = directory.listed?.change === snapshot.version ? directory.listed : undefined
      if (then !== undefined) return Effect.succeed({ snapshot, attributes: then })
      // It has changed since; or nobody remembers when that was read.
      return Effect.flatMap(volume.inodes.attributes(directory), (now) => snapshotOf(volume, directory, now, false))
    }
  )

const portion = Effect.fnUntraced(function* (
  volume: Volume,
  directory: Inode,
  { attributes, snapshot }: Seen,
  request: ListRequest
): Effect.fn.Return<Listing<Inode>, FilesystemError> {
  const fitting: Array<SnapshotEntry> = []
  let eof = true
  for (const entry of snapshot.after(request.cookie)) {
    eof = request.fits(entry.name)
    if (!eof) break
    fitting.push(entry)
  }
  const entries: Array<Entry<Inode>> = []
  const waiting: Array<number> = []
  let looks = 0
  for (const [i, entry] of fitting.entries()) {
    const lacking = lacks(entry, request)
    const seen = lacking && request.attributes ? lookNow(volume, directory, entry.name) : undefined
    if (seen !== undefined && ++looks % AT_ONCE === 0) yield* Effect.yieldNow
    if (lacking && seen === undefined) waiting.push(i)
    entries.push(withLook(entry, is(seen) ? undefined : seen))
  }
  yield* Effect.forEach(
    waiting,
    (i) =>
      Effect.map(complete(volume, directory, fitting[i]!, request.attributes), (entry) => {
        entries[i] = entry
      }),
    { concurrency: TOGETHER, discard: true }
  )
  return { entries, eof, directory: attributes }
})

/** Whether there is more to be told of an entry than the directory says. */
const lacks = ({ fileid }: SnapshotEntry, { attributes, known }: ListRequest): boolean =>
  fileid === undefined || (attributes && known?.(fileid) !== true)

/** An entry with what was asked for, as far as it can be had. */
const complete = (volume: Volume, directory: Inode, entry: SnapshotEntry, attributes: boolean): Fails<Entry<Inode>> => {
  const { cookie, name } = entry
  if (!attributes) {
    const stats = call<fs.BigIntStats>(directory, (done) => fs.lstat(at(directory.fd, name), { bigint: true }, done))
    return Effect.match(stats, {
      // It is gone, and goes on existing for this listing.
      onFailure: () => ({ cookie, fileid: GONE, name }),
      onSuccess: (stats) => ({ cookie, fileid: volume.inodes.fileid(stats), name })
    })
  }
  return Effect.match(look(volume, directory, name), {
    onFailure: () => withLook(entry, undefined),
    onSuccess: (seen) => withLook(entry, seen)
  })
}

const withLook = ({ cookie, fileid = GONE, name }: SnapshotEntry, seen: Glimpse | undefined): Entry<Inode> =>
  seen === undefined ? { cookie, fileid, name } : { cookie, fileid: seen.attributes.fileid, name, found: seen }

/** For an entry whose number is not known any more: any but 0, which macOS does not bear. */
const GONE = 1n
