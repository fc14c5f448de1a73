import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { it } from "@effect/vitest"
import { filesystemConformance } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as EffectFilesystem from "../../../src/filesystem/adapters/EffectFilesystem.ts"
import { fails } from "../../../src/testing/filesystem/Fixture.ts"

const onDisk = (inodes: boolean) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      return EffectFilesystem.layer({ root, inodes })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

filesystemConformance("EffectFilesystem", onDisk(false), { lacks: ["specialFiles", "hardLinks", "byteNames", "space"] })
filesystemConformance("EffectFilesystem with inodes", onDisk(true), { lacks: ["specialFiles", "byteNames", "space"] })

it.effect("an empty root is no directory, least of all the host's", () =>
  fails(EffectFilesystem.make({ root: "" }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)), "EINVAL")
)
