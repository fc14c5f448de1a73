/**
 * How much of a server its clients may take, as a schema: what comes from code and from a configuration file is checked by
 * it, and the documentation of the settings is made from it. All of it can be changed while the server runs.
 */

import * as Schema from "effect/Schema"
import * as Descriptors from "../pool/Descriptors.ts"
import { available } from "../pool/MemoryPressure.ts"
import { Rate } from "../pool/Rate.ts"
import { Size, toBytes, toMillis } from "../pool/Units.ts"

const MiB = 2 ** 20

/** A number of things, of which there must be at least `least`. */
const count = (least: number, expected: string) =>
  Schema.Number.check(Schema.makeFilter((n) => Number.isSafeInteger(n) && n >= least, { expected }))

const millis = (text: string): number | undefined => (text === "off" ? Infinity : toMillis(text))

/** A length of time, or none. */
const timeout = Schema.String.check(
  Schema.makeFilter((text) => (millis(text) ?? 0) > 0, { expected: `a time such as 90s, or "off"` })
)

/** Where nothing is said. */
export const defaults = {
  connections: 4096,
  connectionsPerClient: 256,
  idleTimeout: "6 minutes",
  stallTimeout: "1 minute",
  callsInFlight: 256,
  bytesPerConnection: 8 * MiB,
  bytes: 256 * MiB,
  replies: 1024
} as const

const limits = {
  /**
   * Connections in total; default 4,096, and at most half of what the process may have open (`ulimit -n`). At the limit a
   * client with fewer takes the place of one with more.
   */
  connections: Schema.optional(count(1, "a number of connections, 1 or more")).annotate({
    description:
      "connections in total, at most half of what the process may have open (`ulimit -n`); at the limit a client with fewer takes a place from the client with the most",
    default: defaults.connections
  }),
  /** Connections from one address; default 256. More are closed as they come. */
  connectionsPerClient: Schema.optional(count(1, "a number of connections, 1 or more")).annotate({
    description: "connections from one address; more are closed as they come",
    default: defaults.connectionsPerClient
  }),
  /**
   * How long a connection is kept over which nothing comes while no call of it is in progress; default 6 minutes, one more
   * than Linux itself keeps those that it does not use.
   */
  idleTimeout: Schema.optional(timeout).annotate({
    description: "how long a connection is kept over which nothing comes while no call of it is in progress",
    default: defaults.idleTimeout
  }),
  /**
   * How long a client may take for a record that it has begun to send, or for replies that it has not read, while nothing
   * moves; default 1 minute. Each 4 KiB that move give it another second.
   */
  stallTimeout: Schema.optional(timeout).annotate({
    description:
      "how long a client may stop in the middle of a call, or before replies that it has not read; less than 4 KiB in a second counts as a stop",
    default: defaults.stallTimeout
  }),
  /** Calls of one connection, of each class, that are in the pool at once; default 256. */
  callsInFlight: Schema.optional(count(1, "a number of calls, 1 or more")).annotate({
    description: "calls of a connection, of each class, that are in the pool at once; more are read later",
    default: defaults.callsInFlight
  }),
  /** Bytes of a connection's replies that are not sent yet, or to come, above which its next call waits; default 8 MiB. */
  bytesPerConnection: Schema.optional(Size).annotate({
    description: "bytes of replies, unread ones and those to come, above which a connection's next call waits",
    default: defaults.bytesPerConnection
  }),
  /**
   * Bytes that all connections may hold outside of the pool: calls that are not complete, calls that wait, and unread
   * replies; default 256 MiB, or an eighth of the memory where that is less. A client may hold as much of them as is free. What a connection always has (16 KiB) is not
   * counted.
   */
  bytes: Schema.optional(Size).annotate({
    description:
      "bytes that incomplete calls, waiting calls and unread replies of all connections may take besides 16 KiB that each has; a client may take as many as it leaves free (default: 256 MiB, or an eighth of the memory where that is less)"
  }),
  /** Calls whose replies are remembered for repetitions, of each client's address; default 1,024. */
  replies: Schema.optional(count(1, "a number of replies, 1 or more")).annotate({
    description: "replies to changes that are remembered for each client, in case it asks again",
    default: defaults.replies
  }),
  /** What each client's address may ask for in a time; default: any amount. */
  rate: Schema.optional(Rate).annotate({
    description:
      "how much each client may ask for in a time: who asks for more is read from later (default: any amount)"
  })
} as const

/** How much clients may take. What is not said is as in {@link defaults}. */
export const Limits = Schema.Struct(limits).annotate({
  messageUnexpectedKey: `Expected one of ${Object.keys(limits).join(", ")}`
})
export type Limits = typeof Limits.Type

/** Limits that leave nothing open; times are in milliseconds, `Infinity` for none. */
export interface Settled {
  readonly connections: number
  readonly connectionsPerClient: number
  readonly idleTimeout: number
  readonly stallTimeout: number
  readonly callsInFlight: number
  readonly bytesPerConnection: number
  readonly bytes: number
  readonly replies: number
  readonly rate: Rate
}

/** `limits` with the defaults; throws a `SchemaError` where they are not valid. */
export const settle = (limits: Limits): Settled => withDefaults(decode(limits))

const decode = Schema.decodeUnknownSync(Limits, { onExcessProperty: "error" })

/** The most connections that there can be: the rest of what the process may have open is for files. */
export const mostConnections = (): number => Math.max(1, Math.floor(Descriptors.limit() / 2))

const withDefaults = (limits: Limits): Settled => ({
  connections: Math.min(limits.connections ?? defaults.connections, mostConnections()),
  connectionsPerClient: limits.connectionsPerClient ?? defaults.connectionsPerClient,
  idleTimeout: millis(limits.idleTimeout ?? defaults.idleTimeout)!,
  stallTimeout: millis(limits.stallTimeout ?? defaults.stallTimeout)!,
  callsInFlight: limits.callsInFlight ?? defaults.callsInFlight,
  bytesPerConnection: toBytes(limits.bytesPerConnection ?? defaults.bytesPerConnection)!,
  bytes: toBytes(limits.bytes ?? Math.min(defaults.bytes, Math.floor(available() / 8)))!,
  replies: limits.replies ?? defaults.replies,
  rate: limits.rate ?? {}
})
