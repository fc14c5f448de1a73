/**
 * The names that an overlay keeps for itself in its upper filesystem, beside the files of clients. They are those of AUFS and
 * of the layers of container images, as far as these have such a thing.
 */

import { createHash } from "node:crypto"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { NAME_MAX } from "../Filesystem.ts"

const PREFIX = ".wh."

/** Where files are made before they appear, in the root. */
export const WORK = ".wh..wh..work"

/** In a directory that was renamed: a file with the path of its lower part. */
export const ORIGIN = ".wh..wh..origin"

/** Whether clients can neither see nor use a name, in either filesystem. */
export const isReserved = (name: string): boolean => name.startsWith(PREFIX)

/** What says that a name of the lower filesystem is not there: an empty file with this name. */
export const whiteoutOf = (name: string): string =>
  Bytestring.byteLength(name) + PREFIX.length <= NAME_MAX
    ? PREFIX + name
    : `${PREFIX}.wh.${createHash("sha256").update(Bytestring.encode(name)).digest("hex")}`
