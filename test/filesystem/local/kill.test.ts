/** A server that is killed in the middle of writes, and started again on the same directory. */

import { Buffer } from "node:buffer"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Nfs from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { place } from "../../support/local.ts"
import { connect, type NfsClient, ok } from "../../support/nfs.ts"
import { startNode } from "../../support/program.ts"

const program = fileURLToPath(new URL("../../support/programs/directoryServer.ts", import.meta.url))

const BLOCK = 32_768

/** A server of `path`, and a client of it. */
const serve = Effect.fnUntraced(function* (path: string, state: string) {
  const server = yield* startNode([program, path, state])
  const match = yield* Effect.orDie(server.prints(/port=(\d+)/))
  return { server, client: yield* connect(Number(match[1])) }
})

/** A file that somebody writes block by block, and the blocks that were answered to be on the disk. */
interface Written {
  readonly name: string
  readonly file: Uint8Array
  readonly safe: Set<number>
  readonly verifiers: Set<string>
}

const exclusive = (name: string) => ({ mode: "EXCLUSIVE", verf: Buffer.from(name.padEnd(8).slice(0, 8)) }) as const

const data = (block: number) => pattern(BLOCK, block + 1)

const write = ({ nfs }: NfsClient, { file }: Written, block: number, stable: "UNSTABLE" | "FILE_SYNC") =>
  Effect.map(nfs(Nfs.WRITE, { file, offset: block * BLOCK, count: BLOCK, stable, data: [data(block)] }), ok)

/** Writes until the server is gone. */
const fill = Effect.fnUntraced(function* (client: NfsClient, written: Written, committing: boolean) {
  const { file, safe, verifiers } = written
  for (let block = 0; ; block += committing ? 4 : 1) {
    if (!committing) {
      const { committed, verf } = yield* write(client, written, block, "FILE_SYNC")
      assert.strictEqual(committed, "FILE_SYNC")
      verifiers.add(Buffer.from(verf).toString("hex"))
      safe.add(block)
      continue
    }
    const blocks = [block, block + 1, block + 2, block + 3]
    yield* Effect.forEach(blocks, (one) => write(client, written, one, "UNSTABLE"), { concurrency: 4 })
    const { verf } = ok(yield* client.nfs(Nfs.COMMIT, { file, offset: 0, count: 0 }))
    verifiers.add(Buffer.from(verf).toString("hex"))
    for (const one of blocks) safe.add(one)
  }
})

describe("a server that is killed", () => {
  it.live(
    "has what it said is on the disk, and its handles hold",
    () =>
      Effect.gen(function* () {
        const { outside: state, path } = yield* place()
        const first = yield* Scope.make()
        const { client, server } = yield* serve(path, state).pipe(Scope.provide(first))
        const root = yield* client.root()
        const made = ok(
          yield* client.nfs(Nfs.MKDIR, { where: { dir: root, name: "directory" }, attributes: { mode: 0o755 } })
        )
        const dir = made.obj!
        const create = (name: string) =>
          Effect.map(client.nfs(Nfs.CREATE, { where: { dir, name }, how: exclusive(name) }), (answer): Written => ({
            name,
            file: ok(answer).obj!,
            safe: new Set(),
            verifiers: new Set()
          }))
        const untouched = yield* create("untouched")
        const files = yield* Effect.forEach(["a", "b", "c", "d"], create)
        const filling = yield* Effect.forkChild(
          Effect.forEach(files, (written, i) => Effect.exit(fill(client, written, i % 2 === 0)), {
            concurrency: "unbounded"
          })
        )
        // Names come and go meanwhile, too.
        const renaming = yield* Effect.forkChild(
          Effect.exit(
            Effect.gen(function* () {
              for (let i = 0; ; i++) {
                const [from, to] = i % 2 === 0 ? ["directory", "renamed"] : ["renamed", "directory"]
                ok(yield* client.nfs(Nfs.RENAME, { from: { dir: root, name: from }, to: { dir: root, name: to } }))
              }
            })
          )
        )
        while (files.some(({ safe }) => safe.size < 20)) yield* Effect.sleep("5 millis")
        server.kill("SIGKILL")
        yield* server.ended
        yield* Scope.close(first, Exit.void)
        yield* Fiber.join(filling)
        yield* Fiber.join(renaming)

        const { client: again } = yield* serve(path, state)
        for (const written of files) {
          const { file, name, safe, verifiers } = written
          for (const block of safe) {
            const read = ok(yield* again.nfs(Nfs.READ, { file, offset: block * BLOCK, count: BLOCK }))
            assert.isTrue(Buffer.concat(read.data).equals(data(block)), `block ${block} of ${name}`)
          }
          assert.strictEqual(verifiers.size, 1)
          const { verf } = yield* write(again, written, 0, "UNSTABLE")
          assert.isFalse(verifiers.has(Buffer.from(verf).toString("hex")), "the verifier is another")
          const found = yield* again.nfs(Nfs.LOOKUP, { what: { dir, name } })
          assert.deepStrictEqual(Buffer.from(ok(found).object), Buffer.from(file))
        }
        assert.deepStrictEqual(Buffer.from(yield* again.root()), Buffer.from(root))
        assert.isTrue(existsSync(join(path, "directory/a")) !== existsSync(join(path, "renamed/a")))
        // An EXCLUSIVE create whose answer was lost finds what it made.
        const retried = ok(
          yield* again.nfs(Nfs.CREATE, { where: { dir, name: "untouched" }, how: exclusive("untouched") })
        )
        assert.deepStrictEqual(Buffer.from(retried.obj!), Buffer.from(untouched.file))
      }),
    60_000
  )
})
