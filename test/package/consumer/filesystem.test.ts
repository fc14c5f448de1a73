/** Somebody's tests of a filesystem, with the suite and the arbitraries of the package. */

import { assert, it } from "@effect/vitest"
import { MemoryFilesystem, Xdr } from "effect-nfs"
import { arbitraryOf, asDecoded, filesystemConformance } from "effect-nfs/testing"

filesystemConformance("a filesystem", MemoryFilesystem.layer())

const pair = Xdr.struct({ name: Xdr.string(100), values: Xdr.array(Xdr.uint64, 10) })

it.prop("a codec", [arbitraryOf(pair)], ([value]) => {
  assert.deepStrictEqual(asDecoded(pair, value), value)
})
