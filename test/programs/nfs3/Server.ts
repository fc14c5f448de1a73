/** The NFS program over filesystems in memory, called without a network: arguments and results go through their codecs. */

import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { type Export, Exports } from "../../../src/exports/Exports.ts"
import { SharedState } from "../../../src/exports/SharedState.ts"
import type { File, Operations, SetAttributes } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Nfs3 from "../../../src/programs/nfs3/Nfs3.ts"
import * as Nfs3Calls from "../../../src/programs/nfs3/Nfs3Calls.ts"
import type { Nfsstat3, PostOpAttr, WccData } from "../../../src/programs/nfs3/Nfs3Types.ts"
import type { Credentials } from "../../../src/rpc/Auth.ts"
import { RpcCodec } from "../../../src/rpc/RpcCodec.ts"
import type { Procedure } from "../../../src/rpc/RpcProgram.ts"
import * as Xdr from "../../../src/xdr/Xdr.ts"
import { encode } from "../codecs.ts"

export const sys = (uid: number, gid = uid, gids: ReadonlyArray<number> = []): Credentials => ({
  _tag: "Sys",
  uid,
  gid,
  gids,
  machineName: "client"
})

export const root = sys(0)
export const alice = sys(1000)
export const bob = sys(1001)

interface Call<A, B> {
  readonly number: number
  readonly name: string
  readonly args: Xdr.Codec<A>
  readonly result: Xdr.Codec<B>
}

type Ok<B> = Extract<B, { readonly status: "NFS3_OK" }>
type Failed<B> = Exclude<B, { readonly status: "NFS3_OK" }>

export interface Server {
  readonly fs: Operations
  readonly maxTransfer: number
  readonly share: Export
  /** The handle of the root of `/`, and those of two other exports: of the same filesystem read-only, of another. */
  readonly root: Uint8Array
  readonly readOnlyRoot: Uint8Array
  readonly otherRoot: Uint8Array
  /** The result of a call; by root unless somebody else is given. */
  readonly call: <A, B>(call: Call<A, B>, args: A, by?: Credentials) => Effect.Effect<B>
  /** A call that succeeds. */
  readonly ok: <A, B extends { readonly status: Nfsstat3 }>(
    call: Call<A, B>,
    args: A,
    by?: Credentials
  ) => Effect.Effect<Ok<B>>
  /** A call that fails with this status. */
  readonly fails: <A, B extends { readonly status: Nfsstat3 }>(
    status: Nfsstat3,
    call: Call<A, B>,
    args: A,
    by?: Credentials
  ) => Effect.Effect<Failed<B>>
  readonly procedure: <A, B>(call: Call<A, B>) => Procedure<A, B>
  /** Handles of new files, made by root. */
  readonly file: (name: string, attributes?: SetAttributes, content?: string) => Effect.Effect<Uint8Array>
  readonly directory: (name: string, attributes?: SetAttributes) => Effect.Effect<Uint8Array>
  /** The handle of a file that the filesystem knows. */
  readonly handle: (file: File) => Uint8Array
}

export const MAX_TRANSFER = 65_536

const peer = { address: "192.0.2.1", port: 700 }

export const make = Effect.gen(function* () {
  const fs = yield* MemoryFilesystem.make()
  const other = yield* MemoryFilesystem.make()
  return yield* makeFor(fs, other)
})

/** A server for these filesystems. */
export const makeFor = Effect.fnUntraced(
  function* (fs: Operations, other: Operations) {
    const exports = yield* Exports.make([
      { path: "/", filesystem: fs, squash: "none" },
      { path: "/ro", filesystem: fs, squash: "none", readOnly: true },
      { path: "/other", filesystem: other, squash: "none" }
    ])
    const [share, readOnly, elsewhere] = exports.current.all
    const program = yield* Effect.provideService(Nfs3.make, Exports, exports)
    const procedure = <A, B>({ number }: Call<A, B>): Procedure<A, B> => program.procedures[number] as Procedure<A, B>
    const call = <A, B>(call: Call<A, B>, args: A, by = root): Effect.Effect<B> => {
      const decoded = Result.getOrThrow(Xdr.decode(call.args, encode(call.args, args)))
      const caller = { credentials: by, transport: "tcp" as const, peer, ...peer, charge: () => {} }
      return Effect.map(Effect.orDie(procedure(call).handler(decoded, caller)), (result) =>
        Result.getOrThrow(Xdr.decode(call.result, encode(call.result, result)))
      )
    }
    const server: Server = {
      fs,
      maxTransfer: MAX_TRANSFER,
      share: share!,
      root: share!.handle(fs.root),
      readOnlyRoot: readOnly!.handle(fs.root),
      otherRoot: elsewhere!.handle(other.root),
      handle: share!.handle,
      call,
      procedure,
      ok: (signature, args, by) =>
        Effect.map(call(signature, args, by), (result) => {
          assert.strictEqual(result.status, "NFS3_OK", signature.name)
          return result as Ok<typeof result>
        }),
      fails: (status, signature, args, by) =>
        Effect.map(call(signature, args, by), (result) => {
          assert.strictEqual(result.status, status, signature.name)
          return result as Failed<typeof result>
        }),
      file: (name, attributes = {}, content = "") =>
        Effect.gen(function* () {
          const how = { mode: "GUARDED", objAttributes: { mode: 0o644, ...attributes } } as const
          const { obj } = yield* server.ok(Nfs3Calls.CREATE, { where: { dir: server.root, name }, how })
          const data = [Buffer.from(content)]
          yield* server.ok(Nfs3Calls.WRITE, { file: obj!, offset: 0, count: content.length, stable: "FILE_SYNC", data })
          return obj!
        }),
      directory: (name, attributes = {}) =>
        Effect.map(
          server.ok(Nfs3Calls.MKDIR, {
            where: { dir: server.root, name },
            attributes: { mode: 0o755, ...attributes }
          }),
          ({ obj }) => obj!
        )
    }
    return server
  },
  Effect.provide(Layer.mergeAll(SharedState.layer, RpcCodec.layer({ maxPayload: MAX_TRANSFER })))
)

/** A handle that nobody made, and one that was made for a file of another life. */
export const forged = new Uint8Array(32)
export const goneFrom = ({ fs, share }: Server): Uint8Array =>
  share.handle({ key: Uint8Array.from(fs.root.key, (byte) => byte ^ 0x55) })

/** Asserts that a reply of a failure tells how the directory or file is. */
export const assertTold = (attributes: PostOpAttr | WccData): void => {
  assert.isDefined(attributes)
  if ("before" in attributes) {
    assert.isUndefined(attributes.before)
    assert.isDefined(attributes.after)
  }
}

/** Asserts that a reply tells how a directory was changed. */
export const assertChanged = ({ after, before }: WccData): void => {
  assert.isDefined(before)
  assert.isDefined(after)
  const time = ({ nanoseconds, seconds }: { seconds: number; nanoseconds: number }) => seconds * 1e9 + nanoseconds
  assert.isAbove(time(after.attributes.mtime), time(before.mtime) - 1)
  assert.isAtLeast(time(after.attributes.ctime), time(before.ctime))
  assert.notDeepEqual(after.attributes.ctime, before.ctime)
}
