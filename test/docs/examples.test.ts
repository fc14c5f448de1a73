/** The examples of the documentation run as they are. */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { pages, quoting } from "../../tools/quote.ts"
import { connect, ok } from "../support/nfs.ts"
import { startNode } from "../support/program.ts"
import { alice } from "../support/server.ts"

const directory = join(import.meta.dirname, "../../docs/examples")

const run = (file: string) => startNode(["--conditions=effect-nfs-source", join(directory, file)])

const create = (name: string) => (dir: Uint8Array) =>
  ({ where: { dir, name }, how: { mode: "GUARDED", objAttributes: {} } }) as const

describe("docs/examples", { timeout: 30_000 }, () => {
  it.live("embed.ts serves two filesystems, and ends on a signal", () =>
    Effect.gen(function* () {
      const program = yield* run("embed.ts")
      const [, port] = yield* Effect.orDie(program.prints(/serving \/scratch and \/empty on port (\d+)/))
      yield* Effect.orDie(program.prints(/with 32 workers/))
      const client = yield* connect(Number(port))
      const scratch = yield* client.root("/scratch")
      ok(yield* client.nfs(Nfs.CREATE, create("file")(scratch), alice))
      const { tbytes } = ok(yield* client.nfs(Nfs.FSSTAT, { fsroot: scratch }))
      expect(tbytes).toBe(64 * 1024 * 1024)
      const empty = yield* client.root("/empty")
      expect((yield* client.nfs(Nfs.CREATE, create("file")(empty), alice)).status).toBe("NFS3ERR_ROFS")
      program.kill("SIGTERM")
      const { code, signal, stderr } = yield* program.ended
      // What `NodeRuntime.runMain` makes of an interruption.
      expect({ code, signal, stderr }).toEqual({ code: 130, signal: null, stderr: "" })
    })
  )

  it.live("pool.ts runs tasks in a pool of its own", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* (yield* run("pool.ts")).ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      // A person passes the crawl.
      expect(stdout).toMatch(/a person sees the page of \S+\/now\n[^]*fetched 100 pages\n/)
      expect(stdout).toMatch(/waited for less than \d+ ms; 1 cancelled/)
    })
  )

  it.live("serve-numbers.ts serves numbers", () =>
    Effect.gen(function* () {
      const program = yield* run("serve-numbers.ts")
      const [, port] = yield* Effect.orDie(program.prints(/serving numbers on port (\d+)/))
      const client = yield* connect(Number(port))
      const where = (dir: Uint8Array, name: string) => ({ what: { dir, name } })
      const number = ok(yield* client.nfs(Nfs.LOOKUP, where(yield* client.root("/"), "1001"), alice)).object
      const file = ok(yield* client.nfs(Nfs.LOOKUP, where(number, "factors"), alice)).object
      const { data, eof } = ok(yield* client.nfs(Nfs.READ, { file, offset: 0, count: 100 }, alice))
      expect([Buffer.concat(data).toString(), eof]).toEqual(["7 11 13\n", true])
      expect((yield* client.nfs(Nfs.REMOVE, { object: { dir: number, name: "factors" } }, alice)).status).toBe(
        "NFS3ERR_ROFS"
      )
    })
  )

  // numbers.ts and map-filesystem.ts have tests of their own beside this one.
  it("has a test for every example", () => {
    const files = ["embed.ts", "map-filesystem.ts", "numbers.ts", "pool.ts", "serve-numbers.ts"]
    expect(readdirSync(directory).toSorted()).toEqual(files)
  })

  it.each(pages())("%s quotes the examples as they are: otherwise, run `node tools/quote.ts`", (page) => {
    const text = readFileSync(page, "utf8")
    expect(text).toBe(quoting(text))
  })

  it.each([
    ["numbers.ts", 80],
    ["map-filesystem.ts", 200]
  ])("%s has fewer than %i lines", (file, lines) => {
    expect(readFileSync(join(directory, file), "utf8").split("\n").length - 1).toBeLessThan(lines)
  })
})
