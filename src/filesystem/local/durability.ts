/** What is answered is on the disk. */

import * as fs from "node:fs"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import { withContent } from "./content.ts"
import { call, type Fails } from "./Fs.ts"
import type { Inode, Round } from "./Inode.ts"
import { shared } from "./Turn.ts"
import type { Volume } from "./Volume.ts"

/** What a change has come to, and which files have to be on the disk before it is answered. */
export interface Changed<A> {
  readonly result: A
  readonly files: ReadonlyArray<Inode>
}

/** A change, which completes whoever loses interest. */
export const mutation = <A>(volume: Volume, change: Fails<Changed<A>>): Fails<A> =>
  Effect.uninterruptible(Effect.flatMap(change, ({ files, result }) => Effect.as(durable(volume, ...files), result)))

/** Makes sure that names and attributes are on the disk before they are answered. */
export const durable = (volume: Volume, ...changed: ReadonlyArray<Inode>): Fails<void> =>
  volume.isAsync ? Effect.void : Effect.forEach(changed, (inode) => stable(volume, inode), { discard: true })

/** What is gone by now needs no disk. */
const stable = (volume: Volume, inode: Inode): Fails<void> =>
  Effect.catchIf(
    volume.inodes.use(inode, (open) => sync(volume, open)),
    (error) => error === errors.ESTALE,
    () => Effect.void
  )

/** Brings a file to stable storage; a round of it serves all who asked before it began. */
export const sync = (volume: Volume, inode: Inode): Fails<void> =>
  Effect.suspend(() => {
    const { syncs } = inode
    if (syncs.next !== undefined) return Deferred.await(syncs.next)
    const round = Deferred.makeUnsafe<void, FilesystemError>()
    if (syncs.running === undefined) {
      syncs.running = round
      return runRound(volume, inode, round)
    }
    syncs.next = round
    return Effect.andThen(Effect.exit(Deferred.await(syncs.running)), runRound(volume, inode, round))
  }).pipe(Effect.uninterruptible)

const runRound = (volume: Volume, inode: Inode, round: Round): Fails<void> =>
  Effect.suspend(() => {
    const { syncs } = inode
    if (syncs.next === round) syncs.next = undefined
    syncs.running = round
    inode.isUncommitted = false
    return volume.syncs.withPermit(flush(volume, inode)).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          syncs.running = undefined
          Deferred.doneUnsafe(round, exit)
        })
      )
    )
  })

/** What cannot be opened, as it is no file with content or may not be read, is synced with its filesystem's journal. */
const flush = ({ inodes }: Volume, inode: Inode): Fails<void> => {
  // It may have to be opened against its mode: not while somebody sets that.
  const fsync = (of: Inode) =>
    withContent(
      of,
      "any",
      (open) => call(open, (done) => fs.fsync(open.fd, done)),
      (opening) => shared(of.attributes, opening)
    )
  if (inode.type !== "regular" && inode.type !== "directory") return fsync(inodes.root)
  return Effect.catchIf(
    fsync(inode),
    (error) => error === errors.EACCES,
    () => fsync(inodes.root)
  )
}
