/**
 * What can be measured: for each operation the requests that its slots send, made and tried once before the clock runs.
 * Another operation is another entry of the table.
 */

import * as Effect from "effect/Effect"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { Cycle } from "./ClosedLoop.ts"
import { encode, type Request } from "./Request.ts"
import { PrepareFailed, type Procedure, pattern, program, type Workspace } from "./Workspace.ts"

/** Prepares an operation for a number of slots: cycles that these share (see `ClosedLoop.Options`). */
type Prepare = (workspace: Workspace, slots: number) => Effect.Effect<ReadonlyArray<Cycle>, PrepareFailed>

const KIB = 1024

/** Files that an operation is spread over; large ones are fewer. */
const FILES = 64
const BYTES = 64 * KIB * KIB

/** Requests of a cycle that picks at random: more than caches of recent calls would remember by chance. */
const PICKS = 4096

/** `NFS3_OK` and `fattr3`; what stands in a result besides them. */
const STATUS = 4
const FATTR = 84

/** The same picks in every run and for every server (mulberry32). */
const randomly = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * below)
  }
}

/** One cycle of requests picked at random. */
const picked = (request: (random: (below: number) => number) => Request): ReadonlyArray<Cycle> => {
  const random = randomly(1)
  return [Array.from({ length: PICKS }, () => request(random))]
}

const request = <A, B>(procedure: Procedure<A, B>, args: A, minResult: number): Request =>
  encode({ program, procedure, args, minResult })

/** Files that hold `size` bytes several times over, `BYTES` in all at most. */
const filesFor = (workspace: Workspace, size: number) => {
  const each = Math.max(256 * KIB, 4 * size)
  return workspace.files(Math.min(FILES, Math.ceil(BYTES / each)), each)
}

const read = (size: number): Prepare =>
  Effect.fnUntraced(function* (workspace) {
    const { files, size: fileSize } = yield* filesFor(workspace, size)
    const tried = yield* workspace.call(Nfs3.READ, { file: files[0]!.handle, offset: 0, count: size })
    if (tried.count !== size) return yield* new PrepareFailed({ message: `READ gave ${tried.count} bytes of ${size}` })
    return picked((random) => {
      const file = files[random(files.length)]!.handle
      const offset = random(fileSize / size) * size
      return request(Nfs3.READ, { file, offset, count: size }, STATUS + 16 + size)
    })
  })

const write = (size: number): Prepare =>
  Effect.fnUntraced(function* (workspace) {
    const { files, size: fileSize } = yield* filesFor(workspace, size)
    const data = [pattern(size)]
    const args = (file: Uint8Array, offset: number) =>
      ({ file, offset, count: size, stable: "UNSTABLE", data }) as const
    const tried = yield* workspace.call(Nfs3.WRITE, args(files[0]!.handle, 0))
    if (tried.count !== size) return yield* new PrepareFailed({ message: `WRITE took ${tried.count} bytes of ${size}` })
    return picked((random) => {
      const file = files[random(files.length)]!.handle
      return request(Nfs3.WRITE, args(file, random(fileSize / size) * size), STATUS + 24)
    })
  })

const getattr: Prepare = Effect.fnUntraced(function* (workspace) {
  const { files } = yield* workspace.files(FILES, 0)
  yield* workspace.call(Nfs3.GETATTR, { object: files[0]!.handle })
  return picked((random) => request(Nfs3.GETATTR, { object: files[random(files.length)]!.handle }, STATUS + FATTR))
})

export const operations = {
  NULL: () => Effect.succeed([[request(Nfs3.NULL, undefined, 0)]]),
  GETATTR: getattr,
  "READ 4 KiB": read(4 * KIB),
  "WRITE 4 KiB": write(4 * KIB)
} satisfies Record<string, Prepare>

export type OperationName = keyof typeof operations
