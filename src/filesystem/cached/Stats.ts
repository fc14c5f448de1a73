/** What a cache did, in numbers: as a value, and as Effect metrics, which are brought up to date once a second. */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Of one kind of things that are remembered. */
export interface Summary {
  /** Questions that were answered from memory, and those that were not. */
  readonly hits: number
  readonly misses: number
  /** Things that had to go although they were not old, since there were too many. */
  readonly evictions: number
  /** Things that are there, the outdated ones among them. */
  readonly entries: number
}

export interface Stats {
  /** Files by their keys, with their attributes. */
  readonly files: Summary
  /** Questions for attributes; what there is, `files` says. */
  readonly attributes: Pick<Summary, "hits" | "misses">
  /** Names in directories, those that lead to nothing among them. */
  readonly names: Summary
}

/** Counters as the cache keeps them. */
export class Counts {
  readonly files = { hits: 0, misses: 0, evictions: 0 }
  readonly attributes = { hits: 0, misses: 0 }
  readonly names = { hits: 0, misses: 0, evictions: 0 }
}

const lookups = Metric.counter("filesystem_cache_lookups", {
  description: "Questions to the cache of a filesystem, by what was asked for and whether it was known"
})
const evictions = Metric.counter("filesystem_cache_evictions", {
  description: "What a cache had to forget since it was full, by kind"
})
const entries = Metric.gauge("filesystem_cache_entries", { description: "What a cache remembers, by kind" })

/** Brings the metrics up to date. `name` tells those of several caches apart. */
export const publish = (stats: Effect.Effect<Stats>, name: string | undefined): Effect.Effect<void> => {
  const cache = name === undefined ? {} : { cache: name }
  const counter = (
    metric: Metric.Counter<number>,
    attributes: Record<string, string>,
    of: (stats: Stats) => number
  ) => ({
    metric: Metric.withAttributes(metric, { ...cache, ...attributes }),
    of,
    last: 0
  })
  const counters = [
    ...(["files", "attributes", "names"] as const).flatMap((kind) => [
      counter(lookups, { kind, outcome: "hit" }, (stats) => stats[kind].hits),
      counter(lookups, { kind, outcome: "miss" }, (stats) => stats[kind].misses)
    ]),
    ...kinds.map((kind) => counter(evictions, { kind }, (stats) => stats[kind].evictions))
  ]
  const gauges = kinds.map((kind) => ({ kind, metric: Metric.withAttributes(entries, { ...cache, kind }) }))
  return Effect.contextWith((context: Context.Context<never>) =>
    Effect.map(stats, (now) => {
      for (const counted of counters) {
        counted.metric.updateUnsafe(counted.of(now) - counted.last, context)
        counted.last = counted.of(now)
      }
      for (const { kind, metric } of gauges) metric.updateUnsafe(now[kind].entries, context)
    })
  )
}

/** What takes room. */
const kinds = ["files", "names"] as const
