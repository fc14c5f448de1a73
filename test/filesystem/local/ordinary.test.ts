/** What is said of directories of the host, for a server without the rights of root. */

import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing, run } from "../../support/commands.ts"
import { isRoot } from "../../support/local.ts"

/** Only root can become somebody else. */
const cannot = !isRoot || missing("as an ordinary user", "setpriv")

describe("as an ordinary user", () => {
  it.live.skipIf(cannot)(
    "the contract holds, and what is said of files",
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
          ...["LocalFilesystem.test.ts", "files.test.ts"].map((file) => fileURLToPath(new URL(file, import.meta.url)))
        ])
        assert.strictEqual(code, 0, stdout.toString() + stderr)
        assert.match(stdout.toString(), /Tests +\d+ passed/)
      }),
    120_000
  )
})
