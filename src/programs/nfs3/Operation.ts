/**
 * What the procedures have in common, once for all: from handles to files and their caller's rights, and the failing arm
 * with the attributes that it owes the client.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Access } from "../../exports/Access.ts"
import type { Export, Exports } from "../../exports/Exports.ts"
import type { SharedState } from "../../exports/SharedState.ts"
import type { Attributes, File, Operations, Wcc } from "../../filesystem/Filesystem.ts"
import { fail, type FilesystemError, is } from "../../filesystem/FilesystemError.ts"
import type { Caller, Procedure } from "../../rpc/RpcProgram.ts"
import type { Fattr3, PostOpAttr, WccData } from "./Nfs3Types.ts"
import { type Failure, type FailureStatus, statusOf } from "./Status.ts"

/** What procedures need besides their arguments. */
export interface Server {
  readonly exports: Exports["Service"]
  readonly writeVerifier: SharedState["Service"]["writeVerifier"]
  /** Most bytes of a READ or WRITE. */
  readonly maxTransfer: number
}

/** A file that a call is about, and what its caller may do. */
export interface Target {
  readonly share: Export
  readonly operations: Operations
  readonly file: File
  readonly access: Access
}

/** The attributes of a file in the target's export. */
export const postOp = (target: Target, attributes: Attributes): Fattr3 => ({ fsid: target.share.fsid, attributes })

/** A change in the target's export. What was before counts only when nobody else can have changed it in between. */
export const wccData = (target: Target, { after, atomic, before }: Wcc): WccData => ({
  before: atomic ? before : undefined,
  after: postOp(target, after)
})

/** What a failed change leaves behind. */
export const unchanged = (after: PostOpAttr): WccData => ({ before: undefined, after })

/** A procedure and its number, waiting for the server that it is to work for. */
export interface Operation {
  readonly number: number
  readonly procedure: (server: Server) => Procedure<any, any>
}

type Call<A, B> = Pick<Procedure<A, B>, "name" | "args" | "result"> & { readonly number: number }

interface Kind<A> {
  /** As in `Procedure`. */
  readonly idempotent: boolean
  /** Default `"metadata"`. */
  readonly priority?: Procedure<A, unknown>["priority"]
}

/** A procedure on one file. */
export const onFile = <A, B>(
  call: Call<A, B>,
  options: Kind<A> & {
    readonly handle: (args: A) => Uint8Array
    readonly run: (target: Target, args: A, server: Server) => Effect.Effect<B, Failure>
    /** `attributes`: the file's, when there is one. */
    readonly failed: (status: FailureStatus, attributes: PostOpAttr) => B
  }
): Operation => {
  const { failed, handle, run } = options
  const handler =
    (server: Server) =>
    (args: A, caller: Caller): Effect.Effect<B> =>
      Effect.matchEffect(find(server, handle(args), caller), {
        onFailure: (failure) => Effect.succeed(failed(statusOf(failure), undefined)),
        onSuccess: (target) =>
          Effect.catch(run(target, args, server), (failure: Failure) =>
            Effect.map(attributesOf(target), (attributes) => failed(statusOf(failure), attributes))
          )
      })
  return operation(call, options, handler)
}

/** A procedure on two files, which have to be in the same export. */
export const onFiles = <A, B>(
  call: Call<A, B>,
  options: Kind<A> & {
    readonly handles: (args: A) => readonly [Uint8Array, Uint8Array]
    readonly run: (first: Target, second: Target, args: A) => Effect.Effect<B, Failure>
    /** The attributes are those of the files that there are. */
    readonly failed: (status: FailureStatus, first: PostOpAttr, second: PostOpAttr) => B
  }
): Operation => {
  const { failed, handles, run } = options
  const attempt = (
    first: Result.Result<Target, FilesystemError>,
    second: Result.Result<Target, FilesystemError>,
    args: A
  ): Effect.Effect<B, Failure> => {
    if (Result.isFailure(first)) return fail[first.failure.code]
    if (Result.isFailure(second)) return fail[second.failure.code]
    if (first.success.share !== second.success.share) return fail.EXDEV
    return run(first.success, second.success, args)
  }
  const attributes = (found: Result.Result<Target, FilesystemError>): Effect.Effect<PostOpAttr> =>
    Result.isSuccess(found) ? attributesOf(found.success) : Effect.undefined
  const handler = (server: Server) =>
    Effect.fnUntraced(function* (args: A, caller: Caller) {
      const [firstHandle, secondHandle] = handles(args)
      const first = yield* Effect.result(find(server, firstHandle, caller))
      const second = yield* Effect.result(find(server, secondHandle, caller))
      const outcome = yield* Effect.result(attempt(first, second, args))
      if (Result.isSuccess(outcome)) return outcome.success
      return failed(statusOf(outcome.failure), yield* attributes(first), yield* attributes(second))
    })
  return operation(call, options, handler)
}

const operation = <A, B>(
  call: Call<A, B>,
  { idempotent, priority = "metadata" }: Kind<A>,
  handler: (server: Server) => Procedure<A, B>["handler"]
): Operation => {
  const { args, name, number, result } = call
  return {
    number,
    procedure: (server): Procedure<A, B> => ({ name, args, result, idempotent, priority, handler: handler(server) })
  }
}

/** The file that a handle names. */
const find = (server: Server, handle: Uint8Array, caller: Caller): Effect.Effect<Target, FilesystemError> => {
  const located = server.exports.locate(handle)
  if (is(located)) return fail[located.code]
  const { key, share } = located
  const { operations } = share
  return Effect.map(operations.resolve(key), (file) => ({
    share,
    operations,
    file,
    access: share.access(caller.credentials)
  }))
}

/** A target's attributes, if they can be had. */
const attributesOf = (target: Target): Effect.Effect<PostOpAttr> =>
  Effect.match(target.operations.getattr(target.file), {
    onFailure: () => undefined,
    onSuccess: (attributes) => postOp(target, attributes)
  })
