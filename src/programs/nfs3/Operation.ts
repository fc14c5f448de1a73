/**
 * What the procedures have in common, once for all: from handles to files and their caller's rights, and the failing arm
 * with the attributes that it owes the client.
 */

import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Access } from "../../exports/Access.ts"
import type { Export, Grant } from "../../exports/Export.ts"
import type { Exports } from "../../exports/Exports.ts"
import type { ExportTable } from "../../exports/ExportTable.ts"
import type { WriteVerifier } from "../../exports/SharedState.ts"
import type { Attributes, File, Operations, Wcc } from "../../filesystem/Filesystem.ts"
import { fail, type FilesystemError, is } from "../../filesystem/FilesystemError.ts"
import * as Auth from "../../rpc/Auth.ts"
import type { Caller, Procedure } from "../../rpc/RpcProgram.ts"
import type { Fattr3, PostOpAttr, WccData } from "./Nfs3Types.ts"
import { type Failure, type FailureStatus, statusOf } from "./Status.ts"

/** The status of success: a constant, since the type of a literal would be `string` in many places. */
export const NFS3_OK = "NFS3_OK" as const

/** What procedures need besides their arguments. */
export interface Server {
  readonly exports: Exports["Service"]
  readonly writeVerifier: WriteVerifier
  /** Most bytes of a READ or WRITE. */
  readonly maxTransfer: number
}

/** A file that a call is about, and what its caller may do. */
export interface Target {
  readonly server: Server
  readonly share: Export
  readonly operations: Operations
  readonly readOnly: boolean
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
  /** As in `Procedure`. */
  readonly cost?: Procedure<A, unknown>["cost"]
  /**
   * Whether clients call it about an export's root when they mount, without a user on whose behalf: then any flavour will do
   * (RFC 2623, 2.3.2).
   */
  readonly mounts?: boolean
}

/** A procedure on one file: what to do with it, and what to answer. */
export const onFile = <A, B, R>(
  call: Call<A, B>,
  options: Kind<A> & {
    readonly handle: (args: A) => Uint8Array
    readonly run: (target: Target, args: A) => Effect.Effect<R, Failure>
    readonly ok: (target: Target, result: R, args: A) => NoInfer<B>
    /** `attributes`: the file's, when there is one. */
    readonly failed: (status: FailureStatus, attributes: PostOpAttr) => NoInfer<B>
  }
): Operation => {
  const { failed, handle, mounts = false, ok, run } = options
  const handler =
    (server: Server) =>
    (args: A, caller: Caller): Effect.Effect<B, Auth.AuthError> => {
      const admitted = admit(server.exports.current, handle(args), caller)
      if (is(admitted)) return Effect.succeed(failed(statusOf(admitted), undefined))
      if (admitted.grant.tooWeak && !(mounts && isRoot(admitted))) return tooWeak
      charge(admitted, caller)
      // Eagerly: most filesystems know most answers at once, and what has ended needs no fiber.
      const answer = Effect.flatMapEager(admitted.grant.operations.resolve(admitted.key), (file) => {
        const target = targetOf(server, admitted, file)
        return Effect.catchEager(
          Effect.mapEager(run(target, args), (result) => ok(target, result, args)),
          (failure) =>
            Effect.mapEager(attributesAfter(failure, target), (attributes) => failed(statusOf(failure), attributes))
        )
      })
      return Effect.catchEager(answer, (failure) => Effect.succeed(failed(statusOf(failure), undefined)))
    }
  return operation(call, options, handler, () => failed(LATE, undefined))
}

/** A procedure on two files, which have to be in the same export. */
export const onFiles = <A, B, R>(
  call: Call<A, B>,
  options: Kind<A> & {
    readonly handles: (args: A) => readonly [Uint8Array, Uint8Array]
    readonly run: (first: Target, second: Target, args: A) => Effect.Effect<R, Failure>
    readonly ok: (first: Target, second: Target, result: R) => NoInfer<B>
    /** The attributes are those of the files that there are. */
    readonly failed: (status: FailureStatus, first: PostOpAttr, second: PostOpAttr) => NoInfer<B>
  }
): Operation => {
  const { failed, handles, ok, run } = options
  const attempt = Effect.fnUntraced(function* (first: Found, second: Found, args: A) {
    const targets = [yield* Effect.fromResult(first), yield* Effect.fromResult(second)] as const
    if (targets[0].share !== targets[1].share) return yield* fail.EXDEV
    return ok(...targets, yield* run(...targets, args))
  })
  const handler = (server: Server) =>
    Effect.fnUntraced(function* (args: A, caller: Caller) {
      // Both are looked up in the exports as they are at this moment.
      const { current } = server.exports
      const admitted = handles(args).map((handle) => admit(current, handle, caller))
      if (admitted.some((one) => !is(one) && one.grant.tooWeak)) return yield* tooWeak
      charge(admitted[0]!, caller)
      const first = yield* find(server, admitted[0]!)
      const second = yield* find(server, admitted[1]!)
      const outcome = yield* Effect.result(attempt(first, second, args))
      return Result.isSuccess(outcome)
        ? outcome.success
        : failed(statusOf(outcome.failure), yield* attributesIf(first), yield* attributesIf(second))
    })
  return operation(call, options, handler, () => failed(LATE, undefined, undefined))
}

/** What a client is told that had better ask again in a while. */
const LATE = "NFS3ERR_JUKEBOX"

const operation = <A, B>(
  call: Call<A, B>,
  { cost, idempotent, priority = "metadata" }: Kind<A>,
  handler: (server: Server) => Procedure<A, B>["handler"],
  late: () => B
): Operation => {
  const { args, name, number, result } = call
  return {
    number,
    procedure: (server): Procedure<A, B> => ({
      name,
      args,
      result,
      idempotent,
      priority,
      cost,
      late,
      handler: handler(server)
    })
  }
}

/** What a handle leads to for a caller who may use it. */
interface Admitted {
  readonly share: Export
  readonly grant: Grant
  readonly key: Uint8Array
}

/** Where every call is checked: a handle is no right. */
const admit = (table: ExportTable, handle: Uint8Array, caller: Caller): Admitted | FilesystemError => {
  const located = table.locate(handle)
  if (is(located)) return located
  const { key, share } = located
  const grant = share.grant(caller.peer, caller.credentials)
  return is(grant) ? grant : { share, grant, key }
}

/** Counts a call for the rate of the export. */
const charge = (admitted: Admitted | FilesystemError, caller: Caller): void => {
  if (!is(admitted) && admitted.share.throttle !== undefined) caller.charge(admitted.share.throttle)
}

const tooWeak = Effect.fail(Auth.tooWeak)

const isRoot = ({ key, share }: Admitted): boolean => Buffer.compare(key, share.operations.root.key) === 0

const targetOf = (server: Server, { grant, share }: Admitted, file: File): Target => ({
  server,
  share,
  operations: grant.operations,
  readOnly: grant.terms.readOnly,
  file,
  access: grant.access
})

type Found = Result.Result<Target, FilesystemError>

/** The file that a handle names, if there is one. */
const find = (server: Server, admitted: Admitted | FilesystemError): Effect.Effect<Found> =>
  is(admitted)
    ? Effect.succeed(Result.fail(admitted))
    : Effect.result(
        Effect.map(admitted.grant.operations.resolve(admitted.key), (file) => targetOf(server, admitted, file))
      )

/** A target's attributes, if they can be had. */
const attributesOf = (target: Target): Effect.Effect<PostOpAttr> =>
  Effect.matchEager(target.operations.getattr(target.file), {
    onFailure: () => undefined,
    onSuccess: (attributes) => postOp(target, attributes)
  })

const attributesIf = (found: Found): Effect.Effect<PostOpAttr> =>
  Result.isSuccess(found) ? attributesOf(found.success) : Effect.undefined

const attributesAfter = (failure: Failure, target: Target): Effect.Effect<PostOpAttr> =>
  failure._tag === "Refusal" && failure.attributes !== undefined
    ? Effect.succeed(postOp(target, failure.attributes))
    : attributesOf(target)
