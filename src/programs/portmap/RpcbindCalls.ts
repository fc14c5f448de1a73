/** rpcbind as a client sees it: versions 3 and 4 of the portmapper (RFC 1833, section 2), in which addresses are universal. */

import * as Xdr from "../../xdr/Xdr.ts"

export { PROGRAM } from "./PortmapCalls.ts"

/** Version 4 has procedures that version 3 has not. */
export const VERSIONS = [3, 4] as const

/** The RFC has no limits. The longest there is: the path of a socket on this machine. */
const string = Xdr.string(255)

/** `rpcb`: `addr` is a universal address, `owner` who may remove it. */
export const rpcb = Xdr.struct({ prog: Xdr.uint32, vers: Xdr.uint32, netid: string, addr: string, owner: string })
export type Rpcb = Xdr.Type<typeof rpcb>

/** `rpcb_entry`: one way to reach a program. */
const entry = Xdr.struct({
  maddr: string,
  netid: string,
  semantics: Xdr.enumeration({ NC_TPI_CLTS: 1, NC_TPI_COTS: 2, NC_TPI_COTS_ORD: 3 }),
  protofmly: string,
  proto: string
})

export const SET = { number: 1, name: "SET", args: rpcb, result: Xdr.bool }

/** Without `netid`, all of the version's. */
export const UNSET = { number: 2, name: "UNSET", args: rpcb, result: Xdr.bool }

/** The empty string is the answer where there is none. */
export const GETADDR = { number: 3, name: "GETADDR", args: rpcb, result: string }
export const DUMP = { number: 4, name: "DUMP", args: Xdr.nothing, result: Xdr.list(rpcb) }

/** Seconds since 1970. */
export const GETTIME = { number: 6, name: "GETTIME", args: Xdr.nothing, result: Xdr.uint32 }

/** Since version 4: GETADDR that does not make do with another version. */
export const GETVERSADDR = { number: 9, name: "GETVERSADDR", args: rpcb, result: string }

/** Since version 4. */
export const GETADDRLIST = { number: 11, name: "GETADDRLIST", args: rpcb, result: Xdr.list(entry) }
