/** What is there, as the tree says: GETATTR, LOOKUP, READ, READLINK, COMMIT, FSSTAT, and keys. */

import { Buffer } from "node:buffer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { KEY_MAX } from "../../filesystem/Filesystem.ts"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { allow, fails, type Fixture, lasting, type Test, time } from "./Fixture.ts"
import { type Content, type Member, type Tree, walk } from "./Tree.ts"

const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex")

type Of<Type extends Content["type"]> = Member & { readonly content: Extract<Content, { readonly type: Type }> }

const isOf =
  <Type extends Content["type"]>(type: Type) =>
  (member: Member): member is Of<Type> =>
    member.content.type === type

const isFile = isOf("regular")
const isDirectory = isOf("directory")
const isSymlink = isOf("symlink")

const NAMES_OF_NOTHING = ["no such name", "__proto__", "constructor", "\udc80", "x".repeat(255)]

export const reading = (test: Test, tree: Tree): void => {
  test("the tree has something to look at", (at) =>
    Effect.gen(function* () {
      const members = yield* walk(at, tree)
      assert.isTrue(
        members.filter(isFile).some(({ content }) => content.bytes.length > 1),
        "a file with content"
      )
      const trees = [tree, ...members.filter(isDirectory).map(({ content }) => content.tree)]
      assert.isTrue(
        trees.some((each) => Object.keys(each).length > 1),
        "a directory with names"
      )
    }))

  test("the properties make sense", ({ fs }) =>
    Effect.sync(() => {
      const { casePreserving, linkMax, maxFileSize, timeDelta } = fs.properties
      assert.isAtLeast(maxFileSize, 2 ** 31 - 1)
      assert.isBelow(maxFileSize, Number.MAX_SAFE_INTEGER)
      assert.isAtLeast(linkMax, 1)
      assert.isTrue(casePreserving)
      assert.isAbove(Number(time(timeDelta)), 0)
    }))

  test("the root is a directory", ({ fs }) =>
    Effect.gen(function* () {
      const root = yield* fs.getattr(fs.root)
      assert.strictEqual(root.type, "directory")
      assert.isAtLeast(root.nlink, 1)
      assert.isTrue(root.fileid > 0n)
    }))

  test("attributes are of the type and size that the content has", (at) =>
    Effect.gen(function* () {
      for (const { attributes, content, path } of yield* walk(at, tree)) {
        const { atime, change, ctime, fileid, mode, mtime, nlink, rdev, size, used } = attributes
        if (content.type === "regular") assert.strictEqual(size, content.bytes.length, path)
        if (content.type === "symlink") assert.strictEqual(size, Bytestring.byteLength(content.target), path)
        assert.isAtMost(size, at.fs.properties.maxFileSize)
        assert.isTrue(Number.isSafeInteger(size) && Number.isSafeInteger(used) && size >= 0 && used >= 0)
        assert.strictEqual(mode & ~0o7777, 0, path)
        assert.isAtLeast(nlink, 1, path)
        assert.deepStrictEqual(rdev, { major: 0, minor: 0 }, path)
        assert.isTrue(fileid > 0n && fileid < 2n ** 64n, path)
        assert.isTrue(change >= 0n && change < 2n ** 64n, path)
        for (const { nanoseconds, seconds } of [atime, ctime, mtime]) {
          assert.isTrue(Number.isInteger(seconds), path)
          assert.isTrue(Number.isInteger(nanoseconds) && nanoseconds >= 0 && nanoseconds < 1e9, path)
        }
      }
    }))

  test("every operation that gives attributes gives the same, again and again", (at) =>
    Effect.gen(function* () {
      const home = lasting(yield* at.attributes(at.home))
      for (const member of yield* walk(at, tree)) {
        const { attributes, content, file, path } = member
        const again = [yield* at.attributes(file), (yield* at.lookup(member.name, member.directory)).attributes]
        if (content.type === "regular") again.push((yield* at.fs.read(file, 0, 1, allow)).attributes)
        if (content.type === "symlink") again.push((yield* at.fs.readlink(file, allow)).attributes)
        if (content.type === "directory") again.push((yield* at.list(file, 0n)).directory)
        for (const each of again) assert.deepStrictEqual(lasting(each), lasting(attributes), path)
        const { directory } = yield* at.lookup(member.name, member.directory)
        assert.deepStrictEqual(lasting(directory), lasting(yield* at.attributes(member.directory)), path)
      }
      assert.deepStrictEqual(lasting(yield* at.attributes(at.home)), home)
    }))

  test("file ids and keys tell files apart; keys have one length", (at) =>
    Effect.gen(function* () {
      const members = yield* walk(at, tree)
      const files = [at.home, ...members.map(({ file }) => file)]
      const all = [yield* at.attributes(at.home), ...members.map(({ attributes }) => attributes)]
      const shared = all.filter(({ nlink, type }) => type !== "directory" && nlink > 1).length
      // Names of one file have one id and one key.
      assert.isAtLeast(new Set(all.map(({ fileid }) => fileid)).size, all.length - shared)
      assert.strictEqual(new Set(files.map(({ key }) => hex(key))).size, new Set(all.map(({ fileid }) => fileid)).size)
      assert.strictEqual(new Set([at.fs.root, ...files].map(({ key }) => key.length)).size, 1)
      assert.isAbove(at.fs.root.key.length, 0)
      assert.isAtMost(at.fs.root.key.length, KEY_MAX)
    }))

  test("a key leads back to its file, however often and from a copy", (at) =>
    Effect.gen(function* () {
      for (const file of [at.fs.root, ...(yield* walk(at, tree)).map(({ file }) => file)]) {
        const copy = Uint8Array.from(file.key)
        const resolved = yield* at.fs.resolve(copy)
        copy.fill(0)
        assert.strictEqual(hex(resolved.key), hex(file.key))
        assert.deepStrictEqual(lasting(yield* at.attributes(resolved)), lasting(yield* at.attributes(file)))
        assert.strictEqual(hex((yield* at.fs.resolve(resolved.key)).key), hex(file.key))
      }
    }))

  test("what is no key of this filesystem is stale", (at) =>
    Effect.gen(function* () {
      const { key } = (yield* walk(at, tree)).find(isFile)!.file
      yield* stale(at, new Uint8Array(0))
      yield* stale(at, key.subarray(1))
      yield* stale(at, key.subarray(0, -1))
      yield* stale(at, Buffer.concat([key, Buffer.alloc(1)]))
      yield* stale(at, Buffer.alloc(KEY_MAX, 0xff))
      yield* stale(at, Buffer.alloc(key.length, 0xff))
    }))

  test("what is not there is not found", (at) =>
    Effect.gen(function* () {
      for (const directory of yield* directories(at, tree)) {
        for (const name of NAMES_OF_NOTHING) yield* fails(at.lookup(name, directory), "ENOENT")
      }
    }))

  test("nothing is found or listed in what is no directory", (at) =>
    Effect.gen(function* () {
      for (const { content, file } of yield* walk(at, tree)) {
        if (content.type === "directory") continue
        yield* fails(at.lookup("x", file), "ENOTDIR")
        yield* fails(at.list(file, 0n), "ENOTDIR")
        yield* fails(at.fs.parent(file, allow), "ENOTDIR")
      }
    }))

  test("a directory knows the one that it is in; the root is in itself", (at) =>
    Effect.gen(function* () {
      for (const { attributes, directory, file, path } of (yield* walk(at, tree)).filter(isDirectory)) {
        const parent = yield* at.fs.parent(file, allow)
        assert.strictEqual(hex(parent.file.key), hex(directory.key), path)
        assert.deepStrictEqual(lasting(parent.attributes), lasting(yield* at.attributes(directory)), path)
        assert.deepStrictEqual(lasting(parent.directory), lasting(attributes), path)
      }
      const root = yield* at.fs.parent(at.fs.root, allow)
      assert.strictEqual(hex(root.file.key), hex(at.fs.root.key))
      assert.deepStrictEqual(root.attributes, root.directory)
    }))

  test("a file is read whole, and in parts", (at) =>
    Effect.gen(function* () {
      for (const { content, file, path } of (yield* walk(at, tree)).filter(isFile)) {
        const { length } = content.bytes
        assert.isTrue((yield* at.read(file, 0, length + 1)).equals(content.bytes), path)
        for (const share of [0, 0.1, 0.5, 0.9, 1]) {
          const offset = Math.floor(length * share)
          for (const count of [0, 1, 2, 4095, 4096, 65_537, length - offset, length]) {
            const expected = content.bytes.subarray(offset, offset + count)
            assert.isTrue((yield* at.read(file, offset, count)).equals(expected), `${count} of ${path} at ${offset}`)
          }
        }
      }
    }))

  test("eof is where the file's size says", (at) =>
    Effect.gen(function* () {
      for (const { content, file, path } of (yield* walk(at, tree)).filter(isFile)) {
        const { length } = content.bytes
        for (const [offset, count] of [
          [0, 0],
          [0, length - 1],
          [0, length],
          [0, length + 1],
          [length - 1, 1],
          [length, 0],
          [length, 5],
          [length + 1000, 5],
          [Number.MAX_SAFE_INTEGER, 5]
        ] as const) {
          if (offset < 0 || count < 0) continue
          const { data, eof } = yield* at.fs.read(file, offset, count, allow)
          const read = Buffer.concat(data).length
          const what = `${count} of ${path} at ${offset}`
          assert.isAtMost(read, Math.min(count, Math.max(length - offset, 0)), what)
          // A read may give less than was asked for, but not nothing, and is at the end only when it gave all.
          if (count > 0 && offset < length) assert.isAbove(read, 0, what)
          assert.strictEqual(eof, offset + read >= length, what)
        }
      }
    }))

  test("a symbolic link has its target", (at) =>
    Effect.gen(function* () {
      for (const { content, file, path } of (yield* walk(at, tree)).filter(isSymlink)) {
        assert.strictEqual((yield* at.fs.readlink(file, allow)).target, content.target, path)
      }
    }))

  test("only regular files have data, only symbolic links a target", (at) =>
    Effect.gen(function* () {
      for (const { content, file } of yield* walk(at, tree)) {
        if (content.type !== "symlink") yield* fails(at.fs.readlink(file, allow), "EINVAL")
        if (content.type === "regular") continue
        const code = content.type === "directory" ? "EISDIR" : "EINVAL"
        yield* fails(at.fs.read(file, 0, 1, allow), code)
        yield* fails(at.fs.commit(file, 0, 0, allow), code)
      }
    }))

  test("there is nothing to commit in what was not written", (at) =>
    Effect.gen(function* () {
      for (const { attributes, file } of (yield* walk(at, tree)).filter(isFile)) {
        const wcc = yield* at.fs.commit(file, 0, 0, allow)
        for (const each of [wcc.before, wcc.after]) assert.deepStrictEqual(lasting(each), lasting(attributes))
      }
    }))

  test("the numbers of statfs fit together", (at) =>
    Effect.gen(function* () {
      for (const file of [at.fs.root, ...(yield* walk(at, tree)).map(({ file }) => file)]) {
        const space = yield* at.fs.statfs(file)
        for (const value of Object.values(space)) assert.isTrue(Number.isSafeInteger(value) && value >= 0)
        assert.isAtLeast(space.totalBytes, space.freeBytes)
        assert.isAtLeast(space.freeBytes, space.availableBytes)
        assert.isAtLeast(space.totalFiles, space.freeFiles)
        assert.isAtLeast(space.freeFiles, space.availableFiles)
      }
    }))

  test("many read at once", (at) =>
    Effect.gen(function* () {
      const members = (yield* walk(at, tree)).filter(isFile).slice(0, 50)
      const readers = Array.from({ length: 100 }, (_, i) => members[i % members.length]!)
      const contents = yield* Effect.forEach(readers, ({ content, file }) => at.read(file, 0, content.bytes.length), {
        concurrency: "unbounded"
      })
      for (const [i, { content, path }] of readers.entries()) assert.isTrue(contents[i]!.equals(content.bytes), path)
    }))
}

/** Asserts that this key is stale, perhaps after the filesystem has looked for its file for a while. */
const stale = ({ fs }: Fixture, key: Uint8Array) =>
  fails(
    Effect.retry(fs.resolve(key), {
      while: ({ code }) => code === "EAGAIN",
      schedule: Schedule.spaced("50 millis"),
      times: 100
    }),
    "ESTALE"
  )

const directories = (at: Fixture, tree: Tree) =>
  Effect.map(walk(at, tree), (members) => [at.home, ...members.filter(isDirectory).map(({ file }) => file)])
