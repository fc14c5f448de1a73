/** A directory, listed from the first entry to the last. */

import * as Effect from "effect/Effect"
import * as Nfs3 from "../../src/programs/nfs3/Nfs3Calls.ts"
import type * as Xdr from "../../src/xdr/Xdr.ts"
import { PrepareFailed, type Workspace } from "./Workspace.ts"

/** Bytes of names, and of all, that an answer may hold: what Linux asks for on large directories. */
const DIRCOUNT = 64 * 1024
const MAXCOUNT = 64 * 1024

/** Bytes that the shortest entry takes: id, name, cookie, attributes and handle. */
export const ENTRY_MIN = 8 + 8 + 8 + 4 + 84 + 4

type Args = Xdr.Type<(typeof Nfs3.READDIRPLUS)["args"]>

export interface Listing {
  /** What was asked, and how many entries came. */
  readonly calls: ReadonlyArray<{ readonly args: Args; readonly entries: number }>
  /** Without `.` and `..`. */
  readonly entries: number
}

/** Asks for all of it; entries without attributes or handle are a failure, they would have to be asked for each. */
export const walk = Effect.fnUntraced(function* (
  { call }: Workspace,
  dir: Uint8Array
): Effect.fn.Return<Listing, PrepareFailed> {
  const calls: Array<Listing["calls"][number]> = []
  let found = 0
  const from = (cookie: bigint, cookieverf: Uint8Array): Args => ({
    dir,
    cookie,
    cookieverf,
    dircount: DIRCOUNT,
    maxcount: MAXCOUNT
  })
  let args = from(0n, new Uint8Array(8))
  while (true) {
    const { cookieverf, entries, eof } = yield* call(Nfs3.READDIRPLUS, args)
    calls.push({ args, entries: entries.length })
    for (const { name, nameAttributes, nameHandle } of entries) {
      if (name === "." || name === "..") continue
      if (nameAttributes === undefined || nameHandle === undefined) {
        return yield* new PrepareFailed({ message: `READDIRPLUS gave ${name} without its attributes or its handle` })
      }
      found++
    }
    if (eof) return { calls, entries: found }
    const last = entries.at(-1)
    if (last === undefined) return yield* new PrepareFailed({ message: "READDIRPLUS gave nothing, and no end" })
    args = from(last.cookie, cookieverf)
  }
})
