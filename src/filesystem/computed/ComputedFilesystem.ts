/**
 * A read-only filesystem from one function, which says what the file with an id is:
 *
 * ```ts
 * const get = (id: string): ComputedFilesystem.Node | undefined => {
 *   if (id === "/") return { type: "directory", parent: "/", entries: new Map([["hello.txt", "hello"]]) }
 *   if (id === "hello") return { type: "regular", content: "Hello!\n" }
 *   return undefined
 * }
 * const layer = ComputedFilesystem.layer({ root: "/", get: (id) => Effect.sync(() => get(id)) })
 * ```
 *
 * All else follows from that: keys are ids, cookies are hashes of names, so handles and listings outlast a restart and nothing
 * has to be remembered; every change is refused. The function is asked for each operation, so files may come, go and change.
 */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { type Attributes, fromMillis, type Time } from "../Attributes.ts"
import {
  type Entry,
  Filesystem,
  type Found,
  type Guard,
  type Listing,
  type ListRequest,
  type Operations,
  type ReadResult,
  type Statfs
} from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { Snapshot } from "../local/Snapshot.ts"
import { refusals } from "../ReadOnly.ts"
import { fileidOf, fileOf, fromKey, type Id, ID_MAX } from "./Id.ts"
import { attributesOf, bytesOf, type Directory, isName, type Node, type RegularFile } from "./Node.ts"

export { ID_MAX } from "./Id.ts"
export type { Directory, Node, RegularFile, Symlink } from "./Node.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

export interface Options {
  /** The id of the root, a directory. */
  readonly root: string
  /**
   * What the file with this id is, `undefined` when there is none. An id names one file for ever and has at most
   * {@link ID_MAX} bytes: a number, a database's key, a short path. Ids come from clients and need not be of any file.
   */
  readonly get: (id: string) => Fails<Node | undefined>
}

/** A filesystem of what `get` says. */
export const make = ({ get, root }: Options): Effect.Effect<Operations> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const file = fileOf(root)
    if (file === undefined) throw new Error(`the id of the root has more than ${ID_MAX} bytes: ${root}`)
    return operations({ get, made: fromMillis(now) }, file)
  })

/** A filesystem of what `get` says as the {@link Filesystem} to be served. */
export const layer = (options: Options): Layer.Layer<Filesystem> => Layer.effect(Filesystem, make(options))

interface Source {
  readonly get: Options["get"]
  readonly made: Time
}

/** A file as it is at the moment of an operation. */
interface Seen<N extends Node = Node> {
  readonly node: N
  readonly attributes: Attributes
}

/** Entries of one portion that are asked for together. */
const TOGETHER = 8

const operations = (source: Source, root: Id): Operations<Id> => ({
  properties: {
    maxFileSize: Number.MAX_SAFE_INTEGER - 1,
    linkMax: 1,
    symlinks: true,
    timeDelta: { seconds: 0, nanoseconds: 1 },
    caseInsensitive: false,
    casePreserving: true
  },
  root,
  resolve: (key) => {
    const file = fromKey(key)
    return file === undefined ? fail.ESTALE : Effect.as(see(source, file), file)
  },
  getattr: (file) => Effect.map(see(source, file), ({ attributes }) => attributes),
  lookup: (directory, name, guard) =>
    using(source, directory, "directory", guard, ({ attributes, node }) => {
      if (!isName(name)) return fail.ENOENT
      const id = node.find === undefined ? node.entries.get(name) : node.find(name)
      return id === undefined ? fail.ENOENT : found(source, id, attributes)
    }),
  parent: (directory, guard) =>
    using(source, directory, "directory", guard, ({ attributes, node }) => found(source, node.parent, attributes)),
  readdir: (directory, request, guard) =>
    using(source, directory, "directory", guard, (seen) => list(source, seen, request)),
  read: (file, offset, count, guard) =>
    using(source, file, "regular", guard, (seen) => read(seen, offset, Math.min(count, seen.attributes.size - offset))),
  readlink: (file, guard) =>
    using(source, file, "symlink", guard, ({ attributes, node }) =>
      Effect.succeed({ target: node.target, attributes })
    ),
  commit: (file, _offset, _count, guard) =>
    using(source, file, "regular", guard, ({ attributes }) =>
      Effect.succeed({ before: attributes, after: attributes, atomic: true })
    ),
  statfs: (file) => Effect.as(see(source, file), FULL),
  ...refusals
})

/** Nobody knows how much there is, and nothing can be added: clients fail to mount what has no space at all. */
const FULL: Statfs = {
  totalBytes: 2 ** 50,
  freeBytes: 0,
  availableBytes: 0,
  totalFiles: 2 ** 31,
  freeFiles: 0,
  availableFiles: 0
}

const see = ({ get, made }: Source, file: Id): Fails<Seen> =>
  Effect.flatMap(get(file.id), (node) =>
    node === undefined ? fail.ESTALE : Effect.succeed({ node, attributes: attributesOf(file, node, made) })
  )

/** What `use` makes of a file of this type, when the guard lets it. */
const using = <Type extends Node["type"], A>(
  source: Source,
  file: Id,
  type: Type,
  guard: Guard,
  use: (seen: Seen<Extract<Node, { readonly type: Type }>>) => Fails<A>
): Fails<A> =>
  Effect.flatMap(see(source, file), (seen) => {
    if (!isOf(seen, type)) return wrongType(type, seen.node.type)
    const refused = guard(seen.attributes)
    return refused === undefined ? use(seen) : Effect.fail(refused)
  })

const isOf = <Type extends Node["type"]>(
  seen: Seen,
  type: Type
): seen is Seen<Extract<Node, { readonly type: Type }>> => seen.node.type === type

const wrongType = (wanted: Node["type"], type: Node["type"]): Fails<never> =>
  wanted === "directory" ? fail.ENOTDIR : wanted === "regular" && type === "directory" ? fail.EISDIR : fail.EINVAL

const found = (source: Source, id: string, directory: Attributes): Fails<Found<Id>> => {
  const file = fileOf(id)
  if (file === undefined) return fail.ENAMETOOLONG
  return Effect.flatMap(source.get(id), (node) =>
    node === undefined
      ? fail.ENOENT
      : Effect.succeed({ file, attributes: attributesOf(file, node, source.made), directory })
  )
}

const list = (source: Source, { attributes, node }: Seen<Directory>, request: ListRequest): Fails<Listing<Id>> => {
  const entries: Array<Entry<Id>> = []
  let eof = true
  for (const { cookie, fileid, name } of snapshotOf(node.entries).after(request.cookie)) {
    eof = request.fits(name)
    if (!eof) break
    entries.push({ name, cookie, fileid: fileid! })
  }
  if (!request.attributes) return Effect.succeed({ entries, eof, directory: attributes })
  const full = Effect.forEach(
    entries,
    (entry) =>
      Effect.match(found(source, node.entries.get(entry.name)!, attributes), {
        onFailure: () => entry,
        onSuccess: ({ attributes, file }) => ({ ...entry, found: { file, attributes } })
      }),
    { concurrency: TOGETHER }
  )
  return Effect.map(full, (entries) => ({ entries, eof, directory: attributes }))
}

/** Directories in the order of their listings, for as long as their entries are in use. */
const snapshots = new WeakMap<Directory["entries"], Snapshot>()

const snapshotOf = (entries: Directory["entries"]): Snapshot => {
  const known = snapshots.get(entries)
  if (known !== undefined) return known
  const snapshot = new Snapshot(0n)
  for (const [name, id] of entries) {
    if (!isName(name)) continue
    const bytes = Bytestring.encode(name)
    snapshot.add(bytes, 0, bytes.length, fileidOf(id))
  }
  snapshots.set(entries, snapshot)
  return snapshot
}

/** `count` bytes, none when that is not above 0. */
const read = ({ attributes, node }: Seen<RegularFile>, offset: number, count: number): Fails<ReadResult> => {
  if (count <= 0) return Effect.succeed({ data: [], eof: offset >= attributes.size, attributes })
  const part =
    "content" in node
      ? Effect.succeed(bytesOf(node.content).subarray(offset, offset + count))
      : node.read(offset, count)
  return Effect.flatMap(part, (bytes) => {
    // A client would ask for what is missing again and again.
    if (bytes.length === 0) return fail.EIO
    const data = bytes.subarray(0, count)
    return Effect.succeed({ data: [data], eof: offset + data.length >= attributes.size, attributes })
  })
}
