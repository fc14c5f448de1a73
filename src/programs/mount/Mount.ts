/** The MOUNT program (RFC 1813, appendix I): from the path of an export to the file handle of its root. */

import * as Effect from "effect/Effect"
import { type Export, Exports, normalize } from "../../exports/Exports.ts"
import { AUTH_NONE, AUTH_SYS } from "../../rpc/Auth.ts"
import { type Caller, immediate } from "../../rpc/RpcProgram.ts"
import * as RpcProgram from "../../rpc/RpcProgram.ts"
import type * as Xdr from "../../xdr/Xdr.ts"
import { DUMP, EXPORT, FHSIZE1, MNT1, MNT3, PROGRAM, UMNT, UMNTALL } from "./MountCalls.ts"
import { MountTable } from "./MountTable.ts"

/**
 * The program for the {@link Exports} in versions 1 to 3. Version 2 is 1 with one more procedure, which nobody calls; without
 * it, clients that try 2 first would be told that it is within what there is.
 */
export const make: Effect.Effect<ReadonlyArray<RpcProgram.RpcProgram>, never, Exports | MountTable> = Effect.gen(
  function* () {
    const exports = yield* Exports
    const table = yield* MountTable

    const mount = (path: string, caller: Caller): Export | undefined => {
      const share = exports.byPath(path)
      if (share !== undefined) table.add({ host: caller.address, path: share.path })
      return share
    }

    const mnt3 = immediate(MNT3, (path, caller): Xdr.Type<typeof MNT3.result> => {
      const share = mount(path, caller)
      return share === undefined
        ? { status: "MNT3ERR_NOENT" }
        : { status: "MNT3_OK", fhandle: rootOf(share), authFlavors: flavors(share) }
    })

    // Handles of version 1 are for NFS version 2, which is not served: a client that goes on to it is told so there, and one
    // that goes on to version 3 is right. Not every filesystem's handles are that short.
    const mnt1 = immediate(MNT1, (path, caller): Xdr.Type<typeof MNT1.result> => {
      const share = exports.byPath(path)
      if (share === undefined) return { status: "MNT3ERR_NOENT" }
      if (share.handleLength !== FHSIZE1) return { status: "MNT3ERR_NOTSUPP" }
      mount(path, caller)
      return { status: "MNT3_OK", directory: rootOf(share) }
    })

    const common = {
      0: RpcProgram.nullProcedure,
      [DUMP.number]: immediate(DUMP, () => table.all().map(({ host, path }) => ({ hostname: host, directory: path }))),
      [UMNT.number]: immediate(UMNT, (path, caller) => {
        table.remove({ host: caller.address, path: normalize(path) })
        return undefined
      }),
      [UMNTALL.number]: immediate(UMNTALL, (_, caller) => {
        table.removeAll(caller.address)
        return undefined
      }),
      [EXPORT.number]: immediate(EXPORT, () => exports.all.map(({ path }) => ({ directory: path, groups: [] })))
    }

    return [
      ...[1, 2].map((version) =>
        RpcProgram.make({
          name: "MOUNT",
          program: PROGRAM,
          version,
          procedures: { ...common, [MNT1.number]: mnt1 }
        })
      ),
      RpcProgram.make({
        name: "MOUNT",
        program: PROGRAM,
        version: 3,
        procedures: { ...common, [MNT3.number]: mnt3 }
      })
    ]
  }
)

const rootOf = (share: Export): Uint8Array => share.handle(share.operations.root)

/** To Linux, AUTH_NONE in the list means that credentials are ignored. */
const flavors = ({ squash }: Export): ReadonlyArray<number> =>
  squash === "all" || squash === "self" ? [AUTH_SYS, AUTH_NONE] : [AUTH_SYS]
