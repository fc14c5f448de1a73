/**
 * A file of a filesystem that finds its files by names: it has a number that it keeps, and knows under which names it was
 * seen. Renames of ours move it along with all that is below it.
 */

import type { File } from "../Filesystem.ts"
import { Turn } from "../local/Turn.ts"

/** A name in a directory. */
export interface Place<N> {
  readonly directory: N
  readonly name: string
}

export class TreeNode<N> implements File {
  readonly number: number
  readonly key: Uint8Array
  /** Its names, as far as they are known: one of a directory, none of the root and of what is gone. */
  places: ReadonlyArray<Place<N>> = []
  /** What was seen in it, if it is a directory. */
  children: Map<string, N> | undefined
  /** Whether its last known name is gone. */
  gone = false
  private order: Turn | undefined

  constructor(number: number, key: Uint8Array) {
    this.number = number
    this.key = key
  }

  /** Names it for clients. */
  get fileid(): bigint {
    return BigInt(this.number)
  }

  /** Who works on it: many, or one alone. */
  get turn(): Turn {
    return (this.order ??= new Turn())
  }
}
