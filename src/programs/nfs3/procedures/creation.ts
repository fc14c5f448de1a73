/** What makes files: CREATE, MKDIR, SYMLINK, MKNOD (RFC 1813, 3.3.8 to 3.3.11). */
import * as Effect from "effect/Effect"
import type { CreateHow, Made, SetAttributes, Special } from "../../../filesystem/Filesystem.ts"
import type * as Xdr from "../../../xdr/Xdr.ts"
import * as Checks from "../Checks.ts"
import { CREATE, MKDIR, MKNOD, SYMLINK } from "../Nfs3Calls.ts"
import type { PostOpAttr } from "../Nfs3Types.ts"
import { onFile, postOp, type Target, unchanged, wccData } from "../Operation.ts"
import { type FailureStatus, refusal } from "../Status.ts"

/** A name for something new; `.` and `..` exist. */
const newName = (name: string) => Checks.properName(name, "EEXIST")

const made = (directory: Target, { attributes, directory: wcc, file }: Made) => ({
  status: "NFS3_OK" as const,
  obj: directory.share.handle(file),
  objAttributes: postOp(directory, attributes),
  dirWcc: wccData(directory, wcc)
})

const failed = (status: FailureStatus, attributes: PostOpAttr) => ({ status, dirWcc: unchanged(attributes) })

export const create = onFile(CREATE, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { how, where: { name } }) => {
    const { access, file, operations } = directory
    const wanted = how.mode === "EXCLUSIVE" ? {} : how.objAttributes
    const existing = meeting(how)
    return (
      newName(name) ??
      Checks.attributes(operations, wanted) ??
      Effect.map(operations.create(file, name, existing, access.create(existing, wanted)), (found) =>
        made(directory, found)
      )
    )
  },
  failed
})

/** How CREATE meets a file that is there already. */
const meeting = (how: Xdr.Type<typeof CREATE.args>["how"]): CreateHow => {
  if (how.mode === "UNCHECKED") return { _tag: "Unchecked" }
  // The verifier is kept with the file, and what was decoded is a view of the network's bytes.
  return how.mode === "GUARDED" ? { _tag: "Guarded" } : { _tag: "Exclusive", verifier: Uint8Array.from(how.verf) }
}

export const mkdir = onFile(MKDIR, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { attributes, where: { name } }) => {
    const { access, file, operations } = directory
    return (
      newName(name) ??
      Checks.attributes(operations, attributes) ??
      Effect.map(operations.mkdir(file, name, access.mkdir(attributes)), (found) => made(directory, found))
    )
  },
  failed
})

export const symlink = onFile(SYMLINK, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { symlink: { symlinkAttributes, symlinkData }, where: { name } }) => {
    const { access, file, operations } = directory
    const objection =
      newName(name) ?? Checks.linkTarget(symlinkData) ?? Checks.attributes(operations, symlinkAttributes)
    return (
      objection ??
      Effect.map(operations.symlink(file, name, symlinkData, access.symlink(symlinkAttributes)), (found) =>
        made(directory, found)
      )
    )
  },
  failed
})

export const mknod = onFile(MKNOD, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { what, where: { name } }) => {
    const { access, file, operations } = directory
    const node = special(what)
    if (node === undefined) return badType
    const [kind, attributes] = node
    return (
      newName(name) ??
      Checks.attributes(operations, attributes) ??
      Effect.map(operations.mknod(file, name, kind, access.mknod(kind, attributes)), (found) => made(directory, found))
    )
  },
  failed
})

const badType = Effect.fail(refusal("NFS3ERR_BADTYPE"))

/** What MKNOD is to make; `undefined` for what other procedures make. */
const special = (what: Xdr.Type<typeof MKNOD.args>["what"]): readonly [Special, SetAttributes] | undefined => {
  switch (what.type) {
    case "NF3BLK":
      return [{ type: "block", rdev: what.spec }, what.devAttributes]
    case "NF3CHR":
      return [{ type: "character", rdev: what.spec }, what.devAttributes]
    case "NF3SOCK":
      return [{ type: "socket" }, what.pipeAttributes]
    case "NF3FIFO":
      return [{ type: "fifo" }, what.pipeAttributes]
    case "NF3REG":
    case "NF3DIR":
    case "NF3LNK":
      return undefined
  }
}
