/** The MOUNT program (RFC 1813, appendix I): from the path of a directory in an export to its file handle. */

import * as Effect from "effect/Effect"
import { type Export, type Grant, normalize } from "../../exports/Export.ts"
import { Exports } from "../../exports/Exports.ts"
import type { Settled } from "../../exports/Policy.ts"
import type { File } from "../../filesystem/Filesystem.ts"
import { type Code, fail, type FilesystemError, is } from "../../filesystem/FilesystemError.ts"
import { AUTH_NONE, AUTH_SYS } from "../../rpc/Auth.ts"
import { type Caller, immediate } from "../../rpc/RpcProgram.ts"
import * as RpcProgram from "../../rpc/RpcProgram.ts"
import type * as Xdr from "../../xdr/Xdr.ts"
import * as Checks from "../nfs3/Checks.ts"
import { DUMP, EXPORT, FHSIZE1, MNT1, MNT3, type Mountstat3, PROGRAM, UMNT, UMNTALL } from "./MountCalls.ts"
import { MountTable } from "./MountTable.ts"

/**
 * The program for the {@link Exports} in versions 1 to 3. Version 2 is 1 with one more procedure, which nobody calls; without
 * it, clients that try 2 first would be told that it is within what there is.
 */
export const make: Effect.Effect<ReadonlyArray<RpcProgram.RpcProgram>, never, Exports | MountTable> = Effect.gen(
  function* () {
    const exports = yield* Exports
    const table = yield* MountTable

    /** The directory that a path names, for those who may use its export: others do not learn what there is. */
    const find = Effect.fnUntraced(function* (path: string, { credentials, peer }: Caller) {
      const found = exports.current.find(path)
      if (found === undefined) return yield* fail.ENOENT
      const { below, share } = found
      const grant = share.grant(peer, credentials)
      if (is(grant)) return yield* Effect.fail(grant)
      return { share, file: yield* descend(grant, below), terms: grant.terms }
    })

    const mounted = (path: string, share: Export, { address }: Caller): void =>
      table.add({ host: address, path: normalize(path) }, share.path)

    const mnt3 = procedure(MNT3, (path, caller) =>
      Effect.map(find(path, caller), ({ file, share, terms }): Xdr.Type<typeof MNT3.result> => {
        mounted(path, share, caller)
        return { status: "MNT3_OK", fhandle: share.handle(file), authFlavors: flavors(terms) }
      })
    )

    // Handles of version 1 are for NFS version 2, which is not served: a client that goes on to it is told so there, and one
    // that goes on to version 3 is right. Not every filesystem's handles are that short.
    const mnt1 = procedure(MNT1, (path, caller) =>
      Effect.flatMap(
        find(path, caller),
        ({ file, share }): Effect.Effect<Xdr.Type<typeof MNT1.result>, FilesystemError> => {
          if (share.handleLength !== FHSIZE1) return fail.ENOTSUP
          mounted(path, share, caller)
          return Effect.succeed({ status: "MNT3_OK", directory: share.handle(file) })
        }
      )
    )

    const common = {
      0: RpcProgram.nullProcedure,
      [DUMP.number]: immediate(DUMP, (_, caller) =>
        table.all(caller.address).map(({ host, path }) => ({ hostname: host, directory: path }))
      ),
      [UMNT.number]: immediate(UMNT, (path, caller) => {
        table.remove({ host: caller.address, path: normalize(path) })
        return undefined
      }),
      [UMNTALL.number]: immediate(UMNTALL, (_, caller) => {
        table.removeAll(caller.address)
        return undefined
      }),
      [EXPORT.number]: immediate(EXPORT, () => exports.current.all.flatMap(listed))
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

/** Goes from an export's root to a directory below. Links are not followed: they are the client's, not this server's. */
const descend = Effect.fnUntraced(function* (
  { access, operations }: Grant,
  names: ReadonlyArray<string>
): Effect.fn.Return<File, FilesystemError> {
  let file = operations.root
  for (const name of names) {
    const objection = Checks.properName(name, "ENOENT")
    if (objection !== undefined) return yield* objection
    const found = yield* operations.lookup(file, name, access.lookup)
    if (found.attributes.type !== "directory") return yield* fail.ENOTDIR
    file = found.file
  }
  return file
})

/** A MNT, which says in its status what went wrong. */
const procedure = <A, B>(
  {
    args,
    name,
    result
  }: Pick<RpcProgram.Procedure<A, B | { readonly status: FailureStatus }>, "name" | "args" | "result">,
  run: (args: A, caller: Caller) => Effect.Effect<B, FilesystemError>
) =>
  RpcProgram.procedure({
    name,
    args,
    result,
    priority: "control",
    idempotent: true,
    handler: (args, caller) =>
      run(args, caller).pipe(
        Effect.catch(({ code }) => Effect.succeed({ status: statuses[code] ?? "MNT3ERR_SERVERFAULT" }))
      )
  })

type FailureStatus = Exclude<Mountstat3, "MNT3_OK">

const statuses: { readonly [K in Code]?: FailureStatus } = {
  EPERM: "MNT3ERR_PERM",
  ENOENT: "MNT3ERR_NOENT",
  ESTALE: "MNT3ERR_NOENT",
  EIO: "MNT3ERR_IO",
  EACCES: "MNT3ERR_ACCES",
  ENOTDIR: "MNT3ERR_NOTDIR",
  EINVAL: "MNT3ERR_INVAL",
  ENAMETOOLONG: "MNT3ERR_NAMETOOLONG",
  ENOTSUP: "MNT3ERR_NOTSUPP"
}

/**
 * How a client may authenticate. AUTH_NONE is among it only where nobody is believed, even if calls without credentials are
 * served: to Linux it means that they are ignored.
 */
const flavors = ({ flavors, squash }: Settled): ReadonlyArray<number> => {
  const believed = flavors.includes("sys") && squash !== "all" && squash !== "self"
  return flavors.flatMap((flavor) => (flavor === "sys" ? [AUTH_SYS] : believed ? [] : [AUTH_NONE]))
}

/** An export in the list of all. One that nobody may use is not in it: without groups it would be everybody's. */
const listed = ({ groups, path }: Export) => (groups?.length === 0 ? [] : [{ directory: path, groups: groups ?? [] }])
