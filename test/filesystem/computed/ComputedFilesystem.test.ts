import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ComputedFilesystem from "../../../src/filesystem/computed/ComputedFilesystem.ts"
import { allow, fails } from "../../../src/testing/filesystem/Fixture.ts"

/** A directory with files of these names. */
const having = (names: ReadonlyArray<string>) =>
  ComputedFilesystem.make({
    root: "/",
    get: (id) =>
      Effect.sync((): ComputedFilesystem.Node | undefined => {
        if (id === "/") return { type: "directory", parent: "/", entries: new Map(names.map((name) => [name, "file"])) }
        return id === "file" ? { type: "regular", content: "content" } : undefined
      })
  })

const request = (attributes: boolean) => ({ cookie: 0n, attributes, fits: () => true })

describe("names that a function gives", () => {
  it.effect.each<[what: string, name: string]>([
    ["an empty one", ""],
    ["the directory", "."],
    ["the one above", ".."],
    ["a path", "a/b"],
    ["a slash", "/"],
    ["NUL", "a\0b"],
    ["256 bytes", "x".repeat(256)],
    ["256 bytes in 128 characters", "\u00e9".repeat(128)],
    ["a high surrogate alone", "bad\uD800"],
    ["a low surrogate that is no byte", "bad\uDC7F"],
    ["a low surrogate beyond all bytes", "bad\uDD00"],
    ["the bytes of a character as if they were none", "bad\uDCC3\uDCA9"]
  ])("%s is neither listed nor found, and spoils no other", ([, name]) =>
    Effect.gen(function* () {
      const fs = yield* having(["before", name, "zz"])
      for (const attributes of [false, true]) {
        const { entries, eof } = yield* fs.readdir(fs.root, request(attributes), allow)
        assert.deepStrictEqual(entries.map((entry) => entry.name).toSorted(), ["before", "zz"])
        assert.isTrue(eof)
      }
      yield* fails(fs.lookup(fs.root, name, allow), "ENOENT")
    })
  )

  it.effect.each<[what: string, name: string]>([
    ["three dots", "..."],
    ["255 bytes", "x".repeat(255)],
    ["254 bytes in 127 characters", "\u00e9".repeat(127)],
    ["a pair of surrogates", "\u{1F600}"],
    ["a byte that is not UTF-8", "byte\uDCFF"],
    ["a replacement character", "\uFFFD"],
    ["a newline", "a\nb"]
  ])("%s is listed and found", ([, name]) =>
    Effect.gen(function* () {
      const fs = yield* having([name])
      const { entries } = yield* fs.readdir(fs.root, request(true), allow)
      const { file } = yield* fs.lookup(fs.root, name, allow)
      assert.deepStrictEqual(
        entries.map((entry) => [entry.name, entry.found?.file]),
        [[name, file]]
      )
    })
  )
})

it.effect("is as large as any, and full: clients do not mount what has no space at all", () =>
  Effect.gen(function* () {
    const fs = yield* having(["name"])
    const { totalBytes, totalFiles, ...left } = yield* fs.statfs(fs.root)
    assert.isAtLeast(totalBytes, 2 ** 50)
    assert.isAtLeast(totalFiles, 2 ** 31)
    assert.deepStrictEqual(left, { freeBytes: 0, availableBytes: 0, freeFiles: 0, availableFiles: 0 })
  })
)
