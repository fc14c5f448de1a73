/**
 * What is answered from memory is never older than its life, never from before a change of ours that was answered, and what a
 * name leads to is what it led to when its directory had the attributes that it is answered with: whoever changes, reads and
 * is interrupted meanwhile, at whatever moment.
 */

import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as CachedFilesystem from "../../../src/filesystem/cached/CachedFilesystem.ts"
import type { Attributes, File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { allow, give } from "../../../src/testing/filesystem/Fixture.ts"
import { type Fails, History, later } from "./History.ts"

const LIFE = 100

/** Later than any run takes. */
const NEVER = 1_000_000

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Step = Schema.Struct({
  what: Schema.Literals([
    "stat",
    "stat",
    "lookup",
    "lookup",
    "lookup",
    "list",
    "parent",
    "write",
    "chmod",
    "create",
    "mkdir",
    "remove",
    "rename",
    "link"
  ]),
  /** Whether somebody else does it, to the filesystem below. */
  behind: Schema.Literals([false, false, false, true]),
  /** Milliseconds since the step before. */
  after: Schema.Literals([0, 0, 1, 2, 10, 20, 60, 120]),
  /** Milliseconds after which it is interrupted. */
  interrupted: Schema.Literals([NEVER, NEVER, NEVER, 0, 3, 30]),
  file: natural(4),
  other: natural(4),
  name: Schema.Literals(["a", "b"]),
  newName: Schema.Literals(["a", "b"])
})
type Step = typeof Step.Type

const list = { cookie: 0n, fits: () => true, attributes: true }

class Run {
  private readonly history: History
  private readonly cached: Operations
  /** Keys and numbers of all files that there ever were. */
  private readonly known: Array<{ readonly key: Uint8Array; readonly fileid: bigint }> = []

  constructor(history: History, cached: Operations) {
    this.history = history
    this.cached = cached
    this.known.push({ key: cached.root.key, fileid: 1n })
  }

  step(step: Step): Effect.Effect<void> {
    if (!step.behind) return Effect.ignore(Effect.suspend(() => this.run(this.cached, step)))
    return Effect.suspend(() => this.run(this.history.truth, step)).pipe(
      Effect.ignore,
      Effect.tap(Effect.sync(() => this.history.record(false)))
    )
  }

  /** Some directories and files to begin with. */
  readonly prepare = Effect.gen({ self: this }, function* () {
    const { truth } = this.history
    for (const name of ["a", "b"]) {
      const made = yield* truth.mkdir(truth.root, name, give({}))
      this.note(made)
      this.note(yield* truth.create(made.file, "a", { _tag: "Guarded" }, give({})))
    }
    this.history.record(false)
  })

  private file(fs: Operations, number: number): Fails<File> {
    return fs.resolve(this.known[number % this.known.length]!.key)
  }

  private note({ attributes, file }: { readonly file: File; readonly attributes: Attributes }): void {
    if (!this.known.some(({ fileid }) => fileid === attributes.fileid)) {
      this.known.push({ key: file.key, fileid: attributes.fileid })
    }
  }

  private run(fs: Operations, step: Step): Fails<void> {
    const { history } = this
    const { name, newName } = step
    const began = history.begin()
    const check = ({ change, fileid }: Attributes): void => {
      if (fs === this.cached) history.assertTrue(fileid, change, began, LIFE)
    }
    return Effect.gen({ self: this }, function* () {
      if (step.what === "stat") return yield* this.stat(fs, step, check)
      const file = yield* this.file(fs, step.file)
      switch (step.what) {
        case "lookup": {
          let seen: Attributes | undefined
          const found = yield* Effect.match(
            fs.lookup(file, name, (before) => {
              seen = before
              return undefined
            }),
            { onFailure: (error) => error, onSuccess: (found) => found }
          )
          if (seen === undefined) return
          if ("_tag" in found) {
            if (found.code === "ENOENT") assert.isUndefined(history.nameAt(seen, name), `${name} was not absent then`)
          } else {
            assert.deepStrictEqual(found.directory, seen)
            assert.strictEqual(history.nameAt(seen, name), found.attributes.fileid)
            check(found.attributes)
            this.note(found)
          }
          return check(seen)
        }
        case "parent": {
          const found = yield* fs.parent(file, allow)
          check(found.attributes)
          return check(found.directory)
        }
        case "list": {
          for (const { found } of (yield* fs.readdir(file, list, allow)).entries)
            if (found !== undefined) check(found.attributes)
          return
        }
        case "write":
          return void (yield* fs.write(file, 0, [Buffer.from(name)], "unstable", allow))
        case "chmod":
          return void (yield* fs.setattr(file, give({ mode: name.charCodeAt(0) })))
        case "create":
          return this.note(yield* fs.create(file, name, { _tag: "Guarded" }, give({})))
        case "mkdir":
          return this.note(yield* fs.mkdir(file, name, give({})))
        case "remove":
          return void (yield* fs.remove(file, name, allow).pipe(Effect.catch(() => fs.rmdir(file, name, allow))))
        case "rename":
          return void (yield* fs.rename(file, name, yield* this.file(fs, step.other), newName, allow))
        case "link":
          return void (yield* fs.link(file, yield* this.file(fs, step.other), name, allow))
      }
    })
  }

  /** A file by its key: it is there, or it is gone. */
  private stat(fs: Operations, step: Step, check: (attributes: Attributes) => void): Fails<void> {
    const { fileid } = this.known[step.file % this.known.length]!
    return Effect.match(
      Effect.flatMap(this.file(fs, step.file), (file) => fs.getattr(file)),
      {
        onSuccess: check,
        onFailure: ({ code }) => {
          assert.strictEqual(code, "ESTALE")
          assert.isTrue(this.history.isGone(fileid), "what is there is not stale")
        }
      }
    )
  }
}

/** Runs the steps beside each other, each begun at its time. */
const run = Effect.fnUntraced(function* (
  steps: ReadonlyArray<Step>,
  delays: ReadonlyArray<number>,
  options: CachedFilesystem.Options
) {
  // What memory has made is not of this very moment.
  yield* TestClock.setTime(yield* later)
  const history = yield* History.make(delays)
  const cached = yield* CachedFilesystem.make(history.slow, { life: LIFE, ...options })
  const runs = new Run(history, cached)
  yield* runs.prepare
  let at = 0
  const fibers: Array<Fiber.Fiber<void>> = []
  for (const step of steps) {
    at += step.after
    const begun = Effect.delay(runs.step(step), at)
    fibers.push(yield* Effect.forkChild(begun))
    const fiber = fibers.at(-1)!
    if (step.interrupted < NEVER) {
      yield* Effect.forkChild(Effect.delay(Fiber.interrupt(fiber), at + step.interrupted))
    }
  }
  yield* TestClock.adjust(at + 10_000)
  for (const fiber of fibers) {
    const exit = yield* Fiber.await(fiber)
    if (exit._tag === "Failure" && exit.cause.reasons.some(({ _tag }) => _tag === "Die")) return yield* exit
  }
})

const steps = Arbitrary.array(Arbitrary.schema(Step), { minLength: 100 })
const delays = Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 0, 1, 7, 40, 80])), { minLength: 5 })

describe("what is remembered", () => {
  it.effect.prop("is true", [steps, delays], ([steps, delays]) => Effect.scoped(run(steps, delays, {})), {
    arbitrary: { runs: 150, size: 150 }
  })

  it.effect.prop(
    "is true when there is next to no room",
    [steps, delays],
    ([steps, delays]) => Effect.scoped(run(steps, delays, { capacity: 2 })),
    { arbitrary: { runs: 150, size: 150 } }
  )
})
