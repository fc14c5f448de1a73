/** The directories in which all clients of the soak work, and what is in them. */

import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { type NfsClient, ok } from "../support/nfs.ts"
import type { Name } from "./Lane.ts"

/** Directories of each export. */
const COUNT = 4

/** The directories of an export in which clients work. */
export const prepare = Effect.fnUntraced(function* ({ nfs, root }: NfsClient, path: string) {
  const dir = yield* root(path)
  return yield* Effect.forEach(Array.from({ length: COUNT }), (_, index) =>
    Effect.map(
      nfs(Nfs.MKDIR, { where: { dir, name: `shared ${index}` }, attributes: { mode: 0o777 } }),
      (made) => ok(made).obj!
    )
  )
})

/** All names in a directory. */
export const list = Effect.fnUntraced(function* ({ nfs }: NfsClient, dir: Uint8Array) {
  const names: Array<string> = []
  let from: { readonly cookie: bigint; readonly cookieverf: Uint8Array } = { cookie: 0n, cookieverf: Buffer.alloc(8) }
  for (;;) {
    const page = ok(yield* nfs(Nfs.READDIR, { dir, ...from, count: 8192 }))
    names.push(...page.entries.map(({ name }) => name))
    if (page.eof) return names.filter((name) => name !== "." && name !== "..").map((name) => ({ dir, name }))
    from = { cookie: page.entries.at(-1)!.cookie, cookieverf: page.cookieverf }
  }
})

/** A name and where it is, in one text. */
export const keyOf = ({ dir, name }: Name): string => `${name} in ${Buffer.from(dir).toString("hex")}`
