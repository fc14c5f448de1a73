/** CREATE, MKDIR, SYMLINK, MKNOD, LOOKUP. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { CreateHow, Made } from "../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../filesystem/FilesystemError.ts"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { allow, assertChanged, fails, type Fixture, give, lasting, type Test } from "./Fixture.ts"

const exclusive = (...bytes: ReadonlyArray<number>): CreateHow => ({
  _tag: "Exclusive",
  verifier: Buffer.from(bytes)
})

/** Makes something in `home`, and asserts what all makings have in common. */
const makes = (
  at: Fixture,
  name: string,
  make: Effect.Effect<Made, FilesystemError>
): Effect.Effect<Made, FilesystemError> =>
  Effect.gen(function* () {
    const before = yield* at.age(at.home)
    const made = yield* make
    const after = yield* at.attributes(at.home)
    if (made.directory.atomic) assert.deepStrictEqual(lasting(made.directory.before), lasting(before))
    assert.deepStrictEqual(lasting(made.directory.after), lasting(after))
    assertChanged(before, after)
    at.assertModified(after)
    const found = yield* at.lookup(name)
    assert.deepStrictEqual(found.attributes, made.attributes)
    assert.deepStrictEqual(lasting(found.directory), lasting(after))
    assert.deepStrictEqual(found.file.key, made.file.key)
    return made
  })

/** Asserts that no file can have this name, and that none has. */
const cannotHave = (at: Fixture, name: string) =>
  Effect.gen(function* () {
    yield* at.create("other")
    yield* at.unchanged(at.home, fails(at.create(name), "EINVAL"))
    yield* at.unchanged(at.home, fails(at.mkdir(name), "EINVAL"))
    yield* at.unchanged(at.home, fails(at.rename("other", name), "EINVAL"))
    yield* fails(at.lookup(name), "ENOENT")
    yield* fails(at.remove(name), "ENOENT")
    yield* fails(at.rename(name, "b"), "ENOENT")
    yield* at.remove("other")
  })

export const creation = (test: Test): void => {
  test("a file is created, and found under its name only", (at) =>
    Effect.gen(function* () {
      yield* makes(at, "a", at.fs.create(at.home, "a", { _tag: "Unchecked" }, give({ mode: 0o600 })))
      if (!at.fs.properties.caseInsensitive) yield* fails(at.lookup("A"), "ENOENT")
      yield* fails(at.lookup("b"), "ENOENT")
    }))

  test("a file is created with a size, a hole", (at) =>
    Effect.gen(function* () {
      const made = yield* at.fs.create(at.home, "a", { _tag: "Guarded" }, give({ mode: 0o600, size: 10_000 }))
      assert.strictEqual(made.attributes.size, 10_000)
      assert.isTrue((yield* at.read(made.file)).equals(Buffer.alloc(10_000)))
    }))

  test("UNCHECKED takes an existing file and sets what its guard says", (at) =>
    Effect.gen(function* () {
      const file = yield* at.file("a", "content")
      yield* at.set(file, { mode: 0o640 })
      const existing = yield* at.attributes(file)
      const directory = yield* at.attributes(at.home)
      const again = yield* at.fs.create(at.home, "a", { _tag: "Unchecked" }, (inside, met) => {
        assert.deepStrictEqual([lasting(inside), met], [lasting(directory), existing])
        return { size: 3 }
      })
      assert.deepStrictEqual(again.file.key, file.key)
      assert.deepInclude(again.attributes, { size: 3, mode: 0o640 })
      assert.deepStrictEqual(lasting(again.directory.after), lasting(directory))
      assert.strictEqual(yield* at.text(file), "con")
      const untouched = yield* at.fs.create(at.home, "a", { _tag: "Unchecked" }, give({}))
      assert.deepStrictEqual({ ...untouched.attributes, atime: 0 }, { ...again.attributes, atime: 0 })
    }))

  test("GUARDED refuses an existing file", (at) =>
    Effect.gen(function* () {
      yield* at.file("a", "content")
      const again = at.fs.create(at.home, "a", { _tag: "Guarded" }, give({ mode: 0o600, size: 0 }))
      yield* at.unchanged(at.home, fails(again, "EEXIST"))
    }))

  test("EXCLUSIVE may come again, with the same verifier only", (at) =>
    Effect.gen(function* () {
      const create = (...verifier: ReadonlyArray<number>) =>
        at.fs.create(at.home, "a", exclusive(...verifier), give({ mode: 0o600, size: 5 }))
      const made = yield* makes(at, "a", create(1, 2, 3, 4, 5, 6, 7, 8))
      assert.strictEqual(made.attributes.size, 0)
      yield* at.write(made.file, 0, "content")
      const again = yield* create(1, 2, 3, 4, 5, 6, 7, 8)
      assert.deepStrictEqual(again.file.key, made.file.key)
      assert.strictEqual(yield* at.text(again.file), "content")
      yield* fails(create(9, 2, 3, 4, 5, 6, 7, 8), "EEXIST")
      yield* fails(create(1, 2, 3, 4, 5, 6, 7, 0x80), "EEXIST")
      yield* fails(create(1, 2, 3, 0x84, 5, 6, 7, 8), "EEXIST")
      yield* fails(at.fs.create(at.home, "a", { _tag: "Guarded" }, give({})), "EEXIST")
      yield* at.set(made.file, { mode: 0o644, atime: "now", mtime: "now" })
      yield* fails(create(1, 2, 3, 4, 5, 6, 7, 8), "EEXIST")
    }))

  test("EXCLUSIVE does not take a file that was created otherwise", (at) =>
    Effect.gen(function* () {
      yield* at.create("a")
      yield* fails(at.fs.create(at.home, "a", exclusive(0, 0, 0, 0, 0, 0, 0, 0), give({})), "EEXIST")
    }))

  test("no CREATE takes what is no regular file", (at) =>
    Effect.gen(function* () {
      yield* at.mkdir("d")
      if (at.has("symlinks")) yield* at.symlink("l", "d")
      for (const name of at.has("symlinks") ? ["d", "l"] : ["d"]) {
        for (const how of [{ _tag: "Unchecked" }, { _tag: "Guarded" }, exclusive(1, 2, 3, 4, 5, 6, 7, 8)] as const) {
          yield* at.unchanged(at.home, fails(at.fs.create(at.home, name, how, give({})), "EEXIST"))
        }
      }
    }))

  test("a directory is made, and is empty", (at) =>
    Effect.gen(function* () {
      const made = yield* makes(at, "d", at.fs.mkdir(at.home, "d", give({ mode: 0o750 })))
      assert.deepInclude(made.attributes, { type: "directory", mode: 0o750, nlink: 2 })
      assert.isEmpty(yield* at.names(made.file))
      yield* at.unchanged(at.home, fails(at.mkdir("d"), "EEXIST"))
      yield* at.create("a")
      yield* at.unchanged(at.home, fails(at.mkdir("a"), "EEXIST"))
    }))

  test("a directory has a link from each of its subdirectories", (at) =>
    Effect.gen(function* () {
      if (!at.has("linkCounts")) return
      const links = Effect.map(at.attributes(at.home), ({ nlink }) => nlink)
      const inner = yield* at.mkdir("d")
      yield* at.mkdir("e")
      yield* at.create("a")
      assert.strictEqual(yield* links, 4)
      yield* at.mkdir("f", inner)
      assert.strictEqual(yield* links, 4)
      yield* at.rename("f", "f", inner, at.home)
      assert.strictEqual(yield* links, 5)
      assert.strictEqual((yield* at.attributes(inner)).nlink, 2)
      yield* at.rmdir("f")
      yield* at.rename("d", "e")
      assert.strictEqual(yield* links, 3)
    }))

  test("the parent of a directory follows it", (at) =>
    Effect.gen(function* () {
      const parentOf = (file: Made["file"]) =>
        Effect.map(at.fs.parent(file, allow), ({ attributes, directory }) => [directory.fileid, attributes.fileid])
      const fileid = (file: Made["file"]) => Effect.map(at.attributes(file), (attributes) => attributes.fileid)
      const d = yield* at.mkdir("d")
      const e = yield* at.mkdir("e", d)
      assert.deepStrictEqual(yield* parentOf(e), [yield* fileid(e), yield* fileid(d)])
      yield* at.rename("e", "e", d, at.home)
      assert.deepStrictEqual(yield* parentOf(e), [yield* fileid(e), yield* fileid(at.home)])
      const root = yield* fileid(at.fs.root)
      assert.deepStrictEqual(yield* parentOf(at.home), [yield* fileid(at.home), root])
      assert.deepStrictEqual(yield* parentOf(at.fs.root), [root, root])
      yield* fails(at.fs.parent(yield* at.create("a"), allow), "ENOTDIR")
    }))

  test("a symbolic link keeps any target", (at) =>
    Effect.gen(function* () {
      if (!at.has("symlinks")) {
        assert.isFalse(at.fs.properties.symlinks)
        return yield* at.unchanged(at.home, fails(at.symlink("l", "target"), "ENOTSUP"))
      }
      assert.isTrue(at.fs.properties.symlinks)
      const targets = ["a", "/absolute/and dangling", "../..", "ü/\u{1f600}", "x".repeat(1000)]
      if (at.has("byteNames")) targets.push("raw \udc80\udcff")
      else yield* at.unchanged(at.home, fails(at.symlink("raw", "raw \udc80\udcff"), "EINVAL"))
      for (const [i, target] of targets.entries()) {
        const made = yield* makes(at, `l${i}`, at.fs.symlink(at.home, `l${i}`, target, give({ mode: 0o777 })))
        assert.deepInclude(made.attributes, { type: "symlink", nlink: 1, size: Bytestring.byteLength(target) })
        const read = yield* at.fs.readlink(made.file, allow)
        assert.strictEqual(read.target, target)
        assert.strictEqual(read.attributes.fileid, made.attributes.fileid)
      }
      yield* at.unchanged(at.home, fails(at.symlink("l0", "other"), "EEXIST"))
    }))

  test("only symbolic links are links to read", (at) =>
    Effect.gen(function* () {
      yield* fails(at.fs.readlink(at.home, allow), "EINVAL")
      yield* fails(at.fs.readlink(yield* at.create("a"), allow), "EINVAL")
    }))

  test("special files are nodes", (at) =>
    Effect.gen(function* () {
      const rdev = { major: 7, minor: 300 }
      const kinds = [
        { type: "fifo" },
        { type: "socket" },
        { type: "block", rdev },
        { type: "character", rdev }
      ] as const
      for (const special of kinds) {
        const make = at.fs.mknod(at.home, special.type, special, give({ mode: 0o620 }))
        if (at.has("specialFiles") && "rdev" in special && !at.has("devices")) {
          yield* at.unchanged(at.home, fails(make, "EPERM"))
        } else if (at.has("specialFiles")) {
          const { attributes, file } = yield* makes(at, special.type, make)
          assert.deepInclude(attributes, { type: special.type, mode: 0o620, size: 0, nlink: 1 })
          assert.deepStrictEqual(attributes.rdev, "rdev" in special ? rdev : { major: 0, minor: 0 })
          yield* fails(at.read(file), "EINVAL")
          yield* fails(at.write(file, 0, "x"), "EINVAL")
          yield* at.unchanged(at.home, fails(make, "EEXIST"))
        } else {
          yield* at.unchanged(at.home, fails(make, "ENOTSUP"))
        }
      }
    }))

  test("nothing is found or made in what is no directory", (at) =>
    Effect.gen(function* () {
      const { fs } = at
      const file = yield* at.create("a")
      yield* fails(at.lookup("x", file), "ENOTDIR")
      yield* fails(at.list(file, 0n), "ENOTDIR")
      yield* fails(at.create("x", file), "ENOTDIR")
      yield* fails(at.mkdir("x", file), "ENOTDIR")
      yield* fails(at.remove("x", file), "ENOTDIR")
      yield* fails(at.rmdir("x", file), "ENOTDIR")
      yield* fails(at.rename("x", "y", file, at.home), "ENOTDIR")
      yield* fails(at.rename("a", "y", at.home, file), "ENOTDIR")
      if (at.has("symlinks")) yield* fails(at.symlink("x", "y", file), "ENOTDIR")
      if (at.has("specialFiles")) yield* fails(fs.mknod(file, "x", { type: "fifo" }, give({})), "ENOTDIR")
      if (at.has("hardLinks")) yield* fails(at.link(file, "x", file), "ENOTDIR")
    }))

  test("names are bytes: long, strange, and not UTF-8", (at) =>
    Effect.gen(function* () {
      const names = [
        "x".repeat(255),
        "ü".repeat(127),
        "\u{1f600}".repeat(63),
        " leading and trailing ",
        "new\nline\ttab",
        "-rf",
        'a\\b:c*?"<>|',
        "...",
        "__proto__",
        "constructor",
        "\u00e9", // é in one piece, and composed
        "e\u0301",
        "\ufffd"
      ]
      const raw = ["\udc80", "caf\udce9", "\udcff\udcfe".repeat(100)]
      if (at.has("byteNames")) names.push(...raw)
      else for (const name of raw) yield* cannotHave(at, name)
      for (const name of names) yield* at.file(name, Bytestring.encode(name))
      assert.deepStrictEqual(yield* at.names(), names.toSorted())
      for (const name of names) {
        const { file } = yield* at.lookup(name)
        assert.isTrue((yield* at.read(file)).equals(Bytestring.encode(name)))
        yield* at.rename(name, "passing")
        assert.deepStrictEqual((yield* at.lookup("passing")).file.key, file.key)
        yield* at.rename("passing", name)
        yield* at.remove(name)
      }
      assert.isEmpty(yield* at.names())
    }))
}
