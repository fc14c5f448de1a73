/**
 * Clients change names over a network that loses replies and connections, and ask again. Whatever was executed once must
 * not be executed again: a client would be told EXIST of what it made itself, or NOENT of what it removed.
 */

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Exports } from "../../src/exports/Exports.ts"
import { SharedState } from "../../src/exports/SharedState.ts"
import type { Operations } from "../../src/filesystem/Filesystem.ts"
import { forward } from "../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../../src/pool/WorkerPool.ts"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import { RpcCodec } from "../../src/rpc/RpcCodec.ts"
import * as RpcServer from "../../src/rpc/RpcServer.ts"
import { type Call, ok } from "../support/nfs.ts"
import * as PersistentClient from "../support/persistentClient.ts"
import * as Proxy from "../support/proxy.ts"
import { Random } from "../support/random.ts"
import { session } from "../support/server.ts"

const CLIENTS = 3
/** Calls of a client that are under way at once. */
const LANES = 4
const STEPS = 60

/** A proxy that loses one record of sixteen, calls and replies, half of them with the connection. */
const badNetwork = Effect.fnUntraced(function* (port: number, seed: number, cutBy: "close" | "reset") {
  const proxy = yield* Proxy.make(port)
  const random = new Random(seed)
  const judge = (): Proxy.Verdict => {
    const chance = random.next() * 32
    return chance < 1 ? "cut" : chance < 1.5 ? "drop" : "pass"
  }
  proxy.cutBy = cutBy
  proxy.onCall = judge
  proxy.onReply = judge
  return proxy
})

/** What a lane's names should stand for: numbers of files and directories. */
interface Expected {
  readonly files: Map<string, bigint>
  readonly directories: Map<string, bigint>
}

/** Makes, renames, links and removes names that nobody else uses. Gives what should be there, and what went wrong. */
const lane = Effect.fnUntraced(function* (
  client: PersistentClient.PersistentClient,
  dir: Uint8Array,
  name: string,
  random: Random
) {
  const nfs = <A, B>(call: Call<A, B>, args: A): Effect.Effect<B> =>
    Effect.orDie(client.call({ program: Nfs.PROGRAM, version: Nfs.VERSION }, call.number, call, args))
  const files = new Map<string, bigint>()
  const directories = new Map<string, bigint>()
  const wrong: Array<string> = []
  const where = (name: string) => ({ dir, name })
  const pick = <A>(from: ReadonlyMap<string, A>) => random.pick([...from])
  const note = (what: string, { status }: { readonly status: string }) => {
    if (status !== "NFS3_OK") wrong.push(`${what}: ${status}`)
  }
  const made = (answer: { readonly status: string }, what: string, into: Map<string, bigint>, name: string) => {
    note(what, answer)
    const { objAttributes } = answer as { objAttributes?: { attributes: { fileid: bigint } } }
    into.set(name, objAttributes?.attributes.fileid ?? 0n)
  }
  for (let step = 0; step < STEPS; step++) {
    const fresh = `${name} ${step}`
    const [old, fileid] = files.size > 0 ? pick(files) : ["", 0n]
    const kind = files.size < 2 ? 0 : random.int(10)
    if (kind < 2) {
      const how = { mode: "GUARDED", objAttributes: { mode: 0o644 } } as const
      made(yield* nfs(Nfs.CREATE, { where: where(fresh), how }), "CREATE", files, fresh)
    } else if (kind === 2) {
      const how = { mode: "EXCLUSIVE", verf: Buffer.from("verifier") } as const
      made(yield* nfs(Nfs.CREATE, { where: where(fresh), how }), "CREATE", files, fresh)
    } else if (kind === 3) {
      const symlink = { symlinkAttributes: {}, symlinkData: "target" }
      made(yield* nfs(Nfs.SYMLINK, { where: where(fresh), symlink }), "SYMLINK", files, fresh)
    } else if (kind === 4) {
      const what = { type: "NF3FIFO", pipeAttributes: {} } as const
      made(yield* nfs(Nfs.MKNOD, { where: where(fresh), what }), "MKNOD", files, fresh)
    } else if (kind === 5) {
      note("RENAME", yield* nfs(Nfs.RENAME, { from: where(old), to: where(fresh) }))
      files.delete(old)
      files.set(fresh, fileid)
    } else if (kind === 6) {
      const [target] = pick(files)
      note("RENAME over", yield* nfs(Nfs.RENAME, { from: where(old), to: where(target) }))
      if (files.get(target) !== fileid) {
        files.delete(old)
        files.set(target, fileid)
      }
    } else if (kind === 7) {
      const found = yield* nfs(Nfs.LOOKUP, { what: where(old) })
      note("LOOKUP", found)
      if (found.status !== "NFS3_OK") continue
      note("LINK", yield* nfs(Nfs.LINK, { file: found.object, link: where(fresh) }))
      files.set(fresh, fileid)
      const object = found.object
      const before = yield* nfs(Nfs.GETATTR, { object })
      if (before.status !== "NFS3_OK") continue
      const guard = before.objAttributes.attributes.ctime
      note("SETATTR", yield* nfs(Nfs.SETATTR, { object, newAttributes: { mode: step }, guard }))
    } else if (kind === 8) {
      note("REMOVE", yield* nfs(Nfs.REMOVE, { object: where(old) }))
      files.delete(old)
    } else if (directories.size === 0 || random.next() < 0.5) {
      made(yield* nfs(Nfs.MKDIR, { where: where(fresh), attributes: {} }), "MKDIR", directories, fresh)
    } else {
      const [removed] = pick(directories)
      note("RMDIR", yield* nfs(Nfs.RMDIR, { object: where(removed) }))
      directories.delete(removed)
    }
  }
  return { expected: { files, directories } satisfies Expected, wrong }
})

/** All clients at work on the same directory. */
const work = Effect.fnUntraced(function* (port: number, dir: Uint8Array, seed: number) {
  const random = new Random(seed)
  const clients = yield* Effect.forEach(Array.from({ length: CLIENTS }), () =>
    PersistentClient.make({ port, auth: Auth.sys({ uid: 0, gid: 0 }), patience: "100 millis" })
  )
  const lanes = clients.flatMap((client, index) =>
    Array.from({ length: LANES }, (_, number) =>
      lane(client, dir, `${index}.${number}`, new Random(random.int(0x7fff_ffff)))
    )
  )
  const results = yield* Effect.all(lanes, { concurrency: "unbounded" })
  const expected = new Map<string, bigint>()
  for (const { expected: lane } of results) {
    for (const [name, fileid] of [...lane.files, ...lane.directories]) expected.set(name, fileid)
  }
  return {
    wrong: results.flatMap(({ wrong }) => wrong),
    expected,
    repeated: clients.reduce((sum, client) => sum + client.repetitions(), 0)
  }
})

/** A filesystem that takes its time, so that connections end in the middle of changes, and before they begin. */
const slow = (memory: Operations): Operations => {
  const late = <A, E>(change: Effect.Effect<A, E>) =>
    Effect.sleep("2 millis").pipe(Effect.andThen(change), Effect.tap(Effect.sleep("2 millis")))
  return forward(memory, {
    create: (...args) => late(memory.create(...args)),
    link: (...args) => late(memory.link(...args)),
    mkdir: (...args) => late(memory.mkdir(...args)),
    mknod: (...args) => late(memory.mknod(...args)),
    remove: (...args) => late(memory.remove(...args)),
    rename: (...args) => late(memory.rename(...args)),
    rmdir: (...args) => late(memory.rmdir(...args)),
    setattr: (...args) => late(memory.setattr(...args)),
    symlink: (...args) => late(memory.symlink(...args))
  })
}

describe("clients that lose replies and connections", { timeout: 30_000 }, () => {
  it.live.each([
    [1, "reset", "fast", undefined],
    [2, "close", "slow", slow],
    [3, "reset", "slow", slow]
  ] as const)("are told what happened, and nothing happens twice (seed %d, %s, %s)", ([seed, cutBy, , change]) =>
    Effect.gen(function* () {
      const { dir, port, ...direct } = yield* session({ change })
      const proxy = yield* badNetwork(port, seed, cutBy)
      const { expected, repeated, wrong } = yield* work(proxy.port, dir, seed)
      expect(wrong).toEqual([])
      // It was a bad network.
      expect(proxy.cuts).toBeGreaterThan(20)
      expect(repeated).toBeGreaterThan(50)

      const all = { dir, cookie: 0n, cookieverf: Buffer.alloc(8), count: 1024 * 1024 }
      const listing = ok(yield* direct.nfs(Nfs.READDIR, all))
      expect(listing.eof).toBe(true)
      const found = new Map(listing.entries.slice(2).map(({ fileid, name }) => [name, fileid]))
      expect(found).toEqual(expected)
    })
  )

  it.live("are told nonsense by a server that remembers one call only: these tests would notice", () =>
    Effect.gen(function* () {
      const exports = yield* Exports
      const server = yield* RpcServer.make({ programs: [yield* Nfs3.make], limits: { replies: 1 } })
      const share = exports.current.byPath("/")!
      const proxy = yield* badNetwork(server.address.port, 4, "close")
      const { wrong } = yield* work(proxy.port, share.handle(share.operations.root), 4)
      expect(wrong).toEqual(expect.arrayContaining([expect.stringContaining("NFS3ERR_EXIST")]))
      expect(wrong).toEqual(expect.arrayContaining([expect.stringContaining("NFS3ERR_NOENT")]))
    }).pipe(
      Effect.provide(
        Exports.layer([{ path: "/", squash: "none", filesystem: MemoryFilesystem.layer() }]).pipe(
          Layer.provideMerge([SharedState.layer, WorkerPool.layer({ maxWorkers: 8 }), RpcCodec.layer()])
        )
      )
    )
  )
})
