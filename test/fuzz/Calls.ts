/**
 * Calls to mutate: those of a session that used every procedure, with the handles, names and cookies that the server gave
 * it, and arbitrary ones of every procedure's codec, which get such values in the places of their own.
 */

import { Buffer } from "node:buffer"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import { RPC_VERSION } from "../../src/rpc/RpcMessage.ts"
import { arbitraryOf } from "../../src/testing/arbitraryOf.ts"
import * as Bytestring from "../../src/xdr/Bytestring.ts"
import { type NfsClient, ok } from "../support/nfs.ts"
import type { Random } from "../support/random.ts"
import { everyProcedure } from "../support/session.ts"
import { credential, type Dictionary } from "./Mutation.ts"
import * as Parts from "./Parts.ts"
import type { Procedure } from "./Programs.ts"

type Part = Parts.Part

/** A call without its xid and credential. */
export interface Call {
  readonly program: number
  readonly version: number
  readonly number: number
  readonly args: ReadonlyArray<Part>
}

export interface Corpus {
  readonly calls: ReadonlyArray<Call>
  readonly dictionary: Dictionary
}

/** What is longer is worth its time only now and then. */
const LONG = 16 * 1024

/** Calls every procedure in a directory of a tree that is made for it, and takes down what was called and what there is. */
export const record = Effect.fnUntraced(function* (
  client: NfsClient,
  directory: Uint8Array
): Effect.fn.Return<Corpus, RpcClientError> {
  const calls: Array<Call> = []
  const recording: NfsClient = {
    ...client,
    root: () => Effect.succeed(directory),
    nfs: (call, args, options) => {
      calls.push({ program: Nfs.PROGRAM, version: Nfs.VERSION, number: call.number, args: Parts.of(call.args, args) })
      return client.nfs(call, args, options)
    },
    mount: (call, args, version = 3) => {
      calls.push({ program: MountCalls.PROGRAM, version, number: call.number, args: Parts.of(call.args, args) })
      return client.mount(call, args, version)
    }
  }
  const { nfs } = recording
  const mkdir = (dir: Uint8Array, name: string) =>
    Effect.map(nfs(Nfs.MKDIR, { where: { dir, name }, attributes: { mode: 0o777 } }), (made) => ok(made).obj!)
  // A way down, a listing of several replies, and a way out that must lead nowhere.
  const many = yield* mkdir(directory, "many")
  yield* mkdir(yield* mkdir(many, "deep"), "deeper")
  const outside = { symlinkAttributes: {}, symlinkData: "../../outside" }
  yield* nfs(Nfs.SYMLINK, { where: { dir: directory, name: "link-outside" }, symlink: outside })
  for (let i = 0; i < 12; i++) {
    const how = { mode: "UNCHECKED", objAttributes: { mode: 0o666, size: i * 1000 } } as const
    yield* nfs(Nfs.CREATE, { where: { dir: many, name: `file ${i}` }, how })
  }
  yield* everyProcedure(recording)
  const found = [...(yield* list(recording, directory)), ...(yield* list(recording, many))]
  const handles = found.flatMap(({ handle }) => (handle === undefined ? [] : [handle]))
  return {
    calls,
    dictionary: {
      handles: [Buffer.from(directory), Buffer.from(many), Buffer.from(yield* client.root()), ...handles],
      names: found.map(({ name }) => name),
      entries: found,
      wides: found.map(({ cookie }) => cookie)
    }
  }
})

/** Lists a directory in several steps. */
const list = Effect.fnUntraced(function* ({ nfs }: NfsClient, dir: Uint8Array) {
  const found = []
  let from: { readonly cookie: bigint; readonly cookieverf: Uint8Array } = { cookie: 0n, cookieverf: Buffer.alloc(8) }
  for (;;) {
    yield* nfs(Nfs.READDIR, { dir, ...from, count: 400 })
    const page = ok(yield* nfs(Nfs.READDIRPLUS, { dir, ...from, dircount: 400, maxcount: 1000 }))
    for (const { cookie, name, nameHandle } of page.entries) {
      const handle = nameHandle && Buffer.from(nameHandle)
      found.push({ directory: Buffer.from(dir), name: Buffer.from(Bytestring.encode(name)), handle, cookie })
    }
    if (page.eof) return found
    from = { cookie: page.entries.at(-1)!.cookie, cookieverf: page.cookieverf }
  }
})

/** An arbitrary call of a procedure, mostly about what there is. */
export const arbitrary = (
  { args, number, program, version }: Procedure,
  random: Random,
  { entries, handles, names }: Dictionary
): Effect.Effect<Call> =>
  Arbitrary.sampleEffect(arbitraryOf(args), { count: 1, size: 8, seed: random.int(0x7fff_ffff) }).pipe(
    Effect.orDie,
    Effect.map(([value]) => {
      const parts = [...Parts.of(args, value)]
      const put = (index: number, kind: Part["kind"], bytes: Buffer): void => {
        if (random.chance(0.1)) return
        parts[index - 1] = Parts.word(bytes.length)
        parts[index] = { kind, bytes }
      }
      parts.forEach(({ kind }, index) => {
        if (!Parts.isCounted(parts, index)) return
        const name = index + 2
        if (kind === "opaque" && parts[name]?.kind === "text") {
          const entry = random.pick(entries)
          put(index, "opaque", entry.directory)
          put(name, "text", random.chance(0.7) ? entry.name : random.pick(names))
        } else if (kind === "opaque" && program === Nfs.PROGRAM && index === 1) {
          put(index, "opaque", random.pick(handles))
        }
      })
      return { program, version, number, args: parts }
    })
  )

/** One of these, of each procedure as often as of another, and seldom a long one. */
export const pick = (calls: ReadonlyArray<Call>, random: Random): Call => {
  const kinds = [...Map.groupBy(calls, ({ number, program }) => `${program} ${number}`).values()]
  const call = random.pick(random.pick(kinds))
  const length = call.args.reduce((sum, { bytes }) => sum + bytes.length, 0)
  return length < LONG || random.chance(0.05) ? call : pick(calls, random)
}

const root = Auth.sys({ uid: 0, gid: 0 })

/** A call as a message: root's mostly, or of somebody who has a credential that may be no good. */
export const message = ({ args, number, program, version }: Call, random: Random): ReadonlyArray<Part> => [
  Parts.word(random.int(0x1_0000_0000)),
  ...[0, RPC_VERSION, program, version, number].map(Parts.word),
  ...(random.chance(0.92) ? [Parts.word(root.flavor), ...Parts.counted(root.body)] : credential(random)),
  Parts.word(0),
  Parts.word(0),
  ...args
]
