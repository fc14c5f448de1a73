import { assert, describe, it } from "@effect/vitest"
import * as Identity from "../../src/exports/Identity.ts"

const under = (squash: Identity.Squash, claim: Identity.Claim) =>
  Identity.make(claim, { squash, anonymousUid: 77, anonymousGid: 88 })

const sys = (uid: number, gid: number, ...gids: ReadonlyArray<number>): Identity.Claim => ({
  _tag: "Sys",
  uid,
  gid,
  gids
})

describe("Identity", () => {
  it("squashes nobody, root, or everybody", () => {
    assert.deepStrictEqual(under("none", sys(0, 0, 0, 5)), { uid: 0, gid: 0, gids: [0, 5] })
    assert.deepStrictEqual(under("root", sys(0, 0, 0, 5)), { uid: 77, gid: 88, gids: [88, 5] })
    assert.deepStrictEqual(under("root", sys(1000, 0, 5, 0)), { uid: 1000, gid: 88, gids: [5, 88] })
    assert.deepStrictEqual(under("root", sys(1000, 1000, 5)), { uid: 1000, gid: 1000, gids: [5] })
    assert.deepStrictEqual(under("all", sys(1000, 1000, 5)), { uid: 77, gid: 88, gids: [] })
  })

  it("takes everybody for the user of the process, with all its groups", () => {
    const self = { uid: process.geteuid!(), gid: process.getegid!(), gids: process.getgroups!() }
    for (const claim of [sys(0, 0, 0, 5), sys(1000, 1000, 5), sys(0xffff_ffff, 0), { _tag: "None" } as const]) {
      assert.deepStrictEqual(under("self", claim), self)
    }
  })

  it("takes callers without credentials for anonymous", () => {
    for (const squash of ["none", "root", "all"] as const) {
      assert.deepStrictEqual(under(squash, { _tag: "None" }), { uid: 77, gid: 88, gids: [] })
    }
  })

  it("takes the id that nobody has for anonymous", () => {
    assert.deepStrictEqual(under("none", sys(0xffff_ffff, 0xffff_ffff, 0xffff_ffff)), { uid: 77, gid: 88, gids: [88] })
  })

  it("knows members by their first and their other groups", () => {
    const identity = under("none", sys(1, 2, 3, 4))
    assert.deepStrictEqual(
      [1, 2, 3, 4, 5].filter((gid) => Identity.isMember(identity, gid)),
      [2, 3, 4]
    )
  })
})
