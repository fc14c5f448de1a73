/**
 * A portmapper of our own, for machines that have none (RFC 1833): versions 2, 3 and 4 of the program.
 *
 * It answers where our services are and takes no others: a machine with more RPC services has rpcbind, and whoever could
 * change entries here could make himself the server of other people's files. It passes on no calls (CALLIT, BCAST,
 * INDIRECT: PROC_UNAVAIL), which would let strangers call from here whom they like, with answers longer than their
 * questions. What else is left out describes the machine rather than its services (UADDR2TADDR, TADDR2UADDR, GETSTAT).
 */

import { type Caller, immediate, type RpcProgram as Program } from "../../rpc/RpcProgram.ts"
import * as RpcProgram from "../../rpc/RpcProgram.ts"
import * as Portmap from "./PortmapCalls.ts"
import * as Rpcbind from "./RpcbindCalls.ts"
import { isReachable, type Service } from "./Service.ts"
import * as UniversalAddress from "./UniversalAddress.ts"

/** Whom `rpcinfo` names as the owner of our services. */
const OWNER = "effect-nfs"

/** All versions, as other programs see them. */
export const versions: ReadonlyArray<Pick<Program, "program" | "version">> = [Portmap.VERSION, ...Rpcbind.VERSIONS].map(
  (version) => ({ program: Portmap.PROGRAM, version })
)

/** The programs of a portmapper that knows these services. */
export const make = (services: ReadonlyArray<Service>): ReadonlyArray<Program> => [
  version2(services),
  ...Rpcbind.VERSIONS.map((version) => rpcbind(version, services))
]

/** A service of this version. */
const exactly = (services: ReadonlyArray<Service>, program: number, version: number, netid: string) =>
  services.find((service) => service.program === program && service.version === version && service.netid === netid)

/** Or, without one, of another version: that server then says which versions it has. */
const nearly = (services: ReadonlyArray<Service>, program: number, version: number, netid: string) =>
  exactly(services, program, version, netid) ??
  services.find((service) => service.program === program && service.netid === netid)

const protocols = { tcp: Portmap.IPPROTO_TCP, udp: Portmap.IPPROTO_UDP } as const

/** Knows no IPv6. */
const version2 = (services: ReadonlyArray<Service>): Program => {
  const mappings = services.flatMap(({ netid, port, program, version }): ReadonlyArray<Portmap.Mapping> =>
    netid === "tcp" || netid === "udp" ? [{ prog: program, vers: version, prot: protocols[netid], port }] : []
  )
  return RpcProgram.make({
    name: "PORTMAP",
    program: Portmap.PROGRAM,
    version: Portmap.VERSION,
    procedures: {
      0: RpcProgram.nullProcedure,
      [Portmap.SET.number]: immediate(Portmap.SET, () => false),
      [Portmap.UNSET.number]: immediate(Portmap.UNSET, () => false),
      [Portmap.GETPORT.number]: immediate(Portmap.GETPORT, ({ prog, prot, vers }) => {
        const netid = prot === Portmap.IPPROTO_TCP ? "tcp" : prot === Portmap.IPPROTO_UDP ? "udp" : ""
        return nearly(services, prog, vers, netid)?.port ?? 0
      }),
      [Portmap.DUMP.number]: immediate(Portmap.DUMP, () => mappings)
    }
  })
}

const rpcbind = (version: 3 | 4, services: ReadonlyArray<Service>): Program => {
  const entries = services.map((service): Rpcbind.Rpcb => ({
    prog: service.program,
    vers: service.version,
    netid: service.netid,
    addr: UniversalAddress.format(service),
    owner: OWNER
  }))

  /** The argument's `netid` does not count: who asks over TCP is told of TCP. */
  const getaddr =
    (find: typeof nearly) =>
    ({ addr, prog, vers }: Rpcbind.Rpcb, { address, transport }: Caller): string => {
      const service = find(services, prog, vers, UniversalAddress.netidOf(transport, address))
      return service === undefined ? "" : reach(service, addr)
    }

  const getaddrlist = ({ addr, prog, vers }: Rpcbind.Rpcb, { address }: Caller) =>
    services
      .filter((service) => service.program === prog && service.version === vers && isReachable(service, address))
      .map((service) => describe(service, addr))

  return RpcProgram.make({
    name: "RPCBIND",
    program: Rpcbind.PROGRAM,
    version,
    procedures: {
      0: RpcProgram.nullProcedure,
      [Rpcbind.SET.number]: immediate(Rpcbind.SET, () => false),
      [Rpcbind.UNSET.number]: immediate(Rpcbind.UNSET, () => false),
      [Rpcbind.GETADDR.number]: immediate(Rpcbind.GETADDR, getaddr(nearly)),
      [Rpcbind.DUMP.number]: immediate(Rpcbind.DUMP, () => entries),
      [Rpcbind.GETTIME.number]: immediate(Rpcbind.GETTIME, () => Math.floor(Date.now() / 1000)),
      ...(version === 4 && {
        [Rpcbind.GETVERSADDR.number]: immediate(Rpcbind.GETVERSADDR, getaddr(exactly)),
        [Rpcbind.GETADDRLIST.number]: immediate(Rpcbind.GETADDRLIST, getaddrlist)
      })
    }
  })
}

/**
 * Where a client finds a service: on the host where it sees this portmapper, which is its `hint`. That may be another than
 * we know of (network address translation).
 */
const reach = (service: Service, hint: string): string => {
  const seen = UniversalAddress.parse(hint)
  const usable = seen !== undefined && isReachable(service, seen.host) && !UniversalAddress.isWildcard(seen.host)
  return UniversalAddress.format({ host: usable ? seen.host : service.host, port: service.port })
}

const describe = (service: Service, hint: string) => {
  const proto = service.netid.startsWith("tcp") ? "tcp" : "udp"
  return {
    maddr: reach(service, hint),
    netid: service.netid,
    semantics: proto === "tcp" ? "NC_TPI_COTS_ORD" : "NC_TPI_CLTS",
    protofmly: service.netid.endsWith("6") ? "inet6" : "inet",
    proto
  } as const
}
