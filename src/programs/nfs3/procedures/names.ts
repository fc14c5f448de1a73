/** Names in directories: LOOKUP, REMOVE, RMDIR, RENAME, LINK (RFC 1813, 3.3.3, 3.3.12 to 3.3.15). */

import * as Effect from "effect/Effect"
import type { Attributes, Found, Guard } from "../../../filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../filesystem/FilesystemError.ts"
import * as Checks from "../Checks.ts"
import { LINK, LOOKUP, REMOVE, RENAME, RMDIR } from "../Nfs3Calls.ts"
import { NFS3_OK, onFile, onFiles, postOp, type Target, unchanged, wccData } from "../Operation.ts"
import { refusal, statusOf } from "../Status.ts"

export const lookup = onFile(LOOKUP, {
  idempotent: true,
  handle: (args) => args.what.dir,
  run: (directory, { what: { name } }) => {
    // "No such name" goes out with the directory's attributes of that moment. If they were newer, Linux would take it for
    // the state of a directory in which the name may exist by now.
    let seen: Attributes | undefined
    const guard: Guard = (before) => directory.access.lookup((seen = before))
    return Effect.mapErrorEager(find(directory, name, guard), (error) => refusal(statusOf(error), seen))
  },
  ok: (directory, found) => ({
    status: NFS3_OK,
    object: directory.share.handle(found.file),
    objAttributes: postOp(directory, found.attributes),
    dirAttributes: postOp(directory, found.directory)
  }),
  failed: (status, attributes) => ({ status, dirAttributes: attributes })
})

const find = ({ file, operations }: Target, name: string, guard: Guard): Effect.Effect<Found, FilesystemError> => {
  if (name === "..") return operations.parent(file, guard)
  if (name !== ".") return Checks.name(name) ?? operations.lookup(file, name, guard)
  return Effect.mapEager(operations.parent(file, guard), ({ directory }) => ({
    file,
    attributes: directory,
    directory
  }))
}

export const remove = onFile(REMOVE, {
  idempotent: false,
  handle: (args) => args.object.dir,
  run: ({ access, file, operations }, { object: { name } }) =>
    Checks.properName(name, "EISDIR") ?? operations.remove(file, name, access.remove),
  ok: (directory, wcc) => ({ status: NFS3_OK, dirWcc: wccData(directory, wcc) }),
  failed: (status, attributes) => ({ status, dirWcc: unchanged(attributes) })
})

export const rmdir = onFile(RMDIR, {
  idempotent: false,
  handle: (args) => args.object.dir,
  run: ({ access, file, operations }, { object: { name } }) =>
    Checks.properName(name, "EINVAL", "EEXIST") ?? operations.rmdir(file, name, access.remove),
  ok: (directory, wcc) => ({ status: NFS3_OK, dirWcc: wccData(directory, wcc) }),
  failed: (status, attributes) => ({ status, dirWcc: unchanged(attributes) })
})

export const rename = onFiles(RENAME, {
  idempotent: false,
  handles: (args) => [args.from.dir, args.to.dir],
  run: ({ access, file, operations }, to, args) => {
    const objection = Checks.properName(args.from.name, "EINVAL") ?? Checks.properName(args.to.name, "EINVAL")
    return objection ?? operations.rename(file, args.from.name, to.file, args.to.name, access.rename)
  },
  ok: (from, to, wcc) => ({
    status: NFS3_OK,
    fromdirWcc: wccData(from, wcc.from),
    todirWcc: wccData(to, wcc.to)
  }),
  failed: (status, from, to) => ({ status, fromdirWcc: unchanged(from), todirWcc: unchanged(to) })
})

export const link = onFiles(LINK, {
  idempotent: false,
  handles: (args) => [args.file, args.link.dir],
  run: ({ access, file, operations }, directory, { link: { name } }) =>
    Checks.properName(name, "EEXIST") ?? operations.link(file, directory.file, name, access.link),
  ok: (file, directory, linked) => ({
    status: NFS3_OK,
    fileAttributes: postOp(file, linked.attributes),
    linkdirWcc: wccData(directory, linked.directory)
  }),
  failed: (status, file, directory) => ({ status, fileAttributes: file, linkdirWcc: unchanged(directory) })
})
