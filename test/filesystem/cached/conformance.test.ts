/** What is remembered for hours is still what the contract asks for, as long as nobody else changes anything. */

import { filesystemConformance, readOnlyConformance } from "effect-nfs/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CachedFilesystem from "../../../src/filesystem/cached/CachedFilesystem.ts"
import { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { readOnly } from "../../../src/filesystem/ReadOnly.ts"
import { Fixture } from "../../../src/testing/filesystem/Fixture.ts"
import { plant, sample } from "../../../src/testing/filesystem/Tree.ts"

filesystemConformance("remembered", CachedFilesystem.layer(MemoryFilesystem.layer(), { life: "1 hour" }))

filesystemConformance("two files remembered", CachedFilesystem.layer(MemoryFilesystem.layer(), { capacity: 2 }))

filesystemConformance("remembered twice", CachedFilesystem.layer(CachedFilesystem.layer(MemoryFilesystem.layer())))

filesystemConformance("not remembered", CachedFilesystem.layer(MemoryFilesystem.layer(), { life: 0 }))

const tree = sample(true)

const planted = Fixture.root.pipe(
  Effect.tap((at) => plant(at, tree)),
  Effect.map(({ fs }) => readOnly(fs)),
  Effect.provide(MemoryFilesystem.layer(), { local: true })
)

readOnlyConformance(
  "remembered and read-only",
  CachedFilesystem.layer(Layer.effect(Filesystem, Effect.orDie(planted))),
  tree
)
