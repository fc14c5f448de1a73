/**
 * The one way in which bytes can fail to be a value (RFC 4506). Everyday for a server that faces a network, so it is a
 * plain tagged object without a stack.
 */
export interface XdrError {
  readonly _tag: "XdrError"
  /** What was wrong, for people. */
  readonly reason: string
}

/** An {@link XdrError} with this reason. */
export const make = (reason: string): XdrError => ({ _tag: "XdrError", reason })

/** Whether a caught value is an {@link XdrError}. */
export const is = (u: unknown): u is XdrError =>
  typeof u === "object" && u !== null && (u as XdrError)._tag === "XdrError"
