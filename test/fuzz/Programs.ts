/** What can be called: all procedures of all programs that the server has, and where each is answered. */

import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Portmap from "../../src/programs/portmap/PortmapCalls.ts"
import * as Rpcbind from "../../src/programs/portmap/RpcbindCalls.ts"
import type { Transport } from "../../src/rpc/RpcProgram.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"

/** A port of the server. */
export type Service = "nfs" | "portmap"

export interface Procedure {
  readonly program: number
  readonly version: number
  readonly number: number
  readonly name: string
  readonly args: Xdr.Codec<any>
  readonly result: Xdr.Codec<any>
}

const isCall = (value: unknown): value is Omit<Procedure, "program" | "version"> =>
  typeof value === "object" && value !== null && "args" in value && "number" in value

const version = (program: number, number: number, calls: object): ReadonlyArray<Procedure> => [
  { program, version: number, number: 0, name: "NULL", args: Xdr.nothing, result: Xdr.nothing },
  ...Object.values(calls)
    .filter(isCall)
    .filter((call) => call.number > 0)
    .map((call) => ({ ...call, program, version: number }))
]

const { MNT1, MNT3, ...mount } = MountCalls

const nfs3 = version(Nfs.PROGRAM, Nfs.VERSION, Nfs)
const mounts = [
  ...version(MountCalls.PROGRAM, 1, { ...mount, MNT1 }),
  ...version(MountCalls.PROGRAM, 2, { ...mount, MNT1 }),
  ...version(MountCalls.PROGRAM, 3, { ...mount, MNT3 })
]
const rpcbind = version(Rpcbind.PROGRAM, 3, Rpcbind)
const portmap = [
  ...version(Portmap.PROGRAM, Portmap.VERSION, Portmap),
  ...rpcbind.filter(({ number }) => number !== Rpcbind.GETVERSADDR.number && number !== Rpcbind.GETADDRLIST.number),
  ...rpcbind.map((procedure) => ({ ...procedure, version: 4 }))
]

const table: { readonly [S in Service]: { readonly [T in Transport]: ReadonlyArray<Procedure> } } = {
  nfs: { tcp: [...nfs3, ...mounts], udp: mounts },
  portmap: { tcp: portmap, udp: portmap }
}

/** The procedures that a port answers. */
export const at = (service: Service, transport: Transport): ReadonlyArray<Procedure> => table[service][transport]

/** Those whose calls must not be executed twice, and so may be answered once when they come twice. */
const once: ReadonlySet<number> = new Set(
  [
    Nfs.SETATTR,
    Nfs.WRITE,
    Nfs.CREATE,
    Nfs.MKDIR,
    Nfs.SYMLINK,
    Nfs.MKNOD,
    Nfs.REMOVE,
    Nfs.RMDIR,
    Nfs.RENAME,
    Nfs.LINK
  ].map(({ number }) => number)
)

export const isOnce = ({ number, program }: Procedure): boolean => program === Nfs.PROGRAM && once.has(number)

/** Replies may be as long as there are entries to tell of: too long for a datagram. */
export const isLong = ({ name }: Procedure): boolean => /^(DUMP|EXPORT|GETADDRLIST)$/.test(name)
