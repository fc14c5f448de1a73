/** `effect-nfs serve DIR`: what it says, and how it sets its process up. */

import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { asUser, ORDINARY, temporary } from "../support/directory.ts"
import { connect, ok } from "../support/nfs.ts"
import { serve, start } from "../support/program.ts"
import { alice } from "../support/server.ts"

const isRoot = process.geteuid!() === 0

/** All that it says when it starts, on a port of its own. */
const greeting = Effect.fnUntraced(function* (args: ReadonlyArray<string>, user = process.geteuid!()) {
  const program = yield* start(["serve", "--port", "0", ...args], {}, asUser(user))
  const [text] = yield* Effect.orDie(program.prints(/^[^]*Ctrl-C[^]*$/))
  return text
})

const create = (dir: Uint8Array, name: string, mode = 0o644) => ({
  where: { dir, name },
  how: { mode: "GUARDED" as const, objAttributes: { mode } }
})

describe("effect-nfs serve DIR", { timeout: 30_000 }, () => {
  it.live("says where the directory really is, and how to mount it", () =>
    Effect.gen(function* () {
      const path = yield* temporary()
      mkdirSync(join(path, "real"))
      symlinkSync("real", join(path, "link"))
      const text = yield* greeting([join(path, "link"), "--read-only"])
      expect(text).toMatch(/^effect-nfs serves 127\.0\.0\.1:\/ from (\S+), read-only, on port \d+$/m)
      expect(text).toContain(` from ${join(path, "real")}, `)
      expect(text).toMatch(/Linux: sudo mount -t nfs -o vers=3.* 127\.0\.0\.1:\/ \/mnt$/m)
    })
  )

  it.live("says that without the rights of root everybody is its own user", () =>
    Effect.gen(function* () {
      const path = yield* temporary(ORDINARY)
      expect(yield* greeting([path], ORDINARY)).toMatch(
        new RegExp(`^ {2}Everybody who reaches this port acts as uid ${ORDINARY}, .*only root`, "m")
      )
      expect(yield* greeting([path, "--squash", "none"], ORDINARY)).toMatch(
        new RegExp(`^ {2}Running as uid ${ORDINARY}, it cannot give files to other users.*--squash self`, "m")
      )
    })
  )

  it.live.skipIf(!isRoot)("has nothing to say about that as root, unless everybody becomes root", () =>
    Effect.gen(function* () {
      const path = yield* temporary()
      expect(yield* greeting([path])).not.toMatch(/uid/)
      expect(yield* greeting([path, "--squash", "self"])).toMatch(/Everybody who reaches this port acts as uid 0,/)
    })
  )

  it.live("names a directory that it may not read, in one line", () =>
    Effect.gen(function* () {
      const HOME = yield* temporary(ORDINARY)
      const closed = join(yield* temporary(), "closed")
      mkdirSync(closed)
      chmodSync(closed, 0)
      for (const directory of [closed, join(closed, "deeper")]) {
        const { code, stderr, stdout } = yield* (yield* start(["serve", directory], { HOME }, asUser(ORDINARY))).ended
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
        expect(stderr).toBe(`effect-nfs: DIR: this user may not read ${directory}\n`)
      }
    })
  )

  it.live.skipIf(!isRoot)("takes root for nobody, and others for who they are, when it runs as root", () =>
    Effect.gen(function* () {
      const path = yield* temporary()
      chmodSync(path, 0o777)
      const client = yield* connect((yield* serve([path])).port)
      const dir = yield* client.root()
      ok(yield* client.nfs(Nfs.CREATE, create(dir, "roots")))
      ok(yield* client.nfs(Nfs.CREATE, create(dir, "alices"), alice))
      expect(statSync(join(path, "roots"))).toMatchObject({ uid: 65_534, gid: 65_534 })
      expect(statSync(join(path, "alices"))).toMatchObject({ uid: 1000, gid: 1000 })
    })
  )

  it.live(
    "gives everybody the files of its own user, and what they make to that user, without the rights of root",
    () =>
      Effect.gen(function* () {
        const path = yield* temporary(ORDINARY)
        const client = yield* connect((yield* serve([path], {}, asUser(ORDINARY))).port)
        const dir = yield* client.root()
        const { obj } = ok(yield* client.nfs(Nfs.CREATE, create(dir, "file", 0o600), alice))
        ok(
          yield* client.nfs(Nfs.SYMLINK, {
            where: { dir, name: "link" },
            symlink: { symlinkAttributes: {}, symlinkData: "x" }
          })
        )
        ok(yield* client.nfs(Nfs.READ, { file: obj!, offset: 0, count: 1 }))
        for (const name of ["file", "link"]) expect(lstatSync(join(path, name)).uid).toBe(ORDINARY)
        expect(statSync(join(path, "file")).mode & 0o777).toBe(0o600)
      })
  )
})

describe.skipIf(process.platform !== "linux")("the process of effect-nfs serve DIR", { timeout: 30_000 }, () => {
  it.live("gives files the modes that clients ask for", () =>
    Effect.gen(function* () {
      const umask = (pid: number) => readFileSync(`/proc/${pid}/status`, "utf8").match(/^Umask:\s*(\d+)$/m)![1]
      const path = yield* temporary()
      const program = yield* serve([path, "--squash", "self"])
      const client = yield* connect(program.port)
      ok(yield* client.nfs(Nfs.CREATE, create(yield* client.root(), "file", 0o666)))
      expect(statSync(join(path, "file")).mode & 0o777).toBe(0o666)
      expect(umask(program.pid)).toBe("0000")
      expect(umask((yield* serve()).pid)).toBe(umask(process.pid))
    })
  )

  it.live("lets nobody else write what it keeps for itself", () =>
    Effect.gen(function* () {
      const path = yield* temporary(ORDINARY)
      const home = yield* temporary(ORDINARY)
      const program = yield* serve([path], { HOME: home }, asUser(ORDINARY))
      const client = yield* connect(program.port)
      ok(yield* client.nfs(Nfs.CREATE, create(yield* client.root(), "file")))
      program.kill("SIGTERM")
      yield* program.ended
      const kept = readdirSync(home, { recursive: true, encoding: "utf8" })
      for (const name of ["handle-key", "hints.sqlite"]) expect(kept).toContain(`.local/state/effect-nfs/${name}`)
      // Compiled code, too.
      expect(kept.filter((name) => name.startsWith(".cache/")).length).toBeGreaterThan(10)
      for (const name of kept) {
        expect([name, (statSync(join(home, name)).mode & 0o022).toString(8)]).toEqual([name, "0"])
      }
    })
  )

  it.live.each([
    [{}, 8],
    [{ UV_THREADPOOL_SIZE: "5" }, 5]
  ] as const)("has threads for disks: with %j, %d", ([environment, count]) =>
    Effect.gen(function* () {
      const path = yield* temporary()
      const { pid, port } = yield* serve([path], environment)
      const client = yield* connect(port)
      ok(yield* client.nfs(Nfs.FSSTAT, { fsroot: yield* client.root() }))
      const threads = readdirSync(`/proc/${pid}/task`).map((task) =>
        readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").trim()
      )
      expect(threads.filter((name) => name === "libuv-worker")).toHaveLength(count)
    })
  )
})
