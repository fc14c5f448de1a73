/** READDIR: the names of both filesystems, but for those that are hidden. */

import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Guard, Listing, ListRequest } from "../Filesystem.ts"
import type { Add } from "../local/Listings.ts"
import { portion } from "../tree/listing.ts"
import { visibleNames } from "./entries.ts"
import type { Fails, Layers } from "./Layers.ts"
import { following } from "./namespace.ts"
import type { OverlayNode } from "./OverlayNode.ts"

export const readdir = (
  layers: Layers,
  directory: OverlayNode,
  request: ListRequest,
  guard: Guard
): Fails<Listing<OverlayNode>> =>
  following(layers, directory, guard, (attributes) =>
    Effect.flatMap(
      layers.listings.listing(directory.fileid.toString(), attributes.change, (add) => load(layers, directory, add)),
      (snapshot) =>
        portion(snapshot, request, attributes, (name) =>
          Effect.match(layers.child(directory, name), {
            onFailure: () => undefined,
            onSuccess: (found) => found && { fileid: found.file.fileid, found: request.attributes ? found : undefined }
          })
        )
    )
  )

const load = (layers: Layers, directory: OverlayNode, add: Add): Fails<void> =>
  Effect.map(visibleNames(layers, directory), (names) => {
    for (const name of names) {
      const bytes = Bytestring.encode(name)
      add(bytes, 0, bytes.length, 0n)
    }
  })
