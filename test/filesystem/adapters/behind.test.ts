/** What others do behind a filesystem over paths: on the host, and in memory. */

import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { memfs } from "memfs"
import { Union } from "unionfs"
import * as PromisesFilesystem from "../../../src/filesystem/adapters/PromisesFilesystem.ts"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, fails, Fixture, give } from "../../../src/testing/filesystem/Fixture.ts"

/** A directory of the host, and a filesystem over its subdirectory `served`. */
const onHost = (body: (at: Fixture, place: string) => Effect.Effect<void, FilesystemError>, inodes = true) =>
  Effect.scoped(
    Effect.gen(function* () {
      const place = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(join(tmpdir(), "effect-nfs-"))),
        (path) => Effect.promise(() => fs.rm(path, { recursive: true }))
      )
      yield* does(() => fs.mkdir(join(place, "served")))
      const served = yield* PromisesFilesystem.make(fs, { root: join(place, "served"), inodes })
      yield* body(Fixture.over(served), place)
    })
  )

const does = (run: () => Promise<unknown>): Effect.Effect<void> => Effect.asVoid(Effect.promise(run))

const text = (at: Operations, file: File) =>
  Effect.map(at.read(file, 0, 1000, allow), ({ data }) => Buffer.concat(data).toString())

describe("behind our back", () => {
  it.effect("a file that goes while its directory is listed has the number of no file", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/there": "" }).fs
        const readdir = () => Promise.resolve(["gone", "there"])
        const served = yield* PromisesFilesystem.make(Object.assign(Object.create(promises), { readdir }), {
          root: "/"
        })
        const list = { cookie: 0n, attributes: true, fits: () => true }
        const { entries } = yield* served.readdir(served.root, list, allow)
        const { file } = yield* served.lookup(served.root, "there", allow)
        const used = [served.root, file].map((one) => Effect.map(served.getattr(one), ({ fileid }) => fileid))
        const [root, there] = yield* Effect.all(used)
        const numbers = new Map(entries.map(({ fileid, name }) => [name, fileid]))
        assert.strictEqual(numbers.get("there"), there)
        assert.notInclude([undefined, 0n, root, there], numbers.get("gone"))
      })
    )
  )

  it.live("a file that others removed is stale, and so is one that they replaced", () =>
    onHost((at, place) =>
      Effect.gen(function* () {
        const removed = yield* at.file("a", "a")
        const replaced = yield* at.file("b", "b")
        yield* does(() => fs.rm(join(place, "served/a")))
        yield* does(async () => {
          await fs.writeFile(join(place, "new"), "new")
          await fs.rename(join(place, "new"), join(place, "served/b"))
        })
        yield* fails(at.attributes(removed), "ESTALE")
        yield* fails(at.fs.resolve(removed.key), "ESTALE")
        yield* fails(at.text(replaced), "ESTALE")
        const { file } = yield* at.lookup("b")
        assert.strictEqual(yield* at.text(file), "new")
        assert.notDeepEqual(file.key, replaced.key)
      })
    )
  )

  it.live("what others make, write and rename is seen", () =>
    onHost((at, place) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* at.names(), [])
        const before = yield* at.attributes(at.home)
        yield* does(() => fs.writeFile(join(place, "served/a"), "one"))
        assert.deepStrictEqual(yield* at.names(), ["a"])
        assert.isTrue((yield* at.attributes(at.home)).change > before.change)
        const { attributes, file } = yield* at.lookup("a")
        yield* does(() => fs.appendFile(join(place, "served/a"), " two"))
        assert.strictEqual(yield* at.text(file), "one two")
        assert.isTrue((yield* at.attributes(file)).change > attributes.change)
        yield* does(() => fs.rename(join(place, "served/a"), join(place, "served/b")))
        assert.deepStrictEqual(yield* at.names(), ["b"])
        yield* fails(at.text(file), "ESTALE")
      })
    )
  )

  it.live.each([true, false])("a directory that became a symbolic link leads nowhere (inodes: %s)", (inodes) =>
    onHost(
      (at, place) =>
        Effect.gen(function* () {
          const outer = yield* at.mkdir("outer")
          const inner = yield* at.mkdir("inner", outer)
          const file = yield* at.file("secret", "inside", inner)
          yield* does(async () => {
            await fs.mkdir(join(place, "elsewhere/inner"), { recursive: true })
            await fs.writeFile(join(place, "elsewhere/inner/secret"), "outside")
            await fs.rename(join(place, "served/outer"), join(place, "away"))
            await fs.symlink(join(place, "elsewhere"), join(place, "served/outer"))
          })
          yield* fails(at.text(file), "ESTALE")
          yield* fails(at.lookup("secret", inner), "ESTALE")
          yield* fails(at.create("x", inner), "ESTALE")
          yield* fails(at.names(outer), "ESTALE")
          yield* fails(at.remove("secret", inner), "ESTALE")
          assert.strictEqual((yield* at.lookup("outer")).attributes.type, "symlink")
          assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(join(place, "elsewhere/inner"))), ["secret"])
        }),
      inodes
    )
  )

  it.live("a file that became a symbolic link is not followed", () =>
    onHost((at, place) =>
      Effect.gen(function* () {
        const file = yield* at.file("a", "inside")
        yield* does(async () => {
          await fs.writeFile(join(place, "secret"), "outside")
          await fs.rm(join(place, "served/a"))
          await fs.symlink("../secret", join(place, "served/a"))
        })
        const { file: link } = yield* at.lookup("a")
        for (const one of [file, link]) {
          yield* fails(at.write(one, 0, "x"), "ESTALE", "EINVAL")
          yield* fails(at.set(one, { size: 0 }), "ESTALE", "EINVAL")
          yield* fails(at.text(one), "ESTALE", "EINVAL")
        }
        yield* at.set(link, { mode: 0o600, mtime: { seconds: 1, nanoseconds: 0 } })
        const { mode, mtimeMs } = yield* Effect.promise(() => fs.stat(join(place, "secret")))
        assert.strictEqual(mode & 0o777, 0o644)
        assert.isAbove(mtimeMs, 1000)
      })
    )
  )

  it.live("two names of one file are one file, whoever made them", () =>
    onHost((at, place) =>
      Effect.gen(function* () {
        yield* does(async () => {
          await fs.writeFile(join(place, "served/a"), "content")
          await fs.link(join(place, "served/a"), join(place, "served/b"))
        })
        const [a, b] = [yield* at.lookup("a"), yield* at.lookup("b")]
        assert.deepStrictEqual(a.file.key, b.file.key)
        assert.deepStrictEqual(new Set((yield* at.entries()).map(({ fileid }) => fileid)).size, 1)
        yield* does(() => fs.rm(join(place, "served/a")))
        assert.strictEqual(yield* at.text(a.file), "content")
        assert.strictEqual((yield* at.attributes(a.file)).nlink, 1)
        yield* does(() => fs.rm(join(place, "served/b")))
        yield* fails(at.text(a.file), "ESTALE")
      })
    )
  )
})

describe("a filesystem over paths", () => {
  it.live("does not serve what is no directory", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/file": "" }).fs
        yield* fails(Effect.scoped(PromisesFilesystem.make(promises, { root: "/file" })), "ENOTDIR")
        yield* fails(Effect.scoped(PromisesFilesystem.make(promises, { root: "/nothing" })), "ENOENT")
      })
    )
  )

  it.live("a symbolic link that memfs renames keeps its owner, its times and its other names", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/file": "content" }).fs
        const at = Fixture.over(yield* PromisesFilesystem.make(promises, { root: "/", inodes: true }))
        const link = yield* at.symlink("l", "file")
        yield* at.set(link, { uid: 3, gid: 4, mtime: { seconds: 1_000_000_000, nanoseconds: 7_000_000 } })
        const before = yield* at.attributes(link)
        for (const { name, newName, nlink } of [
          { name: "l", newName: "m", nlink: 1 },
          { name: "m", newName: "n", nlink: 2 }
        ]) {
          if (nlink === 2) yield* at.link(link, "other")
          yield* at.rename(name, newName)
          const { attributes, file } = yield* at.lookup(newName)
          const { gid, mtime, uid } = before
          assert.deepStrictEqual(file.key, link.key)
          assert.deepInclude(attributes, { uid, gid, mtime, nlink, type: "symlink" })
        }
        assert.deepStrictEqual((yield* at.lookup("other")).file.key, link.key)
        assert.deepStrictEqual(yield* at.names(), ["file", "n", "other"])
      })
    )
  )

  it.live("a symbolic link that cannot be taken from where it was stays there only", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/file": "content" }).fs
        const unlink = async (path: string) => {
          if (path === "/l") throw Object.assign(new Error("refused"), { code: "EACCES" })
          await promises.unlink(path)
        }
        const refusing: PromisesFilesystem.FsPromises = Object.assign(Object.create(promises), { unlink })
        const at = Fixture.over(yield* PromisesFilesystem.make(refusing, { root: "/" }))
        const link = yield* at.symlink("l", "file")
        yield* fails(at.rename("l", "m"), "EACCES")
        assert.deepStrictEqual(yield* at.names(), ["file", "l"])
        assert.deepStrictEqual((yield* at.lookup("l")).file.key, link.key)
      })
    )
  )

  it.live("fails when nothing is written, instead of trying for ever", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/file": "content" }).fs
        let tries = 0
        const write = async () => {
          if (++tries > 3) throw Object.assign(new Error("tried too often"), { code: "ENOSPC" })
          return { bytesWritten: 0 }
        }
        const open = async (...given: Parameters<typeof promises.open>) => {
          const handle = await promises.open(...given)
          return { write, close: () => handle.close() }
        }
        const writesNothing: PromisesFilesystem.FsPromises = Object.assign(Object.create(promises), { open })
        const at = Fixture.over(yield* PromisesFilesystem.make(writesNothing, { root: "/" }))
        yield* fails(at.write((yield* at.lookup("file")).file, 0, "x"), "EIO")
        assert.strictEqual(tries, 1)
      })
    )
  )

  it.live("knows the root after a restart, and nobody else", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { promises } = memfs({ "/file": "content" }).fs
        const before = yield* PromisesFilesystem.make(promises, { root: "/" })
        const { file } = yield* before.lookup(before.root, "file", allow)
        const after = yield* PromisesFilesystem.make(promises, { root: "/" })
        yield* fails(after.resolve(file.key), "ESTALE")
        assert.strictEqual(yield* after.resolve(before.root.key), after.root)
      })
    )
  )

  it.live("shows what unionfs has below, and keeps it below", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const lower = memfs({ "/d/below": "below" })
        const upper = memfs({ "/d/above": "above" })
        const union = new Union().use(lower.fs as never).use(upper.fs as never)
        const at = yield* PromisesFilesystem.make(union.promises, { root: "/" })
        const { file: directory } = yield* at.lookup(at.root, "d", allow)
        const { file } = yield* at.lookup(directory, "below", allow)
        assert.strictEqual(yield* text(at, file), "below")
        assert.deepStrictEqual(yield* Fixture.over(at).names(directory), ["above", "below"])
        yield* at.create(directory, "new", { _tag: "Guarded" }, give({ mode: 0o600 }))
        assert.deepStrictEqual(Object.keys(lower.vol.toJSON()), ["/d/below"])
        assert.include(Object.keys(upper.vol.toJSON()), "/d/new")
      })
    )
  )
})
