/** Names in directories: LOOKUP, REMOVE, RMDIR, RENAME, LINK (RFC 1813, 3.3.3, 3.3.12 to 3.3.15). */
import * as Effect from "effect/Effect"
import type { Attributes, Found } from "../../../filesystem/Filesystem.ts"
import * as Checks from "../Checks.ts"
import { LINK, LOOKUP, REMOVE, RENAME, RMDIR } from "../Nfs3Calls.ts"
import { onFile, onFiles, postOp, unchanged, wccData } from "../Operation.ts"
import { type Failure, statusOf } from "../Status.ts"

export const lookup = onFile(LOOKUP, {
  idempotent: true,
  handle: (args) => args.what.dir,
  run: (directory, { what: { name } }) => {
    const { access, file, operations } = directory
    // "No such name" goes out with the directory's attributes of the same moment: with newer ones, Linux would believe it
    // of a directory where the name exists by now.
    let looked: Attributes | undefined
    const guard = (attributes: Attributes) => {
      looked = attributes
      return access.lookup(attributes)
    }
    const looking: Effect.Effect<Found, Failure> =
      name === "."
        ? Effect.map(operations.parent(file, guard), ({ directory: itself }) => ({
            file,
            attributes: itself,
            directory: itself
          }))
        : name === ".."
          ? operations.parent(file, guard)
          : (Checks.name(name) ?? operations.lookup(file, name, guard))
    return Effect.matchEffect(looking, {
      onSuccess: (found) =>
        Effect.succeed({
          status: "NFS3_OK",
          object: directory.share.handle(found.file),
          objAttributes: postOp(directory, found.attributes),
          dirAttributes: postOp(directory, found.directory)
        }),
      onFailure: (failure) =>
        looked === undefined
          ? Effect.fail(failure)
          : Effect.succeed({ status: statusOf(failure), dirAttributes: postOp(directory, looked) })
    })
  },
  failed: (status, attributes) => ({ status, dirAttributes: attributes })
})

export const remove = onFile(REMOVE, {
  idempotent: false,
  handle: (args) => args.object.dir,
  run: (directory, { object: { name } }) =>
    Checks.properName(name, "EISDIR") ??
    Effect.map(directory.operations.remove(directory.file, name, directory.access.remove), (wcc) => ({
      status: "NFS3_OK",
      dirWcc: wccData(directory, wcc)
    })),
  failed: (status, attributes) => ({ status, dirWcc: unchanged(attributes) })
})

export const rmdir = onFile(RMDIR, {
  idempotent: false,
  handle: (args) => args.object.dir,
  run: (directory, { object: { name } }) =>
    Checks.properName(name, "EINVAL", "EEXIST") ??
    Effect.map(directory.operations.rmdir(directory.file, name, directory.access.remove), (wcc) => ({
      status: "NFS3_OK",
      dirWcc: wccData(directory, wcc)
    })),
  failed: (status, attributes) => ({ status, dirWcc: unchanged(attributes) })
})

export const rename = onFiles(RENAME, {
  idempotent: false,
  handles: (args) => [args.from.dir, args.to.dir],
  run: (from, to, args) =>
    Checks.properName(args.from.name, "EINVAL") ??
    Checks.properName(args.to.name, "EINVAL") ??
    Effect.map(from.operations.rename(from.file, args.from.name, to.file, args.to.name, from.access.rename), (wcc) => ({
      status: "NFS3_OK",
      fromdirWcc: wccData(from, wcc.from),
      todirWcc: wccData(to, wcc.to)
    })),
  failed: (status, from, to) => ({ status, fromdirWcc: unchanged(from), todirWcc: unchanged(to) })
})

export const link = onFiles(LINK, {
  idempotent: false,
  handles: (args) => [args.file, args.link.dir],
  run: (file, directory, { link: { name } }) =>
    Checks.properName(name, "EEXIST") ??
    Effect.map(file.operations.link(file.file, directory.file, name, file.access.link), (linked) => ({
      status: "NFS3_OK",
      fileAttributes: postOp(file, linked.attributes),
      linkdirWcc: wccData(directory, linked.directory)
    })),
  failed: (status, file, directory) => ({ status, fileAttributes: file, linkdirWcc: unchanged(directory) })
})
