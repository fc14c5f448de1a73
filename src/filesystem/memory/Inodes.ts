/** All inodes of a filesystem: made, found by their keys, and let go. */

import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Device, FileType, SetAttributes, Time } from "../Attributes.ts"
import { FIRST_COOKIE } from "../Filesystem.ts"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import { Keys, ROOT } from "../tree/Keys.ts"
import * as Clock from "./Clock.ts"
import { Directory } from "./Directory.ts"
import { assign, type Content, type Draft, Node } from "./Node.ts"
import { Pages } from "./Pages.ts"
import { ENTRY_BYTES, type Quota, Space } from "./Space.ts"

export interface InodesOptions {
  readonly quota: Quota
  readonly linkMax: number
  /** Attributes of the root. */
  readonly root: SetAttributes
}

const NO_DEVICE: Device = { major: 0, minor: 0 }

/** For those who leave it to us. */
const DEFAULT_MODES: { readonly [K in FileType]?: number } = { directory: 0o755, symlink: 0o777 }

export class Inodes {
  readonly root: Node
  readonly space: Space
  readonly linkMax: number
  readonly now: () => Time = Clock.make()
  private readonly keys = new Keys()
  private readonly nodes = new Map<number, Node>()
  private nextNumber = ROOT

  constructor(options: InodesOptions) {
    this.space = new Space(options.quota)
    this.linkMax = options.linkMax
    this.root = this.make("directory", newDirectory(), options.root, this.now())
    this.root.parent = this.root
  }

  resolve(key: Uint8Array): Node | FilesystemError {
    const number = this.keys.numberIn(key)
    return (number === undefined ? undefined : this.nodes.get(number)) ?? errors.ESTALE
  }

  /** Whether there is space for a new inode with this content, and for its name. */
  hasRoom(content: Content): boolean {
    return this.space.freeInodes > 0 && this.space.freeBytes >= occupied(content) + ENTRY_BYTES
  }

  /** A new inode with one link (a directory: two), and the attributes that `set` gives. */
  make(type: FileType, content: Content, set: SetAttributes, now: Time, rdev = NO_DEVICE): Node {
    const number = this.nextNumber++
    const used = occupied(content)
    const attributes: Draft = {
      type,
      mode: DEFAULT_MODES[type] ?? 0o644,
      nlink: type === "directory" ? 2 : 1,
      uid: 0,
      gid: 0,
      size: content instanceof Pages ? content.size : used,
      used,
      rdev,
      fileid: BigInt(number),
      atime: now,
      mtime: now,
      ctime: now,
      change: 1n
    }
    assign(attributes, set)
    const node = new Node(this.keys.of(number), content, attributes)
    this.nodes.set(number, node)
    this.space.use(used, 1)
    return node
  }

  /** Lets go of an inode that has no name any more. */
  free(node: Node): void {
    this.nodes.delete(Number(node.attributes.fileid))
    this.space.use(-node.attributes.used, -1)
    if (node.content instanceof Pages) node.content.truncate(0)
    node.parent = undefined
  }
}

export const newDirectory = (): Directory<Node> => new Directory(Number(FIRST_COOKIE))

/** What new content takes: a new file is empty, or a hole. */
const occupied = (content: Content): number => (typeof content === "string" ? Bytestring.byteLength(content) : 0)
