/** What all operations of an overlay share: which file is where, and what it looks like. */

import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes } from "../Attributes.ts"
import type { File, Found, Operations, Wcc } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import type { Listings } from "../local/Listings.ts"
import type { Patch } from "../local/Snapshot.ts"
import { Tree } from "../tree/Tree.ts"
import { isReserved, ORIGIN, whiteoutOf } from "./names.ts"
import { type LowerDirectory, OverlayNode } from "./OverlayNode.ts"

export type Fails<A> = Effect.Effect<A, FilesystemError>

/** What has a name in a directory. */
export interface Child {
  readonly file: OverlayNode
  readonly attributes: Attributes
}

export const allow = (): undefined => undefined

/** Longer than any path of the lower filesystem. */
const ORIGIN_MAX = 1 << 20

export class Layers {
  readonly upper: Operations
  readonly lower: Operations
  /** A directory of the upper filesystem that nobody sees. */
  readonly work: File
  readonly listings: Listings
  readonly tree: Tree<OverlayNode>
  private inWork = 0
  /** Upper files with several names, by their keys. */
  private readonly linked = new Map<string, OverlayNode>()

  constructor(upper: Operations, lower: Operations, work: File, listings: Listings, rootLinks: number) {
    this.upper = upper
    this.lower = lower
    this.work = work
    this.listings = listings
    this.tree = new Tree(
      (number, key) => new OverlayNode(number, key),
      ({ upper }) => upper !== undefined && this.linked.delete(hex(upper))
    )
    const { root } = this.tree
    root.type = "directory"
    root.upper = upper.root
    const links = linksBelow(rootLinks)
    // The working directory is no subdirectory that anybody sees.
    root.below = { file: lower.root, path: "", links: links === undefined ? undefined : links - 1 }
  }

  /** A name that was never used in the working directory. */
  nameInWork(): string {
    return (this.inWork++).toString()
  }

  /** The attributes of a file; ESTALE when it is gone. */
  attributes(node: OverlayNode): Fails<Attributes> {
    return Effect.suspend(() => {
      const { upper } = node
      if (node.gone) return fail.ESTALE
      const inner = upper === undefined ? this.lower.getattr(lowerOf(node)) : this.upper.getattr(upper)
      return Effect.flatMap(inner, (attributes) =>
        // It may have been copied up meanwhile.
        upper === node.upper ? Effect.succeed(shown(node, attributes)) : this.attributes(node)
      )
    })
  }

  /** What has a name in a directory that nobody changes meanwhile; `undefined` when there is nothing. */
  child(directory: OverlayNode, name: string): Fails<Child | undefined> {
    return Effect.suspend(() => {
      const known = directory.children?.get(name)
      if (known !== undefined) return Effect.map(this.attributes(known), (attributes) => ({ file: known, attributes }))
      return isReserved(name) ? Effect.undefined : this.look(directory, name)
    })
  }

  private readonly look = Effect.fnUntraced(
    { self: this },
    function* (
      this: Layers,
      directory: OverlayNode,
      name: string
    ): Effect.fn.Return<Child | undefined, FilesystemError> {
      const above = yield* find(this.upper, directory.upper, name)
      if (above === undefined) {
        const found = yield* this.visibleBelow(directory, name)
        return found && this.enter(directory, name, undefined, found)
      }
      const below = above.attributes.type === "directory" ? yield* this.below(directory, name, above.file) : undefined
      return this.enter(directory, name, above, below)
    }
  )

  /** What the lower filesystem has under a name that the upper one neither has nor hides. */
  private visibleBelow(directory: OverlayNode, name: string): Fails<Found | undefined> {
    return Effect.flatMap(find(this.lower, directory.below?.file, name), (found) => {
      if (found === undefined) return Effect.undefined
      return Effect.map(this.isHidden(directory, name), (isHidden) => (isHidden ? undefined : found))
    })
  }

  /** Whether a name of the lower filesystem is hidden. */
  isHidden(directory: OverlayNode, name: string): Fails<boolean> {
    return Effect.map(find(this.upper, directory.upper, whiteoutOf(name)), (found) => found !== undefined)
  }

  /** Whether a name must be hidden when nothing is to be there. */
  needsHiding(directory: OverlayNode, name: string): Fails<boolean> {
    return Effect.map(this.visibleBelow(directory, name), (found) => found !== undefined)
  }

  /** The lower part of an upper directory: that which it took along, or what has the same name. */
  private readonly below = Effect.fnUntraced(
    { self: this },
    function* (
      this: Layers,
      directory: OverlayNode,
      name: string,
      upper: File
    ): Effect.fn.Return<(Found & { readonly path?: string }) | undefined, FilesystemError> {
      const origin = yield* find(this.upper, upper, ORIGIN)
      if (origin === undefined) {
        const found = yield* this.visibleBelow(directory, name)
        return found?.attributes.type === "directory" ? found : undefined
      }
      const { data } = yield* this.upper.read(origin.file, 0, ORIGIN_MAX, allow)
      const path = Bytestring.decode(Buffer.concat(data))
      let found: Found | undefined
      for (const part of path.split("/").slice(1)) {
        found = yield* find(this.lower, found?.file ?? this.lower.root, part)
        if (found?.attributes.type !== "directory") return undefined
      }
      return found && { ...found, path }
    }
  )

  /** Notes what was found under a name, unless somebody else just did. */
  private enter(
    directory: OverlayNode,
    name: string,
    above: Found | undefined,
    below: (Found & { readonly path?: string }) | undefined
  ): Child {
    const { attributes, file } = (above ?? below)!
    const isLinked = above !== undefined && attributes.type !== "directory" && attributes.nlink > 1
    const other = isLinked ? this.linked.get(hex(file)) : undefined
    if (other !== undefined) this.tree.enter(other, directory, name)
    const node = this.tree.named(directory, name)
    if (node.type === undefined) {
      node.type = attributes.type
      node.upper = above?.file
      if (attributes.type !== "directory") {
        node.lower = below?.file
      } else if (below !== undefined) {
        const path = below.path ?? `${directory.below!.path}/${name}`
        node.below = { file: below.file, path, links: linksBelow(below.attributes.nlink) } satisfies LowerDirectory
      }
      if (isLinked) this.linked.set(hex(file), node)
    }
    return { file: node, attributes: shown(node, attributes) }
  }

  /** A file that was just made in the upper filesystem. */
  made(directory: OverlayNode, name: string, { attributes, file }: Pick<Found, "file" | "attributes">): Child {
    const node = this.tree.named(directory, name)
    node.type = attributes.type
    node.upper = file
    return { file: node, attributes: shown(node, attributes) }
  }

  /** A file has another name from now on. */
  link(node: OverlayNode, directory: OverlayNode, name: string): void {
    this.tree.enter(node, directory, name)
    this.linked.set(hex(node.upper!), node)
  }

  /** A directory after its entries were changed: `before` as it was when nothing was changed, `wcc` of the last change. */
  entriesChanged(directory: OverlayNode, before: Attributes, wcc: Wcc, patches: ReadonlyArray<Patch>): Wcc {
    const after = shown(directory, wcc.after)
    this.listings.changed(directory.fileid.toString(), before.change, after.change, patches)
    return { before, after, atomic: wcc.atomic }
  }
}

/** What has a name in a directory of one of the filesystems. */
export const find = (fs: Operations, directory: File | undefined, name: string): Fails<Found | undefined> =>
  directory === undefined
    ? Effect.undefined
    : Effect.catchIf(
        fs.lookup(directory, name, allow),
        (error) => error === errors.ENOENT,
        () => Effect.undefined
      )

export const lowerOf = ({ below, lower }: OverlayNode): File => (lower ?? below?.file)!

/** What a file looks like, by its attributes in the upper filesystem, or in the lower one when it is not in the upper. */
export const shown = (node: OverlayNode, attributes: Attributes): Attributes => ({
  ...attributes,
  fileid: node.fileid,
  nlink: linksOf(node, attributes),
  change: attributes.change + node.lag
})

/** What a directory's subdirectories in the lower filesystem add to its links, but for those of itself. */
const linksBelow = (nlink: number): number | undefined => (countsLinks(nlink) ? nlink - 2 : undefined)

/** A directory is linked to by its name and by itself, unless its filesystem does not count its links. */
const countsLinks = (nlink: number): boolean => nlink >= 2

/**
 * A lower file is another one under each of its names. A directory may show more links than it has subdirectories, never
 * fewer: one that is in both filesystems counts twice, and so does one that was removed. One link says that it is unknown.
 */
const linksOf = ({ below, type, upper }: OverlayNode, { nlink }: Attributes): number => {
  if (upper === undefined) return type === "directory" ? nlink : 1
  if (below === undefined) return nlink
  return below.links === undefined || !countsLinks(nlink) ? 1 : nlink + below.links
}

export const unchanged = (attributes: Attributes): Wcc => ({ before: attributes, after: attributes, atomic: true })

const hex = ({ key }: File): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("hex")
