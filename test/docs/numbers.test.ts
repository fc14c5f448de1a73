/** The filesystem of docs/writing-a-filesystem.md passes what that page says it passes. */

import { assert, describe, it } from "@effect/vitest"
import { readOnlyConformance, symlink, type Tree } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as Numbers from "../../docs/examples/numbers.ts"
import { Fixture } from "../../src/testing/filesystem/Fixture.ts"

const factors = (n: number): ReadonlyArray<number> => {
  for (let factor = 2; factor < n; factor++) if (n % factor === 0) return [factor, ...factors(n / factor)]
  return n > 1 ? [n] : []
}

const number = (n: number): Tree => ({
  square: `${n ** 2}\n`,
  binary: `${n.toString(2)}\n`,
  factors: `${factors(n).join(" ")}\n`
})

const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i + 1)

readOnlyConformance("docs/examples/numbers.ts", Numbers.layer, {
  largest: symlink("100"),
  "all.txt": upTo(100_000)
    .map((n) => `${n}\n`.padStart(7))
    .join(""),
  ...Object.fromEntries(upTo(100).map((n) => [`${n}`, number(n)]))
})

describe("docs/examples/numbers.ts", () => {
  it.effect("has more numbers than it lists", () =>
    Effect.gen(function* () {
      const at = yield* Fixture.root
      const { file } = yield* at.lookup("1001")
      assert.strictEqual(yield* at.text((yield* at.lookup("factors", file)).file), "7 11 13\n")
    }).pipe(Effect.provide(Numbers.layer))
  )
})
