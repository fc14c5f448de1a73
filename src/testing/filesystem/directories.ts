/** READDIR of directories that change meanwhile: cookies belong to entries, whatever comes and goes. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Fixture, type Test } from "./Fixture.ts"

const fill = (at: Fixture, count: number, prefix = "f") =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => `${prefix}${i}`),
    (name) => Effect.as(at.create(name), name)
  )

export const directories = (test: Test): void => {
  test("an empty directory is at its end at once", (at) =>
    Effect.gen(function* () {
      const { directory, entries, eof } = yield* at.list(at.home, 0n)
      assert.isEmpty(entries)
      assert.isTrue(eof)
      assert.strictEqual(directory.type, "directory")
      const nothingFits = yield* at.list(at.home, 0n, 0)
      assert.isTrue(nothingFits.eof)
    }))

  test("eof comes with the last entry", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 5)
      const four = yield* at.list(at.home, 0n, 4)
      assert.isFalse(four.eof)
      const five = yield* at.list(at.home, 0n, 5)
      assert.strictEqual(five.entries.length, 5)
      assert.isTrue(five.eof)
      const after = yield* at.list(at.home, five.entries.at(-1)!.cookie, 0)
      assert.deepInclude(after, { entries: [], eof: true })
      // Also when what came last is gone.
      yield* at.remove(five.entries.at(-1)!.name)
      assert.isTrue((yield* at.list(at.home, 0n, 4)).eof)
      assert.isTrue((yield* at.list(at.home, five.entries[3]!.cookie, 0)).eof)
    }))

  test("a listing goes on after any entry, also one that is gone", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 20)
      const all = yield* at.entries()
      const after = (i: number) => at.entriesAfter(all[i]!.cookie)
      for (let i = 0; i < all.length; i++) assert.deepStrictEqual(yield* after(i), all.slice(i + 1))
      for (let i = 0; i < all.length; i += 2) yield* at.remove(all[i]!.name)
      const left = all.filter((_, i) => i % 2 === 1)
      assert.deepStrictEqual(yield* at.entries(), left)
      for (let i = 0; i < all.length; i++) {
        assert.deepStrictEqual(
          yield* after(i),
          left.filter((entry) => all.indexOf(entry) > i)
        )
      }
    }))

  test("cookies stay while others come and go", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 30)
      const cookies = new Map((yield* at.entries()).map(({ cookie, name }) => [name, cookie]))
      for (let i = 0; i < 30; i += 3) yield* at.remove(`f${i}`)
      yield* fill(at, 40, "g")
      yield* at.rename("f1", "h")
      for (let i = 0; i < 40; i += 2) yield* at.remove(`g${i}`)
      for (const { cookie, name } of yield* at.entries()) {
        if (cookies.has(name)) assert.strictEqual(cookie, cookies.get(name), name)
      }
    }))

  test("who stays is listed once, whatever comes and goes meanwhile", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 50, "stays")
      yield* fill(at, 50, "goes")
      const seen: Array<string> = []
      let cookie = 0n
      for (let i = 0, eof = false; !eof && i < 1000; i++) {
        const listing = yield* at.list(at.home, cookie, 3)
        eof = listing.eof
        for (const { name } of listing.entries) seen.push(name)
        cookie = listing.entries.at(-1)?.cookie ?? cookie
        if (i < 50) yield* at.remove(`goes${i}`)
        if (i < 50) yield* at.create(`comes${i}`)
      }
      const stayed = seen.filter((name) => name.startsWith("stays"))
      assert.deepStrictEqual(stayed.toSorted(), Array.from({ length: 50 }, (_, i) => `stays${i}`).toSorted())
      assert.strictEqual(new Set(seen).size, seen.length)
    }))

  test("a listing ends though all that it lists is renamed meanwhile", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 5)
      let cookie = 0n
      let ended = false
      for (let i = 0; !ended && i < 1000; i++) {
        const listing = yield* at.list(at.home, cookie, 2)
        ended = listing.eof
        cookie = listing.entries.at(-1)?.cookie ?? cookie
        for (const [j, { name }] of listing.entries.entries()) yield* at.rename(name, `renamed-${i}-${j}`)
      }
      assert.isTrue(ended)
    }))

  test("removing all that is listed, portion by portion, leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 100)
      let cookie = 0n
      for (let eof = false; !eof;) {
        const listing = yield* at.list(at.home, cookie, 7)
        eof = listing.eof
        for (const { name } of listing.entries) yield* at.remove(name)
        cookie = listing.entries.at(-1)?.cookie ?? cookie
      }
      assert.isEmpty(yield* at.names())
    }))

  test("a name that files replace each other under is listed once", (at) =>
    Effect.gen(function* () {
      yield* fill(at, 10)
      const seen: Array<string> = []
      let cookie = 0n
      for (let i = 0, eof = false; !eof && i < 100; i++) {
        const listing = yield* at.list(at.home, cookie, 2)
        eof = listing.eof
        for (const { name } of listing.entries) seen.push(name)
        cookie = listing.entries.at(-1)?.cookie ?? cookie
        const directory = yield* at.mkdir(`new${i}`, at.fs.root)
        yield* at.create("f", directory)
        yield* at.rename("f", "f5", directory, at.home)
      }
      assert.strictEqual(seen.filter((name) => name === "f5").length, 1)
    }))

  test("a directory that was filled and emptied is empty, and removable", (at) =>
    Effect.gen(function* () {
      const directory = yield* at.mkdir("d")
      for (let i = 0; i < 50; i++) yield* at.create(`f${i}`, directory)
      for (let i = 0; i < 50; i++) yield* at.remove(`f${i}`, directory)
      assert.isEmpty(yield* at.names(directory))
      yield* at.rmdir("d")
    }))
}
