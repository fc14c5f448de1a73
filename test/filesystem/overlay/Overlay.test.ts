import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PromisesFilesystem from "../../../src/filesystem/adapters/PromisesFilesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Overlay from "../../../src/filesystem/overlay/Overlay.ts"
import { filesystemConformance } from "../../conformance/filesystem.ts"
import { Fixture } from "../../conformance/filesystem/Fixture.ts"

const overEmpty = Layer.unwrap(
  Effect.gen(function* () {
    return Overlay.layer({ upper: yield* MemoryFilesystem.make(), lower: yield* MemoryFilesystem.make() })
  })
)

filesystemConformance("Overlay over nothing", overEmpty)

/** The tests work in a directory that the lower filesystem has, too, but which they find removed. */
const overFilled = Layer.unwrap(
  Effect.gen(function* () {
    const lower = yield* MemoryFilesystem.make()
    const below = Fixture.over(lower)
    const home = yield* below.mkdir("home")
    for (const name of ["a", "b", "c", "f0", "f5", "g0"]) yield* below.file(name, "below", home)
    for (const name of ["d", "e", "full", "outer"]) yield* below.create("x", yield* below.mkdir(name, home))
    const upper = yield* MemoryFilesystem.make()
    yield* Effect.scoped(
      Effect.gen(function* () {
        const before = Fixture.over(yield* Overlay.make({ upper, lower }))
        const { file } = yield* before.lookup("home")
        for (const name of yield* before.names(file)) {
          const child = yield* before.lookup(name, file)
          if (child.attributes.type === "directory") {
            yield* before.remove("x", child.file)
            yield* before.rmdir(name, file)
          } else {
            yield* before.remove(name, file)
          }
        }
        yield* before.rmdir("home")
      })
    )
    return Overlay.layer({ upper, lower })
  })
)

filesystemConformance("Overlay over what was removed", overFilled)

/** Every step takes a while, and others come in between. */
const onDisk = Layer.unwrap(
  Effect.gen(function* () {
    const root = yield* Effect.acquireRelease(
      Effect.promise(() => fs.mkdtemp(join(tmpdir(), "effect-nfs-"))),
      (path) => Effect.promise(() => fs.rm(path, { recursive: true }))
    )
    return Overlay.layer({
      upper: yield* PromisesFilesystem.make(fs, { root }),
      lower: yield* MemoryFilesystem.make()
    })
  })
)

filesystemConformance("Overlay kept in a directory", onDisk, { lacks: ["specialFiles"] })
