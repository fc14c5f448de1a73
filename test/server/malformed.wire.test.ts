/** Calls that are none: arguments that cannot be read, procedures, versions and programs that do not exist. */

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import type { RpcClient, RpcClientError } from "../../src/rpc/RpcClient.ts"
import type { AcceptedReply } from "../../src/rpc/RpcMessage.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { make as makeLogs } from "../support/logs.ts"
import { type Call, connect } from "../support/nfs.ts"
import { serve, session } from "../support/server.ts"

/** Bytes as they are, instead of arguments. */
const raw: Xdr.Codec<Uint8Array> = {
  shape: { _tag: "Void" },
  read: () => new Uint8Array(0),
  write: (writer, bytes) => writer.append(bytes)
}

const callRaw = (rpc: RpcClient, program: number, version: number, procedure: number, args: Uint8Array) =>
  rpc.call({ program, version }, procedure, { args: raw, result: Xdr.nothing }, args)

/** How a call was refused. */
const refusal = <A>(call: Effect.Effect<A, RpcClientError>) =>
  Effect.map(Effect.flip(call), (error): AcceptedReply | string =>
    error._tag === "RpcRefused" && error.reply.status === "MSG_ACCEPTED" ? error.reply.reply : error._tag
  )

const GARBAGE_ARGS = { stat: "GARBAGE_ARGS" }

/** A procedure, and arguments that it takes. */
const sample = <A, B>(call: Call<A, B>, args: A, program = 100003, version = 3) => ({
  name: call.name,
  number: call.number,
  program,
  version,
  bytes: Result.getOrThrow(Xdr.encode(call.args, args))
})

const dir = Buffer.alloc(32, 7)
const where = { dir, name: "name" }
const every = {
  mode: 1,
  uid: 2,
  gid: 3,
  size: 4,
  atime: "now",
  mtime: { seconds: 5, nanoseconds: 6 }
} as const
const list = { dir, cookie: 1n, cookieverf: Buffer.alloc(8) }

const samples = [
  sample(Nfs.GETATTR, { object: dir }),
  sample(Nfs.SETATTR, { object: dir, newAttributes: every, guard: { seconds: 1, nanoseconds: 2 } }),
  sample(Nfs.LOOKUP, { what: where }),
  sample(Nfs.ACCESS, { object: dir, access: 1 }),
  sample(Nfs.READLINK, { symlink: dir }),
  sample(Nfs.READ, { file: dir, offset: 1, count: 2 }),
  sample(Nfs.WRITE, { file: dir, offset: 1, count: 5, stable: "UNSTABLE", data: [Buffer.from("hello")] }),
  sample(Nfs.CREATE, { where, how: { mode: "GUARDED", objAttributes: every } }),
  sample(Nfs.CREATE, { where, how: { mode: "EXCLUSIVE", verf: Buffer.alloc(8) } }),
  sample(Nfs.MKDIR, { where, attributes: every }),
  sample(Nfs.SYMLINK, { where, symlink: { symlinkAttributes: every, symlinkData: "target" } }),
  sample(Nfs.MKNOD, { where, what: { type: "NF3CHR", devAttributes: every, spec: { major: 1, minor: 2 } } }),
  sample(Nfs.MKNOD, { where, what: { type: "NF3FIFO", pipeAttributes: every } }),
  sample(Nfs.REMOVE, { object: where }),
  sample(Nfs.RMDIR, { object: where }),
  sample(Nfs.RENAME, { from: where, to: where }),
  sample(Nfs.LINK, { file: dir, link: where }),
  sample(Nfs.READDIR, { ...list, count: 4096 }),
  sample(Nfs.READDIRPLUS, { ...list, dircount: 4096, maxcount: 4096 }),
  sample(Nfs.FSSTAT, { fsroot: dir }),
  sample(Nfs.FSINFO, { fsroot: dir }),
  sample(Nfs.PATHCONF, { object: dir }),
  sample(Nfs.COMMIT, { file: dir, offset: 1, count: 2 }),
  sample(MountCalls.MNT1, "/path", 100005, 1),
  sample(MountCalls.MNT3, "/path", 100005),
  sample(MountCalls.UMNT, "/path", 100005, 1),
  sample(MountCalls.UMNT, "/path", 100005)
]

describe("arguments", () => {
  it.live.each(samples)("of $name that end too early are GARBAGE_ARGS", ({ bytes, number, program, version }) =>
    Effect.gen(function* () {
      const { rpc } = yield* session()
      for (let length = 0; length < bytes.length; length++) {
        const cut = bytes.subarray(0, length)
        expect(yield* refusal(callRaw(rpc, program, version, number, cut)), `${length} bytes`).toEqual(GARBAGE_ARGS)
      }
      // Whole, they are arguments.
      yield* callRaw(rpc, program, version, number, bytes)
    })
  )

  it.live.each<[what: string, procedure: number, at: string, replacement: string]>([
    ["a handle of 68 bytes", 1, "00000020", "00000044"],
    ["a length of 2^32 - 1", 3, "00000004", "ffffffff"],
    ["a negative stability", 7, "0000000500000000", "00000005ffffffff"],
    ["a stability that there is not", 7, "0000000500000000", "0000000500000003"],
    ["a boolean that is neither", 9, "0000000100000001", "0000000200000001"],
    ["a way to create that there is not", 8, "0000000100000001", "0000000300000001"],
    ["a type of file that there is not", 11, "0000000400000001", "0000000800000001"]
  ])("%s is GARBAGE_ARGS", ([, procedure, at, replacement]) =>
    Effect.gen(function* () {
      const { rpc } = yield* session()
      const { bytes } = samples.find(({ number }) => number === procedure)!
      const hex = Buffer.from(bytes).toString("hex")
      expect(hex).toContain(at)
      const wrong = Buffer.from(hex.replace(at, replacement), "hex")
      expect(yield* refusal(callRaw(rpc, 100003, 3, procedure, wrong))).toEqual(GARBAGE_ARGS)
    })
  )

  it.live("of a call that is made again with the same number are read again", () =>
    Effect.gen(function* () {
      const { dir, nfs, rpc } = yield* session()
      const program = { program: 100003, version: 3 }
      const xid = 4711
      const garbage = rpc.call(program, Nfs.MKDIR.number, { args: raw, result: Xdr.nothing }, Buffer.alloc(4), { xid })
      expect(yield* refusal(garbage)).toEqual(GARBAGE_ARGS)
      expect(yield* refusal(garbage)).toEqual(GARBAGE_ARGS)
      expect((yield* nfs(Nfs.MKDIR, { where: { dir, name: "dir" }, attributes: {} }, { xid })).status).toBe("NFS3_OK")
    })
  )
})

describe("what is not served", () => {
  it.live.each<[what: string, program: number, version: number, procedure: number, reply: AcceptedReply]>([
    ["NFS 3, procedure 22", 100003, 3, 22, { stat: "PROC_UNAVAIL" }],
    ["NFS 3, procedure 2^32 - 1", 100003, 3, 0xffff_ffff, { stat: "PROC_UNAVAIL" }],
    ["MOUNT 1, procedure 6", 100005, 1, 6, { stat: "PROC_UNAVAIL" }],
    ["MOUNT 3, procedure 6", 100005, 3, 6, { stat: "PROC_UNAVAIL" }],
    ["NFS 2", 100003, 2, 0, { stat: "PROG_MISMATCH", low: 3, high: 3 }],
    ["NFS 4", 100003, 4, 0, { stat: "PROG_MISMATCH", low: 3, high: 3 }],
    ["MOUNT 2, procedure 6", 100005, 2, 6, { stat: "PROC_UNAVAIL" }],
    ["MOUNT 4", 100005, 4, 0, { stat: "PROG_MISMATCH", low: 1, high: 3 }],
    ["NFSACL", 100227, 3, 0, { stat: "PROG_UNAVAIL" }],
    ["NLM", 100021, 4, 0, { stat: "PROG_UNAVAIL" }],
    ["the port mapper", 100000, 2, 3, { stat: "PROG_UNAVAIL" }]
  ])("%s", ([, program, version, procedure, reply]) => {
    const logs = makeLogs()
    return Effect.gen(function* () {
      const server = yield* serve([{ path: "/", filesystem: MemoryFilesystem.layer() }])
      const { nfs, rpc } = yield* connect(server.address.port)
      expect(yield* refusal(callRaw(rpc, program, version, procedure, Buffer.alloc(8)))).toEqual(reply)
      // The connection goes on, and nobody is told.
      yield* nfs(Nfs.NULL, undefined)
      expect(logs.messages).toEqual([])
    }).pipe(Effect.provide(logs.layer))
  })

  it.live("credentials of another flavour", () =>
    Effect.gen(function* () {
      const { nfs } = yield* session()
      const auth = { flavor: 6, body: new Uint8Array(0) }
      const error = yield* Effect.flip(nfs(Nfs.NULL, undefined, { auth }))
      expect(error).toMatchObject({
        _tag: "RpcRefused",
        reply: { status: "MSG_DENIED", reply: { stat: "AUTH_ERROR", why: "AUTH_REJECTEDCRED" } }
      })
      const damaged = { flavor: Auth.AUTH_SYS, body: Buffer.alloc(6) }
      expect(yield* Effect.flip(nfs(Nfs.NULL, undefined, { auth: damaged }))).toMatchObject({
        _tag: "RpcRefused",
        reply: { status: "MSG_DENIED", reply: { stat: "AUTH_ERROR", why: "AUTH_BADCRED" } }
      })
    })
  )
})
