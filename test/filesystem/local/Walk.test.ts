import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { CLOCK_LAG } from "../../../src/filesystem/local/Stat.ts"
import { entries, textOf } from "../../../src/filesystem/local/Tree.ts"
import { walk, wayTo } from "../../../src/filesystem/local/Walk.ts"
import { directory, identify, keyOf, largeDirectory, O_PATH, openAt } from "./fixture.ts"

/** The paths of all files that a pass comes by. */
const passed = (root: string, maxQueue?: number) =>
  Effect.gen(function* () {
    const fd = yield* Effect.acquireRelease(
      Effect.sync(() => openSync(root, O_PATH)),
      (fd) => Effect.sync(() => closeSync(fd))
    )
    const paths: Array<string> = []
    const outcome = yield* walk({
      tree: { root: { key: keyOf(root), fd }, entries, identify, openAt },
      pass: (key, place, { name }) => {
        const path = [...wayTo(place).map((step) => step.name), name.toString()].join("/")
        assert.strictEqual(key, textOf(keyOf(join(root, path))))
        paths.push(path)
      },
      goOn: Effect.succeed(true),
      maxQueue
    })
    return { outcome, paths }
  })

describe.skipIf(process.platform !== "linux")("walk", () => {
  it.live("comes by every file once, upper ones first, and knows its tree unchanged", () =>
    Effect.gen(function* () {
      const root = yield* directory
      for (const name of ["a", "b", "c"]) {
        mkdirSync(join(root, name, "deep"), { recursive: true })
        writeFileSync(join(root, name, "deep", "file"), "")
      }
      // What has just changed may change again in the same tick of the clock.
      yield* Effect.sleep(2 * CLOCK_LAG)
      const { outcome, paths } = yield* passed(root)
      assert.deepInclude(outcome, { changed: false, refused: undefined })
      const depth = (path: string) => path.split("/").length
      assert.deepStrictEqual(paths.map(depth), [1, 1, 1, 2, 2, 2, 3, 3, 3])
      assert.strictEqual(new Set(paths).size, 9)
    })
  )

  it.live("comes by every file once also when more directories wait than may", () =>
    Effect.gen(function* () {
      const root = yield* largeDirectory
      const all: Array<string> = []
      for (let i = 0; i < 300; i++) {
        const path = String(i)
        all.push(path, `${path}/a`, `${path}/a/file`, `${path}/b`)
        for (const name of ["a", "b"]) mkdirSync(join(root, path, name), { recursive: true })
        writeFileSync(join(root, path, "a/file"), "")
      }
      const { paths } = yield* passed(root, 10)
      assert.deepStrictEqual(paths.toSorted(), all.toSorted())
      // After the first batch of the root, what it holds is visited before the second.
      assert.isBelow(
        paths.findIndex((path) => path.includes("/")),
        600
      )
    })
  )
})
