/** That memory is bounded, and that nobody waits for ever, whatever connections do. */

import { Buffer } from "node:buffer"
import { setImmediate as turn } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Account, ByteBudget, FREE, Holding } from "../../src/rpc/ByteBudget.ts"
import { RecordDecoder } from "../../src/rpc/RecordMarking.ts"

const LIMIT = 40 * FREE
const LONGEST = 10 * FREE
const CHUNK = 2048

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const mark = (length: number, last: boolean): Buffer => {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE((last ? 0x80000000 | length : length) >>> 0)
  return mark
}

/** A connection that is read as far as it may, and whose records wait for a pool. */
class Reading {
  readonly holding: Holding
  readonly records: RecordDecoder
  /** Bytes of records that wait. */
  waiting = 0
  private unread: Buffer

  constructor(budget: ByteBudget, client: Account, records: ReadonlyArray<Buffer>) {
    this.unread = Buffer.concat(records)
    this.records = new RecordDecoder(LONGEST, (record) => {
      for (const piece of record) this.waiting += piece.length
    })
    this.holding = new Holding(budget, client, () => {})
  }

  get done(): boolean {
    return this.unread.length === 0 && this.waiting === 0
  }

  /** Reads a chunk if it may. */
  read(): void {
    if (this.unread.length === 0 || !this.holding.mayRead(this.waiting, this.records)) return
    this.holding.onRead()
    assert.isUndefined(this.records.push(this.unread.subarray(0, CHUNK)))
    this.unread = this.unread.subarray(CHUNK)
    this.holding.mayRead(this.waiting, this.records)
  }

  /** The pool takes what waits. */
  run(): void {
    this.waiting = 0
    this.holding.mayRead(this.waiting, this.records)
  }
}

/** A record in one or two fragments. */
const RecordShape = Schema.Struct({ length: int(1, LONGEST), split: Schema.Boolean })

const recordOf = ({ length, split }: typeof RecordShape.Type): Buffer => {
  const first = split ? Math.floor(length / 2) : 0
  return Buffer.concat([
    ...(split ? [mark(first, false), Buffer.alloc(first)] : []),
    mark(length - first, true),
    Buffer.alloc(length - first)
  ])
}

/** Takes connections through all that they have to send, in an order that the seed decides. */
const drive = async (budget: ByteBudget, readings: ReadonlyArray<Reading>, seed: number, most: number) => {
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let steps = 0; readings.some((reading) => !reading.done); steps++) {
    // Each step reads a chunk at least, or lets the pool run, or somebody go on: who still waits then, waits for ever.
    assert.isBelow(steps, 50_000, "somebody waits for ever")
    for (const reading of readings) {
      if (random(3) > 0) reading.read()
      if (random(4) === 0) reading.run()
    }
    assert.isAtMost(budget.held, most)
    await turn()
  }
}

describe("ByteBudget", () => {
  it("lets a client have as much as it leaves free", () => {
    const budget = new ByteBudget(100)
    const [one, two, three]: ReadonlyArray<Account> = [{ held: 0 }, { held: 0 }, { held: 0 }]
    assert.isTrue(budget.hasRoom(one!, 1000))
    budget.add(one!, 30)
    assert.deepStrictEqual([budget.hasRoom(one!, 20), budget.hasRoom(one!, 21)], [true, false])
    assert.deepStrictEqual([budget.hasRoom(two!, 70), budget.hasRoom(two!, 71)], [true, false])
    budget.add(one!, 20)
    budget.add(two!, 30)
    assert.deepStrictEqual(
      [one!, two!, three!].map((client) => budget.hasRoom(client, 1)),
      [false, false, true]
    )
  })

  it.live("counts what is held once, and nothing when a connection has ended", () =>
    Effect.promise(async () => {
      const budget = new ByteBudget(LIMIT)
      const client: Account = { held: 0 }
      const reading = new Reading(budget, client, [recordOf({ length: LONGEST, split: false })])
      reading.read()
      assert.deepStrictEqual([budget.held, client.held], [LONGEST, LONGEST])
      while (reading.records.completed === 0) reading.read()
      assert.deepStrictEqual([budget.held, client.held], [LONGEST - FREE, LONGEST - FREE])
      reading.holding.close(reading.waiting)
      assert.strictEqual(budget.held, LONGEST - FREE)
      reading.holding.close(0)
      assert.deepStrictEqual([budget.held, client.held], [0, 0])
    })
  )

  it.live("lets short calls through while others hold all that there is", () =>
    Effect.promise(async () => {
      const budget = new ByteBudget(LIMIT)
      const others = Array.from({ length: 20 }, () => {
        const client: Account = { held: 0 }
        return new Reading(budget, client, [recordOf({ length: LONGEST, split: false })])
      })
      for (const other of others) for (let i = 0; i < 3; i++) other.read()
      assert.isAtMost(budget.held, LIMIT)
      // Nobody else gets anything.
      await turn()
      assert.isAbove(budget.held, LIMIT - LONGEST)
      const short = new Reading(
        budget,
        { held: 0 },
        Array.from({ length: 1000 }, () => recordOf({ length: 100, split: false }))
      )
      for (let i = 0; i < 1000 && !short.done; i++) {
        short.read()
        short.run()
      }
      assert.isTrue(short.done)
    })
  )

  it.live("lets nobody overtake one whose client holds nothing, for ever", () =>
    Effect.promise(async () => {
      const budget = new ByteBudget(LONGEST)
      const records = Array.from({ length: 100 }, () => recordOf({ length: 2 * FREE, split: false }))
      const many = Array.from({ length: 12 }, () => new Reading(budget, { held: 0 }, records))
      const one = new Reading(budget, { held: 0 }, [recordOf({ length: LONGEST, split: false })])
      for (let steps = 0; one.records.completed === 0; steps++) {
        // Some are always in the middle of a record.
        const reading = many[steps % many.length]!
        reading.read()
        reading.run()
        one.read()
        await turn()
      }
      assert.isTrue(many.every((reading) => !reading.done))
    })
  )

  it.effect.prop(
    "holds no more than it may, and everybody comes to an end, however little there is",
    {
      seed: int(1, 1_000_000),
      limit: Schema.Literals([1, LONGEST, LIMIT]),
      clients: Schema.Array(Schema.Array(Schema.Array(RecordShape)))
    },
    ({ clients, limit, seed }) =>
      Effect.promise(async () => {
        const budget = new ByteBudget(limit)
        const readings = clients.flatMap((connections) => {
          const client: Account = { held: 0 }
          return connections.map((records) => new Reading(budget, client, records.map(recordOf)))
        })
        // Those who may, read a chunk; somebody may read a record where there is no room for any.
        const most = Math.max(limit, LONGEST) + readings.length * CHUNK
        await drive(budget, readings, seed, most)
        for (const reading of readings) reading.holding.close(0)
        assert.strictEqual(budget.held, 0)
      }),
    { arbitrary: { runs: 60, size: 6 } }
  )
})
