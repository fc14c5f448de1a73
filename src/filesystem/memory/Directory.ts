/**
 * The entries of a directory: found by name, listed in the order in which they came.
 *
 * Each entry gets the next number of its directory as its cookie, which it keeps. So a listing may stop anywhere and go
 * on there, whatever came and went meanwhile: whoever stayed is listed once.
 */

/** An entry of a {@link Directory}. */
export interface Slot<A> {
  name: string
  readonly cookie: number
  /** `undefined` in the gap that a removed entry leaves. */
  value: A | undefined
}

/** The engine's maps hold 2^24 entries. */
const MOST_ENTRIES = 16_000_000

/** Gaps that are not worth closing up. */
const FEW_GAPS = 32

export class Directory<A> {
  private readonly byName = new Map<string, Slot<A>>()
  /** By cookie, with gaps where entries were removed. */
  private slots: Array<Slot<A>> = []
  private nextCookie: number

  /** `firstCookie`: the cookie of the first entry. */
  constructor(firstCookie: number) {
    this.nextCookie = firstCookie
  }

  get size(): number {
    return this.byName.size
  }

  /** Whether nothing can be added. */
  get full(): boolean {
    return this.byName.size >= MOST_ENTRIES
  }

  get(name: string): A | undefined {
    return this.byName.get(name)?.value
  }

  /** Adds an entry; there is none with this name. */
  add(name: string, value: A): void {
    const slot: Slot<A> = { name, cookie: this.nextCookie++, value }
    this.byName.set(name, slot)
    this.slots.push(slot)
  }

  /** Lets an existing name stand for something else; its cookie stays. */
  replace(name: string, value: A): void {
    this.byName.get(name)!.value = value
  }

  /** Gives an existing entry a name that no other has; its cookie stays. */
  rename(name: string, newName: string): void {
    const slot = this.byName.get(name)!
    slot.name = newName
    this.byName.delete(name)
    this.byName.set(newName, slot)
  }

  /** Removes an existing entry. */
  remove(name: string): void {
    this.byName.get(name)!.value = undefined
    this.byName.delete(name)
    // Closing up when gaps outnumber entries costs each removal a constant share, and each listing at most its double.
    if (this.slots.length > 2 * this.byName.size + FEW_GAPS) {
      this.slots = this.slots.filter((slot) => slot.value !== undefined)
    }
  }

  /**
   * Shows the entries after `cookie` one by one, until there are no more (`true`: the end of the directory) or `take`
   * answers that it did not take one.
   */
  list(cookie: number, take: (name: string, cookie: number, value: A) => boolean): boolean {
    for (let i = this.indexAfter(cookie); i < this.slots.length; i++) {
      const { cookie, name, value } = this.slots[i]!
      if (value !== undefined && !take(name, cookie, value)) return false
    }
    return true
  }

  private indexAfter(cookie: number): number {
    let low = 0
    let high = this.slots.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.slots[middle]!.cookie <= cookie) low = middle + 1
      else high = middle
    }
    return low
  }
}
