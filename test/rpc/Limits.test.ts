import { assert, describe, it } from "@effect/vitest"
import * as Limits from "../../src/rpc/Limits.ts"

describe("Limits", () => {
  it("have defaults", () => {
    const { bytes, ...others } = Limits.settle({})
    assert.deepStrictEqual(others, {
      connections: 4096,
      connectionsPerClient: 256,
      idleTimeout: 360_000,
      stallTimeout: 60_000,
      callsInFlight: 256,
      bytesPerConnection: 8 * 2 ** 20,
      replies: 1024,
      rate: {}
    })
    assert.isAtMost(bytes, 256 * 2 ** 20)
    assert.isAbove(bytes, 0)
  })

  it("are as they are given", () => {
    const given = {
      connections: 1,
      connectionsPerClient: 2,
      callsInFlight: 3,
      bytesPerConnection: 4,
      bytes: 5,
      replies: 6
    }
    const rate = { callsPerSecond: 0.5, bytesPerSecond: 1e9, burst: 60 }
    assert.deepStrictEqual(Limits.settle({ ...given, idleTimeout: "off", stallTimeout: "1 hour", rate }), {
      ...given,
      idleTimeout: Infinity,
      stallTimeout: 3_600_000,
      rate
    })
  })

  const wrong: ReadonlyArray<readonly [object, string, string]> = [
    [{ connections: 0 }, "connections", "a number of connections, 1 or more"],
    [{ callsInFlight: 1.5 }, "callsInFlight", "a number of calls, 1 or more"],
    [{ idleTimeout: "5 fortnights" }, "idleTimeout", `a time such as 90s, or "off"`],
    [{ stallTimeout: "0 seconds" }, "stallTimeout", `a time such as 90s, or "off"`],
    [{ rate: { callsPerSecond: 0 } }, "callsPerSecond", "a number above 0"],
    [{ rate: { calls: 1 } }, "calls", "one of callsPerSecond, bytesPerSecond, burst"],
    [{ connection: 1 }, "connection", "one of connections, connectionsPerClient"]
  ]
  for (const [limits, field, expected] of wrong) {
    it(`that say ${JSON.stringify(limits)} are refused, with what is expected`, () => {
      let message = ""
      try {
        Limits.settle(limits)
      } catch (error) {
        message = String(error)
      }
      assert.include(message, expected)
      assert.include(message, `["${field}"]`)
    })
  }
})
