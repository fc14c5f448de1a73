/** NFS version 3 (RFC 1813) as an RPC program. */

import * as Effect from "effect/Effect"
import { Exports } from "../../exports/Exports.ts"
import { SharedState } from "../../exports/SharedState.ts"
import { RpcCodec } from "../../rpc/RpcCodec.ts"
import * as RpcProgram from "../../rpc/RpcProgram.ts"
import { NULL, PROGRAM, VERSION } from "./Nfs3Calls.ts"
import type { Operation, Server } from "./Operation.ts"
import { access, getattr, setattr } from "./procedures/attributes.ts"
import { create, mkdir, mknod, symlink } from "./procedures/creation.ts"
import { commit, read, readlink, write } from "./procedures/data.ts"
import { readdir, readdirplus } from "./procedures/directories.ts"
import { fsinfo, fsstat, pathconf } from "./procedures/filesystems.ts"
import { link, lookup, remove, rename, rmdir } from "./procedures/names.ts"

const operations: ReadonlyArray<Operation> = [
  getattr,
  setattr,
  lookup,
  access,
  readlink,
  read,
  write,
  create,
  mkdir,
  symlink,
  mknod,
  remove,
  rmdir,
  rename,
  link,
  readdir,
  readdirplus,
  fsstat,
  fsinfo,
  pathconf,
  commit
]

/** The program that serves the {@link Exports}. A READ or WRITE carries as much as {@link RpcCodec} takes. */
export const make: Effect.Effect<RpcProgram.RpcProgram, never, Exports | SharedState | RpcCodec> = Effect.gen(
  function* () {
    const { writeVerifier } = yield* SharedState
    const { maxPayload } = yield* RpcCodec
    const server: Server = { exports: yield* Exports, writeVerifier, maxTransfer: maxPayload }
    return RpcProgram.make({
      name: "NFS",
      program: PROGRAM,
      version: VERSION,
      procedures: {
        [NULL.number]: RpcProgram.nullProcedure,
        ...Object.fromEntries(operations.map(({ number, procedure }) => [number, procedure(server)]))
      }
    })
  }
)
