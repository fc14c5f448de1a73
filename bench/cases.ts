/** What is measured, and what is to be reached. Another case is another entry of these tables. */

import { type OperationName, operations } from "./load/operations.ts"

export interface Case {
  readonly name: string
  readonly operation: OperationName
  readonly connections: number
  /** Requests in flight on each connection. */
  readonly depth: number
}

const shapes = [
  { connections: 1, depth: 1 },
  { connections: 4, depth: 32 }
]

export const cases: ReadonlyArray<Case> = (Object.keys(operations) as ReadonlyArray<OperationName>).flatMap(
  (operation) =>
    shapes.map(({ connections, depth }) => ({
      name: `${operation} ${connections}x${depth}`,
      operation,
      connections,
      depth
    }))
)

export interface Goal {
  /** Of which case. */
  readonly name: string
  /** The server that is compared with this one. */
  readonly than: string
  /** The ratio of calls per second that is to be reached. */
  readonly ratio: number
}

export const goals: ReadonlyArray<Goal> = [{ name: "GETATTR 4x32", than: "bypassed", ratio: 0.6 }]
