/** What the replay cache remembers of whom; `RpcServer.test.ts` has what clients see of it. */

import { assert, describe, it } from "@effect/vitest"
import { Origin, type Recipient, ReplayCache } from "../../src/rpc/ReplayCache.ts"
import { CALL } from "../../src/rpc/RpcMessage.ts"
import { bufferBytes } from "../support/memory.ts"

const header = (xid: number) => ({ xid, type: CALL, rpcVersion: 2, program: 1, version: 1, procedure: 1 })

/** A connection, and the replies that it was sent again. */
const connection = () => {
  const resent: Array<Uint8Array> = []
  const recipient: Recipient = {
    resend: (reply) => void resent.push(reply),
    expect: () => {},
    received: () => {},
    destroy: () => {}
  }
  return { origin: new Origin(recipient), resent }
}

const args = [Buffer.from("arguments")]
const reply = Buffer.from("reply")

describe("ReplayCache", () => {
  it("takes little more memory than the replies that it remembers", () => {
    const cache = new ReplayCache(1024)
    const { origin } = connection()
    // Nobody else keeps what is sent.
    origin.recipient = undefined
    const ask = (xid: number) => {
      cache.begin("one", header(xid), args, origin)!.answer([Buffer.alloc(100), Buffer.alloc(120)])
      // What else the process has short buffers for, meanwhile.
      return Buffer.allocUnsafe(1000)
    }
    let garbage = ask(0)
    const before = bufferBytes()
    for (let xid = 1; xid < 5000; xid++) garbage = ask(xid)
    assert.isBelow(bufferBytes() - before, 1.5 * 1024 * 220)
    assert.strictEqual(garbage.length, 1000)
  })

  it("gives long replies and short ones as they were", () => {
    const cache = new ReplayCache(10)
    for (const length of [1, 200, 1024, 1025, 9000, 3]) {
      const { origin, resent } = connection()
      const chunks = [Buffer.alloc(length, length), Buffer.alloc(length, 7)]
      cache.begin("one", header(length), args, origin)!.answer(chunks)
      assert.deepStrictEqual(Buffer.from(resent[0]!), Buffer.concat(chunks))
    }
  })

  it("remembers a client's calls, however many others call", () => {
    const cache = new ReplayCache(100)
    const one = connection()
    cache.begin("one", header(1), args, one.origin)!.answer([reply])
    const other = connection()
    for (let xid = 0; xid < 10_000; xid++) cache.begin("other", header(xid), args, other.origin)!.answer([reply])
    assert.isUndefined(cache.begin("one", header(1), args, one.origin))
    assert.deepStrictEqual(one.resent, [reply, reply])
  })

  it("forgets the oldest call of a client that calls often", () => {
    const cache = new ReplayCache(100)
    const { origin } = connection()
    for (let xid = 0; xid < 1000; xid++) cache.begin("one", header(xid), args, origin)!.answer([reply])
    assert.isUndefined(cache.begin("one", header(900), args, origin))
    assert.isDefined(cache.begin("one", header(899), args, origin))
  })

  it("does not forget a call that is still executed", () => {
    const cache = new ReplayCache(10)
    const { origin, resent } = connection()
    const slow = cache.begin("one", header(1), args, origin)!
    for (let xid = 2; xid < 100; xid++) cache.begin("one", header(xid), args, origin)!.answer([reply])
    const before = resent.length
    assert.isUndefined(cache.begin("one", header(1), args, origin))
    slow.answer([reply])
    assert.strictEqual(resent.length, before + 1)
    assert.isUndefined(cache.begin("one", header(1), args, origin))
    assert.strictEqual(resent.length, before + 2)
  })

  /** A connection that has said something, and one that began then. */
  const pair = () => {
    const [older, younger] = [connection(), connection()]
    older.origin.heard()
    younger.origin.settle()
    younger.origin.heard()
    return [older, younger] as const
  }

  it("knows a repetition over a younger connection while words still come over the older", () => {
    const cache = new ReplayCache(10)
    const [one, two] = pair()
    cache.begin("one", header(1), args, one.origin)!.answer([reply])
    // They may have been on their way when its client gave it up.
    one.origin.heard()
    assert.isUndefined(cache.begin("one", header(1), args, two.origin))
    assert.deepStrictEqual(two.resent, [reply])
  })

  it("does not execute what is read late of a connection whose place another took", () => {
    const cache = new ReplayCache(10)
    const [one, two] = pair()
    cache.begin("one", header(1), args, two.origin)!.answer([reply])
    one.origin.heard()
    assert.isUndefined(cache.begin("one", header(1), args, one.origin))
    assert.isUndefined(cache.begin("one", header(1), args, two.origin))
  })

  it("takes an older connection over which nothing has come since for another client's", () => {
    const cache = new ReplayCache(10)
    const [one, two] = pair()
    cache.begin("one", header(1), args, one.origin)!.answer([reply])
    assert.isDefined(cache.begin("one", header(1), args, two.origin))
  })

  it("knows a repetition over another connection once the first has ended or is silent", () => {
    const cache = new ReplayCache(10)
    const [one, two, three] = [connection(), connection(), connection()]
    for (const { origin } of [one, two, three]) origin.heard()
    cache.begin("one", header(1), args, one.origin)!.answer([reply])
    cache.begin("one", header(2), args, one.origin)!.answer([reply])
    one.origin.heardAt -= 1500
    assert.isUndefined(cache.begin("one", header(1), args, two.origin))
    assert.deepStrictEqual(two.resent, [reply])
    one.origin.heard()
    assert.isDefined(cache.begin("one", header(2), args, three.origin))
    two.origin.silent = true
    assert.isUndefined(cache.begin("one", header(1), args, three.origin))
  })

  it("forgets the client that has not called for the longest time", () => {
    const cache = new ReplayCache(10)
    const { origin } = connection()
    for (let i = 0; i < 256; i++) cache.begin(`client ${i}`, header(1), args, origin)!.answer([reply])
    assert.isUndefined(cache.begin("client 0", header(1), args, origin))
    cache.begin("client 0", header(2), args, origin)!.answer([reply])
    cache.begin("another", header(1), args, origin)!.answer([reply])
    assert.isUndefined(cache.begin("client 0", header(1), args, origin))
    assert.isDefined(cache.begin("client 1", header(1), args, origin))
  })

  it("remembers no more calls of all addresses than it may, those of who called last", () => {
    const cache = new ReplayCache(100, 1000)
    const { origin, resent } = connection()
    for (let client = 0; client < 50; client++) {
      for (let xid = 0; xid < 100; xid++) cache.begin(`${client}`, header(xid), args, origin)!.answer([reply])
      assert.isAtMost(cache.size, 1000)
    }
    assert.strictEqual(cache.size, 1000)
    const before = resent.length
    for (let client = 40; client < 50; client++) {
      assert.isUndefined(cache.begin(`${client}`, header(0), args, origin))
    }
    assert.strictEqual(resent.length, before + 10)
    assert.isDefined(cache.begin("39", header(0), args, origin))
  })

  it("forgets the oldest calls at once when it shall remember fewer, but none that is still executed", () => {
    const cache = new ReplayCache(10)
    const { origin } = connection()
    for (let xid = 1; xid <= 14; xid++) {
      const replay = cache.begin("one", header(xid), args, origin)!
      if (xid !== 6 && xid !== 7) replay.answer([reply])
    }
    cache.begin("two", header(1), args, origin)!.answer([reply])
    assert.strictEqual(cache.size, 11)
    cache.resize(4)
    assert.strictEqual(cache.size, 5)
    for (const xid of [6, 7, 13, 14]) assert.isUndefined(cache.begin("one", header(xid), args, origin), `${xid}`)
    assert.isUndefined(cache.begin("two", header(1), args, origin))
    cache.resize(5)
    assert.isDefined(cache.begin("one", header(12), args, origin))
    assert.isUndefined(cache.begin("one", header(13), args, origin))
    assert.strictEqual(cache.size, 6)
  })

  it("counts what is abandoned as forgotten", () => {
    const cache = new ReplayCache(10)
    const { origin } = connection()
    for (let xid = 1; xid <= 100; xid++) {
      cache.abandon(cache.begin(`${xid % 3}`, header(xid), args, origin)!)
      assert.isAtMost(cache.size, 10)
    }
    assert.strictEqual(cache.size, 0)
  })
})
