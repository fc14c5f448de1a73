/**
 * The order in which waiting tasks run: classes share the workers by weight, lanes share their class evenly, and tasks
 * of one lane and class run in the order in which they came.
 *
 * Classes are chosen by stride scheduling: each has a `pass` that grows by 1 / weight with every task it runs, and the
 * class with the lowest pass is next. A class that was empty joins at the current pass, so it is served soon, but gets
 * no credit for its idle time; none starves. Lanes take turns, one task each. All operations take constant time, taking
 * out a task from the middle included.
 */

import type { PriorityClass } from "./Priorities.ts"

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
  readonly lanes = new Map<unknown, Lane>()
  /** The lane whose turn it is. */
  current: Lane | undefined = undefined

  constructor({ reserved, weight }: Pick<PriorityClass, "weight" | "reserved">) {
    this.stride = 1 / weight
    this.reserved = reserved
  }

  laneOf(key: unknown): Lane {
    const known = this.lanes.get(key)
    if (known !== undefined) return known
    const lane = new Lane(key)
    this.lanes.set(key, lane)
    if (this.current === undefined) {
      this.current = lane
    } else {
      // Last in the ring: just before the lane whose turn it is.
      lane.next = this.current
      lane.previous = this.current.previous
      lane.previous.next = lane
      lane.next.previous = lane
    }
    return lane
  }

  drop(lane: Lane): void {
    this.lanes.delete(lane.key)
    if (lane.next === lane) {
      this.current = undefined
    } else {
      lane.previous.next = lane.next
      lane.next.previous = lane.previous
      if (this.current === lane) this.current = lane.next
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

  /** Items of reserved classes. */
  get reservedSize(): number {
    return this.reserved
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

  /** The item whose turn it is, taken out; with `reserved`, of the reserved classes only. */
  take(reserved = false): Item | undefined {
    let chosen: ClassQueue | undefined
    for (let i = 0; i < this.classes.length; i++) {
      const candidate = this.classes[i]!
      if (candidate.size === 0 || (reserved && !candidate.reserved)) continue
      if (chosen === undefined || candidate.pass < chosen.pass) chosen = candidate
    }
    if (chosen === undefined) return undefined
    const { current } = chosen
    this.pass = chosen.pass
    chosen.pass += chosen.stride
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
    if (lane.first === undefined) priority.drop(lane)
    priority.size--
    this.total--
    if (priority.reserved) this.reserved--
  }

  has(item: Item): boolean {
    return item.turn !== undefined
  }
}
