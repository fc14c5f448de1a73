import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as AddressPattern from "../../src/exports/AddressPattern.ts"
import { property } from "../support/runs.ts"

const matches = (pattern: string, address: string): boolean => AddressPattern.parse(pattern)!(address)

/** Addresses as numbers, of 32 or 128 bits, and how they are written. */
const families = [
  {
    name: "IPv4",
    width: 32,
    write: (n: bigint) => [24n, 16n, 8n, 0n].map((shift) => (n >> shift) & 0xffn).join(".")
  },
  {
    name: "IPv6",
    width: 128,
    write: (n: bigint) =>
      Array.from({ length: 8 }, (_, i) => ((n >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(":")
  }
]

const half = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: 2n ** 64n - 1n }))

describe("AddressPattern", () => {
  for (const { name, width, write } of families) {
    const bits = BigInt(width)
    const number = (high: bigint, low: bigint): bigint => BigInt.asUintN(width, (high << 64n) | low)

    it.prop(
      `a network of ${name} has the addresses with its prefix, and no others`,
      { high: half, low: half, prefix: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: width })), flip: half },
      ({ flip, high, low, prefix }) => {
        // What is no IPv4 address in disguise: those follow below.
        const network = number(high | (1n << 63n), low)
        const pattern = `${write(network)}/${prefix}`
        const flipped = Number(flip % bits)
        const address = network ^ (1n << (bits - 1n - BigInt(flipped)))
        assert.isTrue(matches(pattern, write(network)), `${pattern} ${write(network)}`)
        assert.strictEqual(matches(pattern, write(address)), flipped >= prefix, `${pattern} ${write(address)}`)
        const other = number(low | (1n << 63n), high)
        const shift = BigInt(width - prefix)
        assert.strictEqual(matches(pattern, write(other)), other >> shift === network >> shift)
      },
      property(300)
    )
  }

  it.each([
    ["*", "192.0.2.1", true],
    ["*", "2001:db8::1", true],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.10", false],
    ["2001:DB8::0:1", "2001:db8::1", true],
    ["fe80::/10", "fe80::1%eth0", true],
    // IPv4 addresses in their IPv6 form are IPv4 addresses, in both places.
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.0.0.0/8", "::ffff:11.1.2.3", false],
    ["::ffff:10.0.0.0/104", "10.1.2.3", true],
    ["::ffff:10.0.0.0/104", "11.1.2.3", false],
    ["::ffff:192.0.2.1", "192.0.2.1", true],
    // Each family has a "everybody" of its own.
    ["0.0.0.0/0", "192.0.2.1", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "192.0.2.1", false],
    // What is no address matches nothing: a socket that was gone before it was looked at has none.
    ["0.0.0.0/0", "", false],
    ["::/0", "", false]
  ])("%s: is %s one of them? %s", (pattern, address, expected) => {
    assert.strictEqual(matches(pattern, address), expected)
  })

  it.each([
    "",
    "**",
    "10.0.0",
    "10.0.0/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/8 ",
    "10.0.0.0/0x8",
    "010.0.0.1",
    "300.0.0.1",
    "2001:db8::/129",
    "fe80::1%eth0",
    "::ffff:10.0.0.0/8",
    "0:0:0:0:0:ffff:a00:0/95",
    "host.example",
    "@netgroup"
  ])("%j is none", (text) => {
    assert.isUndefined(AddressPattern.parse(text))
  })
})
