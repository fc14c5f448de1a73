/** A file of the filesystem below, and what is remembered of it. */

import { Buffer } from "node:buffer"
import type { Attributes } from "../Attributes.ts"
import type { File } from "../Filesystem.ts"
import { Place } from "./Recency.ts"

/** The text that a key is found by. */
export const idOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")

export class CachedFile extends Place implements File {
  readonly key: Uint8Array
  readonly id: string
  /** As the filesystem below has it. */
  below: File
  /** When the filesystem below was last known to have it. */
  foundAt = -Infinity
  /** Its number, once that is known. */
  fileid: bigint | undefined = undefined
  /** Whether nothing more shall be remembered of it: there is no room, and who finds it again gets another. */
  evicted = false
  /** In a directory: what names led to. */
  readonly names = new Map<string, CachedName>()
  private known: Attributes | undefined = undefined
  private knownAt = -Infinity

  constructor(below: File) {
    super()
    this.key = below.key
    this.id = idOf(below.key)
    this.below = below
  }

  /** Its attributes, of whatever age. */
  get attributes(): Attributes | undefined {
    return this.known
  }

  /** Its attributes, if they were read after a moment. */
  attributesSince(moment: number): Attributes | undefined {
    return this.knownAt > moment ? this.known : undefined
  }

  /** Those of a read that began at a moment, unless there are younger ones. */
  learn(attributes: Attributes, at: number): void {
    if (at < this.knownAt) return
    this.known = attributes
    this.knownAt = at
  }

  unlearn(): void {
    this.known = undefined
    this.knownAt = -Infinity
  }

  evict(): void {
    this.evicted = true
    this.names.clear()
    this.unlearn()
  }
}

/** What a name in a directory led to. */
export class CachedName extends Place {
  readonly directory: CachedFile
  readonly name: string
  /** `undefined`: there was no such file. */
  readonly file: CachedFile | undefined
  /** The directory's attributes of that time. */
  readonly attributes: Attributes
  readonly at: number

  constructor(
    directory: CachedFile,
    name: string,
    { at, attributes, file }: Pick<CachedName, "file" | "attributes" | "at">
  ) {
    super()
    this.directory = directory
    this.name = name
    this.file = file
    this.attributes = attributes
    this.at = at
  }
}
