/**
 * What a server owes to what it is sent, worked out from the bytes alone: every message whose header can be read is a call
 * and has one reply, which says what the call deserves. Anything else is no call: over TCP it ends the connection.
 */

import type { Buffer } from "node:buffer"
import * as Result from "effect/Result"
import { credentials, opaqueAuth } from "../../src/rpc/Auth.ts"
import { CALL, callHeader, REPLY, replyHeader, RPC_VERSION } from "../../src/rpc/RpcMessage.ts"
import type { Transport } from "../../src/rpc/RpcProgram.ts"
import { Reader } from "../../src/xdr/Reader.ts"
import type * as Xdr from "../../src/xdr/Xdr.ts"
import * as XdrError from "../../src/xdr/XdrError.ts"
import * as Programs from "./Programs.ts"

/** What a call deserves: `RESULT` with a result, or how it is refused. */
export type Deserved =
  | "RESULT"
  | "PROG_UNAVAIL"
  | "PROG_MISMATCH"
  | "PROC_UNAVAIL"
  | "GARBAGE_ARGS"
  | "RPC_MISMATCH"
  | "AUTH_ERROR"

export interface Expected {
  readonly xid: number
  readonly deserved: Deserved
  /** Known as far as the call names one. */
  readonly procedure: Programs.Procedure | undefined
}

/** What a message deserves that comes to a port; `undefined` when it is no call. */
export const expect = (message: Buffer, service: Programs.Service, transport: Transport): Expected | undefined => {
  const reader = new Reader([message])
  const header = attempt(() => callHeader.read(reader))
  if (header?.type !== CALL) return undefined
  const { xid } = header
  const refused = (deserved: Deserved): Expected => ({ xid, deserved, procedure: undefined })
  if (header.rpcVersion !== RPC_VERSION) return refused("RPC_MISMATCH")
  const credential = attempt(() => opaqueAuth.read(reader))
  const verifier = attempt(() => opaqueAuth.read(reader))
  if (credential === undefined || verifier === undefined || Result.isFailure(credentials(credential))) {
    return refused("AUTH_ERROR")
  }
  const versions = Programs.at(service, transport).filter(({ program }) => program === header.program)
  if (versions.length === 0) return refused("PROG_UNAVAIL")
  const procedures = versions.filter(({ version }) => version === header.version)
  if (procedures.length === 0) return refused("PROG_MISMATCH")
  const procedure = procedures.find(({ number }) => number === header.procedure)
  if (procedure === undefined) return refused("PROC_UNAVAIL")
  const readable = attempt(() => ({ args: procedure.args.read(reader) as unknown })) !== undefined
  return { xid, deserved: readable ? "RESULT" : "GARBAGE_ARGS", procedure }
}

/** What a reply says: `RESULT` followed by the result's status if it has one, or how it refuses. */
export type Said = { readonly said: Deserved | "SYSTEM_ERR"; readonly status: string }

/** What a reply says to a call; a text when it makes no sense. */
export const read = (reply: Buffer, { procedure, xid }: Expected): Said | string => {
  const reader = new Reader([reply])
  const header = attempt(() => replyHeader.read(reader))
  if (header === undefined || header.type !== REPLY) return "is no reply"
  if (header.xid !== xid) return "is to another call"
  const { body } = header
  const stat = body.reply.stat
  if (stat !== "SUCCESS") return reader.remaining === 0 ? { said: stat, status: stat } : "goes on after its end"
  if (procedure === undefined) return "is a result, but of which procedure"
  const result = attempt(() => ({ value: (procedure.result as Xdr.Codec<unknown>).read(reader) }))
  if (result === undefined || reader.remaining > 0) return `has a result that is none of ${procedure.name}`
  const { value } = result
  const status = typeof value === "object" && value !== null && "status" in value ? String(value.status) : "SUCCESS"
  return { said: "RESULT", status }
}

/** What came is right: each call answered once, and as it deserves. Gives what is wrong. */
export const compare = (
  calls: ReadonlyArray<Expected>,
  replies: ReadonlyArray<Buffer>,
  options: {
    readonly transport: Transport
    /** Whether the connection held until all was said: else replies may be missing. */
    readonly complete: boolean
    readonly onAnswer?: (call: Expected, said: Said) => void
  }
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const callsByXid = byXid(calls)
  const repliesByXid = Map.groupBy(replies, (reply) => (reply.length < 4 ? -1 : reply.readUInt32BE(0)))
  for (const [xid, answers] of repliesByXid) {
    if (!callsByXid.has(xid)) problems.push(`${answers.length} replies to ${xid}, which nobody called`)
  }
  for (const [xid, alike] of callsByXid) {
    const answers = repliesByXid.get(xid) ?? []
    const what = alike.map(describe).join(" and ")
    const most = alike.length
    const least = options.complete ? fewestOf(alike) : 0
    if (answers.length < least) problems.push(`${answers.length} replies instead of ${least} to ${what}`)
    if (answers.length > most) problems.push(`${answers.length} replies instead of ${most} to ${what}`)
    for (const answer of answers) {
      const problem = alike.map((call) => objection(answer, call, alike.length > 1, options))
      if (problem.every((text) => text !== undefined)) problems.push(`the reply to ${what} ${problem[0]}`)
    }
  }
  return problems
}

/** How many replies must come. */
export const fewest = (calls: ReadonlyArray<Expected>): number =>
  Array.from(byXid(calls).values(), fewestOf).reduce((sum, count) => sum + count, 0)

const byXid = (calls: ReadonlyArray<Expected>) => Map.groupBy(calls, ({ xid }) => xid)

/** A call that must not be executed twice and comes again while it is executed is answered once. */
const fewestOf = (alike: ReadonlyArray<Expected>): number => {
  const repeatable = alike.filter(({ procedure }) => procedure === undefined || !Programs.isOnce(procedure)).length
  return repeatable + (repeatable < alike.length ? 1 : 0)
}

const objection = (
  answer: Buffer,
  call: Expected,
  repeated: boolean,
  { onAnswer, transport }: Parameters<typeof compare>[2]
): string | undefined => {
  const said = read(answer, call)
  if (typeof said === "string") return said
  if (said.said === call.deserved) {
    onAnswer?.(call, said)
    return undefined
  }
  // Of what comes again the beginning is compared: it gets the first one's reply even if its end is another.
  if (repeated && said.said === "RESULT") return undefined
  const { procedure } = call
  if (said.said === "SYSTEM_ERR" && transport === "udp" && procedure !== undefined && Programs.isLong(procedure)) {
    return undefined
  }
  return `says ${said.said} instead of ${call.deserved}`
}

const describe = ({ deserved, procedure, xid }: Expected): string =>
  procedure === undefined ? `${xid} (${deserved})` : `${xid} (${procedure.name} ${procedure.version}, ${deserved})`

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch (error) {
    if (XdrError.is(error)) return undefined
    throw error
  }
}
