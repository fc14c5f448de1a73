/**
 * Who has mounted what. Nothing depends on it: it is an answer to people who ask, not a right. What is no longer true is left
 * out: mounts of exports that are gone or that their client may not use any more, and of clients whose last connection ended
 * a day ago without a word.
 */

import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Exports } from "../../exports/Exports.ts"

/** A mount: the client's address and the path that it asked for. */
export interface Mounted {
  readonly host: string
  readonly path: string
}

/** Mounts that are remembered. Of more, the oldest one of the client that has the most is forgotten. */
const CAPACITY = 1024

/** Milliseconds after which a client that is not connected is not expected back: others only rest, and connect for a call. */
const ABSENCE = Duration.toMillis("1 day")

interface Entry extends Mounted {
  /** The path of the export that this is in. */
  readonly exported: string
  /** When its client, if it is not connected, was heard of last. */
  heardAt: number
}

/** The oldest mount of the client that has the most. */
const superfluous = (table: ReadonlyMap<string, Mounted>): string => {
  const byHost = Map.groupBy(table, ([, { host }]) => host)
  const [[key]] = [...byHost.values()].reduce((most, own) => (own.length > most.length ? own : most)) as [
    [string, Mounted]
  ]
  return key
}

export class MountTable extends Context.Service<
  MountTable,
  {
    /** `exported`: the path of the export that the mount is in. */
    readonly add: (mounted: Mounted, exported: string) => void
    readonly remove: (mounted: Mounted) => void
    /** Forgets all mounts of a client. */
    readonly removeAll: (host: string) => void
    /** The oldest first; only those of exports that a client with the address `to` may use, when one asks. */
    readonly all: (to?: string) => ReadonlyArray<Mounted>
    /** A connection of a client begins. */
    readonly arrived: (host: string) => void
    /** One ends. */
    readonly left: (host: string) => void
  }
>()("effect-nfs/MountTable") {
  static readonly layer: Layer.Layer<MountTable, never, Exports> = Layer.effect(
    MountTable,
    Effect.gen(function* () {
      const exports = yield* Exports
      const clock = yield* Clock.Clock
      const table = new Map<string, Entry>()
      /** Connections that clients have. */
      const connections = new Map<string, number>()
      const keyOf = ({ host, path }: Mounted): string => `${host} ${path}`
      const mayUse = (host: string, { exported }: Entry): boolean =>
        exports.current.byPath(exported)?.termsFor(host) !== undefined
      const stands = (entry: Entry): boolean => {
        const { heardAt, host } = entry
        if (!connections.has(host) && clock.currentTimeMillisUnsafe() - heardAt > ABSENCE) return false
        return mayUse(host, entry)
      }
      return {
        add: ({ host, path }, exported) => {
          const entry = { host, path, exported, heardAt: clock.currentTimeMillisUnsafe() }
          const key = keyOf(entry)
          table.delete(key)
          table.set(key, entry)
          if (table.size > CAPACITY) table.delete(superfluous(table))
        },
        remove: (mounted) => {
          table.delete(keyOf(mounted))
        },
        removeAll: (host) => {
          for (const [key, mounted] of table) {
            if (mounted.host === host) table.delete(key)
          }
        },
        all: (to) => {
          for (const [key, entry] of table) {
            if (!stands(entry)) table.delete(key)
          }
          const told = [...table.values()].filter((entry) => to === undefined || mayUse(to, entry))
          return told.map(({ host, path }) => ({ host, path }))
        },
        arrived: (host) => {
          connections.set(host, (connections.get(host) ?? 0) + 1)
        },
        left: (host) => {
          const others = (connections.get(host) ?? 1) - 1
          if (others > 0) {
            connections.set(host, others)
            return
          }
          connections.delete(host)
          for (const entry of table.values()) {
            if (entry.host === host) entry.heardAt = clock.currentTimeMillisUnsafe()
          }
        }
      }
    })
  )
}
