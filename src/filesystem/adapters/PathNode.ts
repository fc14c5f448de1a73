/**
 * A file that is found by its path, and what we know about it that its backend does not tell: when it changed, more finely
 * than the backend's clock, and the verifier that it was created with.
 */

import type { Attributes, FileType } from "../Attributes.ts"
import { nanoseconds, time } from "../local/Stat.ts"
import { TreeNode } from "../tree/TreeNode.ts"
import type { Stat } from "./Backend.ts"

/** The time of day in nanoseconds. */
export const now = (): bigint => BigInt(Date.now()) * 1_000_000n

export class PathNode extends TreeNode<PathNode> {
  /** `undefined` for what was listed only. */
  type: FileType | undefined
  id: string | undefined
  /** Of an EXCLUSIVE create, until its attributes are set. */
  verifier: Uint8Array | undefined
  /** Nanoseconds of the last change: the backend's, or later when that did not move. */
  private change = 0n
  private seen: bigint | undefined
  /** What stands for an mtime that did not move with a change, until it moves. */
  private mtime: { readonly insteadOf: bigint; readonly is: bigint } | undefined

  /** Whether what is found under its name now can be this file. */
  couldBe({ id, type }: Stat): boolean {
    return this.type === undefined || (this.type === type && this.id === id)
  }

  /** What `stat` says about this file, completed. */
  observe(stat: Stat): Attributes {
    this.type = stat.type
    this.id = stat.id
    if (stat.ctime !== this.seen) {
      this.seen = stat.ctime
      this.advance()
    }
    const { atime, gid, mode, mtime, nlink, rdev, size, type, uid, used } = stat
    return {
      type,
      mode,
      nlink,
      uid,
      gid,
      size,
      used,
      rdev,
      fileid: this.fileid,
      atime: time(atime),
      mtime: time(mtime === this.mtime?.insteadOf ? this.mtime.is : mtime),
      ctime: time(this.change),
      change: this.change
    }
  }

  /** The same after a change of ours: of its content, if `isModified`, or of its attributes. */
  changed(before: Attributes, stat: Stat, isModified: boolean): Attributes {
    this.seen = stat.ctime
    this.advance()
    const earlier = nanoseconds(before.mtime)
    if (isModified && stat.mtime <= earlier) {
      const latest = now()
      this.mtime = { insteadOf: stat.mtime, is: latest > earlier ? latest : earlier + 1n }
    }
    return this.observe(stat)
  }

  /** Somebody sets the mtime. */
  forgetMtime(): void {
    this.mtime = undefined
  }

  private advance(): void {
    this.change = this.seen! > this.change ? this.seen! : this.change + 1n
  }
}
