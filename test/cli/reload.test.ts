/** `effect-nfs serve --config FILE` on SIGHUP, as a client sees it that stays connected. */

import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { serveConfigured } from "../support/configured.ts"
import { connect, ok } from "../support/nfs.ts"

const memory = (path: string, policy: object = {}) => ({ path, memory: {}, ...policy })

const create = (dir: Uint8Array, name: string) => ({
  where: { dir, name },
  how: { mode: "GUARDED" as const, objAttributes: { mode: 0o644 } }
})

describe("effect-nfs serve --config", { timeout: 60_000 }, () => {
  it.live("follows a changed file without the client noticing more than that", () =>
    Effect.gen(function* () {
      const program = yield* serveConfigured(() => ({ exports: [memory("/a"), memory("/b")] }))
      const client = yield* connect(program.port)
      const [a, b] = [yield* client.root("/a"), yield* client.root("/b")]
      const file = ok(yield* client.nfs(Nfs.CREATE, create(a, "file"))).obj!
      // Another order, /a is read-only now, /c is new, /b is gone.
      yield* program.reload({ exports: [memory("/c"), memory("/a", { readOnly: true })] }, /configured anew: \/c, \/a/)
      expect(yield* client.nfs(Nfs.CREATE, create(a, "other"))).toMatchObject({ status: "NFS3ERR_ROFS" })
      ok(yield* client.nfs(Nfs.GETATTR, { object: file }))
      expect(yield* client.nfs(Nfs.GETATTR, { object: b })).toEqual({ status: "NFS3ERR_STALE" })
      ok(yield* client.nfs(Nfs.CREATE, create(yield* client.root("/c"), "file")))
      // Nothing is for this client any more, and then it is again.
      const elsewhere = { clients: [{ match: "192.0.2.0/24" }] }
      yield* program.reload({ exports: [memory("/a", elsewhere)] }, /configured anew: \/a\n/)
      expect(yield* client.nfs(Nfs.GETATTR, { object: file })).toEqual({ status: "NFS3ERR_ACCES" })
      yield* program.reload({ exports: [memory("/a")] }, /configured anew/)
      ok(yield* client.nfs(Nfs.GETATTR, { object: file }))
      ok(yield* client.nfs(Nfs.CREATE, create(a, "other")))
    })
  )

  it.live("changes nothing for a file that is wrong, and says what is", () =>
    Effect.gen(function* () {
      const program = yield* serveConfigured(() => ({ exports: [memory("/a")] }))
      const client = yield* connect(program.port)
      const a = yield* client.root("/a")
      const wrong = { exports: [memory("/a", { readOnly: true }), memory("/a")], pool: { workers: 0 } }
      const said = yield* program.reload(wrong, /nothing is changed: .*pool\.workers.*/)
      expect(said).toContain(`${program.file}: exports[1].path: expected a path of its own`)
      yield* program.reload('{ "exports": [\n }', /nothing is changed: .*nfs\.json:2:2: expected a value, got "}"/)
      const missing = { exports: [memory("/a", { readOnly: true }), { path: "/d", directory: "missing" }] }
      yield* program.reload(
        missing,
        /nothing is changed: \S+nfs.json: exports\[1\]\.directory: there is no directory \S+missing/
      )
      ok(yield* client.nfs(Nfs.CREATE, create(a, "file")))
      expect(yield* client.mount({ ...Nfs.NULL, number: 0, name: "NULL" }, undefined)).toBeUndefined()
    })
  )

  it.live("says what is lost, and who may use it at the address where it listens", () =>
    Effect.gen(function* () {
      const exports = [memory("/a"), memory("/b")]
      const listen = { host: "0.0.0.0", portmap: "off" }
      const program = yield* serveConfigured(() => ({ listen, exports }))
      const said = yield* program.reload({ listen: { host: "127.0.0.1" }, exports: [memory("/b")] }, /configured anew/)
      expect(said).toMatch(/needs a restart: listen\.host/)
      expect(said).toMatch(/\/a is gone, with all that was in its memory/)
      expect(said).toMatch(/Everybody who reaches 0\.0\.0\.0 may use \/b/)
    })
  )

  it.live("says what needs a restart, and lets flags win", () =>
    Effect.gen(function* () {
      const exports = [{ path: "/a", memory: { quota: "1MiB" } }]
      const program = yield* serveConfigured(() => ({ exports, pool: { workers: 3 } }), ["--workers", "5"])
      yield* Effect.orDie(program.prints(/ 5 workers/))
      const said = yield* program.reload(
        {
          listen: { host: "127.0.0.2", port: 1 },
          exports: [{ path: "/a", memory: { quota: "2MiB" } }],
          pool: { queue: 7, workers: 4 }
        },
        /configured anew/
      )
      const restart = [...said.matchAll(/needs a restart: (\S+)/g)].map(([, field]) => field)
      // The port is that of the flag.
      expect(restart).toEqual(["listen.host", "pool.queue", "exports[0].memory.quota"])
    })
  )

  it.live("logs more or less", () =>
    Effect.gen(function* () {
      const exports = [memory("/a")]
      const program = yield* serveConfigured(() => ({ exports }))
      const garbage = Effect.callback<void>((resume) => {
        const socket = Net.connect(program.port, "127.0.0.1", () =>
          socket.end(Uint8Array.of(0x80, 0, 0, 4, 1, 2, 3, 4))
        )
        socket
          .resume()
          .on("close", () => resume(Effect.void))
          .on("error", () => {})
      })
      yield* garbage
      const said = yield* program.reload({ exports, logLevel: "debug" }, /configured anew/)
      expect(said).not.toMatch(/DEBUG/)
      yield* garbage
      yield* Effect.orDie(program.says(/DEBUG.*not a call/))
      yield* program.reload({ exports, logLevel: "error" }, /DEBUG.*not a call/)
      yield* Effect.sleep("1 second")
      yield* garbage
      yield* program.reload("", /nothing is changed/)
      program.kill("SIGTERM")
      const { stderr } = yield* program.ended
      expect(stderr.match(/configured anew/g)).toHaveLength(1)
      expect(stderr.match(/DEBUG/g)).toHaveLength(1)
    })
  )
})
