/**
 * What is remembered: files by their keys, their attributes, and where names lead, for a short while.
 *
 * Nothing is answered that is older than the life of the cache, counted from before it was read (for a listing, until it was asked
 * for). What a change of ours may
 * have made untrue is forgotten before that change begins (its guard says what it is about), and what is read until it
 * ends is not remembered: see `Changes`.
 */

import type * as Clock from "effect/Clock"
import type { Attributes } from "../Attributes.ts"
import type { File } from "../Filesystem.ts"
import { CachedFile, CachedName, idOf } from "./CachedFile.ts"
import { Changes } from "./Changes.ts"
import { Recency } from "./Recency.ts"
import { Counts, type Stats } from "./Stats.ts"

/** When something began to be read. */
export interface Moment {
  /** Milliseconds. */
  readonly at: number
  /** As `Changes` counts. */
  readonly change: number
  /** How many names had been taken from files. */
  readonly removal: number
}

/**
 * Milliseconds that the clock of a filesystem may stand still. A directory that changed so lately may change again without
 * showing it, so what its names lead to is not remembered yet.
 */
const TICK = 20

/** The name that leads to what a directory is in, which nobody looks up. */
export const PARENT = ".."

const NANOS_PER_MILLI = 1e6

export class Cache {
  readonly root: CachedFile
  private readonly counts = new Counts()
  private readonly clock: Clock.Clock
  private readonly life: number
  private readonly changes = new Changes()
  private removals = 0
  private readonly byId = new Map<string, CachedFile>()
  /** Those whose numbers are known. */
  private readonly byFileid = new Map<bigint, CachedFile>()
  private readonly files: Recency<CachedFile>
  private readonly names: Recency<CachedName>

  /** `life` in milliseconds; `capacity`: most files, and most names. */
  constructor(root: File, clock: Clock.Clock, life: number, capacity: number) {
    this.clock = clock
    this.life = life
    this.root = new CachedFile(root)
    this.byId.set(this.root.id, this.root)
    this.files = new Recency(capacity, (file) => {
      this.counts.files.evictions++
      this.forget(file)
    })
    this.names = new Recency(capacity, ({ directory, name }) => {
      this.counts.names.evictions++
      directory.names.delete(name)
    })
  }

  get stats(): Stats {
    const { attributes, files, names } = this.counts
    return {
      files: { ...files, entries: this.files.size },
      attributes: { ...attributes },
      names: { ...names, entries: this.names.size }
    }
  }

  now(): Moment {
    return { at: this.millis(), change: this.changes.now, removal: this.removals }
  }

  /** The file with a key. */
  find(key: Uint8Array): CachedFile | undefined {
    const file = this.byId.get(idOf(key))
    if (file === undefined || file.foundAt <= this.horizon()) {
      this.counts.files.misses++
      return undefined
    }
    this.counts.files.hits++
    this.use(file)
    return file
  }

  /** A file's attributes. */
  attributes(file: CachedFile): Attributes | undefined {
    const attributes = file.attributesSince(this.horizon())
    if (attributes === undefined) this.counts.attributes.misses++
    else this.counts.attributes.hits++
    return attributes
  }

  /** What a name led to, if the directory is still the same, and the attributes of what that is are known. */
  lookup(directory: CachedFile, name: string): CachedName | undefined {
    const found = directory.names.get(name)
    if (found === undefined || !this.holds(found)) {
      this.counts.names.misses++
      return undefined
    }
    this.counts.names.hits++
    this.names.use(found)
    if (found.file !== undefined) this.use(found.file)
    return found
  }

  /** A file and its attributes, by its number, if these are not too old at a moment. */
  known(fileid: bigint, { at }: Moment): { readonly file: CachedFile; readonly attributes: Attributes } | undefined {
    const file = this.byFileid.get(fileid)
    const attributes = file?.attributesSince(at - this.life)
    return file === undefined || attributes === undefined ? undefined : { file, attributes }
  }

  private holds({ at, attributes, directory, file }: CachedName): boolean {
    const horizon = this.horizon()
    if (at <= horizon || directory.attributesSince(horizon)?.change !== attributes.change) return false
    return file === undefined || file.attributesSince(horizon) !== undefined
  }

  /** A file as the filesystem below had it at a moment. */
  adopt(below: File, { at, removal }: Moment): CachedFile {
    const id = idOf(below.key)
    let file = this.byId.get(id)
    if (file === undefined) {
      file = new CachedFile(below)
      this.byId.set(id, file)
      this.files.add(file)
    } else {
      file.below = below
      this.use(file)
    }
    // Of what has no number yet it would not be noticed that it is removed.
    if (file.fileid !== undefined && removal === this.removals && at > file.foundAt) file.foundAt = at
    return file
  }

  /** Remembers attributes that were read since a moment, unless their file was changed meanwhile: tells whether it did. */
  learn(file: CachedFile, attributes: Attributes, { at, change }: Moment, own = 0): boolean {
    const { fileid } = attributes
    if (file.evicted) return false
    if (file.fileid === undefined) this.number(file, fileid)
    if (file.fileid !== fileid || !this.changes.quietSince(change, fileid, own)) return false
    file.learn(attributes, at)
    return true
  }

  /** Of two files with one number only the last is remembered: the other is gone. */
  private number(file: CachedFile, fileid: bigint): void {
    const namesake = this.byFileid.get(fileid)
    if (namesake === this.root) return
    if (namesake !== undefined) {
      this.files.remove(namesake)
      this.forget(namesake)
    }
    file.fileid = fileid
    this.byFileid.set(fileid, file)
  }

  /** Remembers what a name led to, which was followed since a moment and after the directory's attributes had been read. */
  learnName(
    directory: CachedFile,
    name: string,
    attributes: Attributes,
    file: CachedFile | undefined,
    moment: Moment
  ): void {
    if (!this.learn(directory, attributes, moment) || this.isFresh(attributes)) return
    const before = directory.names.get(name)
    if (before !== undefined) {
      if (before.at > moment.at) return
      this.names.remove(before)
    }
    const found = new CachedName(directory, name, { file, attributes, at: moment.at })
    directory.names.set(name, found)
    this.names.add(found)
  }

  /** A file begins to change: forgets what it was like, and what it is in, which no attribute needs to show. */
  begin(fileid: bigint): void {
    this.changes.begin(fileid)
    const file = this.byFileid.get(fileid)
    if (file === undefined) return
    file.unlearn()
    const parent = file.names.get(PARENT)
    if (parent === undefined) return
    file.names.delete(PARENT)
    this.names.remove(parent)
  }

  /** A change that has {@link begin | begun} is over. `removal`: it may have taken the file's last name. */
  end(fileid: bigint, removal: boolean): void {
    this.changes.end(fileid)
    if (!removal) return
    this.removals++
    const file = this.byFileid.get(fileid)
    if (file !== undefined) file.foundAt = -Infinity
  }

  private isFresh({ ctime: { nanoseconds, seconds } }: Attributes): boolean {
    return this.clock.currentTimeMillisUnsafe() - seconds * 1000 - nanoseconds / NANOS_PER_MILLI < TICK
  }

  private millis(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / NANOS_PER_MILLI
  }

  /** What was read before is too old. */
  private horizon(): number {
    return this.millis() - this.life
  }

  private use(file: CachedFile): void {
    if (file !== this.root) this.files.use(file)
  }

  private forget(file: CachedFile): void {
    this.byId.delete(file.id)
    if (file.fileid !== undefined) this.byFileid.delete(file.fileid)
    for (const name of file.names.values()) this.names.remove(name)
    file.evict()
  }
}
