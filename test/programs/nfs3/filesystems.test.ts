import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { FSINFO, FSSTAT, PATHCONF } from "../../../src/programs/nfs3/Nfs3Calls.ts"
import { bob, forged, goneFrom, make, makeFor, MAX_TRANSFER } from "./Server.ts"

const withProperties = (properties: Partial<Operations["properties"]>) =>
  Effect.gen(function* () {
    const fs = yield* MemoryFilesystem.make()
    return yield* makeFor({ ...fs, properties: { ...fs.properties, ...properties } }, fs)
  })

describe("FSSTAT", () => {
  it.effect("gives the filesystem's numbers", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make({ quota: { bytes: 1_000_000 } })
      const server = yield* makeFor(fs, fs)
      const { objAttributes, ...stat } = yield* server.ok(FSSTAT, { fsroot: server.root }, bob)
      const { availableBytes, availableFiles, freeBytes, freeFiles, totalBytes, totalFiles } = yield* fs.statfs(fs.root)
      assert.deepInclude(stat, { tbytes: totalBytes, fbytes: freeBytes, abytes: availableBytes })
      assert.deepInclude(stat, { tfiles: totalFiles, ffiles: freeFiles, afiles: availableFiles, invarsec: 0 })
      assert.strictEqual(objAttributes?.attributes.type, "directory")
    })
  )

  it.effect("gives no number that a client would take for a negative one", () =>
    Effect.gen(function* () {
      const fs = yield* MemoryFilesystem.make()
      const endless = {
        totalBytes: Infinity,
        freeBytes: 2 ** 63,
        availableBytes: 1.5,
        totalFiles: Infinity,
        freeFiles: 7,
        availableFiles: -1
      }
      const server = yield* makeFor({ ...fs, statfs: () => Effect.succeed(endless) }, fs)
      const stat = yield* server.ok(FSSTAT, { fsroot: server.root })
      const most = Number.MAX_SAFE_INTEGER
      assert.deepInclude(stat, { tbytes: most, fbytes: most, abytes: 1, tfiles: most, ffiles: 7, afiles: 0 })
    })
  )
})

describe("FSINFO", () => {
  it.effect("promises what READ and WRITE take", () =>
    Effect.gen(function* () {
      const server = yield* make
      const info = yield* server.ok(FSINFO, { fsroot: server.root }, bob)
      for (const size of [info.rtmax, info.rtpref, info.wtmax, info.wtpref]) assert.strictEqual(size, MAX_TRANSFER)
      assert.strictEqual(info.rtmult, 4096)
      assert.strictEqual(info.wtmult, 4096)
      assert.strictEqual(info.dtpref, 65_536)
      assert.deepStrictEqual(info.timeDelta, server.fs.properties.timeDelta)
      assert.strictEqual(info.maxfilesize, server.fs.properties.maxFileSize)
      assert.strictEqual(info.properties, 0x1b)
    })
  )

  it.effect("says what a filesystem cannot do", () =>
    Effect.gen(function* () {
      const server = yield* withProperties({ linkMax: 1, symlinks: false })
      const info = yield* server.ok(FSINFO, { fsroot: server.root })
      assert.strictEqual(info.properties, 0x18)
    })
  )
})

describe("PATHCONF", () => {
  it.effect("gives the filesystem's properties", () =>
    Effect.gen(function* () {
      const server = yield* withProperties({ linkMax: 1000, caseInsensitive: true, casePreserving: false })
      const { objAttributes, ...conf } = yield* server.ok(PATHCONF, { object: server.root }, bob)
      assert.deepStrictEqual(conf, {
        status: "NFS3_OK",
        linkmax: 1000,
        nameMax: 255,
        noTrunc: true,
        chownRestricted: true,
        caseInsensitive: true,
        casePreserving: false
      })
      assert.isDefined(objAttributes)
      const endless = yield* withProperties({ linkMax: Infinity })
      assert.strictEqual((yield* endless.ok(PATHCONF, { object: endless.root })).linkmax, 0xffff_ffff)
    })
  )
})

describe("FSSTAT, FSINFO and PATHCONF", () => {
  it.effect("refuse handles", () =>
    Effect.gen(function* () {
      const server = yield* make
      for (const [handle, status] of [
        [forged, "NFS3ERR_BADHANDLE"],
        [goneFrom(server), "NFS3ERR_STALE"]
      ] as const) {
        const failures = [
          yield* server.fails(status, FSSTAT, { fsroot: handle }),
          yield* server.fails(status, FSINFO, { fsroot: handle }),
          yield* server.fails(status, PATHCONF, { object: handle })
        ]
        for (const { objAttributes } of failures) assert.isUndefined(objAttributes)
      }
    })
  )
})
