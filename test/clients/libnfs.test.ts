/** libnfs, a client in user space, against the program. */

import { randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { CREATE } from "../../src/programs/nfs3/Nfs3Calls.ts"
import { missing, run } from "../support/commands.ts"
import { temporary } from "../support/directory.ts"
import { connect } from "../support/nfs.ts"
import { serve } from "../support/program.ts"

/** libnfs mounts what is before the last slash; below an export called "/" that is nothing, which it cannot mount. */
const EXPORT = "/data"

const urls = (port: number) => (path: string) =>
  `nfs://127.0.0.1${EXPORT}${path}?version=3&nfsport=${port}&mountport=${port}`

describe.skipIf(missing("libnfs", "nfs-ls", "nfs-cp", "nfs-cat"))("libnfs", { timeout: 60_000 }, () => {
  it.live("lists an empty export", () =>
    Effect.gen(function* () {
      const url = urls((yield* serve(["--export", EXPORT])).port)
      expect(yield* run("nfs-ls", [url("/")])).toMatchObject({ code: 0, stdout: Buffer.alloc(0), stderr: "" })
    }).pipe(Effect.scoped)
  )

  it.live.each([0, 1, 4095, 65_536, 5_000_001])("copies %d bytes there and back", (length) =>
    Effect.gen(function* () {
      const url = urls((yield* serve(["--export", EXPORT])).port)
      const directory = yield* temporary()
      const there = join(directory, "there")
      const back = join(directory, "back")
      const data = randomBytes(length)
      writeFileSync(there, data)
      expect((yield* run("nfs-cp", [there, url("/copied")])).code).toBe(0)
      expect((yield* run("nfs-cat", [url("/copied")])).stdout.equals(data)).toBe(true)
      expect((yield* run("nfs-cp", [url("/copied"), back])).code).toBe(0)
      expect(readFileSync(back).equals(data)).toBe(true)
      const listing = (yield* run("nfs-ls", [url("/")])).stdout.toString()
      expect(listing).toMatch(new RegExp(`^-rw-[rw-]{6}.* ${length} copied$`, "m"))
    }).pipe(Effect.scoped)
  )

  it.live("lists a directory that takes many replies", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(["--export", EXPORT])
      const client = yield* connect(port)
      const dir = yield* client.root(EXPORT)
      const names = Array.from({ length: 3000 }, (_, i) => `a-name-that-fills-the-reply-${i}`)
      yield* Effect.forEach(
        names,
        (name) => client.nfs(CREATE, { where: { dir, name }, how: { mode: "GUARDED", objAttributes: {} } }),
        { concurrency: 32 }
      )
      const listing = (yield* run("nfs-ls", [urls(port)("/")])).stdout.toString().trim().split("\n")
      expect(listing.map((line) => line.split(" ").at(-1)!).sort()).toEqual(names.sort())
    }).pipe(Effect.scoped)
  )

  it.live("copies files into and out of a directory of the host", () =>
    Effect.gen(function* () {
      const path = yield* temporary()
      writeFileSync(join(path, "from the host"), "of the host")
      const url = urls((yield* serve([path, "--export", EXPORT, "--squash", "self"])).port)
      const data = randomBytes(1_000_001)
      const there = join(yield* temporary(), "there")
      writeFileSync(there, data)
      expect((yield* run("nfs-cp", [there, url("/copied")])).code).toBe(0)
      expect(readFileSync(join(path, "copied")).equals(data)).toBe(true)
      expect((yield* run("nfs-cat", [url("/from the host")])).stdout.toString()).toBe("of the host")
      const listing = (yield* run("nfs-ls", [url("/")])).stdout.toString().trim().split("\n")
      expect(listing.map((line) => line.replace(/^.* (11|1000001) /, "")).sort()).toEqual(["copied", "from the host"])
    }).pipe(Effect.scoped)
  )

  it.live("is refused what is not exported, and writing what is read-only", () =>
    Effect.gen(function* () {
      const url = urls((yield* serve(["--export", EXPORT, "--read-only"])).port)
      expect((yield* run("nfs-ls", [url("/../elsewhere/")])).code).not.toBe(0)
      const directory = yield* temporary()
      const file = join(directory, "file")
      writeFileSync(file, "data")
      const refused = yield* run("nfs-cp", [file, url("/file")])
      expect(refused.code).not.toBe(0)
      expect(refused.stderr).toMatch(/ROFS/)
    }).pipe(Effect.scoped)
  )
})
