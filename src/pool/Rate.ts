/** How much may be asked for in a time, as a schema: of a server by a client, or of an export by all. */

import * as Schema from "effect/Schema"

const positive = Schema.Number.check(
  Schema.makeFilter((n) => n > 0 && Number.isFinite(n), { expected: "a number above 0" })
)

const rate = {
  /** Calls in a second; default: any number. */
  callsPerSecond: Schema.optional(positive).annotate({ description: "calls in a second (default: any number)" }),
  /** Bytes of calls and replies in a second; default: any number. */
  bytesPerSecond: Schema.optional(positive).annotate({
    description: "bytes of calls and replies in a second (default: any number)"
  }),
  /** Seconds' worth of both that may come at once, after a pause; default 1. */
  burst: Schema.optional(positive).annotate({
    description: "how many seconds' worth may come at once, after a pause",
    default: 1
  })
} as const

/** A rate. Who asks for more is read from later; nothing is refused. */
export const Rate = Schema.Struct(rate).annotate({
  messageUnexpectedKey: `Expected one of ${Object.keys(rate).join(", ")}`
})
export type Rate = typeof Rate.Type
