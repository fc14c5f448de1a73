/**
 * The order in which waiting tasks run: classes share the workers by weight, lanes share their class evenly, and tasks
 * of one lane and class run in the order in which they came.
 *
 * Classes are chosen by stride scheduling: each has a `pass` that grows by 1 / weight with every task it runs, and the
 * class with the lowest pass is next. A class that was empty joins at the current pass, so it is served soon, but gets
 * no credit for its idle time, nor for the time in which it was passed over; none starves. Lanes take turns, one task each.
 * All operations take constant time, taking out a task from the middle included.
 */

import type { PriorityClass } from "./Priorities.ts"

/** Classes are reserved or not (see `Priorities`): who takes may want only the ones or the others. */
export type Kind = "reserved" | "others"

/** What a {@link RunQueue} links; the fields belong to the queue while the item is in it. */
export abstract class QueueItem {
  /** Index of its class. */
  abstract readonly priority: number
  /** Whose turn it uses: items with the same lane (by `Map` equality) wait behind each other. */
  abstract readonly lane: unknown
  /** @internal */
  turn: Lane | undefined = undefined
  /** @internal */
  next: QueueItem | undefined = undefined
  /** @internal */
  previous: QueueItem | undefined = undefined
}

/** The items of one lane in one class, and the lane's place in the ring of lanes that have items. */
class Lane {
  readonly key: unknown
  first: QueueItem | undefined = undefined
  last: QueueItem | undefined = undefined
  next: Lane = this
  previous: Lane = this

  constructor(key: unknown) {
    this.key = key
  }
}

class ClassQueue {
  readonly stride: number
  readonly reserved: boolean
  pass = 0
  size = 0
  /** The lane whose turn it is. */
  current: Lane | undefined = undefined
  private readonly lanes = new Map<unknown, Lane>()
  /** The lane that was emptied last: who submits one thing after the other finds it again. */
  private vacant: Lane | undefined = undefined
  /** The lane that was asked for last: who submits much asks for the same one. */
  private last: Lane | undefined = undefined

  constructor({ reserved, weight }: Pick<PriorityClass, "weight" | "reserved">) {
    this.stride = 1 / weight
    this.reserved = reserved
  }

  /** The lane of this key, in the ring. */
  laneOf(key: unknown): Lane {
    let lane = this.last !== undefined && this.last.key === key ? this.last : this.lanes.get(key)
    if (lane === undefined) this.lanes.set(key, (lane = new Lane(key)))
    this.last = lane
    if (lane.first !== undefined) return lane
    if (lane === this.vacant) this.vacant = undefined
    if (this.current === undefined) {
      this.current = lane.next = lane.previous = lane
    } else {
      // Last in the ring: just before the lane whose turn it is.
      lane.next = this.current
      lane.previous = this.current.previous
      lane.previous.next = lane
      lane.next.previous = lane
    }
    return lane
  }

  /** Takes a lane that is empty out of the ring. */
  vacate(lane: Lane): void {
    if (this.vacant !== undefined) {
      this.lanes.delete(this.vacant.key)
      if (this.last === this.vacant) this.last = undefined
    }
    this.vacant = lane
    if (lane.next === lane) {
      this.current = undefined
    } else {
      lane.previous.next = lane.next
      lane.next.previous = lane.previous
      if (this.current === lane) this.current = lane.next
      lane.next = lane.previous = lane
    }
  }
}

export class RunQueue<Item extends QueueItem> {
  private readonly classes: ReadonlyArray<ClassQueue>
  /** The pass of the class that was served last. */
  private pass = 0
  private total = 0
  /** Items of reserved classes. */
  private reserved = 0

  constructor(classes: ReadonlyArray<Pick<PriorityClass, "weight" | "reserved">>) {
    this.classes = classes.map((options) => new ClassQueue(options))
  }

  get size(): number {
    return this.total
  }

  /** Items of the classes of one kind. */
  sizeOfKind(kind: Kind): number {
    return kind === "reserved" ? this.reserved : this.total - this.reserved
  }

  sizeOf(priority: number): number {
    return this.classes[priority]!.size
  }

  offer(item: Item): void {
    const priority = this.classes[item.priority]!
    if (priority.size++ === 0 && priority.pass < this.pass) priority.pass = this.pass
    this.total++
    if (priority.reserved) this.reserved++
    const lane = priority.laneOf(item.lane)
    item.turn = lane
    item.previous = lane.last
    if (lane.last === undefined) lane.first = item
    else lane.last.next = item
    lane.last = item
  }

  /** The item whose turn it is, of all or of one kind of class. */
  next(kind?: Kind): Item | undefined {
    return this.chosen(kind)?.current!.first as Item | undefined
  }

  /** The same, taken out. */
  take(kind?: Kind): Item | undefined {
    const chosen = this.chosen(kind)
    if (chosen === undefined) return undefined
    const { current, pass } = chosen
    // Who is passed over gets no credit for it.
    if (kind !== undefined) {
      for (const other of this.classes) if (other.size > 0 && other.pass < pass) other.pass = pass
    }
    if (pass > this.pass) this.pass = pass
    chosen.pass = pass + chosen.stride
    chosen.current = current!.next
    const item = current!.first as Item
    this.remove(item)
    return item
  }

  /** Takes out an item that is in the queue. */
  remove(item: Item): void {
    const lane = item.turn!
    const priority = this.classes[item.priority]!
    if (item.previous === undefined) lane.first = item.next
    else item.previous.next = item.next
    if (item.next === undefined) lane.last = item.previous
    else item.next.previous = item.previous
    item.turn = item.next = item.previous = undefined
    if (lane.first === undefined) priority.vacate(lane)
    priority.size--
    this.total--
    if (priority.reserved) this.reserved--
  }

  has(item: Item): boolean {
    return item.turn !== undefined
  }

  private chosen(kind: Kind | undefined): ClassQueue | undefined {
    let chosen: ClassQueue | undefined
    for (let i = 0; i < this.classes.length; i++) {
      const candidate = this.classes[i]!
      if (candidate.size === 0 || (kind !== undefined && candidate.reserved !== (kind === "reserved"))) continue
      if (chosen === undefined || candidate.pass < chosen.pass) chosen = candidate
    }
    return chosen
  }
}
