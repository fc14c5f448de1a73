import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SharedState } from "../../src/exports/SharedState.ts"
import { make as logs } from "../support/logs.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-state-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const state = (layer: Layer.Layer<SharedState>) => Effect.provide(SharedState, Layer.fresh(layer))

describe("SharedState", () => {
  it.effect("is another one for each run", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* state(SharedState.layer), yield* state(SharedState.layer)]
      assert.strictEqual(one.handleKey.length, 16)
      assert.strictEqual(one.writeVerifier.current.length, 8)
      assert.notDeepEqual(one.handleKey, two.handleKey)
      assert.notDeepEqual(one.writeVerifier.current, two.writeVerifier.current)
    })
  )

  it.effect("has a verifier that stays until it is renewed", () =>
    Effect.gen(function* () {
      const { writeVerifier } = yield* state(SharedState.layer)
      const before = writeVerifier.current
      assert.strictEqual(writeVerifier.current, before)
      writeVerifier.renew()
      assert.strictEqual(writeVerifier.current.length, 8)
      assert.notDeepEqual(writeVerifier.current, before)
    })
  )

  it.effect("keeps its key in a file that only its owner reads, and nothing else", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "deep", "state")
      const one = yield* state(SharedState.layerFile(path))
      const two = yield* state(SharedState.layerFile(path))
      assert.deepStrictEqual(one.handleKey, two.handleKey)
      assert.notDeepEqual(one.writeVerifier.current, two.writeVerifier.current)
      assert.deepStrictEqual(readdirSync(path), ["handle-key"])
      assert.strictEqual(statSync(join(path, "handle-key")).mode & 0o777, 0o600)
      assert.strictEqual(statSync(path).mode & 0o777, 0o700)
      assert.deepStrictEqual(readFileSync(join(path, "handle-key")), one.handleKey)
    })
  )

  const warns = (path: string, pattern: RegExp) =>
    Effect.gen(function* () {
      const { layer, messages } = logs()
      const { handleKey } = yield* Effect.provide(state(SharedState.layerFile(path)), layer)
      assert.strictEqual(handleKey.length, 16)
      assert.strictEqual(messages.length, 1)
      assert.match(messages[0]!, pattern)
      assert.notInclude(messages[0]!, "\n")
    })

  it.effect("has a key for this run where it cannot keep one, and says so", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "file")
      writeFileSync(path, "")
      yield* warns(join(path, "state"), /^Warn: .*file\/state.*ENOTDIR/)
    })
  )

  it.effect("does not touch a key that it cannot use", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const file = join(path, "handle-key")
      writeFileSync(file, "short", { mode: 0o600 })
      yield* warns(path, /^Warn: .*damaged/)
      assert.strictEqual(readFileSync(file, "utf8"), "short")
      const known = "known to everybody".slice(0, 16)
      writeFileSync(file, known)
      chmodSync(file, 0o644)
      yield* warns(path, /^Warn: .*can be read by/)
      assert.strictEqual(readFileSync(file, "utf8"), known)
    })
  )
})
