/**
 * Who may be at something: many at once, or one alone, in the order in which they come. (Effect's `Semaphore` would let a
 * stream of small takers pass somebody who wants it alone for ever.)
 */

import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

interface Waiter {
  readonly alone: boolean
  /** Goes in beside others who are there even while somebody waits to be alone. */
  readonly passing: boolean
  readonly onTurn: () => void
}

export class Turn {
  /** How many are at it; -1 for one who is alone. */
  private present = 0
  private readonly waiting: Array<Waiter> = []

  /** Whether others may share it now: who is done at once, in one step, need not enter. */
  get isOpen(): boolean {
    return this.present >= 0 && this.waiting.length === 0
  }

  /** Whether it can be entered now; else the waiter is called when it has been entered for it. */
  enter(waiter: Waiter): boolean {
    if ((this.waiting.length === 0 || waiter.passing) && this.admits(waiter)) {
      this.admit(waiter)
      return true
    }
    this.waiting.push(waiter)
    return false
  }

  leave(): void {
    this.present = this.present < 0 ? 0 : this.present - 1
    this.next()
  }

  /** Who waits no more, or whose turn has just come. */
  abandon(waiter: Waiter): void {
    const place = this.waiting.indexOf(waiter)
    if (place < 0) return this.leave()
    this.waiting.splice(place, 1)
    this.next()
  }

  private next(): void {
    for (let first = this.waiting[0]; first !== undefined && this.admits(first); first = this.waiting[0]) {
      this.waiting.shift()
      this.admit(first)
      first.onTurn()
    }
  }

  private admits({ alone }: Waiter): boolean {
    return alone ? this.present === 0 : this.present >= 0
  }

  private admit({ alone }: Waiter): void {
    this.present = alone ? -1 : this.present + 1
  }
}

/** Runs `effect` among others who share the turn. */
export const shared = <A, E, R>(turn: Turn, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  within(turn, false, false, effect)

/**
 * The same for who shares another turn already: had they to wait here behind somebody who waits to be alone, each of two
 * could wait for the other for ever.
 */
export const alsoShared = <A, E, R>(turn: Turn, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  within(turn, false, true, effect)

/** Runs `effect` while nobody else is there. */
export const alone = <A, E, R>(turn: Turn, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  within(turn, true, false, effect)

const within = <A, E, R>(
  turn: Turn,
  alone: boolean,
  passing: boolean,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) => {
    const inside = Effect.ensuring(
      restore(effect),
      Effect.sync(() => turn.leave())
    )
    // The turn may come before the wait for it begins: fibers yield between any two steps.
    const come = Deferred.makeUnsafe<void>()
    const waiter: Waiter = { alone, passing, onTurn: () => Deferred.doneUnsafe(come, Exit.void) }
    if (turn.enter(waiter)) return inside
    const wait = Effect.onInterrupt(restore(Deferred.await(come)), () => Effect.sync(() => turn.abandon(waiter)))
    return Effect.andThen(wait, inside)
  })
