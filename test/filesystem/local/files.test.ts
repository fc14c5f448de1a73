/** What files of a real filesystem are like, and that they stay so when they are served. */

import { Buffer } from "node:buffer"
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { allow, fails, give, time } from "../../../src/testing/filesystem/Fixture.ts"
import { run } from "../../support/commands.ts"
import { isRoot, open, patient, place, replaced, type Way, ways } from "../../support/local.ts"

const lookup = (fs: Operations, directory: File, name: string) => fs.lookup(directory, name, allow)

const content = (fs: Operations, file: File) =>
  Effect.map(fs.read(file, 0, 1 << 20, allow), ({ data }) => Buffer.concat(data).toString())

describe.each(Object.keys(ways) as Array<Way>)("files, by %s", (way) => {
  it.live("FIFOs are never opened, so that nobody waits for them", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      // More than there are threads for files.
      const names = Array.from({ length: 12 }, (_, i) => `fifo${i}`)
      yield* run(
        "mkfifo",
        names.map((name) => join(path, name))
      )
      writeFileSync(join(path, "file"), "content")
      const fs = yield* open({ path }, ways[way])
      yield* Effect.forEach(
        names,
        (name) =>
          Effect.gen(function* () {
            const { attributes, file } = yield* lookup(fs, fs.root, name)
            assert.strictEqual(attributes.type, "fifo")
            yield* fails(fs.read(file, 0, 1, allow), "EINVAL")
            yield* fails(fs.write(file, 0, [Buffer.from("x")], "fileSync", allow), "EINVAL")
            yield* fails(fs.setattr(file, give({ size: 0 })), "EINVAL")
            yield* fails(fs.commit(file, 0, 0, allow), "EINVAL")
            yield* fails(fs.create(fs.root, name, { _tag: "Unchecked" }, give({ size: 0 })), "EEXIST")
            yield* fs.setattr(file, give({ mode: 0o640, mtime: { seconds: 5, nanoseconds: 0 } }))
            assert.deepInclude(yield* fs.getattr(file), { mode: 0o640, mtime: { seconds: 5, nanoseconds: 0 } })
          }),
        { concurrency: "unbounded" }
      )
      const { file } = yield* lookup(fs, fs.root, "file")
      assert.strictEqual(yield* Effect.timeout(content(fs, file), "5 seconds"), "content")
    })
  )

  it.live("names that are no UTF-8 are listed, found, renamed and removed", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const raw = Buffer.from([0x61, 0xff, 0xfe, 0x80])
      const at = (name: Buffer) => Buffer.concat([Buffer.from(`${path}/`), name])
      writeFileSync(at(raw), "content")
      symlinkSync(Buffer.from([0xf0, 0x28]), at(Buffer.from([0xc3])))
      const fs = yield* open({ path }, ways[way])
      for (const attributes of [false, true]) {
        const { entries } = yield* fs.readdir(fs.root, { cookie: 0n, fits: () => true, attributes }, allow)
        assert.sameMembers(
          entries.map(({ name }) => name),
          ["a\udcff\udcfe\udc80", "\udcc3"]
        )
      }
      const { file } = yield* lookup(fs, fs.root, "a\udcff\udcfe\udc80")
      assert.strictEqual(yield* content(fs, file), "content")
      const { file: link } = yield* lookup(fs, fs.root, "\udcc3")
      assert.strictEqual((yield* fs.readlink(link, allow)).target, "\udcf0(")
      const { file: directory } = yield* fs.mkdir(fs.root, "\udc80", give({}))
      yield* fs.rename(fs.root, "a\udcff\udcfe\udc80", directory, "\udcfe", allow)
      yield* fs.link(file, directory, "b\udcff", allow)
      assert.deepStrictEqual(
        readdirSync(at(Buffer.from([0x80])), { encoding: "buffer" }).toSorted((a, b) => Buffer.compare(a, b)),
        [Buffer.from([0x62, 0xff]), Buffer.from([0xfe])]
      )
      yield* fs.create(directory, "\udcc3\udc28", { _tag: "Guarded" }, give({}))
      for (const name of ["\udcfe", "b\udcff", "\udcc3\udc28"]) yield* fs.remove(directory, name, allow)
      yield* fs.remove(fs.root, "\udcc3", allow)
      yield* fs.rmdir(fs.root, "\udc80", allow)
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.live("holes stay holes, also beyond 4 GiB", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path }, ways[way])
      const { file } = yield* fs.create(fs.root, "file", { _tag: "Guarded" }, give({}))
      const far = 5 * 2 ** 30 + 3
      yield* fs.write(file, far, [Buffer.from("far")], "fileSync", allow)
      yield* fs.write(file, 2 ** 32 - 1, [Buffer.from("ab")], "fileSync", allow)
      const attributes = yield* fs.getattr(file)
      assert.strictEqual(attributes.size, far + 3)
      assert.isAtMost(attributes.used, 65_536)
      const at = (offset: number, count: number) => fs.read(file, offset, count, allow)
      assert.strictEqual(Buffer.concat((yield* at(far, 10)).data).toString(), "far")
      assert.deepStrictEqual(Buffer.concat((yield* at(2 ** 32 - 2, 4)).data), Buffer.from("\0ab\0"))
      const hole = yield* at(2 ** 31, 100_000)
      assert.isTrue(Buffer.concat(hole.data).equals(Buffer.alloc(100_000)))
      assert.isFalse(hole.eof)
      yield* fs.setattr(file, give({ size: 2 ** 33 }))
      assert.deepInclude(yield* fs.getattr(file), { size: 2 ** 33, used: attributes.used })
      assert.isTrue((yield* at(2 ** 33 - 10, 10)).eof)
    })
  )

  it.live("times are exact", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path }, ways[way])
      writeFileSync(join(path, "file"), "")
      const { file } = yield* lookup(fs, fs.root, "file")
      const unit = fs.properties.timeDelta.nanoseconds
      for (const seconds of [0, 1, 1_700_000_000, 2 ** 31, 2 ** 32 - 1, -1]) {
        for (const nanoseconds of [0, unit, 123_456_789 - (123_456_789 % unit), 1_000_000_000 - unit]) {
          const mtime = { seconds, nanoseconds }
          yield* fs.setattr(file, give({ mtime, atime: { seconds: 7, nanoseconds: 0 } }))
          const after = yield* fs.getattr(file)
          const off = Number(time(after.mtime) - time(mtime))
          assert.isTrue(off >= 0 && off < unit, `${seconds}.${nanoseconds}: off by ${off}`)
        }
      }
    })
  )

  it.live.skipIf(!isRoot)("setuid and setgid go when a guard says so, and with another owner", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path }, ways[way])
      const { file } = yield* fs.create(fs.root, "file", { _tag: "Guarded" }, give({ mode: 0o6755 }))
      assert.strictEqual((yield* fs.getattr(file)).mode, 0o6755)
      yield* fs.write(file, 0, [Buffer.from("x")], "unstable", give({ mode: 0o755 }))
      assert.strictEqual((yield* fs.getattr(file)).mode, 0o755)
      yield* fs.setattr(file, give({ mode: 0o6755 }))
      yield* fs.setattr(file, give({ uid: 1000, gid: 1000, mode: 0o755 }))
      assert.deepInclude(yield* fs.getattr(file), { mode: 0o755, uid: 1000, gid: 1000 })
      // What a guard wants to stay, stays: it knows who asks.
      yield* fs.setattr(file, give({ uid: 1001, gid: 1001, mode: 0o6755 }))
      assert.deepInclude(yield* fs.getattr(file), { mode: 0o6755, uid: 1001, gid: 1001 })
    })
  )

  it.live("an EXCLUSIVE create that comes again after a restart finds its file", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const how = (fill: number) => ({ _tag: "Exclusive", verifier: Buffer.alloc(8, fill) }) as const
      const fs = yield* open({ path }, ways[way])
      const { file } = yield* fs.create(fs.root, "file", how(0xa7), give({ mode: 0o600 }))
      const later = yield* open({ path }, ways[way])
      const again = yield* later.create(later.root, "file", how(0xa7), give({ mode: 0o600 }))
      assert.deepStrictEqual(again.file.key, file.key)
      yield* fails(later.create(later.root, "file", how(0xa6), give({})), "EEXIST")
      yield* later.setattr(again.file, give({ mode: 0o644, atime: "now", mtime: "now" }))
      yield* fails(later.create(later.root, "file", how(0xa7), give({})), "EEXIST")
      const last = yield* open({ path }, ways[way])
      yield* fails(last.create(last.root, "file", how(0xa7), give({})), "EEXIST")
    })
  )

  it.live("an EXCLUSIVE create finishes the file of one that was killed, and takes no other", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const exclusive = { _tag: "Exclusive", verifier: Buffer.alloc(8, 1) } as const
      // With its name and nothing else, and with its verifier; one that somebody has had since.
      for (const name of ["begun", "named", "had"]) closeSync(openSync(join(path, name), "wx", 0o1000))
      const seconds = 0x0101_0101
      utimesSync(join(path, "named"), seconds, seconds)
      yield* Effect.sleep(20)
      chmodSync(join(path, "had"), 0o1000)
      yield* Effect.sleep(400)
      const fs = yield* open({ path }, ways[way])
      const { attributes } = yield* fs.create(fs.root, "begun", exclusive, give({ mode: 0o640 }))
      assert.deepInclude(attributes, { mode: 0o640, size: 0, mtime: { seconds, nanoseconds: 0 } })
      yield* fs.create(fs.root, "named", exclusive, give({ mode: 0o640 }))
      const other = { ...exclusive, verifier: Buffer.alloc(8, 2) }
      for (const name of ["begun", "named", "had"]) yield* fails(fs.create(fs.root, name, other, give({})), "EEXIST")
      // Another server may be at work on it.
      closeSync(openSync(join(path, "fresh"), "wx", 0o1000))
      yield* fails(fs.create(fs.root, "fresh", exclusive, give({})), "EEXIST")
      for (const [name, mode, text] of [
        ["closed", 0, ""],
        ["full", 0o1000, "text"]
      ] as const) {
        writeFileSync(join(path, name), text)
        chmodSync(join(path, name), mode)
        yield* fails(fs.create(fs.root, name, exclusive, give({})), "EEXIST")
      }
      if (isRoot) {
        closeSync(openSync(join(path, "another's"), "wx", 0o1000))
        chownSync(join(path, "another's"), 666, 666)
        yield* fails(fs.create(fs.root, "another's", exclusive, give({ uid: 666, gid: 666 })), "EEXIST")
      }
      closeSync(openSync(join(path, "sticky"), "wx", 0o1000))
      yield* fails(fs.create(fs.root, "sticky", { _tag: "Guarded" }, give({})), "EEXIST")
    })
  )

  it.live("handles last, whatever is renamed before a restart or while nobody looks", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      mkdirSync(join(path, "a/b/c"), { recursive: true })
      writeFileSync(join(path, "a/b/c/file"), "content")
      symlinkSync("target", join(path, "a/b/c/link"))
      const fs = yield* open({ path }, ways[way])
      const walk = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
        let at: File = fs.root
        for (const name of names) at = (yield* lookup(fs, at, name)).file
        return at
      })
      const keys = [
        (yield* walk(["a", "b", "c", "file"])).key,
        (yield* walk(["a", "b", "c", "link"])).key,
        (yield* walk(["a", "b"])).key
      ] as const
      renameSync(join(path, "a/b/c/file"), join(path, "a/moved"))
      renameSync(join(path, "a/b"), join(path, "b"))
      renameSync(join(path, "a"), join(path, "b/c/a"))
      // Both who was there meanwhile and who comes later.
      for (const served of [fs, yield* open({ path }, ways[way])]) {
        const [file, link, directory] = yield* Effect.all([
          patient(served.resolve(keys[0])),
          patient(served.resolve(keys[1])),
          patient(served.resolve(keys[2]))
        ])
        assert.strictEqual(yield* content(served, file), "content")
        yield* served.setattr(file, give({ mtime: "now" }))
        assert.strictEqual((yield* patient(served.readlink(link, allow))).target, "target")
        assert.isAbove((yield* served.getattr(directory)).nlink, 1)
      }
    })
  )

  it.live("what is made is known as new also where the clock of files is behind", () =>
    Effect.gen(function* () {
      const { now } = Date
      const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + 300)
      yield* Effect.addFinalizer(() => Effect.sync(() => clock.mockRestore()))
      const { path } = yield* place()
      const fs = yield* open({ path, async: true })
      yield* fs.create(fs.root, "file", { _tag: "Guarded" }, give({}))
      yield* fs.mkdir(fs.root, "directory", give({}))
      assert.sameMembers(readdirSync(path), ["file", "directory"])
    })
  )

  it.live("a directory that changes twice within a tick shows two times", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path, async: true }, ways[way])
      // As a clock that ticks every 4 ms lets it look when somebody was given a later time than it tells.
      const soon = ((yield* Clock.currentTimeMillis) + 15) / 1000
      utimesSync(path, soon, soon)
      const { directory } = yield* fs.create(fs.root, "file", { _tag: "Guarded" }, give({}))
      assert.isTrue(time(directory.after.mtime) > time(directory.before.mtime))
      for (let i = 0; i < 50; i++) {
        const { directory } = yield* fs.create(fs.root, `file${i}`, { _tag: "Guarded" }, give({}))
        assert.isTrue(time(directory.after.mtime) > time(directory.before.mtime))
      }
    })
  )

  it.effect("a file that was moved by others keeps working, although the directory that it was in is gone", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      mkdirSync(join(path, "old"))
      writeFileSync(join(path, "old/file"), "")
      symlinkSync("target", join(path, "old/link"))
      const fs = yield* open({ path }, ways[way])
      const { file: directory } = yield* lookup(fs, fs.root, "old")
      const { file } = yield* lookup(fs, directory, "file")
      const { file: link } = yield* lookup(fs, directory, "link")
      for (const name of ["file", "link"]) renameSync(join(path, "old", name), join(path, name))
      rmdirSync(join(path, "old"))
      // Long enough for the directory, which nobody uses, to be closed.
      for (let i = 0; i < 40; i++) {
        yield* TestClock.adjust("1 second")
        yield* fs.getattr(file)
        yield* fs.getattr(link)
      }
      yield* fs.setattr(file, give({ mtime: { seconds: 5, nanoseconds: 0 } }))
      assert.strictEqual(lstatSync(join(path, "file")).mtimeMs, 5000)
      assert.strictEqual((yield* fs.readlink(link, allow)).target, "target")
      yield* fs.link(file, fs.root, "second", allow)
      yield* fs.link(link, fs.root, "another", allow)
    })
  )

  it.live.skipIf(isRoot)("what may not be given away is not made", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      const fs = yield* open({ path }, ways[way])
      const set = give({ uid: 0 })
      yield* fails(fs.create(fs.root, "file", { _tag: "Guarded" }, set), "EPERM")
      yield* fails(fs.mkdir(fs.root, "directory", set), "EPERM")
      yield* fails(fs.symlink(fs.root, "link", "target", set), "EPERM")
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.live("bits of the mode are gone before other content comes", () =>
    Effect.gen(function* () {
      const { path } = yield* place()
      writeFileSync(join(path, "program"), "before")
      const fs = yield* open({ path, async: true }, ways[way])
      const file = (yield* lookup(fs, fs.root, "program")).file
      for (const change of [
        fs.write(file, 0, [Buffer.from("after")], "unstable", give({ mode: 0o755 })),
        fs.setattr(file, give({ mode: 0o755, size: 3 }))
      ]) {
        yield* fs.setattr(file, give({ mode: 0o4755 }))
        const modes: Array<number> = []
        const note = () => modes.push(lstatSync(join(path, "program")).mode & 0o7777)
        const noting = <F extends (...args: any) => unknown>(original: F): F =>
          ((...args: Array<unknown>) => {
            note()
            Reflect.apply(original, undefined, args)
          }) as F
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* replaced("writev", noting)
            yield* replaced("ftruncate", noting)
            yield* change
          })
        )
        assert.deepStrictEqual(modes, [0o755])
      }
    })
  )
})
