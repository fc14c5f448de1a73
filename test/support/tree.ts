/** A server with some of everything in it, for calls that are to be refused. */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { CallOptions } from "../../src/rpc/RpcClient.ts"
import { connect, type NfsClient, ok } from "./nfs.ts"
import { alice, bob, serve } from "./server.ts"

/** The names of the files that there are handles of. */
const names = [
  /** `/`, of root, for everybody. */
  "root",
  /** Alice's, 0644, 12 bytes. */
  "file",
  /** Alice's, 0755, with a file `inside`. */
  "dir",
  /** Alice's, 0755. */
  "empty",
  "symlink",
  "fifo",
  /** Root's, 0700, with a file `secret`. */
  "hidden",
  /** Root's, 0600. */
  "secret",
  /** 01777, with Bob's file `bobs` and his directory `bobsDir`. */
  "sticky",
  /** The root and `file` once more, in a read-only export. */
  "readOnlyRoot",
  "readOnlyFile",
  /** The root of another filesystem, with the file `linked` that has as many names as there can be. */
  "otherRoot",
  "linked",
  /** The root of a filesystem that has space for nothing but the file `small`. */
  "fullRoot",
  "small"
] as const

export type Name = (typeof names)[number]

export class Tree extends Context.Service<
  Tree,
  NfsClient & {
    readonly handles: { readonly [K in Name]: Uint8Array }
    /** The handle of a file that was removed. */
    readonly gone: Uint8Array
    /** A handle that was not made by the server. */
    readonly forged: Uint8Array
  }
>()("test/Tree") {
  static readonly layer = Layer.effect(
    Tree,
    Effect.gen(function* () {
      const main = MemoryFilesystem.layer()
      const { address } = yield* serve([
        { path: "/", squash: "none", filesystem: main },
        { path: "/read-only", squash: "none", readOnly: true, filesystem: main },
        { path: "/other", squash: "none", filesystem: MemoryFilesystem.layer({ linkMax: 3 }) },
        {
          path: "/full",
          squash: "none",
          filesystem: MemoryFilesystem.layer({ quota: { bytes: 200, inodes: 2 } })
        }
      ])
      const client = yield* connect(address.port)
      const { nfs } = client
      const create = (dir: Uint8Array, name: string, mode: number, who?: CallOptions) =>
        Effect.map(
          nfs(Nfs.CREATE, { where: { dir, name }, how: { mode: "GUARDED", objAttributes: { mode } } }, who),
          (answer) => ok(answer).obj!
        )
      const mkdir = (dir: Uint8Array, name: string, mode: number, who?: CallOptions) =>
        Effect.map(nfs(Nfs.MKDIR, { where: { dir, name }, attributes: { mode } }, who), (answer) => ok(answer).obj!)

      const root = yield* client.root("/")
      const file = yield* create(root, "file", 0o644, alice)
      const data = [Buffer.from("hello, world")]
      ok(yield* nfs(Nfs.WRITE, { file, offset: 0, count: 12, stable: "FILE_SYNC", data }))
      const dir = yield* mkdir(root, "dir", 0o755, alice)
      yield* create(dir, "inside", 0o644, alice)
      const empty = yield* mkdir(root, "empty", 0o755, alice)
      const symlinkTo = { symlinkAttributes: {}, symlinkData: "file" }
      const symlink = ok(yield* nfs(Nfs.SYMLINK, { where: { dir: root, name: "symlink" }, symlink: symlinkTo })).obj!
      const pipe = { type: "NF3FIFO", pipeAttributes: { mode: 0o644 } } as const
      const fifo = ok(yield* nfs(Nfs.MKNOD, { where: { dir: root, name: "fifo" }, what: pipe })).obj!
      const hidden = yield* mkdir(root, "hidden", 0o700)
      const secret = yield* create(hidden, "secret", 0o600)
      const sticky = yield* mkdir(root, "sticky", 0o1777)
      yield* create(sticky, "bobs", 0o644, bob)
      yield* mkdir(sticky, "bobsDir", 0o755, bob)
      const gone = yield* create(root, "gone", 0o644)
      ok(yield* nfs(Nfs.REMOVE, { object: { dir: root, name: "gone" } }))
      const readOnlyRoot = yield* client.root("/read-only")
      const readOnlyFile = ok(yield* nfs(Nfs.LOOKUP, { what: { dir: readOnlyRoot, name: "file" } })).object
      const otherRoot = yield* client.root("/other")
      const linked = yield* create(otherRoot, "linked", 0o644)
      yield* mkdir(otherRoot, "only", 0o755)
      for (const name of ["second", "third"]) {
        ok(yield* nfs(Nfs.LINK, { file: linked, link: { dir: otherRoot, name } }))
      }
      const fullRoot = yield* client.root("/full")
      const small = yield* create(fullRoot, "small", 0o644)
      // A first listing changes the directory's atime, later ones do not.
      for (const dir of [root, hidden]) {
        ok(yield* nfs(Nfs.READDIR, { dir, cookie: 0n, cookieverf: Buffer.alloc(8), count: 4096 }))
      }
      const forged = Buffer.from(file)
      forged[forged.length - 1]! ^= 1
      return Tree.of({
        ...client,
        handles: {
          root,
          file,
          dir,
          empty,
          symlink,
          fifo,
          hidden,
          secret,
          sticky,
          readOnlyRoot,
          readOnlyFile,
          otherRoot,
          linked,
          fullRoot,
          small
        },
        gone,
        forged
      })
    })
  )
}
