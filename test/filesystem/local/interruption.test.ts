/** Who is interrupted leaves nothing open, harms nobody who came for the same, and does not act later. */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
import { allow, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { closed, isRoot, open, place, replaced } from "../../support/local.ts"

/** Opening a file by its handle takes a while. */
const layerSlow = Layer.effect(
  Syscalls,
  Effect.map(Syscalls, (syscalls) => {
    const handles = syscalls.handles!
    return {
      ...syscalls,
      handles: {
        of: (fd: number) => handles.of(fd),
        open: (mount: number, key: Uint8Array) =>
          Effect.uninterruptible(Effect.tap(handles.open(mount, key), () => Effect.sleep("30 millis")))
      }
    }
  })
).pipe(Layer.provide(Syscalls.layer))

/** The only entry of the root, which is not open. */
const entry = (fs: Operations) =>
  Effect.map(
    fs.readdir(fs.root, { cookie: 0n, fits: () => true, attributes: true }, allow),
    ({ entries }) => entries[0]!.found!.file
  )

describe("interruption", () => {
  it.live.skipIf(!isRoot)("who waits for a file with somebody who is interrupted gets it", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      writeFileSync(join(path, "file"), "")
      const fs = yield* open({ path }, layerSlow)
      const file = yield* entry(fs)
      const first = yield* Effect.forkChild(fs.getattr(file), { startImmediately: true })
      const second = yield* Effect.forkChild(fs.getattr(file), { startImmediately: true })
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* Fiber.join(second)).type, "regular")
    })
  )

  it.live.skipIf(!isRoot)("a file that nobody waits for any more when it is open is closed", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      writeFileSync(join(path, "file"), "")
      const scope = yield* Scope.make()
      const fs = yield* open({ path }, layerSlow).pipe(Scope.provide(scope))
      const file = yield* entry(fs)
      for (const asked of [fs.getattr(file), fs.resolve(file.key)]) {
        const asking = yield* Effect.forkChild(asked, { startImmediately: true })
        yield* Effect.sleep("10 millis")
        yield* Fiber.interrupt(asking)
      }
      yield* Scope.close(scope, Exit.void)
      yield* closed(path)
    })
  )

  it.live("SETATTR happens before what comes after it", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true })
      const { file } = yield* fs.create(fs.root, "file", { _tag: "Guarded" }, give({}))
      yield* fs.write(file, 0, [pattern(10)], "unstable", allow)
      yield* replaced(
        "ftruncate",
        (ftruncate) =>
          (...args) =>
            void setTimeout(() => ftruncate(...args), 30)
      )
      const cut = yield* Effect.forkChild(fs.setattr(file, give({ size: 0 })), { startImmediately: true })
      yield* Effect.forkChild(Fiber.interrupt(cut), { startImmediately: true })
      yield* fs.write(file, 0, [pattern(1000)], "unstable", allow)
      yield* Effect.sleep("60 millis")
      assert.strictEqual((yield* fs.getattr(file)).size, 1000)
    })
  )
})
