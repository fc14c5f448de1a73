/**
 * A filesystem that remembers for a short while what another one says: files by their keys, attributes, and where names lead,
 * or that they lead nowhere. What it remembers is answered at once, without asking the filesystem below.
 *
 * - Changes that are made through it show at once. Changes behind its back, by other programs or servers, show within its
 *   life.
 * - A name, or its absence, is remembered together with the directory's attributes of the time: it is answered with those,
 *   and only while they are the directory's still. (Linux would take "no such file" beside newer attributes for the state of
 *   a directory in which the file may exist by now, and believe it until the directory changes again.)
 * - Guards are asked about the attributes that are answered, in the same step.
 */

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Filesystem, type Operations } from "../Filesystem.ts"
import { Cache } from "./Cache.ts"
import { operations } from "./operations.ts"
import { publish, type Stats } from "./Stats.ts"

export type { Stats, Summary } from "./Stats.ts"

export interface Options {
  /** How old an answer may be. Default: 1 second. With 0 everything is asked of the filesystem below. */
  readonly life?: Duration.Input | undefined
  /**
   * Most files, and most names, that are remembered; those that were not used for longest go first. A file takes about a
   * kilobyte. Default: 32,768.
   */
  readonly capacity?: number | undefined
  /** Tells the metrics of several caches apart, as their attribute `cache`. */
  readonly name?: string | undefined
}

export interface CachedFilesystem extends Operations {
  readonly stats: Effect.Effect<Stats>
}

const CAPACITY = 32_768

/**
 * What `fs` says, remembered. Metrics (`filesystem_cache_lookups`, `_evictions`, `_entries`) are brought up to date once a
 * second while the surrounding scope lives.
 */
export const make = Effect.fnUntraced(function* (
  fs: Operations,
  options: Options = {}
): Effect.fn.Return<CachedFilesystem, never, Scope.Scope> {
  const life = Duration.toMillis(Duration.fromInputUnsafe(options.life ?? "1 second"))
  const cache = new Cache(fs.root, yield* Clock.Clock, life, options.capacity ?? CAPACITY)
  const stats = Effect.sync(() => cache.stats)
  const update = publish(stats, options.name)
  yield* Effect.addFinalizer(() => update)
  yield* update.pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)
  return { ...operations(fs, cache), stats }
})

/** The {@link Filesystem} of another layer, remembered. */
export const layer = <E, R>(
  filesystem: Layer.Layer<Filesystem, E, R>,
  options?: Options
): Layer.Layer<Filesystem, E, R> =>
  Layer.effect(
    Filesystem,
    Effect.flatMap(Filesystem, (fs) => make(fs, options))
  ).pipe(Layer.provide(filesystem))
