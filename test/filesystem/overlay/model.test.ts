/** Random operations on an overlay, and on a plain filesystem that began as a copy of the lower one: no difference shows. */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Attributes } from "../../../src/filesystem/Attributes.ts"
import type { File, Found, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Overlay from "../../../src/filesystem/overlay/Overlay.ts"
import { allow, failure, Fixture, give, lasting, pattern } from "../../../src/testing/filesystem/Fixture.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Name = Schema.Literals(["a", "b", "c", "d"])

const Command = Schema.Struct({
  what: Schema.Literals([
    "lookup",
    "lookup",
    "lookup",
    "create",
    "guarded",
    "mkdir",
    "symlink",
    "mknod",
    "remove",
    "remove",
    "rmdir",
    "rmdir",
    "rename",
    "rename",
    "rename",
    "link",
    "write",
    "write",
    "read",
    "truncate",
    "chmod",
    "restart"
  ]),
  file: natural(30),
  other: natural(30),
  name: Name,
  newName: Name,
  offset: Schema.Union([Schema.Literals([0, 1, 4096]), natural(10_000)]),
  length: Schema.Union([Schema.Literals([0, 1]), natural(10_000)])
})
type Command = typeof Command.Type

/** The same tree in every filesystem: directories in each other, some of them empty, and something of every type. */
const fill = (fs: Operations): Effect.Effect<void, FilesystemError> =>
  Effect.gen(function* () {
    const at = Fixture.over(fs)
    const a = yield* at.mkdir("a")
    const b = yield* at.mkdir("b", a)
    yield* at.mkdir("a", b)
    yield* at.file("c", pattern(9000), b)
    yield* at.file("c", "in a", a)
    yield* at.symlink("d", "../c", a)
    yield* at.mkdir("b")
    yield* at.file("c", "in the root")
    const d = yield* at.mkdir("d")
    yield* at.file("a", "in d", d)
    yield* fs.mknod(d, "b", { type: "fifo" }, give({ mode: 0o600 }))
    yield* at.mkdir("c", d)
    yield* at.file("d", pattern(70_000), d)
  })

interface Shown {
  readonly file: File
  readonly attributes: Attributes
  readonly content: string
}

/** All that can be seen, by path. */
const walk = (
  fs: Operations,
  directory: Pick<Found, "file" | "attributes">,
  path = ""
): Effect.Effect<Map<string, Shown>, FilesystemError> =>
  Effect.gen(function* () {
    const seen = new Map<string, Shown>([[path, { ...directory, content: "" }]])
    const list = { cookie: 0n, fits: () => true, attributes: true }
    for (const { fileid, found: listed, name } of (yield* fs.readdir(directory.file, list, allow)).entries) {
      const { attributes, file } = yield* fs.lookup(directory.file, name, allow)
      assert.deepStrictEqual(listed?.file.key, file.key)
      assert.strictEqual(fileid, attributes.fileid)
      const below = `${path}/${name}`
      if (attributes.type === "directory") {
        assert.deepStrictEqual((yield* fs.parent(file, allow)).file.key, directory.file.key)
        for (const [key, value] of yield* walk(fs, { file, attributes }, below)) seen.set(key, value)
        continue
      }
      let content = ""
      if (attributes.type === "symlink") content = (yield* fs.readlink(file, allow)).target
      if (attributes.type === "regular") {
        content = Buffer.concat((yield* fs.read(file, 0, attributes.size, allow)).data).toString("latin1")
      }
      seen.set(below, { file, attributes, content })
    }
    return seen
  })

const tree = (fs: Operations) =>
  Effect.flatMap(fs.getattr(fs.root), (attributes) => walk(fs, { file: fs.root, attributes }))

/** What must be the same in both. */
const looks = ({ attributes: { gid, mode, nlink, rdev, size, type, uid }, content }: Shown) => ({
  ...{ type, mode, uid, gid, rdev, content },
  ...(type === "directory" ? {} : { nlink, size })
})

const hex = ({ key }: File): string => Buffer.from(key).toString("hex")

class Pair {
  private readonly plain: Operations
  private readonly restart: Effect.Effect<Operations, FilesystemError, Scope.Scope>
  private overlay: Operations
  /** The same files here and there, those that are gone, too. */
  private known: Array<{ readonly over: File; readonly plain: File }>

  constructor(
    plain: Operations,
    overlay: Operations,
    restart: Effect.Effect<Operations, FilesystemError, Scope.Scope>
  ) {
    this.plain = plain
    this.overlay = overlay
    this.restart = restart
    this.known = [{ over: overlay.root, plain: plain.root }]
  }

  run(command: Command): Effect.Effect<void, FilesystemError, Scope.Scope> {
    if (command.what === "restart") {
      return Effect.map(this.restart, (overlay) => {
        this.overlay = overlay
        this.known = [{ over: overlay.root, plain: this.plain.root }]
      })
    }
    const one = this.known[command.file % this.known.length]!
    const other = this.known[command.other % this.known.length]!
    const does = (fs: Operations, side: "over" | "plain") => operation(fs, command, one[side], other[side])
    return Effect.gen({ self: this }, function* () {
      const [over, plain] = [does(this.overlay, "over"), does(this.plain, "plain")]
      let found: ReadonlyArray<unknown> = []
      const codes = [
        yield* failure(Effect.tap(over, (result) => Effect.sync(() => (found = [result])))),
        yield* failure(Effect.tap(plain, (result) => Effect.sync(() => (found = [...found, result]))))
      ]
      assert.strictEqual(codes[0], codes[1], JSON.stringify(command))
      if (found.length < 2) return
      const [here, there] = found as ReadonlyArray<Partial<Found>>
      if (here?.file === undefined || there?.file === undefined) return
      this.meet(here.file, there.file)
    })
  }

  private meet(over: File, plain: File): void {
    const known = this.known.find((pair) => hex(pair.over) === hex(over) || hex(pair.plain) === hex(plain))
    if (known === undefined) this.known.push({ over, plain })
    else assert.deepStrictEqual([hex(known.over), hex(known.plain)], [hex(over), hex(plain)])
  }

  check(): Effect.Effect<void, FilesystemError> {
    return Effect.gen({ self: this }, function* () {
      const [over, plain] = [yield* tree(this.overlay), yield* tree(this.plain)]
      assert.deepStrictEqual([...over.keys()].toSorted(), [...plain.keys()].toSorted())
      const ids = new Map<bigint, string>()
      for (const [path, expected] of plain) {
        const actual = over.get(path)!
        assert.deepStrictEqual(looks(actual), looks(expected), path)
        assert.isAtLeast(actual.attributes.nlink, expected.attributes.nlink, path)
        this.meet(actual.file, expected.file)
        const { fileid } = actual.attributes
        assert.strictEqual(ids.get(fileid) ?? hex(actual.file), hex(actual.file), "no number twice")
        ids.set(fileid, hex(actual.file))
      }
      for (const { over, plain } of this.known) {
        assert.strictEqual(
          yield* failure(this.overlay.resolve(over.key)),
          yield* failure(this.plain.resolve(plain.key))
        )
      }
    })
  }
}

const operation = (
  fs: Operations,
  { length, name, newName, offset, what }: Command,
  file: File,
  other: File
): Effect.Effect<unknown, FilesystemError> => {
  switch (what) {
    case "lookup":
      return fs.lookup(file, name, allow)
    case "create":
      return fs.create(
        file,
        name,
        { _tag: "Unchecked" },
        give({ mode: 0o600, size: length % 3 === 0 ? offset : undefined })
      )
    case "guarded":
      return fs.create(file, name, { _tag: "Guarded" }, give({ mode: 0o640 }))
    case "mkdir":
      return fs.mkdir(file, name, give({ mode: 0o700 }))
    case "symlink":
      return fs.symlink(file, name, newName, give({ mode: 0o777 }))
    case "mknod":
      return fs.mknod(file, name, { type: "fifo" }, give({ mode: 0o600 }))
    case "remove":
      return fs.remove(file, name, allow)
    case "rmdir":
      return fs.rmdir(file, name, allow)
    case "rename":
      return fs.rename(file, name, other, newName, allow)
    case "link":
      return fs.link(other, file, name, allow)
    case "write":
      return fs.write(file, offset, [pattern(length, offset)], "unstable", allow)
    case "read":
      return fs.read(file, offset, length, allow)
    case "truncate":
      return fs.setattr(file, give({ size: offset }))
    case "chmod":
      return fs.setattr(file, give({ mode: offset & 0o777 }))
    default:
      return Effect.die(new Error(what))
  }
}

describe("Overlay", () => {
  it.effect.prop(
    "looks like a plain filesystem that began as its lower one, which is never changed",
    [Arbitrary.array(Arbitrary.schema(Command))],
    ([commands]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const [plain, lower, upper] = [
            yield* MemoryFilesystem.make(),
            yield* MemoryFilesystem.make(),
            yield* MemoryFilesystem.make()
          ]
          yield* fill(plain)
          yield* fill(lower)
          const before = yield* tree(lower)
          const start = Overlay.make({ upper, lower })
          const pair = new Pair(plain, yield* start, start)
          for (const command of commands) {
            yield* pair.run(command)
            if (command.length % 4 === 0) yield* pair.check()
          }
          yield* pair.check()
          yield* pair.run({ ...commands[0]!, what: "restart" })
          yield* pair.check()
          for (const [path, { attributes, content }] of yield* tree(lower)) {
            assert.strictEqual(content, before.get(path)!.content)
            assert.deepStrictEqual(lasting(attributes), lasting(before.get(path)!.attributes))
          }
        })
      ),
    { arbitrary: { runs: 40, size: 80 } }
  )
})
