/**
 * All files of a filesystem that were seen and are there still, with their names.
 *
 * Operations on it are turns, entered from the root downwards: everything shares the tree, but a rename has it alone, so that
 * nothing moves while somebody works below; then the turns of a directory and of what is in it. Since nobody waits upwards,
 * nobody waits for ever.
 *
 * It grows with the files that clients have seen, because a client may come back with the handle of any of them.
 */

import * as Effect from "effect/Effect"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { alone, shared, Turn } from "../local/Turn.ts"
import { GONE, Keys, ROOT } from "./Keys.ts"
import type { TreeNode } from "./TreeNode.ts"

export class Tree<N extends TreeNode<N>> {
  readonly root: N
  private readonly make: (number: number, key: Uint8Array) => N
  private readonly forgotten: (node: N) => void
  private readonly keys = new Keys()
  private readonly nodes = new Map<number, N>()
  private readonly turn = new Turn()
  private next = GONE + 1

  /** `make` gives a new file, `forgotten` is told of each that is gone. */
  constructor(make: (number: number, key: Uint8Array) => N, forgotten: (node: N) => void = () => {}) {
    this.make = make
    this.forgotten = forgotten
    this.root = this.add(ROOT)
  }

  /** The file with a key; ESTALE when there is none. */
  resolve(key: Uint8Array): Effect.Effect<N, FilesystemError> {
    return Effect.suspend(() => {
      const number = this.keys.numberIn(key)
      const node = number === undefined ? undefined : this.nodes.get(number)
      return node === undefined ? fail.ESTALE : Effect.succeed(node)
    })
  }

  /** Looks at a file (or at the names in a directory) that nobody changes meanwhile. */
  looking<A, E>(node: N, body: Effect.Effect<A, E>): Effect.Effect<A, E | FilesystemError> {
    return shared(this.turn, shared(node.turn, whileThere(node, body)))
  }

  /** Changes a file, or the names in a directory. Once it has begun it is not interrupted. */
  changing<A, E>(node: N, body: Effect.Effect<A, E>): Effect.Effect<A, E | FilesystemError> {
    return shared(this.turn, alone(node.turn, Effect.uninterruptible(whileThere(node, body))))
  }

  /** Changes names anywhere, while nobody else is in the tree. */
  reordering<A, E>(body: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return alone(this.turn, Effect.uninterruptible(body))
  }

  /** What has a name in a directory; something new when nothing is known to have it. */
  named(directory: N, name: string): N {
    const known = directory.children?.get(name)
    if (known !== undefined) return known
    const node = this.add()
    this.enter(node, directory, name)
    return node
  }

  /** A file has a name in a directory, and whatever had it before has not. */
  enter(node: N, directory: N, name: string): void {
    const children = (directory.children ??= new Map<string, N>())
    const former = children.get(name)
    if (former === node) return
    if (former !== undefined) this.leave(directory, name)
    children.set(name, node)
    node.places = [...node.places, { directory, name }]
  }

  /** A name is gone, and what had no other with it. */
  leave(directory: N, name: string): undefined {
    const node = directory.children?.get(name)
    if (node === undefined) return
    this.unname(node, directory, name)
    if (node.places.length === 0) this.forget(node)
  }

  /** A file has another name now. */
  move(from: N, name: string, to: N, newName: string): void {
    const node = from.children!.get(name)!
    this.unname(node, from, name)
    this.enter(node, to, newName)
  }

  private unname(node: N, directory: N, name: string): void {
    directory.children!.delete(name)
    node.places = node.places.filter((place) => place.directory !== directory || place.name !== name)
  }

  private forget(node: N): void {
    node.gone = true
    this.nodes.delete(node.number)
    this.forgotten(node)
    for (const name of Array.from(node.children?.keys() ?? [])) this.leave(node, name)
  }

  private add(number = this.next++): N {
    const node = this.make(number, this.keys.of(number))
    this.nodes.set(number, node)
    return node
  }
}

const whileThere = <A, E>(
  node: { readonly gone: boolean },
  body: Effect.Effect<A, E>
): Effect.Effect<A, E | FilesystemError> =>
  Effect.suspend((): Effect.Effect<A, E | FilesystemError> => (node.gone ? fail.ESTALE : body))
