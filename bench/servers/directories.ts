/**
 * This server over two directories, `small` and `large`, that hold as many empty files as its arguments say. They are made
 * through the filesystem itself, or in the directory of the host that is the third argument.
 */

import { closeSync, mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filesystem } from "../../src/filesystem/Filesystem.ts"
import * as LocalFilesystem from "../../src/filesystem/local/LocalFilesystem.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { serve } from "./serve.ts"

const [small, large, path] = process.argv.slice(2)
const directories = { small: Number(small), large: Number(large) }

const nameOf = (i: number): string => `file-${String(i).padStart(7, "0")}`

const inMemory = Effect.gen(function* () {
  const inodes = directories.small + directories.large + Object.keys(directories).length + 1
  const filesystem = yield* MemoryFilesystem.make({ quota: { inodes } })
  for (const [name, entries] of Object.entries(directories)) {
    const { file } = yield* filesystem.mkdir(filesystem.root, name, () => ({ mode: 0o755 }))
    for (let i = 0; i < entries; i++) {
      yield* filesystem.create(file, nameOf(i), { _tag: "Guarded" }, () => ({ mode: 0o644 }))
    }
  }
  return filesystem
})

const onDisk = (path: string) =>
  Effect.sync(() => {
    for (const [name, entries] of Object.entries(directories)) {
      mkdirSync(join(path, name))
      for (let i = 0; i < entries; i++) closeSync(openSync(join(path, name, nameOf(i)), "wx"))
    }
  })

serve(
  undefined,
  path === undefined
    ? Layer.effect(Filesystem, Effect.orDie(inMemory))
    : Layer.unwrap(Effect.as(onDisk(path), LocalFilesystem.layer({ path })))
)
