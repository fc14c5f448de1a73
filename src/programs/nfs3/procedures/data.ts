/** The content of files: READLINK, READ, WRITE, COMMIT (RFC 1813, 3.3.5 to 3.3.7, 3.3.21). */

import * as Effect from "effect/Effect"
import type { Stability } from "../../../filesystem/Filesystem.ts"
import { fail } from "../../../filesystem/FilesystemError.ts"
import { lengthOf } from "../../../xdr/Chunks.ts"
import { incoming, outgoing } from "../../../xdr/Loans.ts"
import { syncing } from "../Losses.ts"
import { COMMIT, READ, READLINK, type StableHow, WRITE } from "../Nfs3Calls.ts"
import { NFS3_OK, onFile, postOp, unchanged, wccData } from "../Operation.ts"

/** From this count on, a transfer is bulk. */
const BULK_FROM = 65_536

/** No record holds more. */
const MOST = 16 * 1024 * 1024

const priority = ({ count }: { readonly count: number }) => (count < BULK_FROM ? "data" : "bulk")

/** What is read or written, as far as a record can hold it. */
const cost = ({ count }: { readonly count: number }) => Math.min(count, MOST)

const lend = (length: number): Uint8Array => outgoing.lend(length)

export const readlink = onFile(READLINK, {
  idempotent: true,
  handle: (args) => args.symlink,
  run: ({ access, file, operations }) => operations.readlink(file, access.readlink),
  ok: (symlink, { attributes, target }) => ({
    status: NFS3_OK,
    symlinkAttributes: postOp(symlink, attributes),
    data: target
  }),
  failed: (status, attributes) => ({ status, symlinkAttributes: attributes })
})

export const read = onFile(READ, {
  idempotent: true,
  priority,
  cost,
  handle: (args) => args.file,
  run: ({ access, file, operations, server }, { count, offset }) => {
    // Beyond the largest file is the end of every file.
    const from = Math.min(offset, operations.properties.maxFileSize)
    // The reply's connection gives it back.
    return operations.read(file, from, Math.min(count, server.maxTransfer), access.read, lend)
  },
  ok: (target, { attributes, data, eof }) => ({
    status: NFS3_OK,
    fileAttributes: postOp(target, attributes),
    count: lengthOf(data),
    eof,
    data
  }),
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
  cost,
  handle: (args) => args.file,
  run: ({ access, file, operations, server, share }, { count, data, offset, stable }) => {
    if (count !== lengthOf(data)) return fail.EINVAL
    if (offset + count > share.maxFileSize) return fail.EFBIG
    // The verifier from before: one that comes while it writes may be because of a loss of this data, too.
    const verf = server.writeVerifier.current
    const writing = operations.write(file, offset, data, stabilities[stable], access.write)
    return Effect.mapEager(stable === "UNSTABLE" ? writing : syncing(server, writing), (written) => {
      // No operation keeps what it was given. (One that failed may still be at it.)
      incoming.giveBack(data)
      return { ...written, verf }
    })
  },
  ok: (target, { committed, count, verf, wcc }) => ({
    status: NFS3_OK,
    fileWcc: wccData(target, wcc),
    count,
    committed: stableHows[committed],
    verf
  }),
  failed: (status, attributes) => ({ status, fileWcc: unchanged(attributes) })
})

export const commit = onFile(COMMIT, {
  idempotent: true,
  priority: "data",
  handle: (args) => args.file,
  run: ({ access, file, operations, server }, { count, offset }) =>
    syncing(server, operations.commit(file, offset, count, access.commit)),
  ok: (target, wcc) => ({
    status: NFS3_OK,
    fileWcc: wccData(target, wcc),
    // The one from after: what was lost meanwhile is not what was committed.
    verf: target.server.writeVerifier.current
  }),
  failed: (status, attributes) => ({ status, fileWcc: unchanged(attributes) })
})
