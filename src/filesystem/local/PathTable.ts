/**
 * Finds a file by its key where the system does not: by hints of where it was last, which are checked, else by a search
 * through the whole tree.
 *
 * This is the way without the kernel's own handles, of an ordinary user and on systems or filesystems that have none. It
 * finds every file that is still there, also after it or a directory above it was moved by others, but not always at once.
 */

import type { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { Hints } from "./Hints.ts"
import { Search } from "./Search.ts"
import { bytesOf, descend, entries, isGone, type Step, textOf, type Tree } from "./Tree.ts"

export interface Options extends Omit<Tree, "entries"> {
  /** The entries of a directory; default: as `node:fs` reads them. */
  readonly entries?: Tree["entries"] | undefined
  /**
   * A file of SQLite for the hints of this root and any others, which is made when it is missing. Without one (`undefined`),
   * or where it cannot be used, hints do not outlive the table.
   */
  readonly stateFile: string | undefined
  /** Hints that are kept in memory, about 250 bytes each; default 65,536. */
  readonly capacity?: number | undefined
}

/** Directories above a file, at most. */
const MAX_DEPTH = 16_384

/** Times that a way is tried which others change meanwhile. */
const ATTEMPTS = 8

/** The key of the lowest file on a way of which nobody knows where it is. */
interface Missing {
  readonly missing: string
}

export class PathTable {
  private readonly tree: Tree
  private readonly root: string
  private readonly hints: Hints
  private readonly search: Search

  /** A table that lives as long as its scope. It must be left while the root's descriptor is still open. */
  static readonly make = (options: Options): Effect.Effect<PathTable, never, Scope.Scope> =>
    Effect.gen(function* () {
      const tree: Tree = { ...options, entries: options.entries ?? entries }
      const hints = yield* Hints.make({ ...options, root: options.root.key })
      return new PathTable(tree, hints, yield* Search.make(tree, hints))
    })

  private constructor(tree: Tree, hints: Hints, search: Search) {
    this.tree = tree
    this.root = textOf(tree.root.key)
    this.hints = hints
    this.search = search
  }

  /** Notes that a file has this name in this directory. */
  note(key: Uint8Array, parent: Uint8Array, name: Uint8Array): void {
    const text = textOf(key)
    this.hints.put(text, textOf(parent), textOf(name))
    this.search.found(text)
  }

  /** Notes that a file has been removed together with its last name: its key is STALE from now on. */
  forget(key: Uint8Array): void {
    const text = textOf(key)
    this.hints.remove(text)
    this.search.remove(text)
  }

  /** Where the file was last, unchecked. */
  hint(key: Uint8Array): { readonly parent: Uint8Array; readonly name: Buffer } | undefined {
    const hint = this.hints.get(textOf(key))
    return hint === undefined ? undefined : { parent: bytesOf(hint.parent), name: bytesOf(hint.name) }
  }

  /**
   * A new descriptor (O_PATH) of the file, which the caller closes (use it as the acquisition of a resource). It fails with
   * ESTALE when the file is gone, with EAGAIN while that is not known yet: ask again in a while.
   */
  open(key: Uint8Array): Effect.Effect<number, FilesystemError> {
    return Effect.uninterruptibleMask((restore) => this.find(textOf(key), restore))
  }

  private readonly find = Effect.fnUntraced(function* (
    this: PathTable,
    key: string,
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): Effect.fn.Return<number, FilesystemError> {
    if (key === this.root) return yield* this.tree.openAt(this.tree.root.fd, bytesOf("."))
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (this.search.isGone(key)) return yield* fail.ESTALE
      const found = yield* this.go(key)
      if (typeof found === "number") return found
      // Unless somebody has just said where it is, only a search can tell.
      if (this.hints.get(found.missing) !== undefined) continue
      if (!(yield* restore(this.search.ask(key, found.missing)))) return yield* fail.ESTALE
    }
    return yield* fail.EAGAIN
  })

  /** Goes where hints lead, and forgets one that led astray. */
  private go(key: string): Effect.Effect<number | Missing, FilesystemError> {
    const steps = this.wayTo(key)
    if ("missing" in steps) return Effect.succeed(steps)
    return descend(this.tree, this.tree.root.fd, steps).pipe(
      Effect.catch(({ error, step }): Effect.Effect<Missing, FilesystemError> => {
        if (!isGone(error) && error.code !== "EXDEV") return Effect.fail(error)
        // Somebody may have noted another meanwhile.
        const hint = this.hints.get(step.key)
        if (hint?.name === step.name && hint.parent === step.parent) this.hints.remove(step.key)
        return Effect.succeed({ missing: step.key })
      })
    )
  }

  private wayTo(key: string): ReadonlyArray<Step> | Missing {
    const steps: Array<Step> = []
    const passed = new Set<string>()
    for (let at = key; at !== this.root;) {
      // Hints of different times may lead in circles.
      if (passed.has(at) || steps.length === MAX_DEPTH) this.hints.remove(at)
      passed.add(at)
      const hint = this.hints.get(at)
      if (hint === undefined) return { missing: at }
      steps.push({ key: at, parent: hint.parent, name: hint.name })
      at = hint.parent
    }
    return steps.reverse()
  }
}
