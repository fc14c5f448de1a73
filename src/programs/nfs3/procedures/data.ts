/** The content of files: READLINK, READ, WRITE, COMMIT (RFC 1813, 3.3.5 to 3.3.7, 3.3.21). */
import * as Effect from "effect/Effect"
import type { Stability } from "../../../filesystem/Filesystem.ts"
import { fail } from "../../../filesystem/FilesystemError.ts"
import type { Chunks } from "../../../xdr/Xdr.ts"
import * as Checks from "../Checks.ts"
import { COMMIT, READ, READLINK, type StableHow, WRITE } from "../Nfs3Calls.ts"
import { onFile, postOp, unchanged, wccData } from "../Operation.ts"

/** From this count on, a transfer is bulk. */
const BULK_FROM = 65_536

const priority = ({ count }: { readonly count: number }) => (count < BULK_FROM ? "data" : "bulk")

export const readlink = onFile(READLINK, {
  idempotent: true,
  handle: (args) => args.symlink,
  run: (symlink) =>
    Effect.map(symlink.operations.readlink(symlink.file, symlink.access.readlink), ({ attributes, target }) => ({
      status: "NFS3_OK",
      symlinkAttributes: postOp(symlink, attributes),
      data: target
    })),
  failed: (status, attributes) => ({ status, symlinkAttributes: attributes })
})

export const read = onFile(READ, {
  idempotent: true,
  priority,
  handle: (args) => args.file,
  run: (target, { count, offset }, { maxTransfer }) => {
    const { access, file, operations } = target
    // Beyond the largest file is the end of every file.
    const from = Math.min(offset, Checks.maxFileSize(operations))
    return Effect.map(
      operations.read(file, from, Math.min(count, maxTransfer), access.read),
      ({ attributes, data, eof }) => ({
        status: "NFS3_OK",
        fileAttributes: postOp(target, attributes),
        count: lengthOf(data),
        eof,
        data
      })
    )
  },
  failed: (status, attributes) => ({ status, fileAttributes: attributes })
})

/** In the terms of the filesystem, and back. */
const stabilities: { readonly [K in StableHow]: Stability } = {
  UNSTABLE: "unstable",
  DATA_SYNC: "dataSync",
  FILE_SYNC: "fileSync"
}
const stableHows: { readonly [K in Stability]: StableHow } = {
  unstable: "UNSTABLE",
  dataSync: "DATA_SYNC",
  fileSync: "FILE_SYNC"
}

export const write = onFile(WRITE, {
  idempotent: false,
  priority,
  handle: (args) => args.file,
  run: (target, { count, data, offset, stable }, { writeVerifier }) => {
    const { access, file, operations } = target
    if (count !== lengthOf(data)) return fail.EINVAL
    if (offset + count > Checks.maxFileSize(operations)) return fail.EFBIG
    return Effect.map(
      operations.write(file, offset, data, stabilities[stable], access.write),
      ({ committed, count, wcc }) => ({
        status: "NFS3_OK",
        fileWcc: wccData(target, wcc),
        count,
        committed: stableHows[committed],
        verf: writeVerifier
      })
    )
  },
  failed: (status, attributes) => ({ status, fileWcc: unchanged(attributes) })
})

export const commit = onFile(COMMIT, {
  idempotent: true,
  priority: "data",
  handle: (args) => args.file,
  run: (target, { count, offset }, { writeVerifier }) =>
    Effect.map(target.operations.commit(target.file, offset, count, target.access.commit), (wcc) => ({
      status: "NFS3_OK",
      fileWcc: wccData(target, wcc),
      verf: writeVerifier
    })),
  failed: (status, attributes) => ({ status, fileWcc: unchanged(attributes) })
})

const lengthOf = (chunks: Chunks): number => {
  let length = 0
  for (let i = 0; i < chunks.length; i++) length += chunks[i]!.length
  return length
}
