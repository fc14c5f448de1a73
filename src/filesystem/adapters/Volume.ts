/** What all operations over paths share: where files are, and whether they still are. */

import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import type { Properties, Wcc } from "../Filesystem.ts"
import { errors, fail, type FilesystemError } from "../FilesystemError.ts"
import type { Listings } from "../local/Listings.ts"
import type { Patch } from "../local/Snapshot.ts"
import { alone, shared } from "../local/Turn.ts"
import { Tree } from "../tree/Tree.ts"
import type { Backend, Stat } from "./Backend.ts"
import { PathNode } from "./PathNode.ts"

export type Fails<A> = Effect.Effect<A, FilesystemError>

/** What has a name in a directory. */
export interface Child {
  readonly file: PathNode
  readonly attributes: Attributes
}

export class Volume {
  readonly backend: Backend
  readonly properties: Properties
  readonly listings: Listings
  readonly tree: Tree<PathNode>
  private readonly root: string
  /** Files with several names, by what the backend tells them apart with. */
  private readonly linked = new Map<string, PathNode>()

  /** `root`: the path of the directory that is served. */
  constructor(backend: Backend, properties: Properties, listings: Listings, root: string) {
    this.backend = backend
    this.properties = properties
    this.listings = listings
    this.root = root.replace(/\/+$/, "")
    this.tree = new Tree(
      (number, key) => new PathNode(number, key),
      ({ id }) => id !== undefined && this.linked.delete(id)
    )
  }

  /** The path of a file that is not gone. */
  pathOf(file: PathNode): string {
    let path = ""
    for (let place = file.places[0]; place !== undefined; place = place.directory.places[0]) {
      path = `/${place.name}${path}`
    }
    return this.root + path || "/"
  }

  at(directory: PathNode, name: string): string {
    return `${this.pathOf(directory)}/${name}`.replace(/^\/\//, "/")
  }

  /** Whether a name can be in this filesystem. */
  holds(name: string): boolean {
    return this.backend.byteNames || name.isWellFormed()
  }

  /**
   * The attributes of a file that is where it was seen last; ESTALE when it is not. All directories on the way are looked at,
   * too, from the top: that they are directories, and no symbolic links to somewhere else by now.
   */
  attributes(file: PathNode): Fails<Attributes> {
    return Effect.suspend(() => {
      if (file.gone) return fail.ESTALE
      const place = file.places[0]
      if (place === undefined) return Effect.map(this.backend.stat(this.pathOf(file)), (stat) => file.observe(stat))
      const { directory, name } = place
      const above = directory === this.tree.root ? Effect.void : this.attributes(directory)
      const here = Effect.andThen(above, orAbsent(this.backend.stat(this.at(directory, name))))
      return Effect.flatMap(here, (stat) => {
        if (stat !== undefined && file.couldBe(stat)) return Effect.succeed(this.observe(file, stat))
        if (directory.children?.get(name) === file) this.tree.leave(directory, name)
        // Under another name, if there is one.
        return this.attributes(file)
      })
    })
  }

  /** What has a name in a directory that was just looked at; `undefined` when there is nothing. */
  child(directory: PathNode, name: string): Fails<Child | undefined> {
    if (!this.holds(name)) return Effect.undefined
    const known = directory.children?.get(name)
    return known === undefined ? this.look(directory, name) : shared(known.turn, this.look(directory, name))
  }

  /** The same while nobody else works on it. */
  withChild<A>(directory: PathNode, name: string, body: (child: Child | undefined) => Fails<A>): Fails<A> {
    return Effect.flatMap(this.child(directory, name), (child) =>
      child === undefined ? body(undefined) : alone(child.file.turn, Effect.flatMap(this.look(directory, name), body))
    )
  }

  private look(directory: PathNode, name: string): Fails<Child | undefined> {
    return Effect.flatMap(orAbsent(this.backend.stat(this.at(directory, name))), (stat) =>
      stat === undefined
        ? Effect.sync((): undefined => this.tree.leave(directory, name))
        : Effect.map(this.identify(directory, name, stat), (file) => ({ file, attributes: this.observe(file, stat) }))
    )
  }

  /** The file that was found under a name. */
  private readonly identify = Effect.fnUntraced(
    { self: this },
    function* (
      this: Volume,
      directory: PathNode,
      name: string,
      stat: Stat
    ): Effect.fn.Return<PathNode, FilesystemError> {
      const isLinked = stat.id !== undefined && stat.type !== "directory" && stat.nlink > 1
      let other: PathNode | undefined
      while (isLinked && other !== this.linked.get(stat.id)) {
        other = this.linked.get(stat.id)
        // A number that was given to another file meanwhile is no proof.
        const current = yield* orAbsent(this.backend.stat(this.pathOf(other!)))
        if (current?.id !== stat.id) this.linked.delete(stat.id)
      }
      if (other !== undefined) this.tree.enter(other, directory, name)
      const known = directory.children?.get(name)
      if (known !== undefined && !known.couldBe(stat)) this.tree.leave(directory, name)
      return this.tree.named(directory, name)
    }
  )

  private observe(file: PathNode, stat: Stat): Attributes {
    const attributes = file.observe(stat)
    if (stat.id !== undefined && stat.type !== "directory") {
      if (stat.nlink > 1) this.linked.set(stat.id, file)
      else this.linked.delete(stat.id)
    }
    return attributes
  }

  /**
   * A file that we have just changed: its content, or its attributes only. Others may change what is behind the paths
   * without asking us, so the pair is never `atomic`.
   */
  changed(file: PathNode, before: Attributes, isModified: boolean): Fails<Wcc> {
    return Effect.map(this.backend.stat(this.pathOf(file)), (stat) => ({
      before,
      after: file.changed(before, stat, isModified),
      atomic: false
    }))
  }

  /** A directory after we changed its entries. */
  entriesChanged(directory: PathNode, before: Attributes, patches: ReadonlyArray<Patch>): Fails<Wcc> {
    return Effect.tap(this.changed(directory, before, true), ({ after }) =>
      Effect.sync(() => this.listings.changed(directory.fileid.toString(), before.change, after.change, patches))
    )
  }
}

export const unchanged = (attributes: Attributes): Wcc => ({ before: attributes, after: attributes, atomic: false })

const orAbsent = (stat: Fails<Stat>): Fails<Stat | undefined> =>
  Effect.catchIf(
    stat,
    (error) => error === errors.ENOENT || error === errors.ENOTDIR,
    () => Effect.undefined
  )
