/** A filesystem in memory that takes its time, and all states that it was ever in: what an answer from memory must agree with. */

import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { Attributes, File, Operations } from "../../../src/filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { allow } from "../../../src/testing/filesystem/Fixture.ts"

export type Fails<A> = Effect.Effect<A, FilesystemError>

/** An hour from now, in milliseconds: what is in memory by then has not changed only just. */
export const later = TestClock.withLive(Effect.map(Clock.currentTimeMillis, (now) => now + 3_600_000))

/** What a file was like from a moment on. */
interface State {
  /** `undefined`: gone. */
  readonly change: bigint | undefined
  /** Of a directory: the fileids that its names led to. */
  readonly names: ReadonlyMap<string, bigint> | undefined
  readonly from: number
  /** Who made it so. */
  readonly by: Change
}

/** A change, and whether its maker was told that it is done: from then on it shows in all that we answer. */
interface Change {
  readonly order: number
  answered: number
}

const list = { cookie: 0n, fits: () => true, attributes: true }

const reads = ["resolve", "getattr", "lookup", "parent", "readdir"] as const
const changes = ["setattr", "write", "create", "mkdir", "remove", "rmdir", "rename", "link"] as const

type Operation = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, FilesystemError>
type AnyGuard = (...before: ReadonlyArray<unknown>) => unknown

export class History {
  /** The filesystem itself: who changes something here does so behind our back, and is to {@link record} it. */
  readonly truth: Operations
  /** Each operation takes effect some time after it began, and answers some time later. */
  readonly slow: Operations
  private readonly clock: Clock.Clock
  private readonly states = new Map<bigint, Array<State>>()
  private order = 0

  private constructor(truth: Operations, clock: Clock.Clock, delays: ReadonlyArray<number>) {
    this.truth = truth
    this.clock = clock
    let next = 0
    const pause = Effect.suspend(() => Effect.sleep(delays[next++ % delays.length] ?? 0))
    const slow = (operation: Effect.Effect<unknown, FilesystemError>) =>
      Effect.gen({ self: this }, function* () {
        yield* pause
        const exit = yield* Effect.exit(operation)
        const change = this.record(true)
        yield* pause
        change.answered = ++this.order
        return yield* exit
      })
    const read = (name: (typeof reads)[number]) => {
      const operation = truth[name] as Operation
      return [name, (...args: ReadonlyArray<unknown>) => slow(operation(...args))]
    }
    // Between the guard and the change that it allows, only who changes something has to wait, not who reads.
    const change = (name: (typeof changes)[number]) => {
      const operation = truth[name] as Operation
      return [
        name,
        (...args: ReadonlyArray<unknown>) => {
          const guard = args.at(-1) as AnyGuard
          const asking: AnyGuard = (...before) => {
            guard(...before)
            return errors.EAGAIN
          }
          const asked = Effect.ignore(operation(...args.slice(0, -1), asking))
          return Effect.andThen(asked, slow(operation(...args)))
        }
      ]
    }
    this.slow = forward(truth, Object.fromEntries([...reads.map(read), ...changes.map(change)]))
  }

  static readonly make = Effect.fnUntraced(function* (delays: ReadonlyArray<number>) {
    const history = new History(yield* MemoryFilesystem.make(), yield* Clock.Clock, delays)
    history.record(true).answered = 0
    return history
  })

  /** Looks at how everything is now. */
  record(ours: boolean): Change {
    const by: Change = { order: ++this.order, answered: Infinity }
    const seen = new Set<bigint>()
    const visit = (file: File, { change, fileid, type }: Attributes): void => {
      if (seen.has(fileid)) return
      seen.add(fileid)
      let names: Map<string, bigint> | undefined
      if (type === "directory") {
        names = new Map()
        for (const entry of Effect.runSync(Effect.orDie(this.truth.readdir(file, list, allow))).entries) {
          names.set(entry.name, entry.fileid)
          visit(entry.found!.file, entry.found!.attributes)
        }
      }
      this.add(fileid, { change, names, from: this.now(), by })
    }
    visit(this.truth.root, Effect.runSync(Effect.orDie(this.truth.getattr(this.truth.root))))
    for (const fileid of this.states.keys()) {
      if (!seen.has(fileid)) this.add(fileid, { change: undefined, names: undefined, from: this.now(), by })
    }
    // What others do is not promised to show at once.
    return ours ? by : { order: by.order, answered: Infinity }
  }

  /** When somebody begins to ask. */
  begin(): { readonly at: number; readonly order: number } {
    return { at: this.now(), order: ++this.order }
  }

  /** Asserts that a file was (`undefined`: was gone) as it is said to be, at a time that may still be told. */
  assertTrue(
    fileid: bigint,
    change: bigint | undefined,
    began: { readonly at: number; readonly order: number },
    life: number
  ): void {
    const states = this.states.get(fileid) ?? []
    const index = states.findIndex((state) => state.change === change)
    assert.isAtLeast(index, 0, `file ${fileid} never was at ${change}`)
    const later = states.slice(index + 1)
    const next = later[0]
    if (next !== undefined) assert.isAbove(next.from, began.at - life, `file ${fileid} at ${change} is too old`)
    assert.isUndefined(
      later.find(({ by }) => by.answered < began.order),
      `file ${fileid} at ${change} is from before a change of ours`
    )
  }

  /** What a name led to in a directory when that had these attributes. */
  nameAt({ change, fileid }: Attributes, name: string): bigint | undefined {
    return this.states
      .get(fileid)!
      .find((state) => state.change === change)!
      .names!.get(name)
  }

  isGone(fileid: bigint): boolean {
    return this.states.get(fileid)!.at(-1)!.change === undefined
  }

  private add(fileid: bigint, state: State): void {
    const states = this.states.get(fileid)
    if (states === undefined) this.states.set(fileid, [state])
    else if (states.at(-1)!.change !== state.change) states.push(state)
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }
}
