/** At most so many things, of which those go first that were not used for longest. */

/** A place in the order. */
export class Place {
  newer: Place | undefined = undefined
  older: Place | undefined = undefined
}

export class Recency<A extends Place> {
  private readonly capacity: number
  private readonly onEvicted: (thing: A) => void
  private count = 0
  private newest: Place | undefined = undefined
  private oldest: Place | undefined = undefined

  constructor(capacity: number, onEvicted: (thing: A) => void) {
    this.capacity = capacity
    this.onEvicted = onEvicted
  }

  get size(): number {
    return this.count
  }

  add(thing: A): void {
    this.count++
    this.append(thing)
    if (this.count <= this.capacity) return
    // Only what is an `A` is added.
    const evicted = this.oldest as A
    this.remove(evicted)
    this.onEvicted(evicted)
  }

  /** Of something that is among them. */
  use(thing: A): void {
    if (thing === this.newest) return
    this.unlink(thing)
    this.append(thing)
  }

  remove(thing: A): void {
    this.count--
    this.unlink(thing)
  }

  private append(thing: Place): void {
    thing.older = this.newest
    if (this.newest === undefined) this.oldest = thing
    else this.newest.newer = thing
    this.newest = thing
  }

  private unlink(thing: Place): void {
    const { newer, older } = thing
    if (newer === undefined) this.newest = older
    else newer.older = older
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    thing.newer = thing.older = undefined
  }
}
