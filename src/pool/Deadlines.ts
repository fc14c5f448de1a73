/**
 * Time limits of many things at once, all of the same length: they expire in the order in which they were added, so one
 * fiber that sleeps until the first deadline watches them all, and adding and removing cost next to nothing. The clock is
 * asked once for all that were added in one step of the event loop, at its end; what is removed before needs neither that nor
 * a fiber.
 */

import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** What can expire; the fields belong to the {@link Deadlines} that it was added to. */
export interface Expiring {
  /** Milliseconds of the clock. */
  deadline: number
  deadlines: Deadlines<any> | undefined
  earlier: Expiring | undefined
  later: Expiring | undefined
}

export class Deadlines<Item extends Expiring> {
  private readonly limit: number
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly expire: (item: Item) => void
  private readonly onEmpty: (() => void) | undefined
  private first: Item | undefined = undefined
  private last: Item | undefined = undefined
  /** The first of those whose time has not begun. */
  private fresh: Item | undefined = undefined
  /** The end of the step, at which it will, is waited for. */
  private beginning = false
  private watched = false
  private watcher: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(options: {
    /** Milliseconds. */
    readonly limit: number
    readonly clock: Clock.Clock
    /** Runs an effect for as long as its owner lives. */
    readonly fork: (effect: Effect.Effect<void>) => void
    /** Called when the time of an item is up; it has been removed. */
    readonly expire: (item: Item) => void
    /**
     * Called when the last item has been removed. With it the watch ends at once; without, it goes on until that item's
     * deadline, so that a next one finds it at work.
     */
    readonly onEmpty?: (() => void) | undefined
  }) {
    this.limit = options.limit
    this.clock = options.clock
    this.fork = options.fork
    this.expire = options.expire
    this.onEmpty = options.onEmpty
  }

  /** Gives `item`, which has no deadline, one that is counted from the end of this step of the event loop. */
  add(item: Item): void {
    item.deadlines = this
    item.earlier = this.last
    if (this.last === undefined) this.first = item
    else this.last.later = item
    this.last = item
    this.fresh ??= item
    if (this.beginning) return
    this.beginning = true
    queueMicrotask(this.begin)
  }

  /** Forgets the deadline of `item`, which it has here. */
  remove(item: Item): void {
    this.unlink(item)
    if (this.first !== undefined || this.onEmpty === undefined) return
    this.onEmpty()
    if (this.watcher === undefined) return
    this.watched = false
    this.watcher.interruptUnsafe()
    this.watcher = undefined
  }

  private unlink(item: Item): void {
    if (item === this.fresh) this.fresh = item.later as Item | undefined
    if (item.earlier === undefined) this.first = item.later as Item | undefined
    else item.earlier.later = item.later
    if (item.later === undefined) this.last = item.earlier as Item | undefined
    else item.later.earlier = item.earlier
    item.deadlines = item.earlier = item.later = undefined
  }

  private readonly begin = (): void => {
    this.beginning = false
    this.stamp()
    if (this.watched || this.first === undefined) return
    this.watched = true
    this.fork(this.watch)
  }

  /** The time of those begins whose has not. */
  private stamp(): void {
    if (this.fresh === undefined) return
    const deadline = this.clock.currentTimeMillisUnsafe() + this.limit
    for (let item: Item | undefined = this.fresh; item !== undefined; item = item.later as Item | undefined) {
      item.deadline = deadline
    }
    this.fresh = undefined
  }

  private readonly watch = Effect.gen({ self: this }, function* () {
    this.watcher = yield* Effect.withFiber(Effect.succeed)
    for (let item = this.first; item !== undefined; item = this.first) {
      // Whose turn came as others before it expired may be new.
      this.stamp()
      const left = item.deadline - this.clock.currentTimeMillisUnsafe()
      if (left > 0) {
        // Whoever is first then may be another one, with a later deadline: it is never too late.
        yield* Effect.sleep(left)
      } else {
        this.unlink(item)
        this.expire(item)
      }
    }
    this.watched = false
    this.watcher = undefined
    this.onEmpty?.()
  })
}
