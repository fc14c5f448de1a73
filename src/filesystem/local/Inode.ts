/** A file of the host, as far as this server has to remember anything about it. */

import type * as Deferred from "effect/Deferred"
import type { Attributes, FileType } from "../Attributes.ts"
import type { File } from "../Filesystem.ts"
import type { FilesystemError } from "../FilesystemError.ts"
import { close, type Held } from "./Fs.ts"
import { Turn } from "./Turn.ts"

/** A descriptor for a file's content (or to sync a directory). It is closed when nobody uses it any more. */
export class Content implements Held {
  readonly fd: number
  readonly readable: boolean
  readonly writable: boolean
  private users = 0
  private retired = false

  constructor(fd: number, { readable, writable }: { readonly readable: boolean; readonly writable: boolean }) {
    this.fd = fd
    this.readable = readable
    this.writable = writable
  }

  get uses(): number {
    return this.users
  }

  set uses(uses: number) {
    this.users = uses
    if (uses === 0 && this.retired) close(this.fd)
  }

  /** Nobody will begin to use it any more. */
  retire(): void {
    this.retired = true
    if (this.users === 0) close(this.fd)
  }
}

export type Round = Deferred.Deferred<void, FilesystemError>

/** Work that many ask for and that is done for all who asked before it began. */
export interface Rounds {
  running: Round | undefined
  next: Round | undefined
}

/** The text that a key is found by. */
export const idOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")

export class Inode implements File, Held {
  readonly key: Uint8Array
  readonly id: string
  readonly fileid: bigint
  readonly type: FileType
  /** Names the file, opened with O_PATH; -1 while it is closed. */
  fd = -1
  content: Content | undefined = undefined
  /** Whether it has no name any more. */
  gone = false
  /** How often idle descriptors were looked for since it was last used. */
  idle = 0
  /** When it was last seen to be inside the export, in milliseconds as `performance.now()` has them. */
  insideAt = -Infinity
  /** For files, {@link attributes} orders who looks and who sets; for directories, this who follows and who changes names. */
  readonly entries = new Turn()
  readonly attributes = new Turn()
  /** Of who changes its mode for as long as it takes to open it. */
  readonly opener = new Turn()
  /** Whether data was written that no sync has been asked for since. */
  isUncommitted = false
  /** What an EXCLUSIVE create gave, until attributes are set. */
  verifier: Uint8Array | undefined = undefined
  /** A directory's attributes when its entries were read, or as we have changed them since. */
  listed: Attributes | undefined = undefined
  /** Those who wait until it is open again. */
  opening: Round | undefined = undefined
  /** When it was made, in milliseconds since 1970. */
  readonly bornAt: number
  /** Syncs of it: the one at work, and the one that begins after it. */
  readonly syncs: Rounds = { running: undefined, next: undefined }
  private ctime = 0n
  private sameTick = 0n
  private users = 0
  private retired = false

  constructor(key: Uint8Array, fileid: bigint, type: FileType, bornAt: number) {
    this.key = key
    this.id = idOf(key)
    this.fileid = fileid
    this.type = type
    this.bornAt = bornAt
  }

  get uses(): number {
    return this.users
  }

  set uses(uses: number) {
    this.users = uses
    if (uses === 0 && this.retired) this.close()
  }

  /** It is closed as soon as nobody uses it. */
  retire(): void {
    this.retired = true
    if (this.users === 0) this.close()
  }

  /** It is open again. */
  revive(fd: number): void {
    this.retired = false
    this.fd = fd
  }

  /** Its change counter when it has this ctime. */
  changeAt(ctime: bigint): bigint {
    if (ctime !== this.ctime) {
      this.ctime = ctime
      this.sameTick = 0n
    }
    return ctime + this.sameTick
  }

  /** We have changed it, which its ctime need not show: the kernel's clock may stand still meanwhile. */
  changed(): void {
    this.sameTick++
  }

  /** Closes what is open for its content; `written` only: when it is open for writing. */
  closeContent(writtenOnly = false): void {
    if (this.content === undefined || (writtenOnly && !this.content.writable)) return
    this.content.retire()
    this.content = undefined
  }

  private close(): void {
    this.closeContent()
    if (this.fd < 0) return
    close(this.fd)
    this.fd = -1
  }
}
