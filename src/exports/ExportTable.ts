/**
 * The exports of one moment: a value, so whoever holds it sees all of a policy, whatever comes after. From here a path and a
 * file handle lead to their export.
 */

import { Buffer } from "node:buffer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { KEY_MAX } from "../filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../filesystem/FilesystemError.ts"
import * as Export from "./Export.ts"
import type { FileHandles } from "./FileHandle.ts"
import { explain, ExportPath, PATH_MAX, Policy, strictly } from "./Policy.ts"

/** What a file handle leads to. */
export interface Located {
  readonly share: Export.Export
  /** For the filesystem's `resolve`. */
  readonly key: Uint8Array
}

/** What a path leads to. */
export interface Found {
  readonly share: Export.Export
  /** The names from the export's root to what is meant; none for the root itself. */
  readonly below: ReadonlyArray<string>
}

export interface ExportTable {
  /** In the order in which they were given. */
  readonly all: ReadonlyArray<Export.Export>
  readonly byPath: (path: string) => Export.Export | undefined
  readonly byId: (id: number) => Export.Export | undefined
  /** The export that a path is in: of several, the one with the longest path. */
  readonly find: (path: string) => Found | undefined
  /** EBADHANDLE for what is no handle of ours, ESTALE when its export is gone. */
  readonly locate: (handle: Uint8Array) => Located | FilesystemError
}

/** An export that cannot be served, or not beside the others. */
export interface Objection {
  readonly path: string
  readonly reason: string
}

/** The table of these exports, which is to take the place of the one `before`. */
export const make = (
  exports: ReadonlyArray<Export.ExportOptions>,
  handles: FileHandles,
  before?: ExportTable
): Result.Result<ExportTable, Objection> => {
  const byPath = new Map<string, Export.Export>()
  const byId = new Map<number, Export.Export>()
  for (const options of exports) {
    const { path } = options
    const wrong = objection(options)
    if (wrong !== undefined) return Result.fail({ path, reason: wrong })
    const share = Export.make(options, handles, before?.byId(Export.identify(options).id))
    const twin = byPath.get(share.path) ?? byId.get(share.id)
    if (twin !== undefined) return Result.fail({ path, reason: clash(share, twin) })
    byPath.set(share.path, share)
    byId.set(share.id, share)
  }
  return Result.succeed({
    all: [...byPath.values()],
    byPath: (path) => byPath.get(Export.normalize(path)),
    byId: (id) => byId.get(id),
    find: (path) => {
      if (path.includes("\0") || Buffer.byteLength(path) > PATH_MAX) return undefined
      const below: Array<string> = []
      for (let at = Export.normalize(path); ; at = parentOf(at)) {
        const share = byPath.get(at)
        if (share !== undefined) return { share, below }
        if (at === "/") return undefined
        below.unshift(at.slice(at.lastIndexOf("/") + 1))
      }
    },
    locate: (handle) => {
      const content = handles.decode(handle)
      if (content === undefined) return errors.EBADHANDLE
      const share = byId.get(content.exportId)
      return share === undefined ? errors.ESTALE : { share, key: content.key }
    }
  })
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/"

/** What people say about an export, without its filesystem. */
const said = { path: ExportPath, ...Policy.fields }
const check = Schema.decodeUnknownResult(Schema.Struct(said), strictly)

/** What is wrong with an export. */
const objection = ({ filesystem, ...options }: Export.ExportOptions): string | undefined => {
  // From code there may be more: whoever has options for an export and for something else may keep them together.
  const checked = check(Object.fromEntries(Object.entries(options).filter(([key]) => Object.hasOwn(said, key))))
  if (Result.isFailure(checked)) return explain(checked.failure.issue).join(", ")
  const keyLength = filesystem.root.key.length
  return keyLength > KEY_MAX ? `its filesystem has keys of ${keyLength} bytes, at most ${KEY_MAX} fit` : undefined
}

/** Why two exports cannot be served at once. */
const clash = (share: Export.Export, twin: Export.Export): string =>
  share.path === twin.path
    ? "there is another export with this path"
    : `it has the same fsid (${share.id}) as ${twin.path}: set another one`
