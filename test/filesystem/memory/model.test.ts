/** Random operations on a MemoryFilesystem and on a {@link Model}: both must answer and become the same. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { File, Made, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { Code, FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { allow, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { type Answer, type Inode, Model } from "./Model.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Command = Schema.Struct({
  what: Schema.Literals([
    "create",
    "guarded",
    "exclusive",
    "mkdir",
    "symlink",
    "mknod",
    "remove",
    "rmdir",
    "rename",
    "rename",
    "link",
    "lookup",
    "write",
    "write",
    "read",
    "truncate",
    "chmod"
  ]),
  /** Which file, and which other one: of all that there ever were, those that are gone, too. */
  file: natural(30),
  other: natural(30),
  name: Schema.Literals(["a", "b", "c"]),
  newName: Schema.Literals(["a", "b", "c", "d"]),
  /** Offsets and lengths that meet at the ends of pages, or are anywhere. */
  offset: Schema.Union([Schema.Literals([0, 1, 511, 32_767, 32_768, 65_536]), natural(100_000)]),
  length: Schema.Union([Schema.Literals([0, 1, 512, 4096, 32_768]), natural(70_000)]),
  number: natural(3)
})
type Command = typeof Command.Type

/** The two filesystems, and all files that there ever were: as each of them knows them. */
class Pair {
  readonly model = new Model()
  readonly known: Array<{ readonly inode: Inode; readonly file: File }>
  /** What was read, and a copy of it as it was then. */
  private readonly views: Array<readonly [data: ReadonlyArray<Uint8Array>, copy: Buffer]> = []
  private readonly fs: Operations

  constructor(fs: Operations) {
    this.fs = fs
    this.known = [{ inode: this.model.root, file: fs.root }]
  }

  run(command: Command): Effect.Effect<void> {
    const { fs, model } = this
    const { length, name, newName, number, offset } = command
    const one = this.known[command.file % this.known.length]!
    const other = this.known[command.other % this.known.length]!
    switch (command.what) {
      case "lookup":
        return this.compare(model.lookup(one.inode, name), fs.lookup(one.file, name, allow))
      case "create":
      case "guarded": {
        const how = command.what === "create" ? "Unchecked" : "Guarded"
        const size = number === 0 ? offset : undefined
        const set = give({ mode: 0o600, size })
        return this.compare(model.create(one.inode, name, how, size), fs.create(one.file, name, { _tag: how }, set))
      }
      case "exclusive": {
        const how = { _tag: "Exclusive", verifier: Buffer.alloc(8, number) } as const
        return this.compare(
          model.create(one.inode, name, number, undefined),
          fs.create(one.file, name, how, give({ mode: 0o600, size: offset }))
        )
      }
      case "mkdir":
        return this.compare(
          model.make(one.inode, name, "directory", 0o700),
          fs.mkdir(one.file, name, give({ mode: 0o700 }))
        )
      case "symlink":
        return this.compare(
          model.make(one.inode, name, "symlink", 0o777, newName),
          fs.symlink(one.file, name, newName, give({ mode: 0o777 }))
        )
      case "mknod":
        return this.compare(
          model.make(one.inode, name, "fifo", 0o600),
          fs.mknod(one.file, name, { type: "fifo" }, give({ mode: 0o600 }))
        )
      case "remove":
        return this.compare(model.remove(one.inode, name), fs.remove(one.file, name, allow))
      case "rmdir":
        return this.compare(model.rmdir(one.inode, name), fs.rmdir(one.file, name, allow))
      case "rename":
        return this.compare(
          model.rename(one.inode, name, other.inode, newName),
          fs.rename(one.file, name, other.file, newName, allow)
        )
      case "link":
        return this.compare(model.link(one.inode, other.inode, name), fs.link(one.file, other.file, name, allow))
      case "write": {
        const data = pattern(length, offset)
        const chunks = number === 0 ? [data] : [data.subarray(0, length / 3), data.subarray(length / 3)]
        return this.compare(model.write(one.inode, offset, data), fs.write(one.file, offset, chunks, "unstable", allow))
      }
      case "read":
        return this.read(one.inode, one.file, offset, length)
      case "truncate":
        return this.compare(model.truncate(one.inode, offset), fs.setattr(one.file, give({ size: offset })))
      case "chmod":
        return this.compare(model.chmod(one.inode, number), fs.setattr(one.file, give({ mode: number })))
    }
  }

  /** Asserts that an operation answers as the model does; gets to know new files. */
  private compare<A>(expected: Answer, actual: Effect.Effect<A, FilesystemError>): Effect.Effect<void> {
    return Effect.match(actual, {
      onFailure: ({ code }) => assert.strictEqual<Code | Answer>(code, expected),
      onSuccess: (answer) => {
        if (typeof expected === "string") return assert.strictEqual(expected, "done")
        const { attributes, file } = answer as Made
        assert.strictEqual(attributes.type, expected.type)
        const before = this.known.find(({ inode }) => inode === expected)
        if (before === undefined) this.known.push({ inode: expected, file })
        else assert.deepStrictEqual(before.file.key, file.key)
      }
    })
  }

  private read(inode: Inode, file: File, offset: number, length: number): Effect.Effect<void> {
    const expected =
      this.model.pathsOf(inode).length === 0
        ? "ESTALE"
        : inode.type === "directory"
          ? "EISDIR"
          : inode.type === "regular"
            ? "done"
            : "EINVAL"
    return Effect.match(this.fs.read(file, offset, length, allow), {
      onFailure: ({ code }) => assert.strictEqual(code, expected),
      onSuccess: ({ data, eof }) => {
        const copy = Buffer.concat(data)
        assert.strictEqual(expected, "done")
        assert.isTrue(copy.equals(inode.content.subarray(offset, offset + length)))
        assert.strictEqual(eof, offset + length >= inode.content.length)
        this.views.push([data, copy])
      }
    })
  }

  /** Asserts that both hold the same. */
  check(): Effect.Effect<void, FilesystemError> {
    const { fs, known, model, views } = this
    return Effect.gen(function* () {
      const tree = yield* walk(fs, fs.root, "")
      assert.deepStrictEqual(Array.from(tree.keys()).toSorted(), Array.from(model.paths.keys()).toSorted())
      let used = 0
      const inodes = new Set(model.paths.values())
      for (const inode of inodes) {
        const paths = model.pathsOf(inode)
        const file = tree.get(paths[0]!)!
        for (const path of paths) assert.deepStrictEqual(tree.get(path)!.key, file.key, path)
        const attributes = yield* fs.getattr(file)
        used += attributes.used
        const { mode, nlink, size, type } = attributes
        assert.deepStrictEqual({ type, mode, nlink }, { type: inode.type, mode: inode.mode, nlink: model.nlink(inode) })
        if (inode.type === "regular") {
          assert.strictEqual(size, inode.content.length)
          const { data } = yield* fs.read(file, 0, size, allow)
          assert.isTrue(Buffer.concat(data).equals(inode.content), paths[0])
        } else if (inode.type === "symlink") {
          assert.strictEqual((yield* fs.readlink(file, allow)).target, inode.target)
        }
      }
      // Nothing is lost or kept that nobody can see.
      const { freeBytes, freeFiles, totalBytes, totalFiles } = yield* fs.statfs(fs.root)
      assert.strictEqual(totalFiles - freeFiles, inodes.size)
      assert.strictEqual(totalBytes - freeBytes, used)
      for (const { file, inode } of known) {
        const code = yield* Effect.match(fs.resolve(file.key), {
          onFailure: ({ code }) => code,
          onSuccess: () => "done"
        })
        assert.strictEqual(code, inodes.has(inode) ? "done" : "ESTALE")
      }
      for (const [data, copy] of views) assert.isTrue(Buffer.concat(data).equals(copy), "a view changed")
    })
  }
}

/** All files by path. */
const walk = (fs: Operations, directory: File, path: string): Effect.Effect<Map<string, File>, FilesystemError> =>
  Effect.gen(function* () {
    const found = new Map([[path, directory]])
    const request = { cookie: 0n, fits: () => true, attributes: true }
    for (const { fileid, found: entry, name } of (yield* fs.readdir(directory, request, allow)).entries) {
      const { attributes, file } = yield* fs.lookup(directory, name, allow)
      assert.deepStrictEqual(entry, { file, attributes })
      assert.strictEqual(fileid, attributes.fileid)
      if (attributes.type !== "directory") {
        found.set(`${path}/${name}`, file)
        continue
      }
      assert.deepStrictEqual((yield* fs.parent(file, allow)).file.key, directory.key)
      for (const [below, other] of yield* walk(fs, file, `${path}/${name}`)) found.set(below, other)
    }
    return found
  })

describe("MemoryFilesystem", () => {
  it.effect.prop(
    "does what a map of paths does",
    [Arbitrary.array(Arbitrary.schema(Command))],
    ([commands]) =>
      Effect.gen(function* () {
        const pair = new Pair(yield* MemoryFilesystem.make())
        for (const command of commands) {
          yield* pair.run(command)
          yield* pair.check()
        }
      }),
    { arbitrary: { runs: 100, size: 80 } }
  )
})

/** What happens to a directory while it is being listed: some entries are asked for, or a name comes or goes. */
const Step = Schema.Struct({
  what: Schema.Literals(["list", "add", "add", "remove", "remove", "replace"]),
  name: natural(40),
  portion: natural(5)
})

describe("a listing while names come and go", () => {
  it.effect.prop(
    "shows each entry that is there throughout once, and none that is not there at all",
    [Arbitrary.array(Arbitrary.schema(Step), { minLength: 20 }), natural(60)],
    ([steps, before]) =>
      Effect.gen(function* () {
        const fs = yield* MemoryFilesystem.make()
        const make = (name: string) => fs.create(fs.root, name, { _tag: "Guarded" }, give({}))
        const now = new Set<string>()
        for (let i = 0; i < before; i++) {
          yield* make(`n${i}`)
          now.add(`n${i}`)
        }
        const throughout = new Set(now)
        const ever = new Set(now)
        const seen: Array<string> = []
        let cookie = 0n
        let eof = false
        const list = (portion: number) =>
          Effect.map(
            fs.readdir(fs.root, { cookie, fits: () => portion-- > 0, attributes: false }, allow),
            (listing) => {
              eof = listing.eof
              for (const entry of listing.entries) seen.push(entry.name)
              cookie = listing.entries.at(-1)?.cookie ?? cookie
            }
          )
        for (const { name: number, portion, what } of steps) {
          const name = `n${number}`
          if (what === "list") {
            yield* list(portion)
          } else if (what === "replace") {
            // The name stays, with another file.
            yield* make("new")
            yield* fs.rename(fs.root, "new", fs.root, name, allow)
            ever.add(name)
            now.add(name)
          } else if (what === "add" && !now.has(name)) {
            yield* make(name)
            ever.add(name)
            now.add(name)
          } else if (what === "remove" && now.has(name)) {
            yield* fs.remove(fs.root, name, allow)
            throughout.delete(name)
            now.delete(name)
          }
          // Once at its end, a listing is over: what comes later is not its concern.
          if (eof) break
        }
        while (!eof) yield* list(7)
        for (const name of throughout) assert.strictEqual(seen.filter((other) => other === name).length, 1, name)
        for (const name of seen) assert.isTrue(ever.has(name), name)
      }),
    { arbitrary: { runs: 300, size: 100 } }
  )
})
