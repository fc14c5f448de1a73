/** The portmapper as a client sees it: version 2 of the program (RFC 1833, section 3), in which an address is a port. */

import * as Xdr from "../../xdr/Xdr.ts"

/** Versions 3 and 4 are rpcbind's. */
export const PROGRAM = 100000
export const VERSION = 2

/** Where every client looks for the portmapper, over TCP and UDP. */
export const PMAP_PORT = 111

/** What `prot` names. */
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17

export const mapping = Xdr.struct({ prog: Xdr.uint32, vers: Xdr.uint32, prot: Xdr.uint32, port: Xdr.uint32 })
export type Mapping = Xdr.Type<typeof mapping>

export const SET = { number: 1, name: "SET", args: mapping, result: Xdr.bool }
export const UNSET = { number: 2, name: "UNSET", args: mapping, result: Xdr.bool }

/** `port` of the argument is ignored; 0 is the answer where there is none. */
export const GETPORT = { number: 3, name: "GETPORT", args: mapping, result: Xdr.uint32 }
export const DUMP = { number: 4, name: "DUMP", args: Xdr.nothing, result: Xdr.list(mapping) }
