/** What a portmapper knows: which version of which program is called where. */

import type { RpcProgram, Transport } from "../../rpc/RpcProgram.ts"
import { isIPv6, type Netid, netidOf, type UniversalAddress } from "./UniversalAddress.ts"

export interface Service extends UniversalAddress {
  readonly program: number
  readonly version: number
  readonly netid: Netid
}

/** The services of a server that offers these programs at an address. A socket of `::` takes IPv4, too. */
export const of = (
  { host, port }: UniversalAddress,
  programs: { readonly [T in Transport]: ReadonlyArray<Pick<RpcProgram, "program" | "version">> }
): ReadonlyArray<Service> =>
  (host === "::" ? ["0.0.0.0", "::"] : [host]).flatMap((host) =>
    (["tcp", "udp"] as const).flatMap((transport) =>
      programs[transport].map(({ program, version }) => ({
        program,
        version,
        netid: netidOf(transport, host),
        host,
        port
      }))
    )
  )

/** Whether a caller at `address` could use it. */
export const isReachable = ({ netid }: Service, address: string): boolean => netid.endsWith("6") === isIPv6(address)
