/** A client of NFS version 3 for tests: the calls of the protocol over one connection. */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import { PROGRAM, VERSION } from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import type { Procedure } from "../../src/rpc/RpcProgram.ts"

/** A procedure as `Nfs3Calls` and `MountCalls` have it. */
export type Call<A, B> = Pick<Procedure<A, B>, "name" | "args" | "result"> & { readonly number: number }

export interface NfsClient {
  readonly rpc: RpcClient.RpcClient
  readonly nfs: <A, B>(
    call: Call<A, B>,
    args: A,
    options?: RpcClient.CallOptions
  ) => Effect.Effect<B, RpcClient.RpcClientError>
  readonly mount: <A, B>(call: Call<A, B>, args: A, version?: 1 | 3) => Effect.Effect<B, RpcClient.RpcClientError>
  /** The handle of an export's root. */
  readonly root: (path?: string) => Effect.Effect<Uint8Array, RpcClient.RpcClientError>
}

export interface Identity {
  readonly uid: number
  readonly gid: number
  readonly gids?: ReadonlyArray<number>
}

/** A connection that lives as long as the surrounding scope; calls are root's unless said otherwise. */
export const connect = (
  port: number,
  identity: Identity = { uid: 0, gid: 0 },
  from: Pick<RpcClient.Options, "host" | "localAddress" | "privileged"> = {}
): Effect.Effect<NfsClient, RpcClient.RpcDisconnected, Scope.Scope> =>
  Effect.map(RpcClient.make({ port, auth: Auth.sys(identity), ...from }), (rpc): NfsClient => {
    const mount: NfsClient["mount"] = (call, args, version = 3) =>
      rpc.call({ program: MountCalls.PROGRAM, version }, call.number, call, args)
    return {
      rpc,
      nfs: (call, args, options) => rpc.call({ program: PROGRAM, version: VERSION }, call.number, call, args, options),
      mount,
      root: (path = "/") => Effect.map(mount(MountCalls.MNT3, path), (mounted) => ok(mounted).fhandle)
    }
  })

/** The fields of a successful answer; a test that gets another one fails here. */
export const ok = <R extends { readonly status: string }>(
  answer: R
): Extract<R, { readonly status: "NFS3_OK" | "MNT3_OK" }> => {
  if (answer.status !== "NFS3_OK" && answer.status !== "MNT3_OK") {
    throw new Error(`the answer is ${answer.status}`)
  }
  return answer as Extract<R, { readonly status: "NFS3_OK" | "MNT3_OK" }>
}
