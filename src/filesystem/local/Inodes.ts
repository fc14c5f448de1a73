/**
 * The files of a volume that are open: found by their keys, opened again when somebody comes back with the key of one that
 * was closed, closed when they are not used or too many.
 */

import * as fs from "node:fs"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Attributes } from "../Attributes.ts"
import type { Found } from "../Filesystem.ts"
import { errors, fail, is, type FilesystemError } from "../FilesystemError.ts"
import { fromErrno } from "./Errors.ts"
import { climbs, close, type Fails, fstat, isBelow, release } from "./Fs.ts"
import type { Identities } from "./Identities.ts"
import { idOf, Inode } from "./Inode.ts"
import * as Stat from "./Stat.ts"

export interface InodesOptions {
  readonly identities: Identities
  /** The root's descriptor, O_PATH. */
  readonly root: number
  /** Most files that are open, but for those in use. */
  readonly capacity: () => number
  /** Whether the system tells a file's attributes without ever waiting for a device. */
  readonly prompt: boolean
  /** Whether the export is all of its filesystem, so that nothing of that can be outside. */
  readonly whole: boolean
  /** Milliseconds for which a file that was inside the export is found by its key without another look. */
  readonly insideFor: number
}

/** Milliseconds for which what is in a directory that was inside the export is taken to be there, too. */
const INSIDE_FOR = 1000

/** Looks for idle descriptors, one a second, that a file stays open without use, and its content for writing. */
const PATIENCE = 30
const PATIENCE_WRITING = 2
/** Who has it open is told when the system cannot bring what was written to the disk, so there it has to wait for a COMMIT. */
const PATIENCE_UNCOMMITTED = 600

/** A file that need not be open, as it was just now. */
export type Glimpse = Pick<Found<Inode>, "file" | "attributes">

export class Inodes {
  readonly root: Inode
  readonly prompt: boolean
  private readonly identities: Identities
  private readonly capacity: () => number
  private readonly open = new Map<string, Inode>()
  private readonly whole: boolean
  private readonly insideFor: number

  private constructor(options: InodesOptions, stats: fs.BigIntStats, key: Uint8Array) {
    this.identities = options.identities
    this.capacity = options.capacity
    this.prompt = options.prompt
    this.root = new Inode(key, options.identities.fileid(stats), "directory", 0)
    this.root.fd = options.root
    this.whole = options.whole
    this.insideFor = options.insideFor
    this.open.set(this.root.id, this.root)
  }

  static make(options: InodesOptions): Fails<Inodes> {
    const stats = fs.fstatSync(options.root, { bigint: true })
    return Effect.map(options.identities.identify(options.root, stats), (key) => new Inodes(options, stats, key))
  }

  /** The file with a key, which may be gone. */
  resolve(key: Uint8Array): Fails<Inode> {
    if (key.length !== this.root.key.length) return fail.ESTALE
    return Effect.suspend(() => {
      const inode = this.open.get(idOf(key))
      if (inode !== undefined && this.isInside(inode, this.insideFor))
        return inode.gone ? fail.ESTALE : Effect.succeed(inode)
      const copy = Uint8Array.from(key)
      return this.adopt(this.identities.open(copy), copy)
    })
  }

  /** Keeps a file open while `body` works on it; opens it when it was closed meanwhile. */
  use<A>(file: Inode, body: (inode: Inode) => Fails<A>): Fails<A> {
    return Effect.uninterruptibleMask((restore) => {
      const inode = file.fd >= 0 ? file : (this.open.get(file.id) ?? file)
      inode.uses++
      inode.idle = 0
      const run = inode.fd >= 0 ? body(inode) : Effect.flatMap(this.reopen(inode), () => body(inode))
      return Effect.ensuring(
        restore(run),
        Effect.sync(() => {
          inode.uses--
        })
      )
    })
  }

  /** The file that is opened, which stays so; `expected`: the key that it must have. */
  adopt(opening: Fails<number>, expected?: Uint8Array): Fails<Inode> {
    return this.opened(opening, undefined, (fd, stats, key) =>
      expected !== undefined && idOf(key) !== idOf(expected)
        ? fail.ESTALE
        : Effect.sync(() => this.enter(key, fd, stats))
    )
  }

  /** The file that is opened in a directory, which stays so. */
  adoptIn(directory: Inode, opening: Fails<number>): Fails<Inode> {
    return this.opened(opening, directory, (fd, stats, key) =>
      Effect.sync(() => this.enter(key, fd, stats, this.insideAt(directory)))
    )
  }

  /** What is opened in a directory, which is closed again. */
  glimpse(directory: Inode, opening: Fails<number>): Fails<Glimpse> {
    return this.opened(opening, directory, (fd, stats, key) => Effect.sync(() => this.seen(directory, fd, stats, key)))
  }

  /** The same here and now of what `openCached` gives (see `Syscalls`); `undefined` when there is more to be waited for. */
  glimpseNow(directory: Inode, openCached: () => number | "absent" | undefined): Glimpse | FilesystemError | undefined {
    if (!this.prompt || !this.isInside(directory, INSIDE_FOR)) return undefined
    const fd = openCached()
    if (fd === undefined) return undefined
    if (fd === "absent") return errors.ENOENT
    const stats = promptly(fd)
    if (!is(stats) && stats.nlink > 0n) {
      const key = this.identities.identifyNow(fd, stats)
      if (key !== undefined && !is(key)) return this.seen(directory, fd, stats, key)
      close(fd)
      return key
    }
    close(fd)
    return is(stats) ? stats : errors.ESTALE
  }

  private seen(directory: Inode, fd: number, stats: fs.BigIntStats, key: Uint8Array): Glimpse {
    const file = this.open.get(idOf(key)) ?? this.make(key, stats)
    if (this.isYoung(file)) this.enter(key, fd, stats, this.insideAt(directory))
    else release(fd)
    return { file, attributes: attributesOf(file, stats) }
  }

  /**
   * Gets to know what is opened. The descriptor is closed when that fails, otherwise it is up to `body`. Nobody is interrupted
   * on the way: a call that opens something is waited for, and what it gives must not get lost.
   */
  private opened<A>(
    opening: Fails<number>,
    directory: Inode | undefined,
    body: (fd: number, stats: fs.BigIntStats, key: Uint8Array) => Fails<A>
  ): Fails<A> {
    return Effect.uninterruptible(
      Effect.flatMap(Effect.mapError(opening, refusal), (fd) =>
        this.stats({ uses: 0 }, fd).pipe(
          Effect.tap((stats) => this.check(fd, stats, directory)),
          Effect.flatMap((stats) =>
            Effect.flatMap(Effect.mapError(this.identities.identify(fd, stats), refusal), (key) => body(fd, stats, key))
          ),
          Effect.onError(() => Effect.sync(() => close(fd)))
        )
      )
    )
  }

  /** The attributes of an open file. */
  attributes(inode: Inode): Fails<Attributes> {
    return Effect.flatMap(this.stats(inode, inode.fd), (stats) =>
      stats.nlink === 0n ? fail.ESTALE : Effect.succeed(attributesOf(inode, stats))
    )
  }

  /** The same here and now, where they are at hand and the file is open. */
  attributesNow(inode: Inode): Attributes | FilesystemError | undefined {
    if (!this.prompt || inode.fd < 0) return undefined
    inode.idle = 0
    const stats = promptly(inode.fd)
    if (is(stats)) return stats
    return stats.nlink === 0n ? errors.ESTALE : attributesOf(inode, stats)
  }

  /** A file of which we took the last name: whoever comes with its key is told so, and its space is given back. */
  forget(inode: Inode): void {
    this.identities.forget(inode)
    inode.gone = true
    if (this.isYoung(inode)) inode.idle = PATIENCE
    else this.drop(inode)
  }

  note(file: Inode, directory: Inode, name: string): void {
    this.identities.note(file, directory, name)
  }

  /** Finds out where a file is now, for {@link hint}. */
  find(file: Inode): Fails<void> {
    return Effect.uninterruptible(Effect.map(this.identities.open(file.key), close))
  }

  hint(file: Inode): ReturnType<Identities["hint"]> {
    return this.identities.hint(file)
  }

  fileid(stats: fs.BigIntStats): bigint {
    return this.identities.fileid(stats)
  }

  /** Closes what was not used for long. */
  sweep(): void {
    for (const inode of this.open.values()) {
      if (inode.uses > 0 || inode === this.root || (inode.gone && this.isYoung(inode))) continue
      inode.idle++
      if (inode.idle >= (inode.isUncommitted && !inode.gone ? PATIENCE_UNCOMMITTED : PATIENCE)) this.drop(inode)
      else if (inode.idle >= PATIENCE_WRITING && !inode.isUncommitted) inode.closeContent(true)
    }
  }

  /** Closes all but the root, whose descriptor is not ours. */
  close(): void {
    for (const inode of this.open.values()) {
      if (inode !== this.root) inode.retire()
    }
    this.root.closeContent()
    this.open.clear()
  }

  /**
   * Fails when it is gone, or somebody's rename has led it out of the export. A file with a path too long to be told was
   * opened in a directory that is inside, or looked for from the root.
   */
  private check(fd: number, { nlink }: fs.BigIntStats, directory: Inode | undefined): Fails<void> {
    if (nlink === 0n) return fail.ESTALE
    if (this.whole || (directory !== undefined && this.isInside(directory, INSIDE_FOR))) return Effect.void
    return Effect.flatMap(climbs(this.root.fd, fd), (below) => (below === false ? fail.ESTALE : Effect.void))
  }

  private insideAt(directory: Inode): number {
    return directory === this.root ? performance.now() : directory.insideAt
  }

  private isInside(inode: Inode, patience: number): boolean {
    if (this.whole || inode === this.root) return true
    const now = performance.now()
    if (now - inode.insideAt < patience) return true
    // Of a path too long to be told, we know after a look for it.
    if (inode.fd < 0 || isBelow(this.root.fd, inode.fd) !== true) return false
    inode.insideAt = now
    return true
  }

  private enter(key: Uint8Array, fd: number, stats: fs.BigIntStats, insideAt = performance.now()): Inode {
    const id = idOf(key)
    let inode = this.open.get(id)
    if (inode === undefined) {
      inode = this.make(key, stats)
      this.open.set(id, inode)
    }
    inode.insideAt = Math.max(inode.insideAt, insideAt)
    inode.idle = 0
    if (inode.fd < 0) {
      inode.revive(fd)
      this.makeRoom()
    } else {
      release(fd)
    }
    return inode
  }

  private make(key: Uint8Array, stats: fs.BigIntStats): Inode {
    return new Inode(key, this.identities.fileid(stats), Stat.typeOf(stats), Number(stats.birthtimeMs))
  }

  /** Those who come for the same file wait for the first, who is not interrupted on the way. */
  private reopen(inode: Inode): Fails<void> {
    return Effect.uninterruptibleMask((restore) => {
      if (inode.fd >= 0) return Effect.void
      if (inode.opening !== undefined) return restore(Deferred.await(inode.opening))
      const opening = (inode.opening = Deferred.makeUnsafe<void, FilesystemError>())
      this.open.set(inode.id, inode)
      return this.adopt(this.identities.open(inode.key), inode.key).pipe(
        Effect.asVoid,
        Effect.onExit((exit) =>
          Effect.sync(() => {
            inode.opening = undefined
            if (Exit.isFailure(exit)) this.drop(inode)
            Deferred.doneUnsafe(opening, exit)
          })
        )
      )
    })
  }

  private drop(inode: Inode): void {
    if (this.open.get(inode.id) === inode) this.open.delete(inode.id)
    inode.retire()
  }

  /** Closes the files that were opened first and are not in use; those used since are spared once. */
  private makeRoom(): void {
    const capacity = this.capacity()
    let left = this.open.size
    for (const inode of this.open.values()) {
      if (this.open.size <= capacity || left-- <= 0) return
      if (inode.uses > 0 || inode === this.root || this.isYoung(inode)) continue
      if (inode.idle === 0) {
        this.open.delete(inode.id)
        this.open.set(inode.id, inode)
        inode.idle = 1
      } else {
        this.drop(inode)
      }
    }
  }

  /** Whether another file that took its number now could be taken for it: none can while it is open. */
  private isYoung(inode: Inode): boolean {
    return !this.identities.exact && Date.now() - inode.bornAt < Stat.CLOCK_LAG
  }

  private stats(held: { uses: number }, fd: number): Fails<fs.BigIntStats> {
    if (!this.prompt) return fstat(held, fd)
    return Effect.suspend(() => {
      const stats = promptly(fd)
      return is(stats) ? Effect.fail(stats) : Effect.succeed(stats)
    })
  }
}

/** Where something else is mounted, nobody gets in. */
const refusal = (error: FilesystemError): FilesystemError => (error === errors.EXDEV ? errors.EACCES : error)

const attributesOf = (inode: Inode, stats: fs.BigIntStats): Attributes =>
  Stat.attributes(stats, inode.fileid, inode.changeAt(stats.ctimeNs))

const promptly = (fd: number): fs.BigIntStats | FilesystemError => {
  try {
    return fs.fstatSync(fd, { bigint: true })
  } catch (error) {
    return fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0))
  }
}
