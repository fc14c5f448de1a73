/**
 * The listings of directories that are remembered: a cache of snapshots, so that a directory is read once and not for each
 * portion of it that a client asks for.
 *
 * A snapshot is valid for one version of its directory, the time of its last change. Changes that this server makes are
 * patched in. When somebody else has changed the directory it is read again, but a large one at most once a second (or for
 * at most half of the time, where that takes longer): meanwhile listings that have begun go on in what there is, and those
 * that begin wait, because Linux keeps what it lists for as long as the directory's times stay as they are.
 *
 * The clock of file times may stand still while files change. So a directory that was read less than `CLOCK_LAG` after its
 * last change is read again when it is listed again.
 */

import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { FilesystemError } from "../FilesystemError.ts"
import { type NameHash, type Patch, Snapshot } from "./Snapshot.ts"
import { CLOCK_LAG } from "./Stat.ts"

/** Takes a name that a directory has: `bytes[start, end)`, and its fileid, 0 when that is unknown. */
export type Add = (bytes: Uint8Array, start: number, end: number, fileid: bigint) => void

/**
 * Reads a directory without `.` and `..`, in steps that do not hold the event loop for long. It goes on when those who
 * wait for it have left, and may begin later than they came: it must open what it reads itself.
 */
export type Load = (add: Add) => Effect.Effect<void, FilesystemError>

export interface Options {
  /**
   * Bytes of memory for snapshots. Default 64 MiB. Those that were used within a second may take four times as much, and
   * the last one all it needs.
   */
  readonly budget?: number | undefined
  /** Default: SipHash with a constant key. */
  readonly hash?: NameHash | undefined
}

/** Directories that are read at once: libuv has four threads for all files. */
const LOADS = 2
/** Milliseconds between two readings of a directory. */
const PAUSE = 1000
/** A snapshot of so many bytes is read again whenever its directory has changed, for that costs as little as to list it. */
const SMALL = 65_536
/** Patches that are applied at once. */
const SLICE = 500
/** How many times the budget snapshots may take that are in use. */
const EXCESS = 4

interface Cached {
  readonly snapshot: Snapshot
  /** Whether the directory may have changed since without another version. */
  readonly unsure: boolean
  /** When it may be read again; milliseconds of the monotonic clock, as all times here. */
  readonly restsUntil: number
  usedAt: number
  /** Bytes that the sum of all contains for it. */
  charged: number
  /** Whether its version is one that this server made. */
  own: boolean
}

/** A directory that is being read, or will be. */
interface Reading {
  readonly snapshot: Snapshot
  /** What this server changes meanwhile: the fileid of each name, `undefined` for removed ones. */
  readonly patches: Map<string, bigint | undefined>
  readonly result: Deferred.Deferred<Snapshot, FilesystemError>
  /** Whether the version is known not to be somebody else's. */
  own: boolean
  begun: boolean
  waiting: number
}

/** An empty cache. Directories are read in its scope. */
export const make = (options: Options = {}): Effect.Effect<Listings, never, Scope.Scope> =>
  Effect.gen(function* () {
    const readers = yield* FiberSet.make<void>()
    return new Listings(options, yield* Clock.Clock, yield* FiberSet.runtime(readers)())
  })

export class Listings {
  private readonly budget: number
  private readonly hash: NameHash | undefined
  private readonly clock: Clock.Clock
  private readonly run: (reading: Effect.Effect<void>) => void
  private readonly turns = Semaphore.makeUnsafe(LOADS)
  /** Least recently used first. */
  private readonly cached = new Map<string, Cached>()
  private readonly readings = new Map<string, Reading>()
  private charged = 0

  /** See {@link make}. `run` starts a fiber. */
  constructor(options: Options, clock: Clock.Clock, run: (reading: Effect.Effect<void>) => void) {
    this.budget = options.budget ?? 64 * 1024 * 1024
    this.hash = options.hash
    this.clock = clock
    this.run = run
  }

  /** Bytes of memory that the snapshots take. */
  get bytes(): number {
    return this.charged
  }

  /**
   * The snapshot of a directory, of `version` or later. `version` is the time of the directory's last change, nanoseconds
   * since 1970, as it was just now. A listing that `continues` what was listed before may get an older one, which says its
   * version. All who wait for one reading get the error that it ends with.
   */
  listing(key: string, version: bigint, load: Load, continues = false): Effect.Effect<Snapshot, FilesystemError> {
    return Effect.suspend(() => {
      const cached = this.use(key)
      let rest = 0
      if (cached !== undefined) {
        const { restsUntil, snapshot, unsure } = cached
        const same = snapshot.version === version
        if (same && !unsure) return Effect.succeed(snapshot)
        rest = snapshot.bytes <= SMALL ? 0 : Math.max(0, restsUntil - this.now())
        if (rest > 0 && (same || continues)) return Effect.succeed(snapshot)
      }
      const reading = this.readings.get(key)
      if (reading === undefined) return this.start(key, version, load, rest)
      if (!reading.begun || reading.snapshot.version === version) return this.join(reading)
      // It began before the change that this version tells of.
      return Effect.flatMap(this.join(reading), () => this.listing(key, version, load, continues))
    })
  }

  /**
   * This server has changed a directory: its versions before and after, and what became of which names. To be called in the
   * order of the changes.
   */
  changed(key: string, before: bigint, after: bigint, patches: ReadonlyArray<Patch>): void {
    const reading = this.readings.get(key)
    if (reading !== undefined) {
      for (const { fileid, name } of patches) {
        // Once more at the end, for whoever is going through them.
        reading.patches.delete(name)
        reading.patches.set(name, fileid)
      }
      advance(reading, before, after)
    }
    const cached = this.cached.get(key)
    if (cached !== undefined) {
      for (const patch of patches) cached.snapshot.patch(patch)
      advance(cached, before, after)
      this.charge(cached)
    }
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  private use(key: string): Cached | undefined {
    const cached = this.cached.get(key)
    if (cached === undefined) return undefined
    cached.usedAt = this.now()
    this.cached.delete(key)
    this.cached.set(key, cached)
    this.charge(cached)
    return cached
  }

  /** Counts what a snapshot takes now, and forgets others when that is too much. */
  private charge(cached: Cached): void {
    this.charged += cached.snapshot.bytes - cached.charged
    cached.charged = cached.snapshot.bytes
    if (this.charged <= this.budget) return
    for (const [key, oldest] of this.cached) {
      const inUse = oldest.usedAt + PAUSE > this.now() && this.charged <= EXCESS * this.budget
      if (this.charged <= this.budget || this.cached.size === 1 || inUse) return
      this.forget(key)
    }
  }

  private forget(key: string): void {
    this.charged -= this.cached.get(key)?.charged ?? 0
    this.cached.delete(key)
  }

  private join(reading: Reading): Effect.Effect<Snapshot, FilesystemError> {
    reading.waiting++
    return Effect.ensuring(
      Deferred.await(reading.result),
      Effect.sync(() => reading.waiting--)
    )
  }

  /** Has a directory read in `rest` milliseconds, and waits for it. */
  private start(key: string, version: bigint, load: Load, rest: number): Effect.Effect<Snapshot, FilesystemError> {
    const known = this.cached.get(key)
    const reading: Reading = {
      snapshot: new Snapshot(version, this.hash),
      patches: new Map(),
      result: Deferred.makeUnsafe(),
      own: known !== undefined && known.own && known.snapshot.version === version,
      begun: false,
      waiting: 0
    }
    this.readings.set(key, reading)
    const result = this.join(reading)
    const read = this.turns.withPermit(this.read(key, reading, load))
    const run = (rest > 0 ? Effect.delay(read, rest) : read).pipe(
      Effect.onExit((exit) => {
        this.readings.delete(key)
        return Deferred.done(reading.result, exit)
      }),
      Effect.ignoreCause
    )
    this.run(run)
    return result
  }

  private readonly read = Effect.fnUntraced({ self: this }, function* (key: string, reading: Reading, load: Load) {
    // All who waited for their turn have left.
    if (reading.waiting === 0) return yield* Effect.interrupt
    reading.begun = true
    const { patches, snapshot } = reading
    const began = this.now()
    const age = this.clock.currentTimeMillisUnsafe() - Number(snapshot.version / 1_000_000n)
    const unsure = age < CLOCK_LAG && !reading.own
    const reads = load((bytes, start, end, fileid) => snapshot.add(bytes, start, end, fileid))
    yield* Effect.onError(reads, () => Effect.sync(() => this.forget(key)))
    let applied = 0
    for (const [name, fileid] of patches) {
      snapshot.patch({ name, fileid })
      if (++applied % SLICE === 0) yield* Effect.yieldNow
    }
    this.forget(key)
    const now = this.now()
    const restsUntil = now + Math.max(PAUSE, now - began)
    const cached: Cached = { snapshot, unsure, restsUntil, usedAt: now, charged: 0, own: reading.own }
    this.cached.set(key, cached)
    this.charge(cached)
    return snapshot
  })
}

/** What showed the version before a change shows the one after it. */
const advance = (shown: { readonly snapshot: Snapshot; own: boolean }, before: bigint, after: bigint): void => {
  if (shown.snapshot.version !== before) return
  shown.snapshot.version = after
  shown.own = true
}
