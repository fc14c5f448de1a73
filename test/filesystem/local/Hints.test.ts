import { Buffer } from "node:buffer"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Hints } from "../../../src/filesystem/local/Hints.ts"
import { make as logs } from "../../support/logs.ts"
import { directory, keyOf, make as makeTable, unlisted, until } from "./fixture.ts"

const ROOT = Buffer.from("root")

/** Runs something with the hints that a file has, and then leaves them. */
const run = <A, E>(
  stateFile: string | undefined,
  f: (hints: Hints) => Effect.Effect<A, E>,
  root = ROOT,
  capacity?: number
) =>
  Effect.gen(function* () {
    const { layer, messages } = logs()
    const value = yield* Hints.make({ root, stateFile, capacity }).pipe(
      Effect.flatMap(f),
      Effect.scoped,
      Effect.provide(layer)
    )
    return { value, messages }
  })

const rows = (file: string): ReadonlyArray<string> => {
  using db = new DatabaseSync(file, { readOnly: true })
  return db
    .prepare("SELECT name FROM hint ORDER BY name")
    .all()
    .map(({ name }) => Buffer.from(name as Uint8Array).toString())
}

const noted = (count: number) => (hints: Hints) =>
  Effect.sync(() => {
    for (let i = 0; i < count; i++) hints.put(`key ${i}`, "parent", `name ${i}`)
  })

const get = (key: string) => (hints: Hints) => Effect.sync(() => hints.get(key))

describe("Hints", () => {
  it.live("outlive the one who noted them, in a file that only its owner reads", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "deep", "state", "hints")
      const { messages } = yield* run(file, noted(3))
      const all = String.fromCharCode(...Array.from({ length: 44 }, (_, i) => 255 - i))
      yield* run(file, (hints) => Effect.sync(() => hints.put(all, all, "\xff\xfe")))
      const { value } = yield* run(file, get("key 1"))
      assert.deepInclude(value, { parent: "parent", name: "name 1" })
      assert.deepInclude((yield* run(file, get(all))).value, { parent: all, name: "\xff\xfe" })
      assert.deepStrictEqual(messages, [])
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(join(file, "..")), ["hints"])
    })
  )

  it.live("are of one root", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, noted(1))
      assert.isUndefined((yield* run(file, get("key 0"), Buffer.from("another"))).value)
      yield* run(file, (hints) => Effect.sync(() => hints.remove("key 0")), Buffer.from("another"))
      assert.isDefined((yield* run(file, get("key 0"))).value)
      yield* run(file, (hints) => Effect.sync(() => hints.remove("key 0")))
      assert.isUndefined((yield* run(file, get("key 0"))).value)
    })
  )

  it.live("are written in the background, more than are kept in memory", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(
        file,
        (hints) =>
          Effect.gen(function* () {
            yield* noted(5000)(hints)
            assert.isDefined(hints.get("key 0"))
            yield* until(() => rows(file).length === 5000)
            assert.strictEqual(rows(file).length, 5000)
            assert.strictEqual(hints.get("key 0")?.name, "name 0")
            hints.put("key 0", "parent", "renamed")
            assert.strictEqual(hints.get("key 0")?.name, "renamed")
            hints.remove("key 1")
            assert.isUndefined(hints.get("key 1"))
          }),
        ROOT,
        10
      )
      const names = rows(file)
      assert.strictEqual(names.length, 4999)
      assert.include(names, "renamed")
      assert.notInclude(names, "name 1")
    })
  )

  it.live("are written also when nothing was for a while", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, (hints) =>
        Effect.gen(function* () {
          for (const round of [1, 2, 3]) {
            hints.put(`key ${round}`, "parent", `name ${round}`)
            yield* until(() => rows(file).length === round)
            assert.strictEqual(rows(file).length, round)
            yield* Effect.sleep(50)
          }
        })
      )
    })
  )

  it.live("that wait to be written are bounded", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, noted(100_000))
      assert.strictEqual(rows(file).length, 16_384)
    })
  )

  it.live("of what was not seen again are removed", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, noted(3000))
      yield* run(file, noted(1), Buffer.from("another"))
      yield* run(file, (hints) =>
        Effect.gen(function* () {
          yield* Effect.sleep(5)
          const since = hints.now()
          // It is in memory, or only in the file.
          hints.get("key 5")
          for (const i of [5, 6]) hints.pass(`key ${i}`, "parent", `name ${i}`, false, since)
          hints.prune(since)
          yield* until(() => rows(file).length === 3)
        })
      )
      assert.deepStrictEqual(rows(file), ["name 0", "name 5", "name 6"])
    })
  )

  it.live("of long ago are removed, of all roots", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, noted(3))
      {
        using db = new DatabaseSync(file)
        db.exec("UPDATE hint SET seen = seen - 86400000 * 31 WHERE name > CAST('name 0' AS BLOB)")
      }
      yield* run(file, () => until(() => rows(file).length === 1), Buffer.from("another"))
      assert.deepStrictEqual(rows(file), ["name 0"])
    })
  )

  it.live("never lead out of a directory, whatever happened to the file", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      for (const name of ["..", ".", "", "a/b", "a\0", "x".repeat(256)]) {
        yield* run(file, (hints) => Effect.sync(() => hints.put("key", "parent", name)))
        assert.isUndefined((yield* run(file, get("key"))).value)
      }
    })
  )

  it.live("without a file are of directories, as far as a search decides", () =>
    run(undefined, (hints) =>
      Effect.sync(() => {
        hints.pass("directory", "parent", "name", true, 0)
        hints.pass("file", "parent", "name", false, 0)
        assert.isDefined(hints.get("directory"))
        assert.isUndefined(hints.get("file"))
      })
    )
  )

  describe("begin anew", () => {
    const beginsAnew = (file: string, damage: () => void) =>
      Effect.gen(function* () {
        damage()
        const { messages } = yield* run(file, noted(1))
        assert.strictEqual(messages.length, 1)
        assert.match(messages[0]!, /^Warn: .* begin anew: .*hints is damaged \(.*\.damaged$/)
        assert.isTrue(existsSync(`${file}.damaged`))
        const again = yield* run(file, get("key 0"))
        assert.isDefined(again.value)
        assert.deepStrictEqual(again.messages, [])
      })

    it.live("when the file holds something else", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "hints")
        yield* beginsAnew(file, () => writeFileSync(file, "not a database at all ".repeat(100)))
        assert.match(readFileSync(`${file}.damaged`, "utf8"), /^not a database/)
      })
    )

    it.live("when the database is of somebody else", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "hints")
        yield* beginsAnew(file, () => {
          using db = new DatabaseSync(file)
          db.exec("CREATE TABLE hint (key BLOB)")
        })
      })
    )

    it.live("when damage is found later", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "hints")
        yield* run(file, noted(10_000))
        yield* beginsAnew(file, () => {
          const fd = openSync(file, "r+")
          // All pages but the first two, which the schema and the root of the table are in.
          writeSync(fd, Buffer.alloc(statSync(file).size - 4096, 0xa5), 0, undefined, 4096)
          closeSync(fd)
        })
      })
    )
  })

  describe("are only in memory", () => {
    const inMemory = (file: string) =>
      Effect.gen(function* () {
        const { messages } = yield* run(file, (hints) =>
          Effect.gen(function* () {
            yield* noted(2)(hints)
            yield* Effect.sleep(50)
            assert.isDefined(hints.get("key 1"))
          })
        )
        assert.strictEqual(messages.length, 1)
        assert.match(messages[0]!, /^Warn: .* do not outlive the server: .*hints cannot be used \(.+\)$/)
      })

    it.live("when another process has the file for itself", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "hints")
        yield* run(file, noted(1))
        using db = new DatabaseSync(file)
        db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        yield* inMemory(file)
        assert.isFalse(existsSync(`${file}.damaged`))
      })
    )

    it.live("when there is no place for the file", () =>
      Effect.gen(function* () {
        const state = join(yield* directory, "state")
        writeFileSync(state, "")
        yield* inMemory(join(state, "hints"))
        rmSync(state)
        mkdirSync(join(state, "hints"), { recursive: true })
        yield* inMemory(join(state, "hints"))
      })
    )
  })

  it.live("wait while another process writes", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "hints")
      yield* run(file, noted(1))
      using db = new DatabaseSync(file)
      db.exec("BEGIN IMMEDIATE")
      const { messages } = yield* run(file, (hints) =>
        Effect.gen(function* () {
          hints.put("late", "parent", "late")
          yield* Effect.sleep(100)
          assert.deepStrictEqual(rows(file), ["name 0"])
          db.exec("ROLLBACK")
          yield* until(() => rows(file).length === 2)
          assert.deepStrictEqual(rows(file), ["late", "name 0"])
        })
      )
      assert.deepStrictEqual(messages, [])
    })
  )

  it.live("let a file be found after a restart without a search, also one of several exports", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* directory, yield* directory]
      const stateFile = join(yield* directory, "hints")
      for (const root of [one, two]) {
        mkdirSync(join(root, "a"))
        writeFileSync(join(root, "a/file"), "")
      }
      const [a, file] = [keyOf(join(one, "a")), keyOf(join(one, "a/file"))]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { table } = yield* makeTable(one, { stateFile })
          const { finds } = yield* makeTable(two, { stateFile })
          table.note(a, keyOf(one), Buffer.from("a"))
          table.note(file, a, Buffer.from("file"))
          assert.isTrue(yield* finds(keyOf(join(two, "a/file"))))
          renameSync(join(one, "a"), join(one, "b"))
          table.note(a, keyOf(one), Buffer.from("b"))
        })
      )
      const [first, second] = [
        yield* makeTable(one, { stateFile, entries: unlisted }),
        yield* makeTable(two, { stateFile, entries: unlisted })
      ]
      assert.isTrue(yield* first.finds(file))
      assert.isTrue(yield* second.finds(keyOf(join(two, "a/file"))))
      assert.isUndefined(second.table.hint(file))
    })
  )
})
