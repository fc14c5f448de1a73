/** Authentication flavours (RFC 5531, section 8 and appendix A): who a caller says it is. */

import * as Result from "effect/Result"
import * as Xdr from "../xdr/Xdr.ts"

/** Flavour numbers; others exist and are refused. */
export const AUTH_NONE = 0
export const AUTH_SYS = 1

/** The most bytes of a credential or verifier (RFC 5531, 8.2). */
export const BODY_MAX = 400

/** A credential or verifier as it stands in a message. */
export const opaqueAuth = Xdr.struct({ flavor: Xdr.uint32, body: Xdr.variableOpaque(BODY_MAX) })
export type OpaqueAuth = Xdr.Type<typeof opaqueAuth>

/** The verifier of all our replies and the credential of AUTH_NONE calls. */
export const none: OpaqueAuth = { flavor: AUTH_NONE, body: new Uint8Array(0) }

/** `authsys_parms` (RFC 5531, appendix A). */
export const authSys = Xdr.struct({
  stamp: Xdr.uint32,
  machineName: Xdr.string(255),
  uid: Xdr.uint32,
  gid: Xdr.uint32,
  gids: Xdr.array(Xdr.uint32, 16)
})

/** Who a caller says it is. */
export type Credentials =
  | { readonly _tag: "None" }
  | {
      readonly _tag: "Sys"
      readonly uid: number
      readonly gid: number
      /** Auxiliary groups, at most 16. */
      readonly gids: ReadonlyArray<number>
      readonly machineName: string
    }

const anonymous: Credentials = { _tag: "None" }

/** Why a call is refused before its procedure (RFC 5531, `auth_stat`). */
export const authStat = Xdr.enumeration({
  AUTH_OK: 0,
  AUTH_BADCRED: 1,
  AUTH_REJECTEDCRED: 2,
  AUTH_BADVERF: 3,
  AUTH_REJECTEDVERF: 4,
  AUTH_TOOWEAK: 5,
  AUTH_INVALIDRESP: 6,
  AUTH_FAILED: 7
})
export type AuthStat = Xdr.Type<typeof authStat>

/** What a handler fails with to have its call refused for how its caller authenticates. */
export interface AuthError {
  readonly _tag: "AuthError"
  readonly why: AuthStat
}

/** The call needs a stronger flavour. */
export const tooWeak: AuthError = { _tag: "AuthError", why: "AUTH_TOOWEAK" }

/** The credentials that a message carries. */
export const credentials = (auth: OpaqueAuth): Result.Result<Credentials, AuthStat> => {
  if (auth.flavor === AUTH_NONE) return Result.succeed(anonymous)
  if (auth.flavor !== AUTH_SYS) return Result.fail("AUTH_REJECTEDCRED")
  const parms = Xdr.decode(authSys, auth.body)
  if (Result.isFailure(parms)) return Result.fail("AUTH_BADCRED")
  const { gid, gids, machineName, uid } = parms.success
  return Result.succeed({ _tag: "Sys", uid, gid, gids, machineName })
}

/** An AUTH_SYS credential, for clients. */
export const sys = (identity: {
  readonly uid: number
  readonly gid: number
  /** At most 16. */
  readonly gids?: ReadonlyArray<number>
  readonly machineName?: string
}): OpaqueAuth => {
  const { gid, gids = [], machineName = "", uid } = identity
  return { flavor: AUTH_SYS, body: Result.getOrThrow(Xdr.encode(authSys, { stamp: 0, machineName, uid, gid, gids })) }
}
