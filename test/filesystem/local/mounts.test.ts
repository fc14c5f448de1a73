/** What is mounted below a directory that is served. */

import { Buffer } from "node:buffer"
import { spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { allow, fails, give } from "../../../src/testing/filesystem/Fixture.ts"
import { missing, run } from "../../support/commands.ts"
import { isRoot, open, patient, place, type Way, ways } from "../../support/local.ts"

/** Mounts something while the scope lives. */
const mount = (point: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.map(run("mount", [...args, point]), ({ code, stderr }) => assert.strictEqual(code, 0, stderr)),
    () => run("umount", ["--lazy", point])
  )

const lookup = (fs: Operations, directory: File, name: string) =>
  Effect.map(fs.lookup(directory, name, allow), ({ file }) => file)

/** A directory with two mount points: another filesystem, and a directory of the same one. */
const mounted = Effect.gen(function* () {
  const { outside, path } = yield* place()
  const [memory, bound] = [join(path, "memory"), join(path, "bound")]
  for (const point of [memory, bound]) mkdirSync(point)
  yield* mount(memory, "-t", "tmpfs", "effect-nfs-test")
  yield* mount(bound, "--bind", outside)
  for (const directory of [memory, bound]) writeFileSync(join(directory, "file"), directory)
  return { bound, memory, path }
})

/** A server that never answers, as sshfs is without a network; after some seconds who waits for it is let go. */
const mountDead = (point: string) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const device = openSync("/dev/fuse", "r+")
      const options = "fd=3,rootmode=40000,user_id=0,group_id=0,allow_other"
      const args = ["-i", "-t", "fuse", "-o", options, "effect-nfs-test", point]
      const code = yield* Effect.callback<number | null>((resume) => {
        const child = spawn("mount", args, { stdio: ["ignore", "inherit", "inherit", device] })
        child.once("exit", (code) => resume(Effect.succeed(code)))
      })
      assert.strictEqual(code, 0)
      const script = `sleep 4; exec umount --no-canonicalize --force --lazy "$0"`
      const end = spawn("sh", ["-c", script, point], { stdio: "ignore" })
      return { device, end: new Promise((resolve) => end.once("exit", resolve)) }
    }),
    ({ device, end }) =>
      Effect.andThen(
        Effect.promise(() => end),
        Effect.sync(() => closeSync(device))
      )
  )

/** Runs something, and gives the longest time in milliseconds for which nothing else could run. */
const standstill = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    let [last, longest] = [performance.now(), 0]
    const look = () => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
    }
    // @effect-diagnostics-next-line globalTimersInEffect:off
    const timer = setInterval(look, 10)
    return effect.pipe(
      Effect.map(() => {
        look()
        return longest
      }),
      Effect.ensuring(Effect.sync(() => clearInterval(timer)))
    )
  })

const denied = !isRoot || missing("mounts", "mount", "umount")
if (!isRoot) console.warn("mounts: skipped, because only root can mount")

describe.skipIf(denied).each(Object.keys(ways) as Array<Way>)("mount points, by %s", (way) => {
  it.live.each(["memory", "bound"] as const)("%s: is listed, and nobody gets in", (name) =>
    Effect.gen(function* () {
      const { path } = yield* mounted
      const fs = yield* open({ path }, ways[way])
      const { entries } = yield* fs.readdir(fs.root, { cookie: 0n, fits: () => true, attributes: true }, allow)
      assert.include(
        entries.map((entry) => entry.name),
        name
      )
      yield* fails(fs.lookup(fs.root, name, allow), "EACCES")
      yield* fails(fs.mkdir(fs.root, name, give({})), "EACCES")
      yield* fails(fs.rename(fs.root, name, fs.root, "other", allow), "EACCES")
      yield* fails(fs.rmdir(fs.root, name, allow), "EACCES")
      const beside = yield* open({ path: join(path, name) }, ways[way])
      const { key } = yield* lookup(beside, beside.root, "file")
      yield* fails(patient(fs.resolve(key)), "ESTALE")
    })
  )

  it.live.each(["memory", "bound"] as const)("%s: is crossed if that is wanted, and handles last", (name) =>
    Effect.gen(function* () {
      const { path } = yield* mounted
      const fs = yield* open({ path, crossMounts: true }, ways[way])
      const directory = yield* lookup(fs, fs.root, name)
      const file = yield* lookup(fs, directory, "file")
      const { file: made } = yield* fs.create(directory, "made", { _tag: "Guarded" }, give({}))
      yield* fs.write(made, 0, [Buffer.from("made")], "fileSync", allow)
      assert.strictEqual(readFileSync(join(path, name, "made"), "utf8"), "made")
      assert.deepStrictEqual((yield* fs.parent(directory, allow)).file.key, fs.root.key)
      // Listed with and without attributes, files have the same number.
      const numbers = (attributes: boolean) =>
        Effect.map(fs.readdir(directory, { cookie: 0n, fits: () => true, attributes }, allow), ({ entries }) =>
          Object.fromEntries(entries.map(({ fileid, name }) => [name, fileid]))
        )
      const expected = { file: (yield* fs.getattr(file)).fileid, made: (yield* fs.getattr(made)).fileid }
      assert.deepStrictEqual(yield* numbers(true), expected)
      assert.deepStrictEqual(yield* numbers(false), expected)
      yield* fails(fs.rename(directory, "file", fs.root, "file", allow), "EXDEV")
      yield* fails(fs.link(file, fs.root, "link", allow), "EXDEV")

      const later = yield* open({ path, crossMounts: true }, ways[way])
      for (const { key } of [directory, file, made]) {
        const again = yield* patient(later.resolve(key))
        assert.deepStrictEqual(again.key, key)
        yield* later.getattr(again)
      }
    })
  )

  it.live("what is mounted this very moment is refused as well", () =>
    Effect.gen(function* () {
      const { outside, path } = yield* place()
      mkdirSync(join(path, "bound"))
      writeFileSync(join(outside, "file"), "")
      const fs = yield* open({ path }, ways[way])
      yield* lookup(fs, fs.root, "bound")
      yield* mount(join(path, "bound"), "--bind", outside)
      yield* fails(fs.lookup(fs.root, "bound", allow), "EACCES")
    })
  )

  it.live(
    "one that does not answer is refused as others are, and nobody waits for it",
    () =>
      Effect.gen(function* () {
        const { path } = yield* place()
        mkdirSync(join(path, "dead"))
        writeFileSync(join(path, "file"), "content")
        yield* mountDead(join(path, "dead"))
        const fs = yield* open({ path }, ways[way])
        const asking = Effect.gen(function* () {
          const { entries } = yield* fs.readdir(fs.root, { cookie: 0n, fits: () => true, attributes: true }, allow)
          assert.deepStrictEqual(Object.fromEntries(entries.map(({ found, name }) => [name, found !== undefined])), {
            dead: false,
            file: true
          })
          // More often than there are threads.
          for (let i = 0; i < 20; i++) yield* fails(fs.lookup(fs.root, "dead", allow), "EACCES")
          const { data } = yield* fs.read(yield* lookup(fs, fs.root, "file"), 0, 100, allow)
          assert.strictEqual(Buffer.concat(data).toString(), "content")
        })
        assert.isBelow(yield* standstill(Effect.timeout(asking, "3 seconds")), 2000)
      }),
    20_000
  )

  it.live(
    "one that does not answer and is crossed keeps waiting only who wants in",
    () =>
      Effect.gen(function* () {
        const { path } = yield* place()
        for (const name of ["dead", "memory"]) mkdirSync(join(path, name))
        yield* mount(join(path, "memory"), "-t", "tmpfs", "effect-nfs-test")
        yield* mountDead(join(path, "dead"))
        const fs = yield* open({ path, crossMounts: true }, ways[way])
        yield* Effect.forkChild(Effect.exit(fs.lookup(fs.root, "dead", allow)), { startImmediately: true })
        const asking = Effect.gen(function* () {
          const memory = yield* lookup(fs, fs.root, "memory")
          const { file } = yield* fs.create(memory, "file", { _tag: "Guarded" }, give({}))
          yield* fs.getattr(file)
        })
        assert.isBelow(yield* standstill(Effect.timeout(asking, "3 seconds")), 2000)
      }),
    20_000
  )
})
