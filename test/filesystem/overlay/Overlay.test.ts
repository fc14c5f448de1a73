import { filesystemConformance } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Overlay from "../../../src/filesystem/overlay/Overlay.ts"
import { Fixture } from "../../../src/testing/filesystem/Fixture.ts"
import { isRoot, temporary } from "../../support/local.ts"

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
    const [upper, lower] = [yield* temporary(), yield* temporary()]
    return Overlay.layer({
      upper: yield* LocalFilesystem.make({ path: upper, async: true }),
      lower: yield* LocalFilesystem.make({ path: lower })
    })
  })
).pipe(Layer.provide(Syscalls.layer))

filesystemConformance("Overlay of two directories", onDisk, { lacks: isRoot ? [] : ["ownership", "devices"] })
