/** What is answered is on the disk: which files are synced by what, and what becomes of a sync that fails. */

import { Buffer } from "node:buffer"
import { readlinkSync, rmSync } from "node:fs"
import { relative } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, fails, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { missing, run } from "../../support/commands.ts"
import { isRoot, open, place, replaced, temporary } from "../../support/local.ts"

/** What is synced from now on, by its path in what is served. */
const recording = (path: string) => {
  const synced: Array<string> = []
  return Effect.as(
    replaced("fsync", (fsync) => (fd, done) => {
      synced.push(relative(path, readlinkSync(`/proc/self/fd/${fd}`)) || ".")
      fsync(fd, done)
    }),
    synced
  )
}

const create = (fs: Operations, name: string) =>
  Effect.map(fs.create(fs.root, name, { _tag: "Guarded" }, give({})), ({ file }) => file)

/** Each operation, and what it has to sync. */
const operations: ReadonlyArray<
  readonly [
    what: string,
    run: (fs: Operations) => Effect.Effect<Effect.Effect<unknown, FilesystemError>, FilesystemError>,
    synced: ReadonlyArray<string>
  ]
> = [
  ["create", (fs) => Effect.succeed(create(fs, "new")), ["new", "."]],
  [
    "exclusive create",
    (fs) => Effect.succeed(fs.create(fs.root, "new", { _tag: "Exclusive", verifier: Buffer.alloc(8, 1) }, give({}))),
    ["new", "."]
  ],
  [
    "create that meets a file and cuts it off",
    (fs) => Effect.as(create(fs, "old"), fs.create(fs.root, "old", { _tag: "Unchecked" }, give({ size: 0 }))),
    ["old"]
  ],
  ["mkdir", (fs) => Effect.succeed(fs.mkdir(fs.root, "new", give({}))), ["new", "."]],
  ["symlink", (fs) => Effect.succeed(fs.symlink(fs.root, "new", "target", give({}))), ["."]],
  ["mknod", (fs) => Effect.succeed(fs.mknod(fs.root, "new", { type: "fifo" }, give({}))), ["."]],
  ["remove", (fs) => Effect.as(create(fs, "old"), fs.remove(fs.root, "old", allow)), ["."]],
  ["rmdir", (fs) => Effect.as(fs.mkdir(fs.root, "old", give({})), fs.rmdir(fs.root, "old", allow)), ["."]],
  ["link", (fs) => Effect.map(create(fs, "old"), (file) => fs.link(file, fs.root, "new", allow)), ["."]],
  ["rename", (fs) => Effect.as(create(fs, "old"), fs.rename(fs.root, "old", fs.root, "new", allow)), ["."]],
  [
    "rename into another directory",
    (fs) =>
      Effect.map(Effect.andThen(create(fs, "old"), fs.mkdir(fs.root, "to", give({}))), ({ file }) =>
        fs.rename(fs.root, "old", file, "new", allow)
      ),
    [".", "to"]
  ],
  ["setattr", (fs) => Effect.map(create(fs, "old"), (file) => fs.setattr(file, give({ mode: 0o600 }))), ["old"]]
]

describe("durability", () => {
  it.live.each(operations)("%s syncs what it changes, unless that is asynchronous", ([, prepare, expected]) =>
    Effect.gen(function* () {
      const { path } = yield* place()
      for (const isAsync of [false, true]) {
        const fs = yield* open({ path, async: isAsync })
        const operation = yield* prepare(fs)
        const synced = yield* recording(path)
        yield* operation
        assert.sameMembers(synced, isAsync ? [] : [...expected])
        for (const name of ["old", "new", "to"]) rmSync(`${path}/${name}`, { recursive: true, force: true })
      }
    }).pipe(Effect.scoped)
  )

  it.live("COMMIT and stable writes sync the file, also when all else is asynchronous; UNSTABLE ones do not", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true })
      const file = yield* create(fs, "file")
      const synced = yield* recording(path)
      const write = (stability: "unstable" | "dataSync" | "fileSync") =>
        Effect.map(fs.write(file, 0, [pattern(10)], stability, allow), ({ committed }) => committed)
      assert.strictEqual(yield* write("unstable"), "unstable")
      assert.deepStrictEqual(synced, [])
      yield* fs.commit(file, 0, 0, allow)
      assert.deepStrictEqual(synced, ["file"])
      assert.strictEqual(yield* write("dataSync"), "fileSync")
      assert.strictEqual(yield* write("fileSync"), "fileSync")
      assert.deepStrictEqual(synced, ["file", "file", "file"])
    })
  )

  it.live("who asks while a sync runs shares the next", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true })
      const file = yield* create(fs, "file")
      let [running, rounds] = [0, 0]
      yield* replaced("fsync", (fsync) => (fd, done) => {
        assert.strictEqual(++running, 1, "one at a time")
        rounds++
        setTimeout(
          () =>
            fsync(fd, (error) => {
              running--
              done(error)
            }),
          20
        )
      })
      const commit = fs.commit(file, 0, 0, allow)
      yield* Effect.all(
        Array.from({ length: 100 }, () => commit),
        { concurrency: "unbounded", discard: true }
      )
      assert.strictEqual(rounds, 2)
      // Somebody who is interrupted takes nobody else's sync away.
      const first = yield* Effect.forkChild(commit, { startImmediately: true })
      const second = yield* Effect.forkChild(commit, { startImmediately: true })
      const third = yield* Effect.forkChild(commit, { startImmediately: true })
      yield* Effect.all([Fiber.interrupt(first), Fiber.interrupt(second)], { concurrency: 2 })
      yield* Fiber.join(third)
      assert.strictEqual(rounds, 4)
    })
  )

  it.live("of all filesystems together, syncs and writes that hang leave a thread to others", () =>
    Effect.gen(function* () {
      const served = [yield* place(), yield* place()]
      const files: Array<readonly [Operations, File]> = []
      for (const { path } of served) {
        const fs = yield* open({ path, async: true })
        for (let i = 0; i < 8; i++) files.push([fs, yield* create(fs, `file${i}`)])
      }
      const held: Array<() => void> = []
      const most = (body: (fs: Operations, file: File) => Effect.Effect<unknown, FilesystemError>) =>
        Effect.gen(function* () {
          const all = yield* Effect.forkChild(
            Effect.forEach(files, ([fs, file]) => body(fs, file), { concurrency: "unbounded", discard: true }),
            { startImmediately: true }
          )
          yield* Effect.sleep("100 millis")
          const begun = held.length
          for (let end = held.pop(); end !== undefined || all.pollUnsafe() === undefined; end = held.pop()) {
            end?.()
            yield* Effect.sleep("1 millis")
          }
          yield* Fiber.join(all)
          return begun
        })
      yield* replaced("fsync", () => (_, done) => {
        held.push(() => done(null))
      })
      yield* replaced("writev", (writev) => (...args) => {
        held.push(() => writev(...args))
      })
      const threads = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4)
      const syncs = yield* most((fs, file) => fs.commit(file, 0, 0, allow))
      const writes = yield* most((fs, file) => fs.write(file, 0, [pattern(10)], "unstable", allow))
      assert.isAtLeast(syncs, 1)
      assert.isAtLeast(writes, 1)
      assert.isBelow(syncs + writes, threads)
    })
  )

  it.live("a sync that fails says so to all who asked for it, and the next is another", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path })
      const file = yield* create(fs, "file")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* replaced("fsync", () => (_, done) => {
            setTimeout(() => done(Object.assign(new Error("EIO"), { errno: -5, code: "EIO" })), 5)
          })
          const asked = [
            fs.commit(file, 0, 0, allow),
            fs.commit(file, 0, 0, allow),
            fs.write(file, 0, [pattern(10)], "fileSync", allow),
            fs.setattr(file, give({ mode: 0o600 })),
            fs.mkdir(fs.root, "directory", give({}))
          ]
          yield* Effect.forEach(asked, (effect) => fails<unknown>(effect, "EIO"), { concurrency: "unbounded" })
        })
      )
      yield* fs.commit(file, 0, 0, allow)
    })
  )

  it.live.skipIf(!isRoot || missing("a full disk", "mount", "umount"))(
    "a full disk says so, and what there was room for stays",
    () =>
      Effect.gen(function* () {
        const path = yield* temporary()
        const mounted = yield* run("mount", ["-t", "tmpfs", "-o", "size=1m", "effect-nfs-test", path])
        assert.strictEqual(mounted.code, 0, mounted.stderr)
        yield* Effect.addFinalizer(() => run("umount", ["-l", path]))
        const fs = yield* open({ path })
        const file = yield* create(fs, "file")
        const { count } = yield* fs.write(file, 0, [pattern(2 << 20)], "fileSync", allow)
        assert.isAtLeast(count, 1 << 19)
        assert.isBelow(count, 2 << 20)
        assert.strictEqual((yield* fs.getattr(file)).size, count)
        const { data } = yield* fs.read(file, 0, count, allow)
        assert.isTrue(Buffer.concat(data).equals(pattern(2 << 20).subarray(0, count)))
        yield* fails(fs.write(file, count, [pattern(1 << 20)], "unstable", allow), "ENOSPC")
        // Of a removed file, the space is free at once.
        yield* fs.remove(fs.root, "file", allow)
        const next = yield* create(fs, "next")
        yield* Effect.sleep("50 millis")
        assert.strictEqual((yield* fs.write(next, 0, [pattern(count - 4096)], "unstable", allow)).count, count - 4096)
      })
  )
})
