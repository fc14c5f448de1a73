/** A file of an overlay: where it is in the two filesystems. */

import type * as Deferred from "effect/Deferred"
import type { FileType } from "../Attributes.ts"
import type { File } from "../Filesystem.ts"
import { TreeNode } from "../tree/TreeNode.ts"

/** A part of a directory that is in the lower filesystem. */
export interface LowerDirectory {
  readonly file: File
  /** From the root, with a slash before each name. */
  readonly path: string
  /** What it adds to the links of the upper directory; `undefined` when its filesystem does not count them. */
  readonly links: number | undefined
}

export class OverlayNode extends TreeNode<OverlayNode> {
  type: FileType | undefined
  /** What it is in the upper filesystem; once there, that is all there is to a file. */
  upper: File | undefined
  /** What it is in the lower filesystem, if it is no directory. */
  lower: File | undefined
  /** The lower directory whose names it has, too, but for those that the upper one has or hides. */
  below: LowerDirectory | undefined
  /** What its upper change counter lags behind. */
  lag = 0n
  /** While it is copied up. */
  copying: Deferred.Deferred<void> | undefined
}
