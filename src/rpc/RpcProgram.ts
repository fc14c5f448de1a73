/**
 * A program as a value (RFC 5531, section 7.3): its number, a version, and a table of procedures. What cuts across all
 * procedures (metrics, the replay cache, version mismatch) is the server's; a handler is about its own procedure only.
 */

import * as Effect from "effect/Effect"
import type { Throttle } from "../pool/Throttle.ts"
import * as Xdr from "../xdr/Xdr.ts"
import type { AuthError, Credentials } from "./Auth.ts"

/** What carries calls. */
export type Transport = "tcp" | "udp"

/** Who calls. */
export interface Caller {
  readonly credentials: Credentials
  /** Its connection, or the sender of its datagram: the same object for all calls, to remember things by. */
  readonly peer: { readonly address: string; readonly port: number }
  readonly transport: Transport
  /** The client's address without port; IPv4 in dotted form also when it came over an IPv6 socket. */
  readonly address: string
  readonly port: number
  /**
   * Charges the call, and the bytes that it brings or asks for, to a rate. While more is owed there than has come in since,
   * the caller's connection is not read from.
   */
  readonly charge: (throttle: Throttle) => void
}

/** How a server's pool ranks calls: the names of its classes. */
export const priorities = ["control", "metadata", "data", "bulk"] as const
export type Priority = (typeof priorities)[number]

export interface Procedure<A, B> {
  readonly name: string
  readonly args: Xdr.Codec<A>
  readonly result: Xdr.Codec<B>
  /** May depend on the arguments: a large READ is bulk. */
  readonly priority: Priority | ((args: A) => Priority)
  /** Bytes that a call pins besides what every call does: data that it brings or asks for. Default 0. */
  readonly cost?: ((args: A) => number) | undefined
  /**
   * Whether a call may be executed twice without harm. One that may not is answered from the replay cache when it comes
   * again, and is not interrupted once it has started.
   */
  readonly idempotent: boolean
  /** What to answer when the call takes longer than its time limit; without it, SYSTEM_ERR. */
  readonly late?: ((args: A) => B) | undefined
  /**
   * Runs the call; asked for once, when that is due, so what needs no waiting may be done at once. It answers every failure
   * in its result, but for that of a caller who has to authenticate otherwise; a defect becomes SYSTEM_ERR.
   */
  readonly handler: (args: A, caller: Caller) => Effect.Effect<B, AuthError>
}

export interface RpcProgram {
  readonly name: string
  readonly program: number
  readonly version: number
  /** By procedure number; numbers without a procedure answer PROC_UNAVAIL. */
  readonly procedures: ReadonlyArray<Procedure<any, any> | undefined>
}

/** A program from procedures by number. */
export const make = (options: {
  readonly name: string
  readonly program: number
  readonly version: number
  readonly procedures: Readonly<Record<number, Procedure<any, any>>>
}): RpcProgram => {
  const procedures: Array<Procedure<any, any> | undefined> = []
  for (const [number, procedure] of Object.entries(options.procedures)) procedures[Number(number)] = procedure
  return { ...options, procedures: Array.from(procedures) }
}

/** A procedure; infers the types of its arguments and result. */
export const procedure = <A, B>(options: Procedure<A, B>): Procedure<A, B> => options

/** A procedure that needs no waiting, and that may be repeated. */
export const immediate = <A, B>(
  { args, name, result }: Pick<Procedure<A, B>, "name" | "args" | "result">,
  run: (args: A, caller: Caller) => B
): Procedure<A, B> =>
  procedure({
    name,
    args,
    result,
    priority: "control",
    idempotent: true,
    handler: (args, caller) => Effect.succeed(run(args, caller))
  })

/** Procedure 0 of every program: does nothing, answers nothing (RFC 5531, section 12.1). */
export const nullProcedure: Procedure<undefined, undefined> = procedure({
  name: "NULL",
  args: Xdr.nothing,
  result: Xdr.nothing,
  priority: "control",
  idempotent: true,
  handler: () => Effect.undefined
})
