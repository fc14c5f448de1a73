/** What cannot be served says so in one line. */

import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing, run } from "../../support/commands.ts"
import { isRoot, open, type Way, ways } from "../../support/local.ts"

const message = (way: Way, path: string) => Effect.map(Effect.flip(open({ path }, ways[way])), (error) => error.message)

/** Only root can do without it. */
const cannot = !isRoot || missing("without /proc", "unshare", "mount")

describe("a directory that cannot be served", () => {
  // Nothing in /proc has a time of birth or a handle.
  it.effect("has files that nothing tells apart", () =>
    Effect.gen(function* () {
      const reason = "its filesystem does not tell a file from a later one with the same number"
      const expected = `cannot serve /proc/sys: ${reason}`
      assert.strictEqual(
        yield* message("node", "/proc/sys"),
        `${expected}; install the package koffi, or serve a directory of another filesystem`
      )
      assert.strictEqual(yield* message("paths", "/proc/sys"), `${expected}; serve a directory of another filesystem`)
    })
  )

  it.live.skipIf(cannot)("is where there is no /proc", () =>
    Effect.gen(function* () {
      const module = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)))
      const script = `
        import * as Effect from "effect/Effect"
        import { make } from ${module("../../../src/filesystem/local/LocalFilesystem.ts")}
        import { Syscalls } from ${module("../../../src/filesystem/local/Syscalls.ts")}
        const error = Effect.flip(Effect.scoped(make({ path: "/tmp" })))
        console.log((await Effect.runPromise(Effect.provide(error, Syscalls.layerNode))).message)`
      const hidden = `mount -t tmpfs effect-nfs-test /proc && exec "$0" --input-type=module --eval "$1"`
      const { stderr, stdout } = yield* run("unshare", ["--mount", "sh", "-c", hidden, process.execPath, script])
      assert.strictEqual(stdout.toString(), "cannot serve /tmp: that needs Linux with /proc\n", stderr)
    })
  )
})
