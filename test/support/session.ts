/** A session that uses every procedure of MOUNT and NFS, with answers that succeed and answers that fail. */

import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import { type NfsClient, ok } from "./nfs.ts"

/** Long enough to span many segments and several fragments of the stream. */
const LARGE = 700_001

export const everyProcedure = Effect.fnUntraced(function* ({
  mount,
  nfs,
  root
}: NfsClient): Effect.fn.Return<void, RpcClientError> {
  yield* mount({ number: 0, name: "NULL", args: MountCalls.UMNTALL.args, result: MountCalls.UMNTALL.result }, undefined)
  const dir = yield* root()
  yield* mount(MountCalls.MNT1, "/", 1)
  yield* mount(MountCalls.MNT3, "/no/such/export")
  yield* mount(MountCalls.DUMP, undefined)
  yield* mount(MountCalls.EXPORT, undefined)

  yield* nfs(Nfs.NULL, undefined)
  yield* nfs(Nfs.FSINFO, { fsroot: dir })
  yield* nfs(Nfs.FSSTAT, { fsroot: dir })
  yield* nfs(Nfs.PATHCONF, { object: dir })
  const where = (name: string) => ({ dir, name })
  const created = ok(
    yield* nfs(Nfs.CREATE, {
      where: where("file \uDCFF"),
      how: {
        mode: "UNCHECKED",
        objAttributes: { mode: 0o640, size: 0, atime: "now", mtime: { seconds: 1, nanoseconds: 2 } }
      }
    })
  )
  const file = created.obj!
  const how = { mode: "EXCLUSIVE", verf: randomBytes(8) } as const
  yield* nfs(Nfs.CREATE, { where: where("exclusive"), how })
  yield* nfs(Nfs.CREATE, { where: where("exclusive"), how: { ...how, verf: randomBytes(8) } })
  yield* nfs(Nfs.WRITE, { file, offset: 5, count: 3, stable: "UNSTABLE", data: [Buffer.from("abc")] })
  yield* nfs(Nfs.WRITE, { file, offset: 1000, count: LARGE, stable: "FILE_SYNC", data: [randomBytes(LARGE)] })
  yield* nfs(Nfs.WRITE, { file: dir, offset: 0, count: 0, stable: "DATA_SYNC", data: [] })
  yield* nfs(Nfs.COMMIT, { file, offset: 0, count: 0 })
  yield* nfs(Nfs.READ, { file, offset: 0, count: 10 })
  yield* nfs(Nfs.READ, { file, offset: 3, count: LARGE })
  yield* nfs(Nfs.READ, { file: dir, offset: 0, count: 1 })
  yield* nfs(Nfs.GETATTR, { object: file })
  yield* nfs(Nfs.GETATTR, { object: randomBytes(32) })
  yield* nfs(Nfs.SETATTR, { object: file, newAttributes: { mode: 0o600, uid: 7, gid: 8 }, guard: undefined })
  yield* nfs(Nfs.SETATTR, { object: file, newAttributes: { size: 1 }, guard: { seconds: 1, nanoseconds: 1 } })
  yield* nfs(Nfs.LOOKUP, { what: where("file \uDCFF") })
  yield* nfs(Nfs.LOOKUP, { what: where("missing") })
  yield* nfs(Nfs.ACCESS, { object: file, access: 0x3f })
  const made = ok(yield* nfs(Nfs.MKDIR, { where: where("directory"), attributes: { mode: 0o755 } }))
  yield* nfs(Nfs.MKDIR, { where: where("directory"), attributes: {} })
  const symlink = { symlinkAttributes: { mode: 0o777 }, symlinkData: "../elsewhere/ÿ" }
  const linked = ok(yield* nfs(Nfs.SYMLINK, { where: where("symlink"), symlink }))
  yield* nfs(Nfs.SYMLINK, { where: where("symlink"), symlink })
  yield* nfs(Nfs.READLINK, { symlink: linked.obj! })
  yield* nfs(Nfs.READLINK, { symlink: file })
  const spec = { major: 1, minor: 3 }
  const attributes = { mode: 0o600 }
  yield* nfs(Nfs.MKNOD, { where: where("fifo"), what: { type: "NF3FIFO", pipeAttributes: attributes } })
  yield* nfs(Nfs.MKNOD, { where: where("socket"), what: { type: "NF3SOCK", pipeAttributes: attributes } })
  yield* nfs(Nfs.MKNOD, { where: where("device"), what: { type: "NF3CHR", devAttributes: attributes, spec } })
  yield* nfs(Nfs.MKNOD, { where: where("disk"), what: { type: "NF3BLK", devAttributes: attributes, spec } })
  yield* nfs(Nfs.MKNOD, { where: where("wrong"), what: { type: "NF3REG" } })
  yield* nfs(Nfs.LINK, { file, link: { dir: made.obj!, name: "link" } })
  yield* nfs(Nfs.LINK, { file: dir, link: { dir, name: "link" } })
  const from = { cookie: 0n, cookieverf: Buffer.alloc(8) }
  yield* nfs(Nfs.READDIR, { dir, ...from, count: 4096 })
  yield* nfs(Nfs.READDIR, { dir: file, ...from, count: 4096 })
  yield* nfs(Nfs.READDIRPLUS, { dir, ...from, dircount: 4096, maxcount: 65_536 })
  yield* nfs(Nfs.READDIRPLUS, { dir, ...from, dircount: 1, maxcount: 1 })
  yield* nfs(Nfs.RENAME, { from: where("symlink"), to: { dir: made.obj!, name: "renamed" } })
  yield* nfs(Nfs.RENAME, { from: where("missing"), to: where("other") })
  yield* nfs(Nfs.RMDIR, { object: where("directory") })
  yield* nfs(Nfs.REMOVE, { object: where("exclusive") })
  yield* nfs(Nfs.REMOVE, { object: where("missing") })
  yield* nfs(Nfs.MKDIR, { where: where("empty"), attributes: {} })
  yield* nfs(Nfs.RMDIR, { object: where("empty") })
  yield* mount(MountCalls.UMNT, "/")
  yield* mount(MountCalls.UMNTALL, undefined)
})
