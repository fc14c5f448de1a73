import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { errors, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import * as Listings from "../../../src/filesystem/local/Listings.ts"
import type { Snapshot } from "../../../src/filesystem/local/Snapshot.ts"
import { CLOCK_LAG } from "../../../src/filesystem/local/Stat.ts"
import { property } from "../../support/runs.ts"

/** Names that make a directory a large one. */
const LARGE = 400

const nameOf = (i: number): string => `${i}${"x".repeat(180)}`

/** A directory of a disk that is changed by this server and by others. */
class Directory {
  readonly names: Map<string, bigint>
  /** Its last change. */
  version = 0n
  /** How often it was read. */
  reads = 0
  /** How long that takes, in milliseconds, after the names have been read. */
  takes = 0
  /** Whether reading it fails. */
  failure: FilesystemError | undefined = undefined
  private number = 0n
  private readonly listings: Listings.Listings
  private readonly key: string

  constructor(listings: Listings.Listings, key: string, count: number) {
    this.listings = listings
    this.key = key
    this.names = new Map(Array.from({ length: count }, (_, i) => [nameOf(i), ++this.number]))
  }

  readonly load: Listings.Load = (add) =>
    Effect.suspend(() => {
      this.reads++
      const names = [...this.names]
      return Effect.andThen(
        this.takes > 0 ? Effect.sleep(this.takes) : Effect.void,
        Effect.suspend(() => {
          if (this.failure !== undefined) return Effect.fail(this.failure)
          for (const [name, fileid] of names) {
            const bytes = Buffer.from(name)
            add(bytes, 0, bytes.length, fileid)
          }
          return Effect.void
        })
      )
    })

  list(continues?: boolean): Effect.Effect<Snapshot, FilesystemError> {
    return Effect.suspend(() => this.listings.listing(this.key, this.version, this.load, continues))
  }

  /** Somebody else makes or removes a file. */
  foreign(name: string, present = true, version = this.version + 1_000_000_000n): void {
    if (present) this.names.set(name, ++this.number)
    else this.names.delete(name)
    this.version = version
  }

  /** This server does. */
  own(name: string, present = true, version = this.version + 1_000_000_000n): void {
    const before = this.version
    this.foreign(name, present, version)
    this.listings.changed(this.key, before, version, [{ name, fileid: this.names.get(name) }])
  }
}

const shown = (snapshot: Snapshot) =>
  new Map([...snapshot.after(0n)].map(({ fileid, name }) => [name, fileid] as const))

const assertShows = (snapshot: Snapshot, directory: Directory): void => {
  const names = shown(snapshot)
  assert.strictEqual(names.size, directory.names.size)
  for (const [name, fileid] of directory.names) if (names.get(name) !== fileid) assert.fail(name)
}

/** Whether an effect that may wait has come to its end. */
const ended = <A, E>(fiber: Fiber.Fiber<A, E>): boolean => fiber.pollUnsafe() !== undefined

const begin = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** Listings, long after the directories were made. */
const setup = (options?: Listings.Options) => Effect.andThen(TestClock.adjust("1 day"), Listings.make(options))

describe("Listings", () => {
  it.effect("read a directory once for all who list it", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", 100)
      directory.takes = 50
      const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () => begin(directory.list()))
      assert.isFalse(fibers.some(ended))
      yield* TestClock.adjust(50)
      const snapshots = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      snapshots.push(yield* directory.list(), yield* directory.list(true))
      assert.strictEqual(new Set(snapshots).size, 1)
      assert.strictEqual(directory.reads, 1)
      assertShows(snapshots[0]!, directory)
    })
  )

  it.effect("read a small directory again whenever somebody else has changed it", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", 10)
      for (let i = 0; i < 5; i++) {
        directory.foreign(`new ${i}`)
        assertShows(yield* directory.list(i % 2 === 1), directory)
      }
      assert.strictEqual(directory.reads, 5)
    })
  )

  it.effect("read a large directory once a second, however often somebody else changes it", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      const first = yield* directory.list()
      // A listing that has begun goes on; it is shown the old names for less than a second.
      for (let millisecond = 0; millisecond < 5000; millisecond += 100) {
        directory.foreign(`new ${millisecond}`)
        const snapshot = yield* directory.list(true)
        if (millisecond < 1000) assert.strictEqual(snapshot, first)
        if (millisecond === 1000) assertShows(snapshot, directory)
        yield* TestClock.adjust(100)
      }
      assert.strictEqual(directory.reads, 5)
    })
  )

  it.effect("let who begins to list wait for what somebody else has changed", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      const first = yield* directory.list()
      yield* TestClock.adjust(300)
      directory.foreign("new")
      const fibers = [yield* begin(directory.list()), yield* begin(directory.list())]
      yield* TestClock.adjust(690)
      assert.isFalse(fibers.some(ended))
      assert.strictEqual(yield* directory.list(true), first)
      directory.foreign("newer")
      fibers.push(yield* begin(directory.list()))
      yield* TestClock.adjust(20)
      for (const fiber of fibers) assertShows(yield* Fiber.join(fiber), directory)
      assert.strictEqual(directory.reads, 2)
    })
  )

  it.effect("leave a slow directory alone for as long as it took to read", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      directory.takes = 3000
      const first = yield* begin(directory.list())
      yield* TestClock.adjust(3000)
      const snapshot = yield* Fiber.join(first)
      directory.foreign("new")
      yield* TestClock.adjust(2990)
      assert.strictEqual(yield* directory.list(true), snapshot)
      yield* TestClock.adjust(20)
      const second = yield* begin(directory.list(true))
      yield* TestClock.adjust(3000)
      assertShows(yield* Fiber.join(second), directory)
      assert.strictEqual(directory.reads, 2)
    })
  )

  it.effect("let nobody who comes after a change wait for a reading that began before it", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", 10)
      directory.takes = 100
      const before = yield* begin(directory.list())
      yield* TestClock.adjust(50)
      directory.foreign("new")
      const after = yield* begin(directory.list())
      yield* TestClock.adjust(50)
      assert.isFalse(shown(yield* Fiber.join(before)).has("new"))
      assert.isFalse(ended(after))
      yield* TestClock.adjust(100)
      assertShows(yield* Fiber.join(after), directory)
      assert.strictEqual(directory.reads, 2)
    })
  )

  it.effect("take over what this server changes, without reading again", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      yield* directory.list()
      for (let i = 0; i < 100; i++) {
        directory.own(`new ${i}`)
        directory.own(nameOf(i), false)
        directory.own(nameOf(i + 200))
        const snapshot = yield* directory.list()
        assert.strictEqual(snapshot.version, directory.version)
      }
      assertShows(yield* directory.list(), directory)
      assert.strictEqual(directory.reads, 1)
    })
  )

  it.effect("take over what this server changes while a directory is read", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      directory.takes = 100
      for (const reads of [1, 2]) {
        const fiber = yield* begin(directory.list())
        yield* TestClock.adjust(50)
        for (let i = 0; i < 1200; i++) directory.own(`new ${i}`)
        for (let i = 0; i < 1000; i++) directory.own(`new ${i}`, false)
        directory.own(nameOf(1), false)
        directory.own(nameOf(2), false)
        directory.own(nameOf(2))
        yield* TestClock.adjust(50)
        // Many changes are taken over in slices.
        while (!ended(fiber)) {
          directory.own(`new ${directory.reads}`)
          directory.own("new 1100", false)
          yield* Effect.yieldNow
        }
        const snapshot = yield* Fiber.join(fiber)
        assertShows(snapshot, directory)
        assert.strictEqual(snapshot.version, directory.version)
        assert.strictEqual(yield* directory.list(), snapshot)
        assert.strictEqual(directory.reads, reads)
        yield* TestClock.adjust("1 minute")
        directory.foreign("from elsewhere")
      }
    })
  )

  it.effect("notice what somebody else has changed between two changes of this server", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", 10)
      yield* directory.list()
      directory.own("one")
      directory.foreign("between")
      directory.own("two")
      assertShows(yield* directory.list(), directory)
      assert.strictEqual(directory.reads, 2)
      // During a reading, too.
      directory.takes = 100
      directory.foreign("more")
      const fiber = yield* begin(directory.list())
      yield* TestClock.adjust(50)
      directory.foreign("between again")
      directory.own("three")
      yield* TestClock.adjust(50)
      assert.isTrue(shown(yield* Fiber.join(fiber)).has("three"))
      directory.takes = 0
      assertShows(yield* directory.list(), directory)
      assert.strictEqual(directory.reads, 4)
    })
  )

  it.effect("read a directory again that was read in the tick of its last change", () =>
    Effect.gen(function* () {
      for (const [count, pause] of [
        [10, CLOCK_LAG],
        [LARGE, 1001]
      ] as const) {
        // prettier-ignore
        const directory = new Directory(yield* setup(), "a", count)
        directory.version = (yield* Clock.currentTimeNanos) - 5_000_000n
        yield* directory.list()
        // Nobody can tell from its version.
        directory.foreign("new", true, directory.version)
        if (count === LARGE) assert.isFalse(shown(yield* directory.list()).has("new"))
        yield* TestClock.adjust(pause)
        assertShows(yield* directory.list(), directory)
        assert.strictEqual(directory.reads, 2)
        yield* TestClock.adjust("1 minute")
        yield* directory.list()
        assert.strictEqual(directory.reads, 2)
      }
    })
  )

  it.effect("do not take this server's own changes for somebody else's, however young", () =>
    Effect.gen(function* () {
      const directory = new Directory(yield* setup(), "a", LARGE)
      // The first reading cannot know that.
      for (let i = 0; i < 5000; i++) {
        directory.own(`new ${i}`, true, (yield* Clock.currentTimeNanos) - 1n)
        yield* directory.list()
        yield* TestClock.adjust(1)
      }
      assert.strictEqual(directory.reads, 2)
    })
  )

  it.effect("give the error of a reading to all who wait for it, and keep nothing", () =>
    Effect.gen(function* () {
      const listings = yield* setup()
      const directory = new Directory(listings, "a", 10)
      directory.takes = 10
      for (const reads of [1, 3]) {
        directory.failure = errors.EIO
        const fibers = [yield* begin(directory.list()), yield* begin(directory.list()), yield* begin(directory.list())]
        yield* TestClock.adjust(10)
        for (const fiber of fibers) assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), errors.EIO)
        assert.strictEqual(directory.reads, reads)
        assert.strictEqual(listings.bytes, 0)
        directory.failure = undefined
        const fiber = yield* begin(directory.list())
        yield* TestClock.adjust(10)
        assertShows(yield* Fiber.join(fiber), directory)
        directory.foreign("new")
      }
    })
  )

  it.effect("read two directories at once, and none that nobody waits for any more", () =>
    Effect.gen(function* () {
      const listings = yield* setup()
      const directories = Array.from({ length: 5 }, (_, i) => new Directory(listings, `${i}`, 10))
      const fibers = yield* Effect.forEach(directories, (directory) => {
        directory.takes = 100
        return begin(directory.list())
      })
      const reads = () => directories.map((directory) => directory.reads)
      assert.deepStrictEqual(reads(), [1, 1, 0, 0, 0])
      // Who leaves does not end what has begun, and what has not is not begun, unless somebody else waits for it.
      for (const gone of [0, 2, 3]) yield* Fiber.interrupt(fibers[gone]!)
      const other = yield* begin(directories[3]!.list())
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(reads(), [1, 1, 0, 1, 1])
      yield* TestClock.adjust(100)
      assertShows(yield* Fiber.join(other), directories[3]!)
      yield* directories[0]!.list()
      assert.deepStrictEqual(reads(), [1, 1, 0, 1, 1])
      const again = yield* begin(directories[2]!.list())
      yield* TestClock.adjust(100)
      assertShows(yield* Fiber.join(again), directories[2]!)
    })
  )

  it.effect("keep what they have when all leave who waited for it to be read again", () =>
    Effect.gen(function* () {
      const listings = yield* setup()
      const directory = new Directory(listings, "a", LARGE)
      const snapshot = yield* directory.list()
      const { version } = directory
      directory.foreign("new")
      yield* Fiber.interrupt(yield* begin(directory.list()))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(directory.reads, 1)
      directory.version = version
      assert.strictEqual(yield* directory.list(), snapshot)
      directory.foreign("newer")
      assertShows(yield* directory.list(), directory)
    })
  )

  it.effect("end their readings with their scope", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const listings = yield* Listings.make()
          const directory = new Directory(listings, "a", LARGE)
          yield* directory.list()
          directory.foreign("new")
          // One that rests, two that are read, and one that waits for its turn.
          return yield* Effect.forEach(
            [directory.list(), ...["b", "c", "d"].map((key) => listings.listing(key, 0n, () => latch.await))],
            (listing) => Effect.forkDetach(listing, { startImmediately: true })
          )
        })
      )
      for (const fiber of waiting) assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  describe("memory", () => {
    const LISTED = 200_000

    it.effect("is bounded: the least recently used are forgotten", () =>
      Effect.gen(function* () {
        const listings = yield* setup({ budget: LISTED })
        const directories = Array.from({ length: 20 }, (_, i) => new Directory(listings, `${i}`, 150))
        const list = (i: number) =>
          Effect.gen(function* () {
            // A listing leaves it without spare room.
            shown(yield* directories[i]!.list())
            yield* directories[i]!.list()
            yield* TestClock.adjust(1001)
          })
        for (let i = 0; i < directories.length; i++) {
          yield* list(i)
          yield* list(0)
          assert.isBelow(listings.bytes, LISTED + 60_000)
        }
        const reads = directories.map((directory) => directory.reads)
        yield* list(0)
        yield* list(19)
        yield* list(1)
        assert.deepStrictEqual(
          directories.map((directory, i) => directory.reads - reads[i]!),
          [0, 1, ...Array.from({ length: 18 }, () => 0)]
        )
        assert.isAbove(listings.bytes, LISTED / 2)
      })
    )

    it.effect("may be more for those that are in use", () =>
      Effect.gen(function* () {
        const listings = yield* setup({ budget: LISTED })
        // Several that are too large for the budget, listed in turns, and small ones beside them.
        const directories = [550, 550, 550, 10, 10].map((count, i) => new Directory(listings, `${i}`, count))
        for (let i = 0; i < 100; i++) {
          for (const directory of directories) yield* directory.list(true)
          yield* TestClock.adjust(100)
        }
        assert.deepStrictEqual(
          directories.map((directory) => directory.reads),
          [1, 1, 1, 1, 1]
        )
        assert.isBelow(listings.bytes, 4 * LISTED)
        yield* TestClock.adjust(2000)
        yield* directories[4]!.list()
        assert.isBelow(listings.bytes, LISTED)
        // Too many of them.
        const many = Array.from({ length: 20 }, (_, i) => new Directory(listings, `more ${i}`, 550))
        for (const directory of many) {
          yield* directory.list()
          assert.isBelow(listings.bytes, 4 * LISTED)
        }
      })
    )

    it.effect("is counted when directories grow", () =>
      Effect.gen(function* () {
        const listings = yield* setup({ budget: LISTED })
        const [one, other] = [new Directory(listings, "one", 10), new Directory(listings, "other", 10)]
        yield* one.list()
        yield* TestClock.adjust(2000)
        yield* other.list()
        for (let i = 0; i < 10_000; i++) other.own(`new ${i}`)
        assert.isAbove(listings.bytes, 10_000 * 20)
        yield* one.list()
        assert.strictEqual(one.reads, 2)
        assertShows(yield* other.list(), other)
      })
    )
  })

  const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Step = Schema.Struct({
    what: Schema.Literals(["own", "own", "foreign", "wait", "list", "list", "list"]),
    name: natural(99),
    present: Schema.Boolean,
    count: natural(60)
  })

  it.effect.prop(
    "list once who stays, and show what is there when a listing begins",
    [Arbitrary.array(Arbitrary.schema(Step), { minLength: 10 }), Arbitrary.schema(Schema.Boolean)],
    ([steps, large]) =>
      Effect.gen(function* () {
        const directory = new Directory(yield* setup(), "a", large ? LARGE : 50)
        let cookie = 0n
        let names: Array<string> = []
        let stayed = new Set<string>()
        for (const { count, name, present, what } of steps) {
          // Each change gets a time of its own, as Linux gives them from 6.13 on.
          const version = (yield* Clock.currentTimeNanos) + BigInt(names.length)
          const later = version > directory.version ? version : directory.version + 1n
          if (what === "own" || what === "foreign") {
            if (!present) stayed.delete(nameOf(name))
            directory[what](nameOf(name), present, later)
          } else if (what === "wait") {
            yield* TestClock.adjust(count * 30)
          } else {
            const beginning = cookie === 0n
            const fiber = yield* begin(directory.list(!beginning))
            // Who waits need not for long.
            if (!ended(fiber)) yield* TestClock.adjust(1001)
            const snapshot = yield* Fiber.join(fiber)
            if (beginning) {
              assertShows(snapshot, directory)
              stayed = new Set(directory.names.keys())
            }
            const portion = names.length + (large ? count * 8 : count)
            let eof = true
            for (const entry of snapshot.after(cookie)) {
              if (names.length >= portion) {
                eof = false
                break
              }
              names.push(entry.name)
              cookie = entry.cookie
            }
            if (!eof) continue
            const counts = new Map<string, number>()
            for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
            for (const name of stayed) assert.strictEqual(counts.get(name), 1, name)
            cookie = 0n
            names = []
          }
        }
      }),
    property(60, 60)
  )
})
