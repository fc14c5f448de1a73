/** The contract, on all that this machine has to serve a directory from. */

import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { filesystemConformance } from "effect-nfs/testing"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { missing, run } from "../../support/commands.ts"
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

for (const way of Object.keys(ways) as Array<Way>) {
  filesystemConformance(`a directory by ${way}`, served(way), { lacks: lacks(way) })
  filesystemConformance(`a directory by ${way}, remembered`, served(way, undefined, "1 hour"), { lacks: lacks(way) })
  if (memory !== undefined) {
    filesystemConformance(`a directory in memory by ${way}`, served(way, memory), { lacks: lacks(way) })
  }
}

/** Only root can become somebody else. */
const cannot = !isRoot || missing("as an ordinary user", "setpriv")

describe("as an ordinary user", () => {
  it.live.skipIf(cannot)(
    "all of this holds, and what else is said of files",
    () =>
      Effect.gen(function* () {
        const vitest = fileURLToPath(new URL("../../../node_modules/vitest/vitest.mjs", import.meta.url))
        const { code, stderr, stdout } = yield* run("setpriv", [
          "--reuid=65534",
          "--regid=65534",
          "--clear-groups",
          "env",
          `HOME=${tmpdir()}`,
          process.execPath,
          vitest,
          "run",
          // The usual one writes beside the configuration.
          "--configLoader=native",
          "--no-color",
          fileURLToPath(import.meta.url),
          fileURLToPath(new URL("files.test.ts", import.meta.url))
        ])
        assert.strictEqual(code, 0, stdout.toString() + stderr)
        assert.match(stdout.toString(), /Tests +\d+ passed/)
      }),
    120_000
  )
})
