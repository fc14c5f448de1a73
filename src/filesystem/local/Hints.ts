/**
 * Where files were last: a hint says in which directory and under which name. The latest are in memory, the others in a
 * {@link HintStore}, to which they are written in the background.
 */

import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { type Hint, HintStore } from "./HintStore.ts"

/** Hints that wait to be written; more are kept only in memory. */
const MAX_PENDING = 16_384

/** Milliseconds that writing may stop everything else, and the least that it then pauses, so as to take a fifth of the time. */
const SLICE = 5
const PAUSE = 20

const DAY = 86_400_000

/** A row that was not confirmed for so long is removed. */
const MAX_AGE = 30 * DAY

export interface Options {
  readonly root: Uint8Array
  /** A file of SQLite; without one, hints are only in memory. */
  readonly stateFile: string | undefined
  /** Hints that are kept in memory; default 65,536. */
  readonly capacity?: number | undefined
}

export class Hints {
  private readonly capacity: number
  private readonly store: HintStore | undefined
  /** The one that was used last is the last. */
  private readonly memory = new Map<string, Hint>()
  /** What is to be written, `undefined` for what is to be removed. */
  private readonly pending = new Map<string, Hint | undefined>()
  private readonly work = Latch.makeUnsafe(false)
  /** When the last sweep began, and since when a file that is still there must have been seen. */
  private sweptAt = 0
  private gone = 0

  static readonly make = (options: Options): Effect.Effect<Hints, never, Scope.Scope> =>
    Effect.gen(function* () {
      const hints = yield* Effect.acquireRelease(
        Effect.sync(() => new Hints(options)),
        (hints) => hints.close
      )
      yield* Effect.forkScoped(hints.writeAll)
      return hints
    })

  private constructor({ capacity = 65_536, root, stateFile }: Options) {
    this.capacity = capacity
    this.store = stateFile === undefined ? undefined : new HintStore(stateFile, root)
    this.work.openUnsafe()
  }

  /** The time that hints made now carry. */
  now(): number {
    return Date.now()
  }

  get(key: string): Hint | undefined {
    const known = this.memory.get(key)
    if (known !== undefined) {
      this.remember(key, known)
      return known
    }
    if (this.pending.has(key)) return this.pending.get(key)
    if (this.store === undefined) return undefined
    const hint = this.store.get(key)
    if (hint !== undefined) this.remember(key, hint)
    if (this.store.troubles.length > 0) this.work.openUnsafe()
    return hint
  }

  /** Notes where a file is. It is written again only when that was seen before `since` the last time. */
  put(key: string, parent: string, name: string, since?: number): void {
    const now = this.now()
    const known = this.memory.get(key)
    if (known !== undefined && known.parent === parent && known.name === name && known.seen >= (since ?? now - DAY)) {
      this.remember(key, known)
    } else {
      const hint = { parent, name, seen: now }
      this.remember(key, hint)
      this.write(key, hint)
    }
  }

  /**
   * Notes what a search passes by. Files that nobody has asked for do not displace others from memory; without a store
   * only directories are worth their place.
   */
  pass(key: string, parent: string, name: string, directory: boolean, since: number): void {
    if (this.memory.has(key) || (directory && !this.store?.isOpen)) this.put(key, parent, name, since)
    else this.write(key, { parent, name, seen: this.now() })
  }

  remove(key: string): void {
    this.memory.delete(key)
    this.write(key, undefined)
  }

  /** Removes all that was not seen since then (milliseconds since 1970): it is gone. */
  prune(since: number): void {
    this.gone = since
    this.startSweep()
  }

  /** Waits until there is room for more to be written, but not for ever: another process may hold that up. */
  readonly room: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (let i = 0; i < 50 && this.pending.size > MAX_PENDING / 2; i++) yield* Effect.sleep(PAUSE)
  })

  private remember(key: string, hint: Hint): void {
    this.memory.delete(key)
    this.memory.set(key, hint)
    if (this.memory.size > this.capacity) this.memory.delete(this.memory.keys().next().value!)
  }

  private write(key: string, hint: Hint | undefined): void {
    if (!this.store?.isOpen || (this.pending.size >= MAX_PENDING && !this.pending.has(key))) return
    this.pending.set(key, hint)
    if (this.pending.size === 1) this.work.openUnsafe()
  }

  private startSweep(): void {
    this.sweptAt = this.now()
    this.store?.startSweep()
    this.work.openUnsafe()
  }

  private readonly writeAll = Effect.gen({ self: this }, function* () {
    const { pending, store } = this
    if (store === undefined) return
    let pause = PAUSE
    while (true) {
      yield* this.work.await
      // Whoever opened the latch does not wait for what follows.
      yield* Effect.sleep(pause)
      const started = performance.now()
      if (this.isSweepDue()) this.startSweep()
      if (pending.size > 0) store.write(pending, SLICE)
      else store.sweep(this.sweptAt - MAX_AGE, this.gone)
      pause = Math.max(PAUSE, performance.now() - started)
      yield* this.report(store)
      if (pending.size === 0 && !store.isSweeping) this.work.closeUnsafe()
    }
  })

  private isSweepDue(): boolean {
    return this.now() - this.sweptAt > DAY
  }

  private report({ troubles }: HintStore): Effect.Effect<void> {
    return Effect.forEach(troubles.splice(0), (trouble) => Effect.logWarning(trouble), { discard: true })
  }

  private readonly close = Effect.gen({ self: this }, function* () {
    if (this.store === undefined) return
    if (this.pending.size > 0) this.store.write(this.pending, Infinity)
    this.store.close()
    yield* this.report(this.store)
  })
}
