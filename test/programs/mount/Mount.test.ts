import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { Exports } from "../../../src/exports/Exports.ts"
import { SharedState } from "../../../src/exports/SharedState.ts"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Mount from "../../../src/programs/mount/Mount.ts"
import * as MountCalls from "../../../src/programs/mount/MountCalls.ts"
import { DUMP, EXPORT, MNT1, MNT3, UMNT, UMNTALL } from "../../../src/programs/mount/MountCalls.ts"
import { MountTable } from "../../../src/programs/mount/MountTable.ts"
import type { Procedure } from "../../../src/rpc/RpcProgram.ts"
import * as Xdr from "../../../src/xdr/Xdr.ts"
import { encode, testCodec } from "../codecs.ts"

for (const [name, call] of Object.entries(MountCalls)) {
  if (typeof call === "number" || !("args" in call)) continue
  describe(name, () => {
    testCodec("arguments", call.args as Xdr.Codec<unknown>)
    testCodec("results", call.result as Xdr.Codec<unknown>)
  })
}

const make = Effect.gen(function* () {
  const memory = yield* MemoryFilesystem.make()
  const longKey: Operations = { ...memory, root: { key: new Uint8Array(20) } }
  const exports = yield* Exports.make([
    { path: "/data", filesystem: memory },
    { path: "/public", filesystem: memory, squash: "all" },
    { path: "/self", filesystem: memory, squash: "self" },
    { path: "/long", filesystem: longKey }
  ])
  const { programs, table } = yield* Effect.all({ programs: Mount.make, table: MountTable }).pipe(
    Effect.provide(MountTable.layer),
    Effect.provideService(Exports, exports)
  )
  return {
    memory,
    exports,
    programs,
    table,
    call: <A, B>(
      version: number,
      call: { number: number; args: Xdr.Codec<A>; result: Xdr.Codec<B> },
      args: A,
      address = "192.0.2.1"
    ) => {
      const program = programs.find((program) => program.version === version)
      const procedure = program!.procedures[call.number] as Procedure<A, B>
      const peer = { address, port: 700 }
      const decoded = Result.getOrThrow(Xdr.decode(procedure.args, encode(call.args, args)))
      return Effect.map(
        procedure.handler(decoded, {
          credentials: { _tag: "None" },
          transport: "tcp",
          peer,
          ...peer,
          charge: () => {}
        }),
        (result) => Result.getOrThrow(Xdr.decode(call.result, encode(procedure.result, result)))
      )
    }
  }
}).pipe(Effect.provide(SharedState.layer))

describe("MOUNT", () => {
  it.effect("has versions 1 to 3 with the same procedures", () =>
    Effect.gen(function* () {
      const { programs } = yield* make
      assert.deepStrictEqual(
        programs.map(({ program, version }) => [program, version]),
        [
          [100005, 1],
          [100005, 2],
          [100005, 3]
        ]
      )
      for (const { procedures } of programs) {
        assert.deepStrictEqual(
          procedures.map((procedure) => procedure?.name),
          ["NULL", "MNT", "DUMP", "UMNT", "UMNTALL", "EXPORT"]
        )
      }
    })
  )

  it.effect("MNT 3 gives the handle of an export's root, however its path is written", () =>
    Effect.gen(function* () {
      const { call, exports } = yield* make
      for (const path of ["/data", "/data/", "//data//"]) {
        const result = yield* call(3, MNT3, path)
        assert.strictEqual(result.status, "MNT3_OK")
        if (result.status !== "MNT3_OK") return
        assert.deepInclude(exports.current.locate(result.fhandle), { share: exports.current.byPath("/data")! })
        assert.deepStrictEqual(result.authFlavors, [1])
      }
    })
  )

  it.effect("MNT 3 offers AUTH_NONE where credentials are ignored", () =>
    Effect.gen(function* () {
      const { call } = yield* make
      assert.deepInclude(yield* call(3, MNT3, "/public"), { authFlavors: [1, 0] })
      assert.deepInclude(yield* call(3, MNT3, "/self"), { authFlavors: [1, 0] })
    })
  )

  it.effect("MNT knows no other paths", () =>
    Effect.gen(function* () {
      const { call, table } = yield* make
      for (const path of ["", "/", "/data/below", "/DATA", "/data\0", "x".repeat(4096)]) {
        assert.deepStrictEqual(yield* call(3, MNT3, path), { status: "MNT3ERR_NOENT" })
        assert.deepStrictEqual(yield* call(1, MNT1, path), { status: "MNT3ERR_NOENT" })
      }
      assert.deepStrictEqual(table.all(), [])
    })
  )

  it.effect("MNT 1 gives handles of 32 bytes, where that is enough", () =>
    Effect.gen(function* () {
      const { call, exports, table } = yield* make
      const result = yield* call(1, MNT1, "/data")
      assert.strictEqual(result.status, "MNT3_OK")
      if (result.status !== "MNT3_OK") return
      assert.strictEqual(result.directory.length, 32)
      assert.deepInclude(exports.current.locate(result.directory), { share: exports.current.byPath("/data")! })
      assert.deepStrictEqual(yield* call(1, MNT1, "/long"), { status: "MNT3ERR_NOTSUPP" })
      assert.deepInclude(yield* call(3, MNT3, "/long"), { status: "MNT3_OK" })
      assert.deepStrictEqual(
        table.all().map(({ path }) => path),
        ["/data", "/long"]
      )
    })
  )

  it.effect("DUMP shows who has mounted what, until they unmount it", () =>
    Effect.gen(function* () {
      const { call } = yield* make
      const dump = (version: 1 | 3) =>
        Effect.map(call(version, DUMP, undefined), (mounts) =>
          mounts.map(({ directory, hostname }) => `${hostname} ${directory}`)
        )
      yield* call(3, MNT3, "/data", "a")
      yield* call(1, MNT1, "/data/", "b")
      yield* call(3, MNT3, "/public", "a")
      yield* call(3, MNT3, "//data", "a")
      assert.deepStrictEqual(yield* dump(1), ["b /data", "a /public", "a /data"])
      yield* call(3, UMNT, "/data//", "a")
      yield* call(3, UMNT, "/public", "b")
      yield* call(3, UMNT, "/nothing", "b")
      assert.deepStrictEqual(yield* dump(3), ["b /data", "a /public"])
      yield* call(1, UMNTALL, undefined, "a")
      assert.deepStrictEqual(yield* dump(3), ["b /data"])
    })
  )

  it.effect("DUMP tells who may not use an export nothing of what is in it", () =>
    Effect.gen(function* () {
      const { call, exports, memory, table } = yield* make
      const [member, stranger] = ["192.0.2.7", "192.0.2.8"]
      yield* exports.replace([{ path: "/data", filesystem: memory, clients: [{ match: member }] }])
      table.add({ host: member, path: "/data/secret" }, "/data")
      assert.deepStrictEqual(yield* call(3, DUMP, undefined, stranger), [])
      assert.deepStrictEqual(yield* call(3, DUMP, undefined, member), [{ hostname: member, directory: "/data/secret" }])
    })
  )

  it.effect("EXPORT shows the exports, for everybody", () =>
    Effect.gen(function* () {
      const { call } = yield* make
      for (const version of [1, 3]) {
        assert.deepStrictEqual(
          yield* call(version, EXPORT, undefined),
          ["/data", "/public", "/self", "/long"].map((directory) => ({ directory, groups: [] }))
        )
      }
    })
  )
})

describe("MountTable", () => {
  it.effect("forgets the oldest when there are too many", () =>
    Effect.gen(function* () {
      const { table } = yield* make
      for (let i = 0; i < 2000; i++) table.add({ host: `host${i}`, path: "/data" }, "/data")
      const all = table.all()
      assert.strictEqual(all.length, 1024)
      assert.deepStrictEqual(all.at(-1), { host: "host1999", path: "/data" })
      assert.deepStrictEqual(all[0], { host: "host976", path: "/data" })
    })
  )

  it.effect("forgets the oldest of the client that has the most, and remembers as many as there is room for", () =>
    Effect.gen(function* () {
      const { table } = yield* make
      table.add({ host: "few", path: "/data" }, "/data")
      for (let i = 0; i < 1500; i++) table.add({ host: "many", path: `/data/${i}` }, "/data")
      const all = table.all()
      assert.strictEqual(all.length, 1024)
      assert.deepStrictEqual(all.slice(0, 2), [
        { host: "few", path: "/data" },
        { host: "many", path: "/data/477" }
      ])
    })
  )

  it.effect("forgets clients that have been away for a day, and no others", () =>
    Effect.gen(function* () {
      const { table } = yield* make
      const hosts = () => table.all().map(({ host }) => host)
      for (const host of ["stays", "returns", "leaves"]) {
        table.arrived(host)
        table.add({ host, path: "/data" }, "/data")
      }
      // Never had a connection: it asked by datagram.
      table.add({ host: "asked", path: "/data" }, "/data")
      yield* TestClock.adjust("2 days")
      assert.deepStrictEqual(hosts(), ["stays", "returns", "leaves"])
      table.arrived("stays")
      for (const host of ["stays", "returns", "leaves"]) table.left(host)
      yield* TestClock.adjust("23 hours")
      table.arrived("returns")
      table.left("returns")
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(hosts(), ["stays", "returns"])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(hosts(), ["stays"])
    })
  )

  it.effect("forgets mounts of exports that are gone, and of clients that may not use theirs any more", () =>
    Effect.gen(function* () {
      const { call, exports, memory, table } = yield* make
      for (const path of ["/data", "/public"]) {
        for (const address of ["192.0.2.1", "198.51.100.1"]) yield* call(3, MNT3, path, address)
      }
      yield* exports.replace([{ path: "/public", filesystem: memory, clients: [{ match: "192.0.2.0/24" }] }])
      assert.deepStrictEqual(table.all(), [{ host: "192.0.2.1", path: "/public" }])
    })
  )
})
