/** The contract, on all that this machine has to serve a directory from. */

import { filesystemConformance } from "effect-nfs/testing"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { isRoot, memory, temporary, type Way, ways } from "../../support/local.ts"

const served = (way: Way, parent?: string, cacheLife: Duration.Input = 0) =>
  Layer.unwrap(
    Effect.map(temporary(parent), (path) =>
      Layer.effect(Filesystem, LocalFilesystem.make({ path, async: true, cacheLife }))
    )
  ).pipe(Layer.provide(ways[way]))

const lacks = (way: Way) => [
  ...(way === "node" ? (["specialFiles"] as const) : []),
  ...(isRoot ? [] : (["ownership", "devices"] as const))
]

// Without the rights of root files cannot be opened by their handles, and are found by their paths anyway.
for (const way of (Object.keys(ways) as Array<Way>).filter((way) => isRoot || way !== "paths")) {
  filesystemConformance(`a directory by ${way}`, served(way), { lacks: lacks(way) })
  if (memory !== undefined) {
    filesystemConformance(`a directory in memory by ${way}`, served(way, memory), { lacks: lacks(way) })
  }
}

filesystemConformance("a directory, remembered", served("handles", undefined, "1 hour"), { lacks: lacks("handles") })
