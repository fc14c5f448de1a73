import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ClientRule, defaults, explain, Policy, settle, strictly } from "../../src/exports/Policy.ts"

/** What is said about a policy that is not one. */
const complaints = (policy: unknown): ReadonlyArray<string> => {
  const decoded = Schema.decodeUnknownResult(Policy, strictly)(policy)
  return Result.isSuccess(decoded) ? [] : explain(decoded.failure.issue)
}

describe("Policy", () => {
  it("takes what is complete, and what leaves all to the defaults", () => {
    assert.deepStrictEqual(complaints({}), [])
    const terms = {
      readOnly: true,
      squash: "all",
      anonymousUid: 0,
      anonymousGid: 4_294_967_295,
      privilegedPort: true,
      flavors: ["none", "sys"]
    }
    const clients = [
      { match: "10.0.0.1", deny: true },
      { match: "10.0.0.0/8", ...terms },
      { match: "2001:db8::/32" },
      { match: "*" }
    ]
    assert.deepStrictEqual(complaints({ ...terms, clients, fsid: 7, maxFileSize: 0 }), [])
  })

  const address = `expected "*", an IP address or a CIDR such as 10.0.0.0/8`

  it.each<[policy: unknown, complaint: string]>([
    [{ readOnly: "yes" }, `readOnly: expected true or false, got "yes"`],
    [{ squash: "some" }, `squash: expected "none" | "root" | "all" | "self", got "some"`],
    [{ anonymousUid: -1 }, "anonymousUid: expected an integer from 0 to 4294967295, got -1"],
    [{ anonymousGid: Number.NaN }, "anonymousGid: expected an integer from 0 to 4294967295, got NaN"],
    [{ fsid: 2 ** 32 }, "fsid: expected an integer from 0 to 4294967295, got 4294967296"],
    [{ fsid: 1.5 }, "fsid: expected an integer from 0 to 4294967295, got 1.5"],
    [{ maxFileSize: -1 }, "maxFileSize: expected a number of bytes, 0 or more, got -1"],
    [{ flavors: [] }, `flavors: expected one of "sys" and "none", or both, got []`],
    [{ flavors: ["sys", "krb5"] }, `flavors[1]: expected "sys" | "none", got "krb5"`],
    [{ clients: "10.0.0.0/8" }, `clients: expected a list of rules, got "10.0.0.0/8"`],
    [{ clients: [{ match: "10.0.0/8" }] }, `clients[0].match: ${address}, got "10.0.0/8"`],
    [{ clients: [{ deny: true }] }, `clients[0].match: ${address}`],
    [{ clients: [{ match: "*" }, { match: "*", deny: 1 }] }, "clients[1].deny: expected true or false, got 1"],
    [
      { clients: [{ match: "*", deny: true, readOnly: true }] },
      "clients[0].readOnly: expected no terms for clients that may do nothing (deny)"
    ],
    [{ clients: [{ match: "*", fsid: 1 }] }, "clients[0].fsid: expected one of match, deny, readOnly"],
    [{ readonly: true }, "readonly: expected one of readOnly, squash, anonymousUid"],
    [null, "expected object, got null"]
  ])("refuses %j: %s", (policy, complaint) => {
    const found = complaints(policy)
    assert.lengthOf(found, 1)
    assert.isTrue(found[0]!.startsWith(complaint), found[0])
  })

  it("says all that is wrong at once", () => {
    assert.lengthOf(complaints({ squash: 1, fsid: -1, clients: [{ match: "" }, { match: "x" }] }), 4)
  })

  it("describes each of its fields", () => {
    for (const [name, field] of Object.entries<Schema.Top>({ ...Policy.fields, ...ClientRule.fields })) {
      const { annotations, context } = field.ast
      assert.isString(annotations?.["description"] ?? context?.annotations?.["description"], name)
    }
  })

  it("has the defaults that its fields name", () => {
    for (const [name, value] of Object.entries(defaults)) {
      const field = Policy.fields[name as keyof typeof defaults] as Schema.Top
      assert.deepStrictEqual(field.ast.annotations?.["default"], value, name)
    }
    assert.deepStrictEqual(settle({}, defaults), defaults)
    assert.deepStrictEqual(settle({ squash: undefined, readOnly: true }, defaults), { ...defaults, readOnly: true })
  })
})
