/**
 * Who has mounted what. Nothing depends on it: a client that mounts and goes away without a word stays in it, so it is an
 * answer to people who ask, not a right.
 */

import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** A mount: the client's address and the export's path. */
export interface Mounted {
  readonly host: string
  readonly path: string
}

/** Mounts that are remembered; the oldest is forgotten. */
const CAPACITY = 1024

export class MountTable extends Context.Service<
  MountTable,
  {
    readonly add: (mounted: Mounted) => void
    readonly remove: (mounted: Mounted) => void
    /** Forgets all mounts of a client. */
    readonly removeAll: (host: string) => void
    /** The oldest first. */
    readonly all: () => ReadonlyArray<Mounted>
  }
>()("effect-nfs/MountTable") {
  static readonly layer: Layer.Layer<MountTable> = Layer.sync(MountTable, () => {
    const table = new Map<string, Mounted>()
    const keyOf = ({ host, path }: Mounted): string => `${host} ${path}`
    return {
      add: (mounted) => {
        const key = keyOf(mounted)
        table.delete(key)
        table.set(key, mounted)
        if (table.size > CAPACITY) table.delete(table.keys().next().value!)
      },
      remove: (mounted) => {
        table.delete(keyOf(mounted))
      },
      removeAll: (host) => {
        for (const [key, mounted] of table) {
          if (mounted.host === host) table.delete(key)
        }
      },
      all: () => [...table.values()]
    }
  })
}
