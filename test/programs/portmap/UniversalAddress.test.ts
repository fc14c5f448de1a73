import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { format, isWildcard, netidOf, parse } from "../../../src/programs/portmap/UniversalAddress.ts"

describe("UniversalAddress", () => {
  // RFC 5665, 5.2.3.3 and 5.2.3.4.
  it.each([
    ["192.0.2.1.8.1", { host: "192.0.2.1", port: 2049 }],
    ["0.0.0.0.0.111", { host: "0.0.0.0", port: 111 }],
    ["255.255.255.255.255.255", { host: "255.255.255.255", port: 65_535 }],
    ["::.8.1", { host: "::", port: 2049 }],
    ["::1.0.0", { host: "::1", port: 0 }],
    ["2001:db8::8:800:200c:417a.8.1", { host: "2001:db8::8:800:200c:417a", port: 2049 }],
    ["::ffff:192.0.2.1.8.1", { host: "::ffff:192.0.2.1", port: 2049 }],
    ["fe80::1%eth0.8.1", { host: "fe80::1%eth0", port: 2049 }]
  ])("%s", (text, address) => {
    assert.deepStrictEqual(parse(text), address)
    assert.strictEqual(format(address), text)
  })

  it.each([
    "",
    "/run/rpcbind.sock",
    "192.0.2.1",
    "192.0.2.1.8",
    "192.0.2.1.8.1.1",
    "192.0.2.1.256.1",
    "192.0.2.1.1.256",
    "host.8.1",
    "8.1",
    "::1",
    " 192.0.2.1.8.1",
    "192.0.2.1.8.1\n",
    "192.0.2.1.-1.1"
  ])("%j is none", (text) => assert.isUndefined(parse(text)))

  const port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))
  it.prop("of every port is read as it was written", { port }, ({ port }) => {
    assert.deepStrictEqual(parse(format({ host: "::", port })), { host: "::", port })
  })

  it.prop("of anything is an address or none", [Schema.String], ([text]) => {
    const address = parse(text)
    if (address !== undefined) assert.deepStrictEqual(parse(format(address)), address)
  })
})

describe("netids", () => {
  it("say transport and kind of address", () => {
    assert.strictEqual(netidOf("tcp", "192.0.2.1"), "tcp")
    assert.strictEqual(netidOf("udp", "192.0.2.1"), "udp")
    assert.strictEqual(netidOf("tcp", "::1"), "tcp6")
    assert.strictEqual(netidOf("udp", "2001:db8::1"), "udp6")
  })

  it("have an address for all of the machine's", () => {
    assert.deepStrictEqual(["0.0.0.0", "::", "127.0.0.1", "::1"].map(isWildcard), [true, true, false, false])
  })
})
