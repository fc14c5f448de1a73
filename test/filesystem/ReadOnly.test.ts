import { assert, describe, it } from "@effect/vitest"
import { readOnlyConformance } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filesystem } from "../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { readOnly } from "../../src/filesystem/ReadOnly.ts"
import { allow, Fixture } from "../../src/testing/filesystem/Fixture.ts"
import { plant, sample } from "../../src/testing/filesystem/Tree.ts"

const tree = sample(true)

const below = Fixture.root.pipe(
  Effect.tap((at) => plant(at, tree)),
  Effect.provide(MemoryFilesystem.layer(), { local: true })
)

readOnlyConformance(
  "readOnly",
  Layer.effect(Filesystem, Effect.orDie(Effect.map(below, ({ fs }) => readOnly(fs)))),
  tree
)

describe("readOnly", () => {
  it.effect("everything but a change is as it is below", () =>
    Effect.gen(function* () {
      const at = yield* below
      const { fs } = at
      const above = readOnly(fs)
      assert.strictEqual(above.root, fs.root)
      assert.strictEqual(above.properties, fs.properties)
      const { file } = yield* at.lookup("small")
      const { file: link } = yield* at.lookup("link")
      assert.strictEqual(yield* above.resolve(file.key), file)
      const list = { cookie: 0n, fits: () => true, attributes: true }
      for (const [one, other] of [
        [above.getattr(file), fs.getattr(file)],
        [above.lookup(fs.root, "small", allow), fs.lookup(fs.root, "small", allow)],
        [above.parent(fs.root, allow), fs.parent(fs.root, allow)],
        [above.readlink(link, allow), fs.readlink(link, allow)],
        [above.read(file, 2, 3, allow), fs.read(file, 2, 3, allow)],
        [above.readdir(fs.root, list, allow), fs.readdir(fs.root, list, allow)],
        [above.statfs(file), fs.statfs(file)],
        [above.commit(file, 0, 0, allow), fs.commit(file, 0, 0, allow)]
      ] as ReadonlyArray<readonly [Effect.Effect<unknown, FilesystemError>, Effect.Effect<unknown, FilesystemError>]>) {
        assert.deepStrictEqual(yield* one, yield* other)
      }
    })
  )
})
