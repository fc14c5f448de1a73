/** Nothing outside the directory that is served can be reached, whoever moves what while clients are on their way. */

import { Buffer } from "node:buffer"
import {
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, fails, give } from "../../../src/testing/filesystem/Fixture.ts"
import { isRoot, open, patient, place, replaced, type Way, ways } from "../../support/local.ts"

const SECRET = "what nobody may read"

/** How often the way that root goes is tried, and how often the others. */
const ROUNDS: Record<Way, number> = { handles: 10_000, paths: 2000, node: 2000 }

const lookup = (fs: Operations, directory: File, name: string) =>
  Effect.map(fs.lookup(directory, name, allow), ({ file }) => file)

/** All that can be done in what may be a directory, none of which may work on a symlink; `false` when nothing did. */
const tryAll = (fs: Operations, file: File) =>
  Effect.gen(function* () {
    yield* fails(fs.lookup(file, "secret", allow), "ENOTDIR")
    yield* fails(fs.readdir(file, { cookie: 0n, fits: () => true, attributes: true }, allow), "ENOTDIR")
    yield* fails(fs.create(file, "new", { _tag: "Unchecked" }, give({})), "ENOTDIR")
    yield* fails(fs.mkdir(file, "new", give({})), "ENOTDIR")
    yield* fails(fs.remove(file, "secret", allow), "ENOTDIR")
    yield* fails(fs.parent(file, allow), "ENOTDIR")
    yield* fails(fs.read(file, 0, 100, allow), "EINVAL")
    yield* fails(fs.write(file, 0, [Buffer.from("x")], "unstable", allow), "EINVAL")
    yield* fails(fs.setattr(file, give({ size: 0 })), "EINVAL")
    yield* fails(fs.commit(file, 0, 0, allow), "EINVAL")
  })

/** Counts, and says when to stop. */
const shared = new Int32Array(new SharedArrayBuffer(8))
const [STOP, TURNS] = [0, 1]

/** What a thread does until told to stop: `way` is a directory, then a symlink that leads outside, then nothing. */
const exchange = `
  const { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } = require("node:fs")
  const { path, shared, target } = require("node:worker_threads").workerData
  const at = (name) => path + "/" + name
  symlinkSync(target, at("link"))
  mkdirSync(at("real"))
  writeFileSync(at("real/secret"), "harmless")
  while (Atomics.load(shared, ${STOP}) === 0) {
    for (const name of ["real", "link"]) {
      try {
        renameSync(at(name), at("way"))
      } catch {
        // A client has made a file there.
        unlinkSync(at("way"))
        continue
      }
      Atomics.add(shared, ${TURNS}, 1)
      renameSync(at("way"), at(name))
    }
  }`

const exchanging = (path: string, target: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      shared.fill(0)
      const worker = new Worker(exchange, { eval: true, workerData: { path, target, shared } })
      const ended = new Promise<unknown>((resolve) => {
        worker.once("error", resolve)
        worker.once("exit", () => resolve(undefined))
      })
      while (Atomics.load(shared, TURNS) === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      return { ended }
    }),
    ({ ended }) =>
      Effect.promise(async () => {
        Atomics.store(shared, STOP, 1)
        assert.isUndefined(await ended)
      })
  )

describe.each(Object.keys(ways) as Array<Way>)("outside of what is served by %s", (way) => {
  it.live("symlinks are shown and never followed", () =>
    Effect.gen(function* () {
      const { outside, path } = yield* place()
      writeFileSync(join(outside, "secret"), SECRET)
      const fs = yield* open({ path }, ways[way])
      const targets = [outside, "../outside", "..", "/", `${outside}/secret`, "loop", "nowhere"]
      for (const [i, target] of targets.entries()) {
        symlinkSync(target, join(path, `link${i}`))
        const link = yield* lookup(fs, fs.root, `link${i}`)
        assert.strictEqual((yield* fs.getattr(link)).type, "symlink")
        assert.strictEqual((yield* fs.readlink(link, allow)).target, target)
        yield* tryAll(fs, link)
        // What it leads to keeps its times and mode; it has none of its own.
        yield* fs.setattr(link, give({ mode: 0o777, mtime: { seconds: 1, nanoseconds: 0 } }))
        assert.strictEqual(lstatSync(join(path, `link${i}`)).mtimeMs, 1000)
        // CREATE does not make what a symlink leads to.
        yield* fails(fs.create(fs.root, `link${i}`, { _tag: "Unchecked" }, give({ size: 0 })), "EEXIST")
      }
      assert.isAbove(lstatSync(join(outside, "secret")).mtimeMs, 1000)
      assert.strictEqual(readFileSync(join(outside, "secret"), "utf8"), SECRET)
      assert.isFalse(existsSync(join(path, "nowhere")))
      assert.deepStrictEqual(readdirSync(outside), ["secret"])
      assert.deepStrictEqual((yield* fs.parent(fs.root, allow)).file.key, fs.root.key)
    })
  )

  it.live(
    `nor when they are put in the way meanwhile, ${ROUNDS[way]} times`,
    () =>
      Effect.gen(function* () {
        const { outside, path } = yield* place()
        writeFileSync(join(outside, "secret"), SECRET)
        const before = lstatSync(outside, { bigint: true })
        const fs = yield* open({ path, async: true }, ways[way])
        yield* exchanging(path, outside)
        const seen = new Map<string, number>()
        const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
        const round = Effect.gen(function* () {
          const way = yield* fs.lookup(fs.root, "way", allow)
          count(way.attributes.type)
          const { entries } = yield* fs.readdir(way.file, { cookie: 0n, fits: () => true, attributes: true }, allow)
          for (const { name } of entries) assert.include(["secret", "new"], name)
          const secret = yield* fs.lookup(way.file, "secret", allow)
          const { data } = yield* fs.read(secret.file, 0, 100, allow)
          assert.strictEqual(Buffer.concat(data).toString(), "harmless")
          yield* fs.create(way.file, "new", { _tag: "Unchecked" }, give({ size: 1, mode: 0o600 }))
          yield* fs.setattr(way.file, give({ mtime: "now" }))
          yield* fs.rename(way.file, "new", fs.root, "moved", allow)
          yield* fs.remove(fs.root, "moved", allow)
        }).pipe(Effect.catch(({ code }: FilesystemError) => Effect.sync(() => count(code))))
        const mutate = Effect.gen(function* () {
          // Each of them finds the name itself.
          yield* Effect.exit(fs.rmdir(fs.root, "way", allow))
          yield* Effect.exit(fs.create(fs.root, "way", { _tag: "Unchecked" }, give({ size: 0, mode: 0o600 })))
        })
        yield* Effect.forEach(
          Array.from({ length: ROUNDS[way] }, (_, i) => i),
          (i) => (i % 20 === 0 ? mutate : round),
          { concurrency: 8, discard: true }
        )
        assert.isAbove(Atomics.load(shared, TURNS), ROUNDS[way] / 10)
        assert.isAbove(seen.get("symlink") ?? 0, 0, "the symlink was met")
        assert.isAbove(seen.get("directory") ?? 0, 0, "the directory was met")
        assert.deepStrictEqual(readdirSync(outside), ["secret"])
        assert.strictEqual(readFileSync(join(outside, "secret"), "utf8"), SECRET)
        const { ctimeNs, mtimeNs } = lstatSync(outside, { bigint: true })
        assert.deepStrictEqual({ ctimeNs, mtimeNs }, { ctimeNs: before.ctimeNs, mtimeNs: before.mtimeNs })
      }),
    60_000
  )

  it.live("what takes the place of a new file at once gets none of its attributes", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const [file, other] = [join(path, "file"), join(path, "other")]
      writeFileSync(other, SECRET, { mode: 0o600 })
      const fs = yield* open({ path, async: true }, ways[way])
      yield* replaced("open", (original) => (...args: Parameters<typeof original>) => {
        const done = args.pop() as (error: Error | null, fd: number) => void
        const swapped = (error: Error | null, fd: number) => {
          if (error === null && Number(args[1]) & constants.O_CREAT) renameSync(other, file)
          done(error, fd)
        }
        Reflect.apply(original, undefined, [...args, swapped])
      })
      yield* Effect.exit(fs.create(fs.root, "file", { _tag: "Unchecked" }, give({ mode: 0o666, size: 0 })))
      assert.strictEqual(lstatSync(file).mode & 0o777, 0o600)
      assert.strictEqual(readFileSync(file, "utf8"), SECRET)
    })
  )

  it.live("what takes the place of a new directory at once gets none of its attributes", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const [directory, other] = [join(path, "directory"), join(path, "other")]
      mkdirSync(other, { mode: 0o700 })
      yield* Effect.sleep("1200 millis")
      const fs = yield* open({ path, async: true }, ways[way])
      yield* replaced("mkdir", (original) => (...args: Parameters<typeof original>) => {
        const done = args.pop() as unknown as (error: Error | null) => void
        const swapped = (error: Error | null) => {
          if (error === null) renameSync(other, directory)
          done(error)
        }
        Reflect.apply(original, undefined, [...args, swapped])
      })
      yield* fails(fs.mkdir(fs.root, "directory", give({ mode: 0o777 })), "ESTALE")
      assert.strictEqual(lstatSync(directory).mode & 0o777, 0o700)
    })
  )

  it.live("what was moved out is gone after a second", () =>
    Effect.gen(function* () {
      const { outside, path } = yield* place()
      mkdirSync(join(path, "directory"))
      for (const name of ["file", "directory/below"]) writeFileSync(join(path, name), SECRET)
      const fs = yield* open({ path }, ways[way])
      const file = yield* lookup(fs, fs.root, "file")
      const directory = yield* lookup(fs, fs.root, "directory")
      const below = yield* lookup(fs, directory, "below")
      renameSync(join(path, "file"), join(outside, "file"))
      renameSync(join(path, "directory"), join(outside, "directory"))
      yield* Effect.sleep("1100 millis")
      for (const { key } of [file, directory, below]) yield* Effect.flip(patient(fs.resolve(key)))
      yield* fails(fs.lookup(fs.root, "file", allow), "ENOENT")
      // Back again, it is the same file.
      renameSync(join(outside, "directory"), join(path, "again"))
      assert.deepStrictEqual((yield* patient(fs.resolve(below.key))).key, below.key)
    })
  )

  it.live("a file with another name outside is served by the one inside", () =>
    Effect.gen(function* () {
      const { outside, path } = yield* place()
      writeFileSync(join(path, "file"), "content")
      const fs = yield* open({ path }, ways[way])
      const { key } = yield* lookup(fs, fs.root, "file")
      linkSync(join(path, "file"), join(outside, "other"))
      lstatSync(join(outside, "other"))
      const later = yield* open({ path }, ways[way])
      const file = yield* patient(later.resolve(key))
      assert.strictEqual(Buffer.concat((yield* later.read(file, 0, 100, allow)).data).toString(), "content")
      unlinkSync(join(path, "file"))
      const last = yield* open({ path }, ways[way])
      assert.strictEqual((yield* Effect.flip(patient(last.resolve(key)))).code, "ESTALE")
    })
  )
})

it.live.skipIf(!isRoot)("a key of a file outside is refused", () =>
  Effect.gen(function* () {
    const { outside, path } = yield* place()
    writeFileSync(join(outside, "secret"), SECRET)
    // The same filesystem, served as a whole room: its keys are kernel handles.
    const beside = yield* open({ path: outside })
    const { key } = yield* lookup(beside, beside.root, "secret")
    const fs = yield* open({ path })
    yield* fails(patient(fs.resolve(key)), "ESTALE")
    yield* fails(patient(fs.resolve(beside.root.key)), "ESTALE")
    for (let i = 0; i < key.length; i++) {
      const wrong = Uint8Array.from(key)
      wrong[i]! ^= 0x55
      yield* fails(patient(fs.resolve(wrong)), "ESTALE")
    }
    yield* fails(fs.resolve(key.subarray(1)), "ESTALE")
  })
)
