/**
 * Random operations through a LocalFilesystem and the same by plain `node:fs` on another directory: both must answer and
 * become the same. What POSIX leaves to the contract (which error comes first) is in {@link Twin}.
 */

import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { File, Operations } from "../../../src/filesystem/Filesystem.ts"
import type { Code, FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { allow, give, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { open, place, type Way, ways } from "../../support/local.ts"
import { property } from "../../support/runs.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Command = Schema.Struct({
  what: Schema.Literals([
    "create",
    "guarded",
    "mkdir",
    "mkdir",
    "symlink",
    "remove",
    "rmdir",
    "rename",
    "rename",
    "rename",
    "link",
    "write",
    "truncate",
    "chmod"
  ]),
  /** Which file, and which other one: of all that there ever were, those that are gone, too. */
  file: natural(20),
  other: natural(20),
  name: Schema.Literals(["a", "b", "\udcff"]),
  newName: Schema.Literals(["a", "b", "c"]),
  offset: Schema.Literals([0, 1, 4095, 4096, 10_000]),
  length: Schema.Literals([0, 1, 4096, 5000]),
  /** Such that both get at everything whoever they are. */
  mode: Schema.Literals([0o700, 0o740, 0o755, 0o1777])
})
type Command = typeof Command.Type

const bytes = (name: string) => (name === "\udcff" ? Buffer.from([0xff]) : Buffer.from(name))

type Answer = "done" | Code

/** A directory that `node:fs` works on, whose files are known by their numbers. */
class Twin {
  readonly path: string
  /** A descriptor of each file, so that no number is given to another. */
  private readonly held: Array<number> = []

  constructor(path: string) {
    this.path = path
  }

  close(): void {
    for (const fd of this.held) fs.closeSync(fd)
  }

  /** The number of a file that is new. */
  hold(path: Buffer): bigint {
    this.held.push(fs.openSync(path, 0o10000000 | fs.constants.O_NOFOLLOW))
    return fs.lstatSync(path, { bigint: true }).ino
  }

  /** A name of a file, found by looking everywhere. */
  pathOf(ino: bigint, at = Buffer.from(this.path)): Buffer | undefined {
    const stats = fs.lstatSync(at, { bigint: true })
    if (stats.ino === ino) return at
    if (!stats.isDirectory()) return undefined
    for (const name of fs.readdirSync(at, { encoding: "buffer" })) {
      const found = this.pathOf(ino, inside(at, name))
      if (found !== undefined) return found
    }
    return undefined
  }

  run({ length, mode, name, newName, offset, what }: Command, one: bigint, other: bigint): Answer | { ino: bigint } {
    const [path, otherPath] = [this.pathOf(one), this.pathOf(other)]
    if (path === undefined || (what === "rename" && otherPath === undefined)) return "ESTALE"
    const isDirectory = (at: Buffer) => fs.lstatSync(at).isDirectory()
    const at = inside(path, bytes(name))
    const type = fs.lstatSync(path)
    try {
      switch (what) {
        case "write":
        case "truncate": {
          if (!type.isFile()) return type.isDirectory() ? "EISDIR" : "EINVAL"
          if (what === "truncate") {
            fs.truncateSync(path, offset)
            return "done"
          }
          const fd = fs.openSync(path, "r+")
          fs.writeSync(fd, pattern(length, offset), 0, length, offset)
          fs.closeSync(fd)
          return "done"
        }
        case "chmod":
          if (!type.isSymbolicLink()) fs.chmodSync(path, mode)
          return "done"
        case "link": {
          if (!type.isDirectory()) return "ENOTDIR"
          if (otherPath === undefined) return "ESTALE"
          if (isDirectory(otherPath)) return "EPERM"
          fs.linkSync(otherPath, at)
          return "done"
        }
        case "rename": {
          if (!type.isDirectory() || !isDirectory(otherPath!)) return "ENOTDIR"
          fs.renameSync(at, inside(otherPath!, bytes(newName)))
          return "done"
        }
        default:
          if (!type.isDirectory()) return "ENOTDIR"
          return this.change(what, at, mode, newName)
      }
    } catch (error) {
      return (error as NodeJS.ErrnoException).code as Code
    }
  }

  private change(what: Command["what"], at: Buffer, mode: number, target: string): Answer | { ino: bigint } {
    const existing = fs.lstatSync(at, { throwIfNoEntry: false })
    switch (what) {
      case "remove":
        if (existing?.isDirectory()) return "EISDIR"
        fs.unlinkSync(at)
        return "done"
      case "rmdir":
        fs.rmdirSync(at)
        return "done"
      case "mkdir":
        fs.mkdirSync(at)
        break
      case "symlink":
        fs.symlinkSync(target, at)
        return { ino: this.hold(at) }
      default:
        if (existing !== undefined && (what === "guarded" || !existing.isFile())) return "EEXIST"
        if (existing === undefined) fs.writeFileSync(at, "")
    }
    fs.chmodSync(at, mode)
    return { ino: this.hold(at) }
  }
}

const inside = (directory: Buffer, name: Buffer) => Buffer.concat([directory, Buffer.from("/"), name])

/** The same operation through the contract. */
const run = (served: Operations, command: Command, one: File, other: File): Effect.Effect<unknown, FilesystemError> => {
  const { length, mode, name, newName, offset, what } = command
  switch (what) {
    case "create":
      return served.create(one, name, { _tag: "Unchecked" }, give({ mode }))
    case "guarded":
      return served.create(one, name, { _tag: "Guarded" }, give({ mode }))
    case "mkdir":
      return served.mkdir(one, name, give({ mode }))
    case "symlink":
      return served.symlink(one, name, newName, give({}))
    case "remove":
      return served.remove(one, name, allow)
    case "rmdir":
      return served.rmdir(one, name, allow)
    case "rename":
      return served.rename(one, name, other, newName, allow)
    case "link":
      return served.link(other, one, name, allow)
    case "write":
      return served.write(one, offset, [pattern(length, offset)], "unstable", allow)
    case "truncate":
      return served.setattr(one, give({ size: offset }))
    case "chmod":
      return served.setattr(one, give({ mode }))
  }
}

/** All that can be seen of a directory: files with several names have the first one of them as their number. */
const treeOf = (top: string) => {
  const tree = new Map<string, unknown>()
  const first = new Map<bigint, string>()
  const visit = (at: Buffer, path: string) => {
    const { ino, mode, nlink, size } = fs.lstatSync(at, { bigint: true })
    const stats = fs.lstatSync(at)
    if (!first.has(ino)) first.set(ino, path)
    const content = stats.isFile()
      ? fs.readFileSync(at).toString("latin1")
      : stats.isSymbolicLink()
        ? fs.readlinkSync(at)
        : undefined
    tree.set(path, { mode, nlink, same: first.get(ino), content, size: stats.isDirectory() ? 0n : size })
    if (!stats.isDirectory()) return
    for (const name of fs.readdirSync(at, { encoding: "buffer" }).toSorted((a, b) => Buffer.compare(a, b))) {
      visit(inside(at, name), `${path}/${name.toString("latin1")}`)
    }
  }
  visit(Buffer.from(top), "")
  return tree
}

/** What the contract shows of the same. */
const shownBy = (
  served: Operations,
  directory: File,
  path: string
): Effect.Effect<Map<string, unknown>, FilesystemError> =>
  Effect.gen(function* () {
    const shown = new Map<string, unknown>([[path, (yield* served.getattr(directory)).mode]])
    const request = { cookie: 0n, fits: () => true, attributes: true }
    for (const { found, name } of (yield* served.readdir(directory, request, allow)).entries) {
      const { attributes, file } = found!
      const below = `${path}/${name === "\udcff" ? "\xff" : name}`
      if (attributes.type === "directory") {
        for (const [key, value] of yield* shownBy(served, file, below)) shown.set(key, value)
      } else {
        shown.set(below, attributes.mode)
      }
    }
    return shown
  })

describe.each(Object.keys(ways) as Array<Way>)("LocalFilesystem by %s", (way) => {
  it.live.prop(
    "does what node:fs does",
    [Arbitrary.array(Arbitrary.schema(Command))],
    ([commands]) =>
      Effect.gen(function* () {
        const { outside, path } = yield* place()
        for (const directory of [outside, path]) fs.chmodSync(directory, 0o755)
        const served = yield* open({ path, async: true }, ways[way])
        const twin = new Twin(outside)
        yield* Effect.addFinalizer(() => Effect.sync(() => twin.close()))
        const known: Array<{ readonly ino: bigint; readonly file: File }> = [
          { ino: twin.hold(Buffer.from(outside)), file: served.root }
        ]
        for (const command of commands) {
          const one = known[command.file % known.length]!
          const other = known[command.other % known.length]!
          const expected = twin.run(command, one.ino, other.ino)
          const actual = yield* Effect.match(run(served, command, one.file, other.file), {
            onFailure: ({ code }) => code,
            onSuccess: (made) => made as { readonly file: File }
          })
          if (typeof expected === "string" || typeof actual === "string") {
            const code = typeof actual === "string" ? actual : "done"
            assert.strictEqual(code, typeof expected === "string" ? expected : "done", JSON.stringify(command))
          } else if (!known.some(({ ino }) => ino === expected.ino)) {
            known.push({ ino: expected.ino, file: actual.file })
          }
          const tree = treeOf(outside)
          assert.deepStrictEqual(treeOf(path), tree)
          const shown = yield* shownBy(served, served.root, "")
          assert.sameMembers(Array.from(shown.keys()), Array.from(tree.keys()))
        }
        // Through all handles that there ever were.
        for (const { file, ino } of known) {
          const place = twin.pathOf(ino)
          const got = yield* Effect.match(
            Effect.flatMap(served.resolve(file.key), (found) =>
              Effect.map(served.read(found, 0, 1 << 20, allow), ({ data }) => Buffer.concat(data).toString("latin1"))
            ),
            { onFailure: ({ code }) => code, onSuccess: (content) => content }
          )
          const stats = place && fs.lstatSync(place)
          const wanted = !stats
            ? "ESTALE"
            : stats.isDirectory()
              ? "EISDIR"
              : stats.isSymbolicLink()
                ? "EINVAL"
                : fs.readFileSync(place).toString("latin1")
          assert.strictEqual(got, wanted)
        }
      }),
    property(30, 60)
  )
})
