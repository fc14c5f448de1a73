/** Every procedure of MOUNT, versions 1 and 3, as a client on a socket sees it. */

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { connect, type NfsClient, ok } from "../support/nfs.ts"
import { serve } from "../support/server.ts"

/** A server with several exports, and a client that has mounted nothing. */
const several = Effect.gen(function* () {
  const server = yield* serve([
    { path: "/", filesystem: MemoryFilesystem.layer({ mode: 0o711 }) },
    { path: "/data/music", filesystem: MemoryFilesystem.layer({ mode: 0o701 }) },
    { path: "/caf\u00e9", squash: "all", filesystem: MemoryFilesystem.layer({ mode: 0o702 }) }
  ])
  return { server, ...(yield* connect(server.address.port)) }
})

/** The handle that mounting gives, or the status. */
const mnt = (
  { mount }: NfsClient,
  path: string,
  version: 1 | 3
): Effect.Effect<Uint8Array | string, RpcClient.RpcClientError> =>
  version === 1
    ? Effect.map(mount(MountCalls.MNT1, path, 1), (answer) =>
        answer.status === "MNT3_OK" ? answer.directory : answer.status
      )
    : Effect.map(mount(MountCalls.MNT3, path), (answer) =>
        answer.status === "MNT3_OK" ? answer.fhandle : answer.status
      )

/** By their modes. */
const roots = [
  ["/", 0o711],
  ["/data/music", 0o701],
  ["/data/music/", 0o701],
  ["//data///music", 0o701],
  ["/caf\u00e9", 0o702]
] as const

const missing = ["/data", "/data/music/more", "/Data/music", "/no", "/..", "/data/music/..", "x".repeat(1025), "/\0"]

const NULL = { number: 0, name: "NULL", args: Xdr.nothing, result: Xdr.nothing }

describe.each([1, 3] as const)("MOUNT version %d", (version) => {
  it.live("NULL answers nothing", () =>
    Effect.gen(function* () {
      const { mount } = yield* several
      expect(yield* mount(NULL, undefined, version)).toBeUndefined()
    })
  )

  it.live("MNT gives the handle of an export's root", () =>
    Effect.gen(function* () {
      const client = yield* several
      for (const [path, mode] of roots) {
        const object = yield* mnt(client, path, version)
        if (typeof object === "string") return expect(object).toBe("MNT3_OK")
        const { objAttributes } = ok(yield* client.nfs(Nfs.GETATTR, { object }))
        expect(objAttributes.attributes, path).toMatchObject({ type: "directory", mode })
      }
    })
  )

  it.live("MNT refuses what is not exported, and remembers nothing of it", () =>
    Effect.gen(function* () {
      const client = yield* several
      for (const path of missing) expect(yield* mnt(client, path, version), path).toBe("MNT3ERR_NOENT")
      expect(yield* client.mount(MountCalls.DUMP, undefined, version)).toEqual([])
    })
  )

  it.live("DUMP lists what is mounted, once; UMNT and UMNTALL take it out", () =>
    Effect.gen(function* () {
      const client = yield* several
      const { mount, server } = client
      const dump = mount(MountCalls.DUMP, undefined, version)
      expect(yield* dump).toEqual([])
      const music = { hostname: "127.0.0.1", directory: "/data/music" }
      const root = { hostname: "127.0.0.1", directory: "/" }
      for (const path of ["/data/music", "/", "/data/music//", "/"]) {
        yield* mnt(client, path, version)
      }
      expect(yield* dump).toEqual([music, root])
      expect(yield* server.mounts).toEqual([
        { host: "127.0.0.1", path: "/data/music" },
        { host: "127.0.0.1", path: "/" }
      ])
      // A client that has not mounted something may say so.
      expect(yield* mount(MountCalls.UMNT, "/caf\u00e9", version)).toBeUndefined()
      expect(yield* mount(MountCalls.UMNT, "/nothing", version)).toBeUndefined()
      expect(yield* dump).toEqual([music, root])
      expect(yield* mount(MountCalls.UMNT, "/data/music/", version)).toBeUndefined()
      expect(yield* dump).toEqual([root])
      ok(yield* mount(MountCalls.MNT3, "/caf\u00e9"))
      expect(yield* dump).toHaveLength(2)
      expect(yield* mount(MountCalls.UMNTALL, undefined, version)).toBeUndefined()
      expect(yield* dump).toEqual([])
      expect(yield* server.mounts).toEqual([])
    })
  )

  it.live("EXPORT lists the exports, which are for everybody", () =>
    Effect.gen(function* () {
      const { mount } = yield* several
      expect(yield* mount(MountCalls.EXPORT, undefined, version)).toEqual([
        { directory: "/", groups: [] },
        { directory: "/data/music", groups: [] },
        { directory: "/caf\u00e9", groups: [] }
      ])
    })
  )
})

describe("MOUNT", () => {
  it.live("version 3 says what to authenticate with: AUTH_SYS, and AUTH_NONE only where nobody is believed", () =>
    Effect.gen(function* () {
      const { mount } = yield* several
      expect(ok(yield* mount(MountCalls.MNT3, "/")).authFlavors).toEqual([Auth.AUTH_SYS])
      expect(ok(yield* mount(MountCalls.MNT3, "/caf\u00e9")).authFlavors).toEqual([Auth.AUTH_SYS, Auth.AUTH_NONE])
    })
  )

  it.live("has the same handle in both versions", () =>
    Effect.gen(function* () {
      const { mount } = yield* several
      const { directory } = ok(yield* mount(MountCalls.MNT1, "/data/music", 1))
      expect(ok(yield* mount(MountCalls.MNT3, "/data/music")).fhandle).toEqual(directory)
    })
  )

  it.live("serves who does not say who they are", () =>
    Effect.gen(function* () {
      const { server } = yield* several
      const client = yield* RpcClient.make({ port: server.address.port })
      const program = { program: MountCalls.PROGRAM, version: 3 }
      expect((yield* client.call(program, MountCalls.MNT3.number, MountCalls.MNT3, "/")).status).toBe("MNT3_OK")
    })
  )

  it.live("does not care who has mounted what: a handle works without", () =>
    Effect.gen(function* () {
      const { mount, nfs, server } = yield* several
      const { fhandle } = ok(yield* mount(MountCalls.MNT3, "/"))
      yield* mount(MountCalls.UMNTALL, undefined)
      expect(yield* server.mounts).toEqual([])
      ok(yield* nfs(Nfs.GETATTR, { object: fhandle }))
    })
  )
})
