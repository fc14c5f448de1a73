/** The messages of RPC version 2 (RFC 5531, section 9), as codecs. */

import * as Xdr from "../xdr/Xdr.ts"
import { authStat, opaqueAuth } from "./Auth.ts"

export const RPC_VERSION = 2

/** `msg_type`. */
export const CALL = 0
export const REPLY = 1

/** The fixed part of a call, from `xid` to `proc`. */
export const callHeader = Xdr.struct({
  xid: Xdr.uint32,
  type: Xdr.uint32,
  rpcVersion: Xdr.uint32,
  program: Xdr.uint32,
  version: Xdr.uint32,
  procedure: Xdr.uint32
})
export type CallHeader = Xdr.Type<typeof callHeader>

const mismatchInfo = Xdr.struct({ low: Xdr.uint32, high: Xdr.uint32 })

const acceptStat = Xdr.enumeration({
  SUCCESS: 0,
  PROG_UNAVAIL: 1,
  PROG_MISMATCH: 2,
  PROC_UNAVAIL: 3,
  GARBAGE_ARGS: 4,
  SYSTEM_ERR: 5
})

/** `accepted_reply` after its verifier; the result of SUCCESS follows. */
export const acceptedReply = Xdr.union("stat", acceptStat, { PROG_MISMATCH: mismatchInfo }, Xdr.struct({}))
export type AcceptedReply = Xdr.Type<typeof acceptedReply>

const rejectStat = Xdr.enumeration({ RPC_MISMATCH: 0, AUTH_ERROR: 1 })

/** `rejected_reply`. */
export const rejectedReply = Xdr.union("stat", rejectStat, {
  RPC_MISMATCH: mismatchInfo,
  AUTH_ERROR: Xdr.struct({ why: authStat })
})
export type RejectedReply = Xdr.Type<typeof rejectedReply>

const replyStat = Xdr.enumeration({ MSG_ACCEPTED: 0, MSG_DENIED: 1 })

/** `reply_body`. */
export const replyBody = Xdr.union("status", replyStat, {
  MSG_ACCEPTED: Xdr.struct({ verifier: opaqueAuth, reply: acceptedReply }),
  MSG_DENIED: Xdr.struct({ reply: rejectedReply })
})
export type ReplyBody = Xdr.Type<typeof replyBody>

/** A reply up to its result. */
export const replyHeader = Xdr.struct({ xid: Xdr.uint32, type: Xdr.uint32, body: replyBody })
