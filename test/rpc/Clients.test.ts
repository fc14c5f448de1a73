import { assert, describe, it } from "@effect/vitest"
import { Clients, type Visit } from "../../src/rpc/Clients.ts"
import * as Limits from "../../src/rpc/Limits.ts"

/** The clients of a server, and their connections by when they were heard last. */
const make = (limits: Limits.Limits) => {
  const clients = new Clients(Limits.settle(limits))
  const ended: Array<Visit> = []
  const enter = (address: string, heardAt = 0): Visit | string => {
    const refusal = clients.makeRoom(address)
    if (refusal !== undefined) return refusal
    const visit: Visit = { address, heardAt, destroy: () => ended.push(visit) }
    clients.enter(visit, clients.of(address))
    return visit
  }
  return { clients, ended, enter }
}

describe("Clients", () => {
  it("has room for so many connections of an address, and again when one has ended", () => {
    const { clients, enter } = make({ connectionsPerClient: 2 })
    const first = enter("a") as Visit
    enter("a")
    assert.strictEqual(enter("a"), "it has 2 already")
    assert.isObject(enter("b"))
    clients.leave(first)
    // It may be told twice.
    clients.leave(first)
    assert.isObject(enter("a"))
    assert.strictEqual(enter("a"), "it has 2 already")
  })

  it("gives a client with fewer connections the place of the quietest one of the client with the most", () => {
    const { ended, enter } = make({ connections: 4 })
    enter("a", 5)
    const quiet = enter("a", 3)
    enter("a", 4)
    enter("b", 1)
    assert.isObject(enter("c"))
    assert.deepStrictEqual(ended, [quiet])
    // Two, one and one are left: nobody would have fewer than the others.
    for (const address of ["a", "b", "c"]) assert.strictEqual(enter(address), "there are 4 already")
    assert.isObject(enter("d"))
    assert.strictEqual(enter("e"), "there are 4 already")
  })

  it("does not end the only connection of a client, however many others come", () => {
    const { ended, enter } = make({ connections: 8 })
    const own = enter("own", 0)
    for (let i = 0; i < 100; i++) enter(`other ${i}`, 1)
    assert.notInclude(ended, own)
  })

  it("follows a change at once, and leaves those alone that are there", () => {
    const { clients, ended, enter } = make({})
    for (let i = 0; i < 5; i++) assert.isObject(enter("a"))
    clients.change(Limits.settle({ connectionsPerClient: 2, rate: { callsPerSecond: 1 } }))
    assert.strictEqual(enter("a"), "it has 5 already")
    assert.deepStrictEqual(ended, [])
    const { throttle } = clients.of("a")
    throttle!.charge(3, 0)
    assert.isTrue(throttle!.owing)
    clients.change(Limits.settle({}))
    assert.isFalse(throttle!.owing)
  })

  it("remembers what a client owes that comes again, for as long as it does", () => {
    const { clients, enter } = make({ rate: { callsPerSecond: 1000, burst: 0.001 } })
    const visit = enter("a") as Visit
    const client = clients.of("a")
    client.throttle!.charge(100_000, 0)
    clients.leave(visit)
    clients.tidy()
    assert.strictEqual(clients.of("a"), client)
    const rested = enter("b") as Visit
    const other = clients.of("b")
    clients.leave(rested)
    clients.tidy()
    assert.notStrictEqual(clients.of("b"), other)
  })

  it("remembers few of those who are gone, however many there are", () => {
    const { clients } = make({ rate: { callsPerSecond: 0.001 } })
    const addresses = Array.from({ length: 10_000 }, (_, i) => `${i}`)
    const all = addresses.map((address) => {
      const client = clients.of(address)
      client.throttle!.charge(100, 0)
      clients.remember(client)
      return client
    })
    const remembered = all.filter((client) => clients.of(client.address) === client)
    assert.deepStrictEqual(remembered, all.slice(-4096))
  })
})
