/** What lists directories. */

import type { Entry, Guard, Listing, ListRequest } from "../Filesystem.ts"
import { type FilesystemError, is } from "../FilesystemError.ts"
import { accessed } from "./data.ts"
import type { Inodes } from "./Inodes.ts"
import { entriesOf } from "./namespace.ts"
import type { Node } from "./Node.ts"

export const readdir = (
  inodes: Inodes,
  directory: Node,
  request: ListRequest,
  guard: Guard
): Listing<Node> | FilesystemError => {
  const all = entriesOf(directory)
  if (is(all)) return all
  const refused = guard(directory.attributes)
  if (refused !== undefined) return refused
  accessed(inodes, directory)
  const { attributes, fits } = request
  const entries: Array<Entry<Node>> = []
  const eof = all.list(Number(request.cookie), (name, cookie, file) => {
    if (!fits(name)) return false
    entries.push({
      name,
      fileid: file.attributes.fileid,
      cookie: BigInt(cookie),
      found: attributes ? { file, attributes: file.attributes } : undefined
    })
    return true
  })
  return { entries, eof, directory: directory.attributes }
}
