/** What is measured. Another case is another entry of these tables. */

import { type OperationName, operations } from "./load/operations.ts"

/** What the files are kept in. */
export type Backend = "memory" | "local"

export interface Case {
  /** The operation and its shape; with `local` behind it where the files are in a directory of the host. */
  readonly name: string
  readonly operation: OperationName
  readonly backend: Backend
  readonly connections: number
  /** Requests in flight on each connection. */
  readonly depth: number
  /** Whether it is measured by default: what the goals are about. */
  readonly quick: boolean
}

/** Bytes of file data that a call carries, in either direction. */
const bytesOf: Partial<Record<OperationName, number>> = {
  "READ 64 KiB": 2 ** 16,
  "READ 1 MiB": 2 ** 20,
  "WRITE 64 KiB": 2 ** 16,
  "WRITE 1 MiB": 2 ** 20
}

/** Bytes of file data in flight, at most: no client has more. Shapes are as deep as that lets them be. */
const IN_FLIGHT = 2 ** 24

const shapes = [
  { connections: 1, depth: 1 },
  { connections: 4, depth: 32 },
  { connections: 64, depth: 4 }
]

/** The shape of goals about 4 KiB. */
const moderate = { connections: 4, depth: 16 }

const shapesOf = (operation: OperationName) => {
  const bytes = bytesOf[operation] ?? 1
  const fitting = shapes
    .map(({ connections, depth }) => ({
      connections,
      depth: Math.min(depth, Math.floor(IN_FLIGHT / bytes / connections))
    }))
    .filter(({ depth }) => depth > 0)
  return operation.endsWith(" 4 KiB") ? [fitting[0]!, moderate, ...fitting.slice(1)] : fitting
}

/** Of each operation by default. */
const quickShapes = (operation: OperationName, backend: Backend): ReadonlyArray<string> => {
  if (operation === "GETATTR") return backend === "memory" ? ["1x1", "4x32", "64x4"] : ["1x1", "4x32"]
  if (operation === "READ 4 KiB") return ["1x1", "4x16"]
  if (operation === "WRITE 4 KiB") return ["4x16"]
  if (operation.endsWith("1 MiB")) return ["4x4"]
  return ["4x32"]
}

export const cases: ReadonlyArray<Case> = (["memory", "local"] as const).flatMap((backend) =>
  (Object.keys(operations) as ReadonlyArray<OperationName>).flatMap((operation) =>
    shapesOf(operation).map(({ connections, depth }): Case => {
      const shape = `${connections}x${depth}`
      return {
        name: `${operation} ${shape}${backend === "local" ? " local" : ""}`,
        operation,
        backend,
        connections,
        depth,
        quick: quickShapes(operation, backend).includes(shape)
      }
    })
  )
)
