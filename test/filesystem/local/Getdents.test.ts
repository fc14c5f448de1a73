import { Buffer } from "node:buffer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { errors, fail } from "../../../src/filesystem/FilesystemError.ts"
import * as Getdents from "../../../src/filesystem/local/Getdents.ts"
import * as Bytestring from "../../../src/xdr/Bytestring.ts"

/** What Linux 6.18 gave for a directory on ext4. */
const bytes = Buffer.from(
  "G+GYAAAAAACcnV9lT4tTFSAACC5oaWRkZW4AAAAAAAAZ4ZgAAAAAABeaCnBI4vweGAEI" +
    "eHh4".repeat(85) +
    "AAAAAAAAo+CYAAAAAACkYQjCT97MVBgABC4AAAAAHOGYAAAAAAAeukAw12Q6WBgABHN1YgAAo8QDAAAAAAAO8tiFcKd4YxgABC4uAAAAGOGYAAAA" +
    "AACHgbSsvT79aiAACGdyw7bDn2VyAAAAAAAE4ZgAAAAAADTp2173+sR4GAAIYQAAAAAa4ZgAAAAAAJcegAAQ1H9+GAAILi4uAAAT4ZgAAAAAAP//" +
    "//////9/GAAI//4AAAA=",
  "base64"
)

/** Where its fifth entry begins. */
const MIDDLE = 32 + 280 + 24 + 24

const expected: ReadonlyArray<readonly [name: string, fileid: bigint]> = [
  [".hidden", 10_019_099n],
  ["x".repeat(255), 10_019_097n],
  ["sub", 10_019_100n],
  ["größer", 10_019_096n],
  ["a", 10_019_076n],
  ["...", 10_019_098n],
  ["\udcff\udcfe", 10_019_091n]
]

const collecting = () => {
  const entries: Array<readonly [name: string, fileid: bigint]> = []
  const add = (bytes: Uint8Array, start: number, end: number, fileid: bigint) => {
    entries.push([Bytestring.decode(Buffer.from(bytes), start, end), fileid])
  }
  return { entries, add }
}

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-getdents-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("Getdents", () => {
  it("reads what the kernel writes", () => {
    const { add, entries } = collecting()
    Getdents.parse(bytes, bytes.length, add)
    assert.deepStrictEqual(entries, expected)
  })

  it("reads no further than the kernel wrote", () => {
    const { add, entries } = collecting()
    const buffer = Buffer.concat([bytes, bytes])
    Getdents.parse(buffer, bytes.length, add)
    Getdents.parse(buffer, 0, add)
    assert.deepStrictEqual(entries, expected)
  })

  it.effect("goes on until there is no more", () =>
    Effect.gen(function* () {
      const { add, entries } = collecting()
      const steps = [bytes.subarray(0, MIDDLE), bytes.subarray(MIDDLE)]
      const read = Getdents.read((fd, buffer) => {
        assert.isAbove(fd, 2)
        return Effect.sync(() => steps.shift()?.copy(buffer) ?? 0)
      })
      yield* read(yield* directory, add)
      assert.deepStrictEqual(entries, expected)
    })
  )

  it.effect("fails with what the calls fail with", () =>
    Effect.gen(function* () {
      const { add } = collecting()
      const path = yield* directory
      const read = Getdents.read(() => fail.EIO)
      assert.strictEqual(yield* Effect.flip(read(path, add)), errors.EIO)
      assert.strictEqual(yield* Effect.flip(read(join(path, "none"), add)), errors.ENOENT)
    })
  )
})
