/** A directory of the host, served: clients and programs of the host see the same files, and handles outlive the server. */

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as LocalFilesystem from "../../src/filesystem/local/LocalFilesystem.ts"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { asUser, inside, ORDINARY, temporary } from "../support/directory.ts"
import { type Call, connect, type NfsClient, ok } from "../support/nfs.ts"
import { serve as serveProgram } from "../support/program.ts"
import { serve } from "../support/server.ts"

/** A call that comes again while the server looks for the file. */
const patiently = <A, B extends { readonly status: string }>({ nfs }: NfsClient, call: Call<A, B>, args: A) =>
  nfs(call, args).pipe(
    Effect.tap(({ status }) => (status === "NFS3ERR_JUKEBOX" ? Effect.sleep("50 millis") : Effect.void)),
    Effect.repeat({ while: ({ status }) => status === "NFS3ERR_JUKEBOX", times: 200 })
  )

const text = (client: NfsClient, file: Uint8Array) =>
  Effect.map(patiently(client, Nfs.READ, { file, offset: 0, count: 1000 }), (answer) =>
    answer.status === "NFS3_OK" ? Buffer.concat(answer.data).toString() : answer.status
  )

const write = (file: Uint8Array, text: string) => ({
  file,
  offset: 0,
  count: Buffer.byteLength(text),
  stable: "FILE_SYNC" as const,
  data: [Buffer.from(text)]
})

const make = ({ nfs }: NfsClient, dir: Uint8Array, name: string) =>
  Effect.map(
    nfs(Nfs.CREATE, { where: { dir, name }, how: { mode: "GUARDED", objAttributes: { mode: 0o644 } } }),
    (answer) => ok(answer).obj!
  )

describe("a directory of the host", { timeout: 60_000 }, () => {
  const session = Effect.gen(function* () {
    const path = yield* temporary()
    const { address } = yield* serve([
      { path: "/", squash: "self", filesystem: LocalFilesystem.layer({ path }) },
      { path: "/quick", squash: "self", filesystem: LocalFilesystem.layer({ path, async: true }) }
    ])
    const client = yield* connect(address.port)
    const look = (dir: Uint8Array, name: string) => client.nfs(Nfs.LOOKUP, { what: { dir, name } })
    return { path, client, dir: yield* client.root(), look }
  })

  it.live("shows the host what clients do", () =>
    Effect.gen(function* () {
      const { client, dir, path } = yield* session
      const { nfs } = client
      const { obj: below } = ok(yield* nfs(Nfs.MKDIR, { where: { dir, name: "below" }, attributes: { mode: 0o750 } }))
      const file = yield* make(client, below!, "file \u{1F600}")
      ok(yield* nfs(Nfs.WRITE, write(file, "written by a client")))
      ok(yield* nfs(Nfs.LINK, { file, link: { dir, name: "second name" } }))
      const symlink = { symlinkAttributes: {}, symlinkData: "../anywhere" }
      ok(yield* nfs(Nfs.SYMLINK, { where: { dir, name: "link" }, symlink }))
      const mtime = { seconds: 1_000_000_000, nanoseconds: 123_456_000 }
      ok(yield* nfs(Nfs.SETATTR, { object: file, newAttributes: { mode: 0o4711, mtime }, guard: undefined }))
      expect(readdirSync(path).toSorted()).toEqual(["below", "link", "second name"])
      expect(statSync(join(path, "below")).mode & 0o7777).toBe(0o750)
      expect(readFileSync(join(path, "below", "file \u{1F600}"), "utf8")).toBe("written by a client")
      expect(readlinkSync(join(path, "link"))).toBe("../anywhere")
      const stats = statSync(join(path, "second name"), { bigint: true })
      expect([stats.mode & 0o7777n, stats.nlink, stats.mtimeNs]).toEqual([0o4711n, 2n, 1_000_000_000_123_456_000n])
      ok(yield* nfs(Nfs.RENAME, { from: { dir: below!, name: "file \u{1F600}" }, to: { dir, name: "link" } }))
      ok(yield* nfs(Nfs.RMDIR, { object: { dir, name: "below" } }))
      ok(yield* nfs(Nfs.REMOVE, { object: { dir, name: "second name" } }))
      expect(readdirSync(path)).toEqual(["link"])
      expect(lstatSync(join(path, "link")).isFile()).toBe(true)
    })
  )

  it.live("shows clients what others do on the host", () =>
    Effect.gen(function* () {
      const { client, dir, look, path } = yield* session
      writeFileSync(join(path, "file"), "before")
      const { object: file } = ok(yield* look(dir, "file"))
      expect(yield* text(client, file)).toBe("before")
      writeFileSync(join(path, "file"), "afterwards")
      expect(yield* text(client, file)).toBe("afterwards")
      mkdirSync(join(path, "directory"))
      renameSync(join(path, "file"), join(path, "directory", "moved"))
      expect(yield* text(client, file)).toBe("afterwards")
      // For as long as the cache lives, the name may lead to where it led.
      const gone = yield* look(dir, "file").pipe(
        Effect.repeat({
          while: ({ status }) => status === "NFS3_OK",
          schedule: Schedule.spaced("50 millis"),
          times: 60
        })
      )
      expect(gone.status).toBe("NFS3ERR_NOENT")
      const { object: directory } = ok(yield* look(dir, "directory"))
      const listing = { dir: directory, cookie: 0n, cookieverf: Buffer.alloc(8), dircount: 4096, maxcount: 65_536 }
      const { entries } = ok(yield* client.nfs(Nfs.READDIRPLUS, listing))
      expect(entries.map(({ name }) => name)).toEqual([".", "..", "moved"])
      expect(entries[2]!.nameHandle).toEqual(file)
      rmSync(join(path, "directory"), { recursive: true })
      expect(yield* text(client, file)).toBe("NFS3ERR_STALE")
    })
  )

  it.live("ends at its root, whatever links say", () =>
    Effect.gen(function* () {
      const { client, dir, look, path } = yield* session
      symlinkSync("/etc", join(path, "etc"))
      const { object: etc } = ok(yield* look(dir, "etc"))
      expect((yield* look(etc, "passwd")).status).toBe("NFS3ERR_NOTDIR")
      expect(ok(yield* client.nfs(Nfs.READLINK, { symlink: etc })).data).toBe("/etc")
      expect(ok(yield* look(dir, "..")).object).toEqual(dir)
      expect((yield* look(dir, "../etc")).status).toBe("NFS3ERR_ACCES")
    })
  )

  it.live("is as good when names are answered before they are on the disk", () =>
    Effect.gen(function* () {
      const { client, path } = yield* session
      const quick = yield* client.root("/quick")
      const file = yield* make(client, quick, "file")
      ok(yield* client.nfs(Nfs.WRITE, write(file, "data")))
      expect(readFileSync(join(path, "file"), "utf8")).toBe("data")
    })
  )
})

describe("handles of a directory's files", { timeout: 60_000 }, () => {
  it.live.each([
    ["as it is run here", process.geteuid!()],
    ["without the rights of root", ORDINARY]
  ] as const)("outlive a server that is killed, %s", ([, user]) =>
    Effect.gen(function* () {
      const path = inside(yield* temporary(user), "served", user)
      const state = yield* temporary(user)
      const run = Effect.gen(function* () {
        const program = yield* serveProgram([path, "--squash", "self", "--state-dir", state], {}, asUser(user))
        return { client: yield* connect(program.port), program }
      })
      const first = yield* run
      const dir = yield* first.client.root()
      const attributes = { mode: 0o755 }
      const made = ok(yield* first.client.nfs(Nfs.MKDIR, { where: { dir, name: "old" }, attributes }))
      const [file, gone] = [yield* make(first.client, made.obj!, "file"), yield* make(first.client, dir, "gone")]
      const { verf } = ok(yield* first.client.nfs(Nfs.WRITE, write(file, "committed")))
      first.program.kill("SIGKILL")
      yield* first.program.ended

      // What happens while nobody looks.
      renameSync(join(path, "old"), join(path, "new"))
      rmSync(join(path, "gone"))
      writeFileSync(join(path, "another"), "another")

      const second = yield* run
      expect(yield* text(second.client, file)).toBe("committed")
      expect(yield* text(second.client, gone)).toBe("NFS3ERR_STALE")
      const { object } = ok(yield* patiently(second.client, Nfs.LOOKUP, { what: { dir: made.obj!, name: "file" } }))
      expect(object).toEqual(file)
      const again = ok(yield* second.client.nfs(Nfs.WRITE, write(file, "COMMITTED")))
      expect(again.verf).not.toEqual(verf)
      expect(readFileSync(join(path, "new", "file"), "utf8")).toBe("COMMITTED")
    })
  )
})
