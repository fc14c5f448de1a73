/** Loads that would need ten times the memory that there is. */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { connect, ok } from "../support/nfs.ts"
import { type Ended, startNode } from "../support/program.ts"

const program = (name: string) => fileURLToPath(new URL(`../support/programs/${name}.ts`, import.meta.url))

/** MiB of heap. */
const HEAP = 64

const run = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  startNode([`--max-old-space-size=${HEAP}`, ...args], environment)

describe("a pool", () => {
  const pressed = (...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
    Effect.scoped(Effect.flatMap(run({}, program("pressedPool"), String(HEAP), ...args), ({ ended }) => ended))

  it.live(
    "survives tasks that would need ten times its heap, and runs them all",
    () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* pressed()
        assert.strictEqual(code, 0, stderr)
        const { admission, alive, answered, ended, offered } = JSON.parse(stdout)
        assert.deepStrictEqual([ended, alive], [offered, true])
        assert.isAtLeast(offered, (10 * HEAP * 2 ** 20) / (256 * 1024))
        assert.isBelow(admission, 0.5)
        assert.isAtLeast(answered, 10)
      }),
    60_000
  )

  it.live(
    "would not survive them without looking at its memory",
    () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* pressed("blind")
        assert.notStrictEqual(code, 0)
        assert.include(stderr, "heap out of memory")
      }),
    60_000
  )
})

describe("a server", () => {
  const CALLS = 1280
  const SIZE = 512 * 1024

  it.live.skipIf(process.platform !== "linux")(
    "survives WRITEs of ten times its memory, and answers",
    () =>
      Effect.gen(function* () {
        const server = yield* run(
          { EFFECT_NFS_MAX_WORKERS: "64", EFFECT_NFS_MEMORY_MAX_COST: "32MiB" },
          program("slowServer")
        )
        const port = Number((yield* Effect.orDie(server.prints(/port=(\d+)/)))[1])
        const memory = (what: string): number =>
          Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))![1]) /
          1024
        const clients = yield* Effect.forEach(Array.from({ length: 20 }), () => connect(port))
        const dir = yield* clients[0]!.root()
        const how = { mode: "UNCHECKED", objAttributes: {} } as const
        const file = ok(yield* clients[0]!.nfs(Nfs.CREATE, { where: { dir, name: "file" }, how })).obj!
        const before = memory("VmRSS")
        const data = [Buffer.alloc(SIZE)]
        const writing = yield* Effect.forkScoped(
          Effect.forEach(
            Array.from({ length: CALLS }),
            (_, i) =>
              Effect.map(
                clients[i % clients.length]!.nfs(Nfs.WRITE, { file, offset: 0, count: SIZE, stable: "UNSTABLE", data }),
                ({ status }) => status
              ),
            { concurrency: "unbounded" }
          )
        )
        // Somebody else is answered all the while.
        const other = yield* connect(port)
        for (let i = 0; i < 20; i++) {
          ok(yield* Effect.timeout(other.nfs(Nfs.GETATTR, { object: file }), "3 seconds"))
          yield* Effect.sleep(50)
        }
        server.kill("SIGUSR2")
        const statuses = yield* Fiber.join(writing)
        assert.deepStrictEqual(
          statuses,
          statuses.map(() => "NFS3_OK")
        )
        // What the calls may cost, a record of each connection that is not complete, and what is not yet collected.
        assert.isBelow(memory("VmHWM") - before, (CALLS * SIZE) / 2 ** 20 / 3)
      }),
    60_000
  )
})
