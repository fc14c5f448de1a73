import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Access from "../../src/exports/Access.ts"
import * as Export from "../../src/exports/Export.ts"
import { FileHandles } from "../../src/exports/FileHandle.ts"
import type { Claim } from "../../src/exports/Identity.ts"
import type { Policy } from "../../src/exports/Policy.ts"
import type { Attributes } from "../../src/filesystem/Attributes.ts"
import { errors, is } from "../../src/filesystem/FilesystemError.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"

const memory = Effect.runSync(MemoryFilesystem.make())
const handles = new FileHandles(new Uint8Array(16))

const share = (policy: Policy) => Export.make({ path: "/", filesystem: memory, ...policy }, handles)

const root: Claim = { _tag: "Sys", uid: 0, gid: 0, gids: [] }
const alice: Claim = { _tag: "Sys", uid: 1000, gid: 1000, gids: [] }
const none: Claim = { _tag: "None" }

const from = (address: string, port = 50_000): Export.Client => ({ address, port })

const grant = (policy: Policy, claim: Claim, client = from("192.0.2.1")) => {
  const granted = share(policy).grant(client, claim)
  if (is(granted)) throw new Error(granted.code)
  return granted
}

/** Who a caller is there: the owner and group of what it makes. */
const identity = ({ access }: { readonly access: Access.Access }): string => {
  const open = { type: "directory", mode: 0o777, uid: 7, gid: 7 } as Attributes
  const made = access.mkdir({})(open, undefined)
  return is(made) ? made.code : `${made.uid}:${made.gid}`
}

describe("the clients of an export", () => {
  it("are all without rules", () => {
    for (const address of ["192.0.2.1", "2001:db8::1", ""]) {
      assert.isFalse(is(share({}).grant(from(address), alice)))
      assert.isDefined(share({}).termsFor(address))
    }
    assert.isUndefined(share({}).groups)
  })

  it("are with rules those of the first that matches, and nobody else", () => {
    const it = share({
      readOnly: true,
      clients: [
        { match: "10.1.0.0/16", deny: true },
        { match: "10.1.2.3", readOnly: false },
        { match: "10.2.0.0/16", readOnly: false },
        { match: "10.0.0.0/8", squash: "all", anonymousUid: 5 },
        { match: "2001:db8::/32", squash: "none" }
      ]
    })
    const terms = (address: string) => {
      const terms = it.termsFor(address)
      return terms && `${terms.readOnly ? "ro" : "rw"} ${terms.squash} ${terms.anonymousUid}:${terms.anonymousGid}`
    }
    assert.strictEqual(terms("10.2.0.1"), "rw root 65534:65534")
    assert.strictEqual(terms("10.3.0.1"), "ro all 5:65534")
    assert.strictEqual(terms("2001:db8::9"), "ro none 65534:65534")
    for (const address of ["10.1.2.3", "10.1.9.9", "11.0.0.1", "2001:db9::1", ""]) {
      assert.isUndefined(terms(address), address)
      assert.strictEqual(it.grant(from(address), root), errors.EACCES)
    }
    assert.deepStrictEqual(it.groups, ["10.1.2.3", "10.2.0.0/16", "10.0.0.0/8", "2001:db8::/32"])
  })

  it("are none when there are rules, but none for anybody", () => {
    assert.strictEqual(share({ clients: [] }).grant(from("192.0.2.1"), root), errors.EACCES)
    assert.deepStrictEqual(share({ clients: [{ match: "*", deny: true }] }).groups, [])
  })

  it("call from a privileged port where that is asked for", () => {
    const strict = share({
      privilegedPort: true,
      clients: [{ match: "10.0.0.1", privilegedPort: false }, { match: "*" }]
    })
    assert.isFalse(is(strict.grant(from("192.0.2.1", 1023), root)))
    assert.strictEqual(strict.grant(from("192.0.2.1", 1024), root), errors.EACCES)
    assert.isFalse(is(strict.grant(from("10.0.0.1", 1024), root)))
  })
})

describe("a caller", () => {
  it("is who the terms of its client make of it", () => {
    assert.strictEqual(identity(grant({}, root)), "65534:65534")
    assert.strictEqual(identity(grant({}, alice)), "1000:1000")
    const policy: Policy = {
      squash: "all",
      anonymousUid: 5,
      anonymousGid: 6,
      clients: [{ match: "192.0.2.1", squash: "none" }, { match: "192.0.2.2", anonymousUid: 9 }, { match: "*" }]
    }
    assert.strictEqual(identity(grant(policy, root)), "0:0")
    assert.strictEqual(identity(grant(policy, root, from("192.0.2.2"))), "9:6")
    assert.strictEqual(identity(grant(policy, root, from("192.0.2.3"))), "5:6")
  })

  it("has the operations of its client's terms", () => {
    const policy: Policy = { readOnly: true, clients: [{ match: "192.0.2.1", readOnly: false }, { match: "*" }] }
    const { operations } = grant(policy, alice)
    assert.isTrue(Exit.isSuccess(Effect.runSyncExit(operations.mkdir(memory.root, "made", () => ({})))))
    const reader = grant(policy, alice, from("192.0.2.2"))
    assert.isTrue(reader.terms.readOnly)
    const write = reader.operations.mkdir(memory.root, "new", () => ({}))
    assert.strictEqual(Effect.runSync(Effect.flip(write)), errors.EROFS)
  })

  it("without credentials is anonymous, or too weak where it has to say who it is", () => {
    assert.isFalse(grant({}, none).tooWeak)
    assert.strictEqual(identity(grant({}, none)), "65534:65534")
    assert.isTrue(grant({ flavors: ["sys"] }, none).tooWeak)
    assert.isFalse(grant({ flavors: ["sys"] }, alice).tooWeak)
  })

  it("is not listened to where nobody says who they are", () => {
    const policy: Policy = { squash: "none", flavors: ["none"] }
    assert.isFalse(grant(policy, root).tooWeak)
    assert.strictEqual(identity(grant(policy, root)), "65534:65534")
  })

  it("is known again by its client and credentials, both", () => {
    const it = share({ clients: [{ match: "192.0.2.1", squash: "none" }, { match: "*" }] })
    const clients = [from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.1")]
    const claims = [root, alice, none]
    const grants = clients.flatMap((client) => claims.map((claim) => it.grant(client, claim)))
    assert.strictEqual(new Set(grants).size, 9)
    const again = clients.flatMap((client) => claims.map((claim) => it.grant(client, claim)))
    for (const [i, grant] of grants.entries()) assert.strictEqual(again[i], grant)
  })
})

describe("an export", () => {
  it("makes no file longer than it or its filesystem says", () => {
    const { maxFileSize } = memory.properties
    assert.strictEqual(share({}).maxFileSize, maxFileSize)
    assert.strictEqual(share({ maxFileSize: 10 }).maxFileSize, 10)
    assert.strictEqual(share({ maxFileSize: Number.MAX_SAFE_INTEGER }).maxFileSize, maxFileSize)
  })
})
