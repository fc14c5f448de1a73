/**
 * The export table: which filesystems are served, under which names and on what terms.
 *
 * From here a file handle leads to its file, and a caller's credentials to what the caller may do.
 */

import { hash } from "node:crypto"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type File, Filesystem, KEY_MAX, type Operations } from "../filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../filesystem/FilesystemError.ts"
import * as ReadOnly from "../filesystem/ReadOnly.ts"
import * as Access from "./Access.ts"
import { FileHandles, lengthFor } from "./FileHandle.ts"
import * as Identity from "./Identity.ts"
import { defaults, explain, ExportPath, Policy, settle, strictly } from "./Policy.ts"
import { SharedState } from "./SharedState.ts"

export type { ClientRule, Policy, Terms } from "./Policy.ts"

/** A filesystem to export. */
export interface ExportOptions extends Policy {
  /** What clients mount: an absolute path, which need not exist anywhere else. */
  readonly path: string
  readonly filesystem: Operations
}

/** A filesystem as it is served. */
export interface Export {
  readonly path: string
  /** Names it in file handles and in its files' attributes. */
  readonly id: number
  readonly fsid: bigint
  /** Those of a read-only export change nothing. */
  readonly operations: Operations
  readonly readOnly: boolean
  readonly squash: Identity.Squash
  /** Bytes of each of its file handles. */
  readonly handleLength: number
  readonly handle: (file: File) => Uint8Array
  /** What a caller may do; remembered for as long as `claim` lives. */
  readonly access: (claim: Identity.Claim) => Access.Access
}

/** What a file handle leads to. */
export interface Located {
  readonly share: Export
  /** For the filesystem's `resolve`. */
  readonly key: Uint8Array
}

/** Exports that contradict each other or themselves. */
export class ExportsError extends Data.TaggedError("ExportsError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `export ${this.path}: ${this.reason}`
  }
}

export class Exports extends Context.Service<
  Exports,
  {
    /** In the order in which they were given. */
    readonly all: ReadonlyArray<Export>
    readonly byPath: (path: string) => Export | undefined
    /** EBADHANDLE for what is no handle of ours, ESTALE when its export is gone. */
    readonly locate: (handle: Uint8Array) => Located | FilesystemError
  }
>()("effect-nfs/Exports") {
  /** Exports of filesystems that exist already. */
  static readonly make = Effect.fnUntraced(function* (exports: ReadonlyArray<ExportOptions>) {
    const { handleKey } = yield* SharedState
    const handles = new FileHandles(handleKey)
    const byPath = new Map<string, Export>()
    const byId = new Map<number, Export>()
    for (const options of exports) {
      const wrong = objection(options)
      if (wrong !== undefined) return yield* new ExportsError({ path: options.path, reason: wrong })
      const share = makeExport(options, handles)
      const twin = byPath.get(share.path) ?? byId.get(share.id)
      if (twin !== undefined) return yield* new ExportsError({ path: options.path, reason: clash(share, twin) })
      byPath.set(share.path, share)
      byId.set(share.id, share)
    }
    return Exports.of({
      all: [...byPath.values()],
      byPath: (path) => byPath.get(normalize(path)),
      locate: (handle) => {
        const content = handles.decode(handle)
        if (content === undefined) return errors.EBADHANDLE
        const share = byId.get(content.exportId)
        return share === undefined ? errors.ESTALE : { share, key: content.key }
      }
    })
  })

  /**
   * Exports of filesystems that are built with the layer and released with it. Exports with the same layer share one
   * filesystem.
   */
  static readonly layer = <const E extends ReadonlyArray<LayerOptions>>(
    exports: E
  ): Layer.Layer<
    Exports,
    ExportsError | Layer.Error<E[number]["filesystem"]>,
    SharedState | Layer.Services<E[number]["filesystem"]>
  > => Layer.effect(Exports, Effect.flatMap(build(exports), Exports.make))
}

/** Builds the filesystems of exports, each layer once. */
const build = Effect.fnUntraced(function* <const E extends ReadonlyArray<LayerOptions>>(exports: E) {
  const context = yield* Effect.context<Layer.Services<E[number]["filesystem"]>>()
  const memoMap = Layer.CurrentMemoMap.forkOrCreate(context)
  const scope = yield* Effect.scope
  const built: Array<ExportOptions> = []
  for (const { filesystem, ...options } of exports) {
    const services: Context.Context<Filesystem> = yield* Layer.buildWithMemoMap(filesystem, memoMap, scope)
    built.push({ ...options, filesystem: Context.get(services, Filesystem) })
  }
  return built
})

/** A filesystem to export, as a layer. */
export interface LayerOptions extends Policy {
  readonly path: string
  readonly filesystem: Layer.Layer<Filesystem, any, any>
}

/** `path` without slashes that say nothing. */
export const normalize = (path: string): string =>
  `/${path
    .split("/")
    .filter((part) => part !== "")
    .join("/")}`

const idFor = (path: string): number => hash("sha256", path, "buffer").readUInt32BE(0)

/** What tells an export from others: the path that clients mount, and the number in its file handles. */
export const identify = (said: { readonly path: string; readonly fsid?: number | undefined }) => {
  const path = normalize(said.path)
  return { path, id: said.fsid ?? idFor(path) }
}

const makeExport = (options: ExportOptions, handles: FileHandles): Export => {
  const path = normalize(options.path)
  const { filesystem, fsid: id = idFor(path) } = options
  const { anonymousGid, anonymousUid, readOnly, squash } = settle(options, defaults)
  const known = new WeakMap<Identity.Claim, Access.Access>()
  return {
    path,
    id,
    fsid: BigInt(id),
    operations: readOnly ? ReadOnly.readOnly(filesystem) : filesystem,
    readOnly,
    squash,
    handleLength: lengthFor(filesystem.root.key.length),
    handle: (file) => handles.encode(id, file.key),
    access: (claim) => {
      let access = known.get(claim)
      if (access === undefined) {
        access = Access.make(Identity.make(claim, { squash, anonymousUid, anonymousGid }))
        known.set(claim, access)
      }
      return access
    }
  }
}

/** What people say about an export, without its filesystem. */
const Said = Schema.Struct({ path: ExportPath, ...Policy.fields })

const check = Schema.decodeUnknownResult(Said)

/** What is wrong with an export. */
const objection = ({ filesystem, ...said }: ExportOptions): string | undefined => {
  // From code there may be more: whoever has options for an export and for something else may keep them together.
  const checked = check(said, { ...strictly, onExcessProperty: "ignore" })
  if (Result.isFailure(checked)) return explain(checked.failure.issue).join(", ")
  const keyLength = filesystem.root.key.length
  return keyLength > KEY_MAX ? `its filesystem has keys of ${keyLength} bytes, at most ${KEY_MAX} fit` : undefined
}

/** Why two exports cannot be served at once. */
const clash = (share: Export, twin: Export): string =>
  share.path === twin.path
    ? "there is another export with this path"
    : `it has the same fsid (${share.id}) as ${twin.path}: set another one`
