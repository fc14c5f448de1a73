/**
 * What can be measured: for each operation the requests that its slots send, made and tried once before the clock runs.
 * Another operation is another entry of the table.
 */

import * as Effect from "effect/Effect"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { Cycle } from "./ClosedLoop.ts"
import * as Listing from "./Listing.ts"
import { type Random, randomly } from "./random.ts"
import { encode, type Request } from "./Request.ts"
import { PrepareFailed, type Procedure, pattern, program, type Workspace } from "./Workspace.ts"

export interface Prepared {
  /** What the slots share (see `ClosedLoop.Options`). */
  readonly cycles: ReadonlyArray<Cycle>
  /** Calls that what is measured takes; default 1. */
  readonly callsEach?: number | undefined
}

/** Prepares an operation for a number of slots. */
type Prepare = (workspace: Workspace, slots: number) => Effect.Effect<Prepared, PrepareFailed>

/** One request after another, picked at random. */
type Picker = (random: Random) => Request

const KIB = 1024

/** Files that an operation is spread over; large ones are fewer. */
const FILES = 64
const BYTES = 64 * KIB * KIB

/** Requests of a cycle that picks at random: more than caches of recent calls would remember by chance. */
const PICKS = 4096

/** `NFS3_OK`, `fattr3` and the smallest `wcc_data`; what stands in a result besides them. */
const STATUS = 4
const FATTR = 84
const WCC = 8

/** All that ACCESS can ask for. */
const ACCESS_ALL = 0x3f

const request = <A, B>(procedure: Procedure<A, B>, args: A, minResult: number): Request =>
  encode({ program, procedure, args, minResult })

/** One cycle of requests picked at random. */
const picked =
  (make: (workspace: Workspace) => Effect.Effect<Picker, PrepareFailed>): Prepare =>
  (workspace) =>
    Effect.map(make(workspace), (pick) => {
      const random = randomly(1)
      return { cycles: [Array.from({ length: PICKS }, () => pick(random))] }
    })

/** Files that hold `size` bytes several times over, `BYTES` in all at most. */
const filesFor = (workspace: Workspace, size: number) => {
  const each = Math.max(256 * KIB, 4 * size)
  return workspace.files(Math.min(FILES, Math.ceil(BYTES / each)), each)
}

const getattr = Effect.fnUntraced(function* (workspace: Workspace) {
  const { files } = yield* workspace.files(FILES, 0)
  yield* workspace.call(Nfs3.GETATTR, { object: files[0]!.handle })
  return (random: Random) => request(Nfs3.GETATTR, { object: files[random(FILES)]!.handle }, STATUS + FATTR)
})

const lookup = Effect.fnUntraced(function* (workspace: Workspace) {
  const { directory, files } = yield* workspace.files(FILES, 0)
  return (random: Random) =>
    request(Nfs3.LOOKUP, { what: { dir: directory, name: files[random(FILES)]!.name } }, STATUS + 8)
})

const access = Effect.fnUntraced(function* (workspace: Workspace) {
  const { files } = yield* workspace.files(FILES, 0)
  yield* workspace.call(Nfs3.ACCESS, { object: files[0]!.handle, access: ACCESS_ALL })
  return (random: Random) =>
    request(Nfs3.ACCESS, { object: files[random(FILES)]!.handle, access: ACCESS_ALL }, STATUS + 8)
})

const read = (size: number) =>
  Effect.fnUntraced(function* (workspace: Workspace) {
    const { files, size: fileSize } = yield* filesFor(workspace, size)
    const tried = yield* workspace.call(Nfs3.READ, { file: files[0]!.handle, offset: 0, count: size })
    if (tried.count !== size) return yield* new PrepareFailed({ message: `READ gave ${tried.count} bytes of ${size}` })
    return (random: Random) => {
      const file = files[random(files.length)]!.handle
      const offset = random(fileSize / size) * size
      return request(Nfs3.READ, { file, offset, count: size }, STATUS + 16 + size)
    }
  })

const write = (size: number) =>
  Effect.fnUntraced(function* (workspace: Workspace) {
    const { files, size: fileSize } = yield* filesFor(workspace, size)
    const data = [pattern(size)]
    const args = (file: Uint8Array, offset: number) =>
      ({ file, offset, count: size, stable: "UNSTABLE", data }) as const
    const tried = yield* workspace.call(Nfs3.WRITE, args(files[0]!.handle, 0))
    if (tried.count !== size) return yield* new PrepareFailed({ message: `WRITE took ${tried.count} bytes of ${size}` })
    return (random: Random) => {
      const file = files[random(files.length)]!.handle
      return request(Nfs3.WRITE, args(file, random(fileSize / size) * size), STATUS + WCC + 16)
    }
  })

/** What clients do besides copying: half of it asks about files, a third reads, a tenth writes. */
const mix = Effect.fnUntraced(function* (workspace: Workspace) {
  const parts = yield* Effect.all([
    Effect.map(getattr(workspace), (pick) => ({ pick, share: 30 })),
    Effect.map(lookup(workspace), (pick) => ({ pick, share: 20 })),
    Effect.map(access(workspace), (pick) => ({ pick, share: 10 })),
    Effect.map(read(4 * KIB)(workspace), (pick) => ({ pick, share: 30 })),
    Effect.map(write(4 * KIB)(workspace), (pick) => ({ pick, share: 10 }))
  ])
  const hundred = parts.flatMap(({ pick, share }) => Array.from({ length: share }, () => pick))
  return (random: Random) => hundred[random(hundred.length)]!(random)
})

/** Names that each slot makes and removes in turn. */
const NAMES = 8

const createRemove: Prepare = Effect.fnUntraced(function* (workspace, slots) {
  const dir = yield* workspace.directory("bench-create")
  const pair = (slot: number, i: number): ReadonlyArray<Request> => {
    const where = { dir, name: `s${slot}-${i}` }
    const how = { mode: "UNCHECKED", objAttributes: { mode: 0o644 } } as const
    return [
      request(Nfs3.CREATE, { where, how }, STATUS + 8 + WCC),
      request(Nfs3.REMOVE, { object: where }, STATUS + WCC)
    ]
  }
  return {
    cycles: Array.from({ length: slots }, (_, slot) => Array.from({ length: NAMES }, (_, i) => pair(slot, i)).flat())
  }
})

const ENTRIES = 1000

/** Slots send the calls of a whole listing one after the other, with the cookies that the server gave for them. */
const readdirplus: Prepare = Effect.fnUntraced(function* (workspace) {
  const { directory } = yield* workspace.files(ENTRIES, 0)
  const { calls, entries } = yield* Listing.walk(workspace, directory)
  if (entries !== ENTRIES) return yield* new PrepareFailed({ message: `READDIRPLUS listed ${entries} of ${ENTRIES}` })
  return {
    cycles: [calls.map(({ args, entries }) => request(Nfs3.READDIRPLUS, args, STATUS + entries * Listing.ENTRY_MIN))],
    callsEach: calls.length
  }
})

export const operations = {
  NULL: () => Effect.succeed({ cycles: [[request(Nfs3.NULL, undefined, 0)]] }),
  GETATTR: picked(getattr),
  LOOKUP: picked(lookup),
  ACCESS: picked(access),
  "READ 4 KiB": picked(read(4 * KIB)),
  "READ 64 KiB": picked(read(64 * KIB)),
  "READ 1 MiB": picked(read(KIB * KIB)),
  "WRITE 4 KiB": picked(write(4 * KIB)),
  "WRITE 64 KiB": picked(write(64 * KIB)),
  "WRITE 1 MiB": picked(write(KIB * KIB)),
  READDIRPLUS: readdirplus,
  mix: picked(mix),
  // The last: nfs-ganesha 4.3 crashes at it now and then, and can be measured until then.
  "CREATE+REMOVE": createRemove
} satisfies Record<string, Prepare>

export type OperationName = keyof typeof operations
