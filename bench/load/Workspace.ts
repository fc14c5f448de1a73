/**
 * A mounted export and the files that are made in it before the clock runs. All of it goes through the project's own client
 * and codecs; what each operation answers is looked at here once, in full.
 */

import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Mount from "../../src/programs/mount/MountCalls.ts"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import type * as Xdr from "../../src/xdr/Xdr.ts"
import type { Endpoint } from "./protocol.ts"
import { auth } from "./Request.ts"

/** The server did not do what the preparations need. */
export class PrepareFailed extends Data.TaggedError("PrepareFailed")<{ readonly message: string }> {}

/** A procedure as `Nfs3Calls` describes it. */
export interface Procedure<A, B> {
  readonly number: number
  readonly name: string
  readonly args: Xdr.Codec<A>
  readonly result: Xdr.Codec<B>
}

type Ok<B> = Extract<B, { readonly status: "NFS3_OK" }>

export interface Workspace {
  /** The handle of the export's root. */
  readonly root: Uint8Array
  /** Calls an NFS procedure; everything but NFS3_OK is a failure. */
  readonly call: <A, B extends { readonly status: string }>(
    procedure: Procedure<A, B>,
    args: A
  ) => Effect.Effect<Ok<B>, PrepareFailed>
  /** The handle of a directory of this name; made at the first call. */
  readonly directory: (name: string) => Effect.Effect<Uint8Array, PrepareFailed>
  /** So many files of so many bytes, in a directory of their own; made at the first call. */
  readonly files: (count: number, size: number) => Effect.Effect<Files, PrepareFailed>
}

export interface Files {
  readonly directory: Uint8Array
  readonly files: ReadonlyArray<{ readonly name: string; readonly handle: Uint8Array }>
  readonly size: number
}

/** The program that the load calls. */
export const program = { program: Nfs3.PROGRAM, version: Nfs3.VERSION }

const mountProgram = { program: Mount.PROGRAM, version: 3 }

/** Bytes to write; places differ, should somebody look at them. */
export const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => (at * 31 + 7) & 0xff)

/** Bytes that a WRITE of the preparations carries. */
const STEP = 64 * 1024

/** Calls of the preparations that are in flight at once. */
const CONCURRENCY = 16

/** Mounts an export; the connections live as long as the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  endpoint: Endpoint
): Effect.fn.Return<Workspace, PrepareFailed, Scope.Scope> {
  const root = yield* Effect.scoped(mount(endpoint))
  const client = yield* connect(endpoint.host, endpoint.port)

  const call: Workspace["call"] = (procedure, args) =>
    client.call(program, procedure.number, procedure, args).pipe(
      Effect.mapError((error) => failure(procedure.name, error)),
      Effect.flatMap((result) =>
        isOk(result)
          ? Effect.succeed(result)
          : Effect.fail(new PrepareFailed({ message: `${procedure.name}: ${result.status}` }))
      )
    )

  const lookup = (directory: Uint8Array, name: string) =>
    Effect.map(call(Nfs3.LOOKUP, { what: { dir: directory, name } }), ({ object }) => object)

  const makeDirectory = Effect.fnUntraced(function* (name: string) {
    const where = { dir: root, name }
    const made = yield* Effect.result(call(Nfs3.MKDIR, { where, attributes: { mode: 0o755 } }))
    // A server that is not ours may have it from an earlier run.
    const handle = yield* lookup(root, name).pipe(
      Effect.mapError((error) => (made._tag === "Failure" ? made.failure : error))
    )
    return handle
  })

  const makeFile = Effect.fnUntraced(function* (directory: Uint8Array, name: string, size: number) {
    yield* call(Nfs3.CREATE, {
      where: { dir: directory, name },
      how: { mode: "UNCHECKED", objAttributes: { mode: 0o644, size: 0 } }
    })
    const handle = yield* lookup(directory, name)
    for (let offset = 0; offset < size; offset += STEP) {
      const count = Math.min(STEP, size - offset)
      const write = { file: handle, offset, count, stable: "UNSTABLE", data: [pattern(count)] } as const
      const written = yield* call(Nfs3.WRITE, write)
      if (written.count !== count) {
        return yield* new PrepareFailed({ message: `WRITE took ${written.count} bytes of ${count}` })
      }
    }
    return { name, handle }
  })

  const directories = new Map<string, Uint8Array>()
  const directory: Workspace["directory"] = (name) => {
    const known = directories.get(name)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.tap(makeDirectory(name), (handle) => Effect.sync(() => directories.set(name, handle)))
  }

  const made = new Map<string, Files>()
  const files: Workspace["files"] = Effect.fnUntraced(function* (count, size) {
    const name = `bench-${count}x${size}`
    const known = made.get(name)
    if (known !== undefined) return known
    const parent = yield* directory(name)
    const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(5, "0")}`)
    const files = yield* Effect.forEach(names, (file) => makeFile(parent, file, size), { concurrency: CONCURRENCY })
    const result = { directory: parent, files, size }
    made.set(name, result)
    return result
  })

  return { root, call, directory, files }
})

const isOk = <B extends { readonly status: string }>(result: B): result is Ok<B> => result.status === "NFS3_OK"

const connect = (host: string, port: number) =>
  RpcClient.make({ host, port, auth }).pipe(Effect.mapError((error) => failure(`connecting to port ${port}`, error)))

const mount = Effect.fnUntraced(function* ({ exportPath, host, mountPort }: Endpoint) {
  const client = yield* connect(host, mountPort)
  const result = yield* client
    .call(mountProgram, Mount.MNT3.number, Mount.MNT3, exportPath)
    .pipe(Effect.mapError((error) => failure("MNT", error)))
  if (result.status !== "MNT3_OK") {
    return yield* new PrepareFailed({ message: `MNT of ${exportPath}: ${result.status}` })
  }
  return result.fhandle
})

const failure = (what: string, error: RpcClient.RpcClientError): PrepareFailed => {
  switch (error._tag) {
    case "RpcRefused":
      return new PrepareFailed({ message: `${what}: the server answered ${JSON.stringify(error.reply)}` })
    case "RpcDisconnected":
      return new PrepareFailed({ message: `${what}: ${error.message}` })
    case "XdrError":
      return new PrepareFailed({ message: `${what}: ${error.reason}` })
  }
}
