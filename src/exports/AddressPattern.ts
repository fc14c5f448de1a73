/**
 * Which clients a rule is for, by their address: everybody (`*`), one address, or those of a network (a CIDR such as
 * `10.0.0.0/8`). IPv4 addresses in their IPv6 form, in rules as in calls, are IPv4 addresses.
 */

import { BlockList, isIP } from "node:net"

/** Whether an address is one of those that the pattern is for. */
export type AddressPattern = (address: string) => boolean

/** Bits of the prefix of IPv4 addresses in their IPv6 form. What is shorter is about IPv6. */
const MAPPED = 96
const mapped = new BlockList()
mapped.addSubnet("::ffff:0:0", MAPPED, "ipv6")

/** The pattern that `text` is; `undefined` when it is none. */
export const parse = (text: string): AddressPattern | undefined => {
  if (text === "*") return () => true
  const [network = "", bits, ...rest] = text.split("/")
  const version = isIP(network)
  const width = version === 4 ? 32 : 128
  // A zone (`fe80::1%eth0`) names an interface of one machine, and is no part of the address.
  if (version === 0 || network.includes("%") || rest.length > 0) return undefined
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > width)) return undefined
  const prefix = bits === undefined ? width : Number(bits)
  // Meant for IPv4, probably, but with too few bits for that: it would match nobody who is meant.
  if (version === 6 && prefix < MAPPED && mapped.check(network, "ipv6")) return undefined
  const addresses = new BlockList()
  addresses.addSubnet(network, prefix, version === 4 ? "ipv4" : "ipv6")
  return (address) => {
    const ipv4 = isIP(address) === 4
    if (ipv4 && version === 6 && prefix < MAPPED) return false
    return addresses.check(address, ipv4 ? "ipv4" : "ipv6")
  }
}
