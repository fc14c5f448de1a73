import { Buffer } from "node:buffer"
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { errors } from "../../../src/filesystem/FilesystemError.ts"
import * as DirectoryReader from "../../../src/filesystem/local/DirectoryReader.ts"
import * as Bytestring from "../../../src/xdr/Bytestring.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-reader-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** The names in a directory, sorted. */
const names = (path: string | Buffer) =>
  Effect.suspend(() => {
    const names: Array<string> = []
    return Effect.as(
      DirectoryReader.read(path, (bytes, start, end, fileid) => {
        assert.strictEqual(fileid, 0n)
        names.push(Bytestring.decode(Buffer.from(bytes), start, end))
      }),
      names
    ).pipe(Effect.map((names) => names.sort()))
  })

describe("DirectoryReader", () => {
  it.effect("reads all names, of whatever bytes", () =>
    Effect.gen(function* () {
      const path = yield* directory
      assert.deepStrictEqual(yield* names(path), [])
      const expected = Array.from({ length: 700 }, (_, i) => `file ${i}`)
      // Names that are not UTF-8 are Linux's own.
      if (process.platform === "linux") expected.push("\udcff\udc80", "größer\udcff")
      for (const name of expected) writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Bytestring.encode(name)]), "")
      assert.deepStrictEqual(yield* names(path), expected.sort())
      assert.deepStrictEqual(yield* names(Buffer.from(path)), expected)
    })
  )

  it.effect.skipIf(process.platform !== "linux")("reads an open directory by its descriptor", () =>
    Effect.gen(function* () {
      const path = yield* directory
      writeFileSync(join(path, "a"), "")
      const fd = openSync(path, "r")
      yield* Effect.addFinalizer(() => Effect.sync(() => closeSync(fd)))
      assert.deepStrictEqual(yield* names(`/proc/self/fd/${fd}`), ["a"])
    })
  )

  it.effect("fails with the system's error", () =>
    Effect.gen(function* () {
      const path = yield* directory
      writeFileSync(join(path, "a"), "")
      assert.strictEqual(yield* Effect.flip(names(join(path, "none"))), errors.ENOENT)
      assert.strictEqual(yield* Effect.flip(names(join(path, "a"))), errors.ENOTDIR)
    })
  )
})
