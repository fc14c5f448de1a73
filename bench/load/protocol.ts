/** What the bench and its load generator, a process of its own, say to each other. */

import type { OperationName } from "./operations.ts"

/** Where a server is. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  /** Where MOUNT is answered. */
  readonly mountPort: number
  readonly exportPath: string
  /** The process that answers, for its CPU time. */
  readonly pid: number
}

/** What is measured once. */
export interface Job {
  readonly endpoint: Endpoint
  readonly operation: OperationName
  readonly connections: number
  readonly depth: number
  /** How long calls are made before any is counted, and how long they are counted. */
  readonly warmUpSeconds: number
  readonly seconds: number
}

export interface Measurement {
  readonly calls: number
  /** Calls that what is measured takes: several for a whole listing, one for most. */
  readonly callsEach: number
  readonly seconds: number
  readonly callsPerSecond: number
  /** Milliseconds. */
  readonly latency: {
    readonly p50: number
    readonly p99: number
    readonly p999: number
    readonly max: number
  }
  /** Processor time that the generator took, as a part of the time that passed: near 1 it measures itself. */
  readonly generatorBusy: number
  /** Processor time that the server took for each call, in microseconds; where the system tells. */
  readonly serverMicros: number | undefined
  /** Processors that all other programs kept busy meanwhile; where the system tells. */
  readonly disturbance: number | undefined
}

export type Outcome =
  | { readonly _tag: "Measured"; readonly measurement: Measurement }
  | { readonly _tag: "Failed"; readonly message: string }
