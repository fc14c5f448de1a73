/** What makes files: CREATE, MKDIR, SYMLINK, MKNOD (RFC 1813, 3.3.8 to 3.3.11). */

import * as Effect from "effect/Effect"
import type { CreateHow, Made, SetAttributes, Special } from "../../../filesystem/Filesystem.ts"
import type * as Xdr from "../../../xdr/Xdr.ts"
import * as Checks from "../Checks.ts"
import { syncing } from "../Losses.ts"
import { CREATE, MKDIR, MKNOD, SYMLINK } from "../Nfs3Calls.ts"
import type { PostOpAttr } from "../Nfs3Types.ts"
import { NFS3_OK, onFile, postOp, type Target, unchanged, wccData } from "../Operation.ts"
import { type FailureStatus, refusal } from "../Status.ts"

/** What stands in the way of something new with these attributes; `.` and `..` exist. */
const objection = ({ share }: Target, name: string, attributes: SetAttributes) =>
  Checks.properName(name, "EEXIST") ?? Checks.attributes(share, attributes)

const ok = (directory: Target, made: Made) => ({
  status: NFS3_OK,
  obj: directory.share.handle(made.file),
  objAttributes: postOp(directory, made.attributes),
  dirWcc: wccData(directory, made.directory)
})

const failed = (status: FailureStatus, attributes: PostOpAttr) => ({ status, dirWcc: unchanged(attributes) })

export const create = onFile(CREATE, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { how, where: { name } }) => {
    const { access, file, operations, server } = directory
    const attributes = how.mode === "EXCLUSIVE" ? {} : how.objAttributes
    const meeting = createHow(how)
    return (
      objection(directory, name, attributes) ??
      // A file that is there already and gets another size is synced.
      syncing(server, operations.create(file, name, meeting, access.create(meeting, attributes)))
    )
  },
  ok,
  failed
})

/** How CREATE meets a file that is there already. */
const createHow = (how: Xdr.Type<typeof CREATE.args>["how"]): CreateHow => {
  if (how.mode === "UNCHECKED") return { _tag: "Unchecked" }
  // A copy: the verifier stays with the file, and what was decoded is a view of the network's bytes.
  return how.mode === "GUARDED" ? { _tag: "Guarded" } : { _tag: "Exclusive", verifier: Uint8Array.from(how.verf) }
}

export const mkdir = onFile(MKDIR, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { attributes, where: { name } }) => {
    const { access, file, operations } = directory
    return objection(directory, name, attributes) ?? operations.mkdir(file, name, access.mkdir(attributes))
  },
  ok,
  failed
})

export const symlink = onFile(SYMLINK, {
  idempotent: false,
  handle: (args) => args.where.dir,
  run: (directory, { symlink: { symlinkAttributes, symlinkData }, where: { name } }) => {
    const { access, file, operations } = directory
    return (
      objection(directory, name, symlinkAttributes) ??
      Checks.linkTarget(symlinkData) ??
      operations.symlink(file, name, symlinkData, access.symlink(symlinkAttributes))
    )
  },
  ok,
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
    return objection(directory, name, attributes) ?? operations.mknod(file, name, kind, access.mknod(kind, attributes))
  },
  ok,
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
