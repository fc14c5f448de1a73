/** Which names a directory has. */

import * as Effect from "effect/Effect"
import type { File, Listing, Operations } from "../Filesystem.ts"
import { allow, type Fails, type Layers } from "./Layers.ts"
import { isReserved, whiteoutOf } from "./names.ts"
import type { OverlayNode } from "./OverlayNode.ts"

/** Names that are read at once. */
const STEP = 1000

/** All names of a directory in one of the filesystems. */
const namesIn = Effect.fnUntraced(function* (fs: Operations, directory: File) {
  const names: Array<string> = []
  let cookie = 0n
  for (let eof = false; !eof;) {
    let left = STEP
    const listing: Listing = yield* fs.readdir(directory, { cookie, fits: () => left-- > 0, attributes: false }, allow)
    for (const { name } of listing.entries) names.push(name)
    eof = listing.eof
    cookie = listing.entries.at(-1)?.cookie ?? cookie
    yield* Effect.yieldNow
  }
  return names
})

/** The names of an upper directory, with those that are ours. */
export const namesAbove = ({ upper }: Layers, directory: File): Fails<ReadonlyArray<string>> =>
  namesIn(upper, directory)

/** The names that are in a directory. */
export const visibleNames = Effect.fnUntraced(function* (layers: Layers, { below, upper }: OverlayNode) {
  const names = new Set(upper === undefined ? [] : yield* namesIn(layers.upper, upper))
  const below_ = below === undefined ? [] : yield* namesIn(layers.lower, below.file)
  const visible = below_.filter((name) => !isReserved(name) && !names.has(name) && !names.has(whiteoutOf(name)))
  for (const name of names) if (!isReserved(name)) visible.push(name)
  return visible
})
