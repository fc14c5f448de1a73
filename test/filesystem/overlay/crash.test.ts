/** A crash between any two steps of an operation: after a restart it has happened, or it has not. */

import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { fail, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Overlay from "../../../src/filesystem/overlay/Overlay.ts"
import { Fixture } from "../../../src/testing/filesystem/Fixture.ts"

type Run = (at: Fixture) => Effect.Effect<unknown, FilesystemError>

/** `fs` as it is until `steps` changes were made; those that follow do not happen. */
const until = (fs: Operations, steps: () => number): Operations => {
  const step = <A>(change: Effect.Effect<A, FilesystemError>): Effect.Effect<A, FilesystemError> =>
    Effect.suspend(() => (steps() > 0 ? change : fail.EIO))
  return forward(fs, {
    setattr: (...given) => step(fs.setattr(...given)),
    write: (...given) => step(fs.write(...given)),
    create: (...given) => step(fs.create(...given)),
    mkdir: (...given) => step(fs.mkdir(...given)),
    symlink: (...given) => step(fs.symlink(...given)),
    remove: (...given) => step(fs.remove(...given)),
    rmdir: (...given) => step(fs.rmdir(...given)),
    rename: (...given) => step(fs.rename(...given)),
    link: (...given) => step(fs.link(...given))
  })
}

const look = (at: Fixture, path: string): Effect.Effect<File, FilesystemError> =>
  Effect.reduce(
    path.split("/"),
    () => at.home,
    (directory, name) => Effect.map(at.lookup(name, directory), ({ file }) => file)
  )

/** What is there: all paths with their contents. */
const seen = (at: Fixture, directory = at.home, path = ""): Effect.Effect<ReadonlyArray<string>, FilesystemError> =>
  Effect.gen(function* () {
    const all: Array<string> = []
    for (const name of yield* at.names(directory)) {
      const { attributes, file } = yield* at.lookup(name, directory)
      const below = `${path}/${name}`
      if (attributes.type === "directory") all.push(below, ...(yield* seen(at, file, below)))
      else all.push(`${below} ${attributes.mode} ${yield* at.text(file)}`)
    }
    return all
  })

const below = (at: Fixture) =>
  Effect.gen(function* () {
    yield* at.file("file", "content")
    yield* at.file("other", "other")
    const full = yield* at.mkdir("full")
    yield* at.file("a", "a", full)
    yield* at.file("b", "b", yield* at.mkdir("inner", full))
    yield* at.mkdir("empty")
    const emptied = yield* at.mkdir("emptied")
    yield* at.create("x", emptied)
    yield* at.create("y", emptied)
    const movable = yield* at.mkdir("movable")
    yield* at.create("x", movable)
  })

/** What clients did before. */
const earlier: Run = (at) =>
  Effect.gen(function* () {
    yield* at.file("new", "new")
    yield* at.create("z", yield* at.mkdir("newDirectory"))
    for (const name of ["x", "y"]) yield* at.remove(name, yield* look(at, "emptied"))
    yield* at.write(yield* look(at, "other"), 0, "O")
    yield* at.remove("x", yield* look(at, "movable"))
    yield* at.rename("movable", "elsewhere")
  })

const operations: Readonly<Record<string, Run>> = {
  "a write": (at) => Effect.flatMap(look(at, "file"), (file) => at.write(file, 0, "changed")),
  "a write below": (at) => Effect.flatMap(look(at, "full/inner/b"), (file) => at.write(file, 0, "B")),
  "a new file below": (at) => Effect.flatMap(look(at, "full/inner"), (directory) => at.create("c", directory)),
  "remove of a lower file": (at) => at.remove("file"),
  "remove of a copied file": (at) => at.remove("other"),
  "remove below": (at) => Effect.flatMap(look(at, "full/inner"), (directory) => at.remove("b", directory)),
  "rmdir of a lower directory": (at) => at.rmdir("empty"),
  "rmdir of one that was emptied": (at) => at.rmdir("emptied"),
  "rmdir of one that was renamed": (at) => at.rmdir("elsewhere"),
  "rename of a lower file": (at) => at.rename("file", "moved"),
  "rename of a copied file": (at) => at.rename("other", "moved"),
  "rename over a lower file": (at) => at.rename("new", "file"),
  "rename of a lower file over a copied one": (at) => at.rename("file", "other"),
  "rename of a lower directory": (at) => at.rename("full", "moved"),
  "rename of a lower directory over a lower one": (at) => at.rename("full", "empty"),
  "rename of a lower directory over an emptied one": (at) => at.rename("full", "emptied"),
  "rename of a lower directory over one that was renamed": (at) => at.rename("full", "elsewhere"),
  "rename of a directory back to where it was": (at) => at.rename("elsewhere", "movable"),
  "rename of a new directory over a lower one": (at) => at.rename("newDirectory", "empty"),
  "rename of a new directory over an emptied one": (at) => at.rename("newDirectory", "emptied"),
  "rename to elsewhere": (at) =>
    Effect.flatMap(look(at, "full/inner"), (directory) => at.rename("other", "other", at.home, directory)),
  "a link": (at) => Effect.flatMap(look(at, "file"), (file) => at.link(file, "linked"))
}

/** What is there after a restart, when `run` was cut off after some steps, and how many it took. */
const cutOff = (run: Run, most: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const [upper, lower] = [yield* MemoryFilesystem.make(), yield* MemoryFilesystem.make()]
      yield* below(Fixture.over(lower))
      let left = Infinity
      const crashing = until(upper, () => left--)
      const at = Fixture.over(yield* Overlay.make({ upper: crashing, lower }))
      yield* earlier(at)
      left = most
      yield* Effect.ignore(run(at))
      const after = Fixture.over(yield* Overlay.make({ upper, lower }))
      return { seen: (yield* seen(after)).join("\n"), isComplete: left >= 0 }
    })
  )

describe("after a crash", () => {
  for (const [name, run] of Object.entries(operations)) {
    // A write is two things: copying up, which nobody sees, and the write.
    it.effect(`${name} has happened or has not`, () =>
      Effect.gen(function* () {
        const before = yield* cutOff(run, 0)
        const after = yield* cutOff(run, Infinity)
        assert.notStrictEqual(before.seen, after.seen)
        const states = new Set<string>()
        for (let steps = 1, isComplete = false; !isComplete; steps++) {
          const state = yield* cutOff(run, steps)
          isComplete = state.isComplete
          states.add(state.seen)
          assert.include([before.seen, after.seen], state.seen, `after ${steps} steps`)
        }
        assert.isTrue(states.has(after.seen))
      })
    )
  }
})
