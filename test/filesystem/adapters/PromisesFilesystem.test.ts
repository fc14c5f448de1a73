import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { it } from "@effect/vitest"
import { filesystemConformance } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { memfs } from "memfs"
import { Union } from "unionfs"
import * as PromisesFilesystem from "../../../src/filesystem/adapters/PromisesFilesystem.ts"
import type { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { fails } from "../../../src/testing/filesystem/Fixture.ts"

/** memfs keeps each file in one buffer. */
const IN_MEMORY = { root: "/", maxFileSize: 2 ** 31 - 1 }

const inMemory = Layer.unwrap(
  Effect.sync(() => PromisesFilesystem.layer(memfs().fs.promises, { ...IN_MEMORY, inodes: true }))
)

filesystemConformance("PromisesFilesystem of memfs", inMemory, {
  lacks: ["specialFiles", "byteNames", "space", "sparseFiles", "linkCounts", "anyMode"]
})

const union = Layer.unwrap(
  Effect.sync(() => {
    const both = new Union()
    both.use(memfs({ "/lower/file": "content" }).fs as never).use(memfs().fs as never)
    return PromisesFilesystem.layer(both.promises, IN_MEMORY)
  })
)

filesystemConformance("PromisesFilesystem of unionfs", union, {
  lacks: ["specialFiles", "hardLinks", "byteNames", "space", "sparseFiles", "linkCounts", "anyMode"]
})

const onDisk: Layer.Layer<Filesystem, FilesystemError> = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => fs.mkdtemp(join(tmpdir(), "effect-nfs-"))),
      (root) => Effect.promise(() => fs.rm(root, { recursive: true }))
    ),
    (root) => PromisesFilesystem.layer(fs, { root })
  )
)

filesystemConformance("PromisesFilesystem of node:fs/promises", onDisk, { lacks: ["specialFiles"] })

it.effect("an empty root is no directory, least of all the host's", () =>
  fails(Effect.scoped(PromisesFilesystem.make(fs, { root: "" })), "EINVAL")
)
