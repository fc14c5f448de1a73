/** Universal addresses and network identifiers (RFC 5665, sections 5.2.3 and 4): an address and port as text. */

import type { Transport } from "../../rpc/RpcProgram.ts"

export type Netid = "tcp" | "udp" | "tcp6" | "udp6"

/** The netid of a transport between addresses like this one. */
export const netidOf = (transport: Transport, host: string): Netid => (isIPv6(host) ? `${transport}6` : transport)

export const isIPv6 = (host: string): boolean => host.includes(":")

/** Stands for all addresses of the machine. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

export interface UniversalAddress {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1.8.1` for port 2049 of 127.0.0.1. */
export const format = ({ host, port }: UniversalAddress): string => `${host}.${port >>> 8}.${port & 0xff}`

/** What such a text says; `undefined` for another text, such as the path of a socket. */
export const parse = (text: string): UniversalAddress | undefined => {
  const [, host = "", high, low] = universal.exec(text) ?? []
  const port = Number(high) * 256 + Number(low)
  return port < 0x10000 && Number(low) < 256 ? { host, port } : undefined
}

const universal = /^(\d{1,3}(?:\.\d{1,3}){3}|[\da-f:]*:[\da-f:.]*(?:%[\w.-]+)?)\.(\d{1,3})\.(\d{1,3})$/i
