import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { filesystemConformance } from "../../conformance/filesystem.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(process.env.T ?? "/tmp", "local-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
filesystemConformance("LocalFilesystem", Layer.unwrap(Effect.map(directory, (path) => LocalFilesystem.layer({ path }))))
import { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
filesystemConformance(
  "node only",
  Layer.unwrap(
    Effect.map(directory, (path) =>
      Layer.effect(Filesystem, LocalFilesystem.make({ path })).pipe(Layer.provide(Syscalls.layerNode))
    )
  ),
  { lacks: ["specialFiles"] }
)
