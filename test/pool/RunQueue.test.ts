import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { QueueItem, RunQueue } from "../../src/pool/RunQueue.ts"
import { property } from "../support/runs.ts"

class Item extends QueueItem {
  readonly priority: number
  readonly lane: unknown
  readonly name: string

  constructor(priority: number, lane: unknown, name = "") {
    super()
    this.priority = priority
    this.lane = lane
    this.name = name
  }
}

const takeAll = <I extends QueueItem>(queue: RunQueue<I>): Array<I> => {
  const taken: Array<I> = []
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item)
  return taken
}

const names = (items: ReadonlyArray<Item>): string => items.map((item) => item.name).join(" ")

/** What a `RunQueue` is meant to do, with arrays instead of links: every operation takes linear time. */
class Model {
  private readonly classes: ReadonlyArray<{
    readonly stride: number
    pass: number
    items: Array<Item>
    turns: Array<unknown>
  }>
  private pass = 0

  constructor(weights: ReadonlyArray<number>) {
    this.classes = weights.map((weight) => ({ stride: 1 / weight, pass: 0, items: [], turns: [] }))
  }

  offer(item: Item): void {
    const { items, turns } = this.classes[item.priority]!
    if (items.length === 0) this.classes[item.priority]!.pass = Math.max(this.pass, this.classes[item.priority]!.pass)
    items.push(item)
    if (!turns.includes(item.lane)) turns.push(item.lane)
  }

  take(): Item | undefined {
    const busy = this.classes.filter((c) => c.items.length > 0)
    const chosen = busy.find((c) => busy.every((other) => c.pass <= other.pass))
    if (chosen === undefined) return undefined
    this.pass = chosen.pass
    chosen.pass += chosen.stride
    const lane = chosen.turns.shift()
    const item = chosen.items.find((item) => item.lane === lane)!
    chosen.items.splice(chosen.items.indexOf(item), 1)
    if (chosen.items.some((item) => item.lane === lane)) chosen.turns.push(lane)
    return item
  }

  remove(item: Item): void {
    const { items, turns } = this.classes[item.priority]!
    items.splice(items.indexOf(item), 1)
    if (!items.some((other) => other.lane === item.lane)) turns.splice(turns.indexOf(item.lane), 1)
  }

  get waiting(): ReadonlyArray<Item> {
    return this.classes.flatMap((c) => c.items)
  }
}

const below = (limit: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 }))

const command = Arbitrary.schema(
  Schema.Union([
    Schema.TaggedStruct("Offer", { priority: below(3), lane: below(4) }),
    Schema.TaggedStruct("Offer", { priority: below(3), lane: below(4) }),
    Schema.TaggedStruct("Take", {}),
    Schema.TaggedStruct("Remove", { index: below(50) })
  ])
)

const classes = (...weights: ReadonlyArray<number>) => weights.map((weight) => ({ weight, reserved: false }))

describe("RunQueue", () => {
  it.prop(
    "does what its model does",
    [Arbitrary.array(command, { maxLength: 120 })],
    ([commands]) => {
      const queue = new RunQueue<Item>(classes(8, 3, 1))
      const model = new Model([8, 3, 1])
      for (const command of commands) {
        if (command._tag === "Offer") {
          const item = new Item(command.priority, command.lane)
          queue.offer(item)
          model.offer(item)
          assert.isTrue(queue.has(item))
        } else if (command._tag === "Take") {
          const item = queue.take()
          assert.strictEqual(item, model.take())
          if (item !== undefined) assert.isFalse(queue.has(item))
        } else {
          const item = model.waiting[command.index]
          if (item === undefined) continue
          queue.remove(item)
          model.remove(item)
          assert.isFalse(queue.has(item))
        }
        assert.strictEqual(queue.size, model.waiting.length)
        for (const priority of [0, 1, 2]) {
          assert.strictEqual(queue.sizeOf(priority), model.waiting.filter((item) => item.priority === priority).length)
        }
      }
      for (let item = queue.take(); item !== undefined; item = queue.take()) assert.strictEqual(item, model.take())
      assert.strictEqual(model.waiting.length, 0)
    },
    property(300, 120)
  )

  it("takes from an empty queue nothing", () => {
    assert.isUndefined(new RunQueue<Item>(classes(1)).take())
  })

  it("serves classes by weight as long as all have something", () => {
    const weights = [32, 16, 8, 2]
    const queue = new RunQueue<Item>(classes(...weights))
    for (const priority of weights.keys()) {
      for (let i = 0; i < 4_000; i++) queue.offer(new Item(priority, i % 3))
    }
    // Any stretch of 58 is a round, in which each class gets its weight, give or take one.
    const order = Array.from({ length: 5_800 }, () => queue.take()!.priority)
    for (let from = 0; from + 58 <= order.length; from += 29) {
      const round = order.slice(from, from + 58)
      for (const [priority, weight] of weights.entries()) {
        assert.closeTo(round.filter((p) => p === priority).length, weight, 1)
      }
    }
    for (const [priority, weight] of weights.entries()) {
      assert.closeTo(order.filter((p) => p === priority).length, weight * 100, 1)
    }
  })

  it("starves no class: the lightest is served once in a round, however much the others get", () => {
    const queue = new RunQueue<Item>(classes(32, 16, 8, 2))
    for (let i = 0; i < 100; i++) queue.offer(new Item(3, 0))
    let sinceBulk = 0
    for (let i = 0; i < 2_000; i++) {
      for (const priority of [0, 1, 2]) queue.offer(new Item(priority, i))
      sinceBulk = queue.take()!.priority === 3 ? 0 : sinceBulk + 1
      assert.isAtMost(sinceBulk, 29)
    }
  })

  it("gives a class that was empty no credit for its idle time", () => {
    const queue = new RunQueue<Item>(classes(8, 2))
    for (let i = 0; i < 1_000; i++) queue.offer(new Item(0, 0))
    for (let i = 0; i < 900; i++) queue.take()
    for (let i = 0; i < 100; i++) queue.offer(new Item(1, 0))
    const next = Array.from({ length: 50 }, () => queue.take()!.priority)
    assert.closeTo(next.filter((priority) => priority === 1).length, 10, 1)
  })

  it("gives a class that was passed over no credit for it", () => {
    const queue = new RunQueue<Item>([
      { weight: 1, reserved: true },
      { weight: 1, reserved: false },
      { weight: 1, reserved: true }
    ])
    for (let i = 0; i < 400; i++) for (const priority of [0, 1]) queue.offer(new Item(priority, "a"))
    for (let i = 0; i < 200; i++) assert.strictEqual(queue.take("reserved")!.priority, 0)
    assert.strictEqual(queue.next("others")!.priority, 1)
    const next = Array.from({ length: 100 }, () => queue.take()!.priority)
    assert.strictEqual(next.filter((priority) => priority === 1).length, 50)
    // Nor does one that joins now.
    for (let i = 0; i < 100; i++) queue.offer(new Item(2, "a"))
    const then = Array.from({ length: 90 }, () => queue.take()!.priority)
    assert.strictEqual(then.filter((priority) => priority === 2).length, 30)
  })

  it("shows what it gives next, of all and of each kind of class", () => {
    const queue = new RunQueue<Item>([
      { weight: 1, reserved: true },
      { weight: 3, reserved: false }
    ])
    assert.isUndefined(queue.next())
    for (let i = 0; i < 20; i++) queue.offer(new Item(i % 2, i % 3))
    assert.deepStrictEqual([queue.sizeOfKind("reserved"), queue.sizeOfKind("others")], [10, 10])
    for (let i = 0; i < 20; i++) {
      const kind = [undefined, "reserved", "others"] as const
      const next = queue.next(kind[i % 3])
      assert.strictEqual(queue.take(kind[i % 3]), next)
    }
  })

  it("serves a class that was empty within a round, whatever it had before", () => {
    const queue = new RunQueue<Item>(classes(16, 2))
    for (let i = 0; i < 1_000; i++) queue.offer(new Item(1, 0))
    for (let i = 0; i < 500; i++) queue.take()
    queue.offer(new Item(0, 0))
    assert.isTrue([queue.take()!.priority, queue.take()!.priority].includes(0))
    for (let i = 0; i < 20; i++) queue.offer(new Item(0, 0))
    assert.isAtLeast(Array.from({ length: 18 }, () => queue.take()!.priority).filter((p) => p === 0).length, 15)
  })

  it("delays a lane by at most one turn of each other lane", () => {
    const queue = new RunQueue<Item>(classes(1))
    for (let i = 0; i < 1_000; i++) queue.offer(new Item(0, "many", "many"))
    for (let i = 0; i < 100; i++) queue.take()
    queue.offer(new Item(0, "one", "one"))
    assert.include([queue.take()!.name, queue.take()!.name], "one")
    // The same with many lanes: the newcomer is last in the round, no later.
    for (const lane of ["a", "b", "c"]) {
      for (let i = 0; i < 10; i++) queue.offer(new Item(0, lane, lane))
    }
    queue.take()
    queue.offer(new Item(0, "late", "late"))
    const round = Array.from({ length: 5 }, () => queue.take()!.name)
    assert.strictEqual(round.filter((name) => name === "late").length, 1)
    assert.deepStrictEqual(round.toSorted(), ["a", "b", "c", "late", "many"])
  })

  it("gives a lane that comes back no turn before those that waited", () => {
    const queue = new RunQueue<Item>(classes(1))
    for (const lane of ["a", "b", "c"]) {
      for (let i = 0; i < 3; i++) queue.offer(new Item(0, lane, lane))
    }
    queue.offer(new Item(0, "guest", "guest"))
    assert.strictEqual(names([1, 2, 3, 4].map(() => queue.take()!)), "a b c guest")
    queue.offer(new Item(0, "guest", "guest"))
    assert.strictEqual(names(takeAll(queue)), "a b c guest a b c")
  })

  it("keeps the order of a lane in a class", () => {
    const queue = new RunQueue<Item>(classes(4, 1))
    for (let i = 0; i < 200; i++) queue.offer(new Item(i % 2, i % 6, String(i)))
    const seen = new Map<unknown, number>()
    for (const item of takeAll(queue)) {
      assert.isAbove(Number(item.name), seen.get(item.lane) ?? -1)
      seen.set(item.lane, Number(item.name))
    }
  })

  it("lets items be taken out anywhere", () => {
    const queue = new RunQueue<Item>(classes(1))
    const items = Array.from({ length: 6 }, (_, i) => new Item(0, "lane", String(i)))
    for (const item of items) queue.offer(item)
    for (const i of [3, 0, 5]) queue.remove(items[i]!)
    assert.strictEqual(names(takeAll(queue)), "1 2 4")
    // An item that was taken out can be put in again.
    queue.offer(items[3]!)
    assert.strictEqual(names(takeAll(queue)), "3")
  })

  it("loses no lane when the one whose turn it is gets empty by removal", () => {
    const queue = new RunQueue<Item>(classes(1))
    const gone = new Item(0, "gone", "gone")
    queue.offer(gone)
    queue.offer(new Item(0, "a", "a"))
    queue.offer(new Item(0, "b", "b"))
    queue.remove(gone)
    assert.strictEqual(names(takeAll(queue)), "a b")
    assert.strictEqual(queue.size, 0)
  })
})
