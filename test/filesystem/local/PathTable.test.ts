import { Buffer } from "node:buffer"
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { errors, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { CLOCK_LAG } from "../../../src/filesystem/local/Stat.ts"
import { entries } from "../../../src/filesystem/local/Tree.ts"
import { make as logs } from "../../support/logs.ts"
import {
  directory,
  keyOf,
  largeDirectory,
  make,
  openAt,
  openBelow,
  pathOf,
  slow,
  type Table,
  unlisted,
  until
} from "./fixture.ts"

/** Makes files (and the directories above them) with their paths as content. */
const files = (root: string, ...paths: ReadonlyArray<string>): ReadonlyArray<Uint8Array> =>
  paths.map((path) => {
    mkdirSync(join(root, path, ".."), { recursive: true })
    writeFileSync(join(root, path), path)
    return keyOf(join(root, path))
  })

const fails = (effect: Effect.Effect<unknown, FilesystemError>, code: FilesystemError["code"]) =>
  Effect.map(Effect.flip(effect), (error) => assert.strictEqual(error.code, code))

describe.skipIf(process.platform !== "linux")("PathTable", () => {
  describe("by hints", () => {
    it.live("finds a file, also after we renamed it or a directory above it", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, table } = yield* make(root, { entries: unlisted })
        const [file] = files(root, "a/b/file") as [Uint8Array]
        const [a, b] = [keyOf(join(root, "a")), keyOf(join(root, "a/b"))]
        table.note(a, keyOf(root), Buffer.from("a"))
        table.note(b, a, Buffer.from("b"))
        table.note(file, b, Buffer.from("file"))
        assert.isTrue(yield* finds(file))
        assert.deepStrictEqual(table.hint(file), { parent: Buffer.from(b), name: Buffer.from("file") })
        renameSync(join(root, "a/b/file"), join(root, "a/other"))
        table.note(file, a, Buffer.from("other"))
        assert.isTrue(yield* finds(file))
        renameSync(join(root, "a"), join(root, "z"))
        table.note(a, keyOf(root), Buffer.from("z"))
        assert.isTrue(yield* finds(file))
        assert.isTrue(yield* finds(b))
        assert.isTrue(yield* finds(keyOf(root)))
      })
    )

    it.live("finds no other file with the same name", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, table } = yield* make(root)
        const [one, two] = files(root, "one", "two") as [Uint8Array, Uint8Array]
        table.note(one, keyOf(root), Buffer.from("one"))
        renameSync(join(root, "two"), join(root, "one"))
        yield* fails(finds(one), "ESTALE")
        assert.isTrue(yield* finds(two))
      })
    )

    it.live("believes no circle", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, table } = yield* make(root)
        const [file] = files(root, "a/b/file") as [Uint8Array]
        const [a, b] = [keyOf(join(root, "a")), keyOf(join(root, "a/b"))]
        table.note(a, b, Buffer.from("a"))
        table.note(b, a, Buffer.from("b"))
        table.note(file, b, Buffer.from("file"))
        assert.isTrue(yield* finds(file))
        table.note(a, a, Buffer.from("a"))
        assert.isTrue(yield* finds(file))
      })
    )

    it.live("says what keeps it from a file that is there", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "file") as [Uint8Array]
        const { finds, table } = yield* make(root, { openAt: () => Effect.fail(errors.EACCES) })
        table.note(file, keyOf(root), Buffer.from("file"))
        yield* fails(finds(file), "EACCES")
        assert.isDefined(table.hint(file))
      })
    )

    it.live("keeps a bounded number of them in memory, those that were used last", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { table } = yield* make(root, { capacity: 100 })
        const key = (i: number) => Buffer.from(`key ${i}`)
        for (let i = 0; i < 1000; i++) {
          table.note(key(i), keyOf(root), key(i))
          table.hint(key(0))
        }
        const kept = Array.from({ length: 1000 }, (_, i) => i).filter((i) => table.hint(key(i)) !== undefined)
        assert.deepStrictEqual(kept, [0, ...Array.from({ length: 99 }, (_, i) => 901 + i)])
      })
    )
  })

  describe("by a search", () => {
    it.live("finds what others have moved, and then remembers it", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, listed, table } = yield* make(root)
        const [file, other] = files(root, "a/b/file", "a/c/other", "x/y/z") as [Uint8Array, Uint8Array]
        assert.isTrue(yield* finds(file))
        renameSync(join(root, "a/b/file"), join(root, "x/moved"))
        assert.isTrue(yield* finds(file))
        assert.strictEqual(table.hint(file)?.name.toString(), "moved")
        renameSync(join(root, "x"), join(root, "a/b/x"))
        assert.isTrue(yield* finds(file))
        const before = listed()
        assert.isTrue(yield* finds(file))
        assert.strictEqual(listed(), before)
        assert.isTrue(yield* finds(other))
      })
    )

    it.live("finds a directory that was moved, and all below it without looking further", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "a/1/2/3/4/file") as [Uint8Array]
        const { finds, listed } = yield* make(root)
        assert.isTrue(yield* finds(file))
        renameSync(join(root, "a"), join(root, "b"))
        const before = listed()
        assert.isTrue(yield* finds(file))
        assert.strictEqual(listed() - before, 1)
      })
    )

    it.live("finds files of all types and names, and follows no symlink", () =>
      Effect.gen(function* () {
        const [root, outside] = [yield* directory, yield* directory]
        const name = Buffer.from([0x61, 0xff, 0x0a])
        const path = Buffer.concat([Buffer.from(`${root}/`), name])
        writeFileSync(path, "")
        symlinkSync(outside, join(root, "link"))
        const [secret] = files(outside, "secret") as [Uint8Array]
        const { finds, table } = yield* make(root)
        assert.isTrue(yield* finds(keyOf(path)))
        assert.deepStrictEqual(table.hint(keyOf(path))?.name, name)
        assert.isTrue(yield* finds(keyOf(join(root, "link"))))
        yield* fails(finds(secret), "ESTALE")
      })
    )

    it.live("knows what is gone, and does not look for it again", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, listed, table } = yield* make(root)
        const [one, two] = files(root, "one", "two") as [Uint8Array, Uint8Array]
        table.note(one, keyOf(root), Buffer.from("one"))
        rmSync(join(root, "one"))
        yield* fails(finds(one), "ESTALE")
        const before = listed()
        assert.isAbove(before, 0)
        yield* fails(finds(one), "ESTALE")
        table.note(two, keyOf(root), Buffer.from("two"))
        table.forget(two)
        yield* fails(finds(two), "ESTALE")
        assert.isUndefined(table.hint(two))
        assert.strictEqual(listed(), before)
        table.note(two, keyOf(root), Buffer.from("two"))
        assert.isTrue(yield* finds(two))
      })
    )

    it.effect("looks again after a while", () =>
      Effect.gen(function* () {
        const [root, outside] = [yield* directory, yield* directory]
        const { finds, table } = yield* make(root)
        const [file] = files(root, "file") as [Uint8Array]
        table.forget(file)
        renameSync(join(root, "file"), join(outside, "file"))
        renameSync(join(outside, "file"), join(root, "file"))
        yield* TestClock.adjust("9 minutes")
        yield* fails(finds(file), "ESTALE")
        yield* TestClock.adjust("2 minutes")
        assert.isTrue(yield* TestClock.withLive(finds(file)))
      })
    )

    it.effect("asks for patience when it takes long, and at once when that is known", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const gate = Latch.makeUnsafe()
        const { asks, finds } = yield* make(root, {
          entries: (fd) => Stream.unwrap(Effect.as(gate.await, entries(fd)))
        })
        const [file, gone] = files(root, "a/file", "gone") as [Uint8Array, Uint8Array]
        rmSync(join(root, "gone"))
        const question = yield* Effect.forkChild(fails(asks(file), "EAGAIN"), { startImmediately: true })
        yield* TestClock.adjust(99)
        assert.isUndefined(question.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(question)
        yield* fails(asks(gone), "EAGAIN")
        gate.openUnsafe()
        assert.isTrue(yield* TestClock.withLive(finds(file)))
        yield* TestClock.withLive(fails(finds(gone), "ESTALE"))
      })
    )

    it.live("is one for all who ask", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { finds, listed } = yield* make(root, { entries: slow(5) })
        const keys = files(root, ...Array.from({ length: 300 }, (_, i) => `${i % 3}/${i}`))
        const found = yield* Effect.forEach(keys, (key) => finds(key), { concurrency: "unbounded" })
        assert.isTrue(found.every(Boolean))
        assert.isAtMost(listed(), 8)
      })
    )

    it.live("counts only passes that began after the question", () =>
      Effect.gen(function* () {
        const [root, outside] = [yield* directory, yield* directory]
        const [a, file] = files(root, "a/a", "b/b", "c/c") as [Uint8Array, Uint8Array]
        rmSync(join(root, "a/a"))
        renameSync(join(root, "b/b"), join(outside, "b"))
        yield* Effect.sleep(2 * CLOCK_LAG)
        const fork = Effect.runForkWith(yield* Effect.context<never>())
        const passed: Array<string> = []
        let asked: Fiber.Fiber<boolean, FilesystemError> | undefined
        const { finds }: Table = yield* make(root, {
          entries: (fd) =>
            Stream.suspend(() => {
              // In the last directory of the first pass; the file then comes into one that has been passed.
              if (passed.push(pathOf(fd)) === 4) {
                asked = fork(finds(file))
                renameSync(join(outside, "b"), join(passed[1]!, "moved"))
              }
              return entries(fd)
            })
        })
        yield* fails(finds(a), "ESTALE")
        assert.isTrue(yield* Fiber.join(asked!))
      })
    )

    it.live("does not miss what moves meanwhile from where it has not been to where it has", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "b/dir/file", "a/x") as [Uint8Array]
        yield* Effect.sleep(2 * CLOCK_LAG)
        let passes = 0
        const { finds } = yield* make(root, {
          entries: (fd) =>
            Stream.suspend(() => {
              if (pathOf(fd) === root) passes++
              if (pathOf(fd).endsWith("/b") && passes === 1) renameSync(join(root, "b/dir"), join(root, "a/dir"))
              return pathOf(fd).endsWith("/a") && passes === 1 ? Stream.empty : entries(fd)
            })
        })
        assert.isTrue(yield* finds(file))
        assert.strictEqual(passes, 2)
      })
    )

    it.live("comes to an end in a tree that changes all the time", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "gone", "a/x") as [Uint8Array]
        rmSync(join(root, "gone"))
        let changes = 0
        const { finds, listed } = yield* make(root, {
          entries: (fd) =>
            Stream.suspend(() => {
              writeFileSync(join(root, "a", String(changes++)), "")
              return entries(fd)
            })
        })
        yield* fails(finds(file), "ESTALE")
        assert.strictEqual(listed(), 4)
      })
    )

    it.effect("ends when nobody asks any more", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "gone", ...Array.from({ length: 100 }, (_, i) => `${i}/file`)) as [Uint8Array]
        rmSync(join(root, "gone"))
        const { asks, listed } = yield* make(root, { entries: slow(10_000) })
        const question = yield* Effect.forkChild(fails(asks(file), "EAGAIN"), { startImmediately: true })
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(question)
        for (let lists = 2; lists < 6; lists++) {
          yield* TestClock.adjust("10 seconds")
          yield* until(() => listed() === lists)
          assert.strictEqual(listed(), lists)
        }
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("10 seconds")
          yield* TestClock.withLive(Effect.sleep(2 * CLOCK_LAG))
        }
        assert.isBelow(listed(), 15)
        const end = listed()
        yield* TestClock.adjust("1 minute")
        yield* TestClock.withLive(Effect.sleep(200))
        assert.strictEqual(listed(), end)
      })
    )

    it.live("leaves out what it may not see, and says so once", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { layer, messages } = logs()
        const [file, hidden] = files(root, "z/file", "a/b\n/hidden", "gone") as [Uint8Array, Uint8Array]
        const { finds } = yield* make(root, {
          entries: (fd) => (pathOf(fd).includes("/b") ? Stream.fail(errors.EACCES) : entries(fd))
        }).pipe(Effect.provide(layer))
        assert.isTrue(yield* finds(file))
        yield* fails(finds(hidden), "ESTALE")
        yield* fails(finds(Buffer.from("another")), "ESTALE")
        assert.strictEqual(messages.length, 1)
        assert.match(messages[0]!, /^Warn: .*"\.\/a\/b\\n" \(EACCES\)$/)
      })
    )

    it.live("stays on its side of mount points", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const { layer, messages } = logs()
        const [file, mounted] = files(root, "file", "mount/file") as [Uint8Array, Uint8Array]
        const { finds } = yield* make(root, {
          openAt: (fd, name) => (name.toString() === "mount" ? Effect.fail(errors.EXDEV) : openAt(fd, name))
        }).pipe(Effect.provide(layer))
        yield* fails(finds(mounted), "ESTALE")
        assert.isTrue(yield* finds(file))
        assert.deepStrictEqual(messages, [])
      })
    )

    it.live("concludes nothing while the process lacks descriptors", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "a/file") as [Uint8Array]
        let lacking = true
        const { asks, finds } = yield* make(root, {
          openAt: (fd, name) => (lacking ? Effect.fail(errors.EAGAIN) : openAt(fd, name))
        })
        yield* fails(asks(file), "EAGAIN")
        yield* fails(asks(file), "EAGAIN")
        lacking = false
        assert.isTrue(yield* finds(file))
      })
    )

    it.live("lets go of every descriptor, also when it is interrupted", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const keys = files(root, ...Array.from({ length: 200 }, (_, i) => `${i % 5}/${i % 20}/${i}`))
        rmSync(join(root, "0/0/0"))
        const count = () => openBelow(root).length
        const before = count()
        for (const millis of [0, 1, 2, 3, 5, 8, 13, 21]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { finds } = yield* make(root)
              const all = Effect.forEach(keys, (key) => Effect.exit(finds(key)), { concurrency: "unbounded" })
              yield* Effect.timeoutOption(all, millis)
              if (millis === 21) yield* Effect.forEach(keys, (key) => Effect.exit(finds(key)))
            })
          )
          // Closing is the last that an interrupted operation does.
          yield* until(() => count() === before)
          assert.strictEqual(count(), before)
        }
      })
    )

    it.effect("keeps nobody who does not want to wait", () =>
      Effect.gen(function* () {
        const root = yield* directory
        const [file] = files(root, "file") as [Uint8Array]
        const { table } = yield* make(root, { entries: () => Stream.never })
        const question = yield* Effect.forkChild(table.open(file), { startImmediately: true })
        yield* Fiber.interrupt(question)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(question)))
      })
    )
  })

  it.live(
    "finds its way through 50,000 files in a few seconds",
    () =>
      Effect.gen(function* () {
        const [root, state] = [yield* largeDirectory, yield* directory]
        for (let i = 0; i < 50; i++) {
          mkdirSync(join(root, String(i)))
          for (let j = 0; j < 1000; j++) writeFileSync(join(root, String(i), String(j)), "")
        }
        const last = keyOf(join(root, "49/999"))
        const key = keyOf(join(root, "25/500"))
        const { finds, listed, table } = yield* make(root, { stateFile: join(state, "hints") })
        const started = performance.now()
        yield* fails(finds(Buffer.from("nothing")), "ESTALE")
        assert.isBelow(performance.now() - started, 60_000)
        const before = listed()
        // All that it passed is known from now on.
        for (const known of [key, last]) {
          assert.isTrue(yield* finds(known))
          assert.isDefined(table.hint(known))
        }
        assert.strictEqual(listed(), before)
      }),
    120_000
  )
})
