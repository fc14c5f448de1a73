import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ExportFlag from "../../src/cli/ExportFlag.ts"

describe("--export", () => {
  it.each<[text: string, json: object]>([
    ["/data=./dir", { path: "/data", directory: "./dir" }],
    [
      "/data=./dir,ro,squash=root,allow=10.0.0.0/8",
      { path: "/data", directory: "./dir", readOnly: true, squash: "root", clients: [{ match: "10.0.0.0/8" }] }
    ],
    ["/a=memory", { path: "/a", memory: {} }],
    ["/a=memory:512MiB,rw", { path: "/a", memory: { quota: "512MiB" }, readOnly: false }],
    ["/a=memory,calls-per-second=100,burst=2.5", { path: "/a", memory: {}, rate: { callsPerSecond: 100, burst: 2.5 } }],
    ["/a=./memory", { path: "/a", directory: "./memory" }],
    ["/a=./b=c\\,d,async,cross-mounts", { path: "/a", directory: "./b=c,d", async: true, crossMounts: true }],
    [
      "/a=b,anonuid=1,anongid=2,fsid=3,max-file-size=1GiB,flavors=sys+none,privileged-port",
      {
        path: "/a",
        directory: "b",
        anonymousUid: 1,
        anonymousGid: 2,
        fsid: 3,
        maxFileSize: "1GiB",
        flavors: ["sys", "none"],
        privilegedPort: true
      }
    ],
    [
      "/a=b,allow=10.0.0.0/8+ro+squash=all+flavors=sys+none+anonuid=7,deny=fe80::/10,allow=*",
      {
        path: "/a",
        directory: "b",
        clients: [
          { match: "10.0.0.0/8", readOnly: true, squash: "all", flavors: ["sys", "none"], anonymousUid: 7 },
          { match: "fe80::/10", deny: true },
          { match: "*" }
        ]
      }
    ],
    // For the schema to object to.
    ["/a=", { path: "/a", directory: "" }],
    ["/a=b,fsid=x", { path: "/a", directory: "b", fsid: "x" }]
  ])("%s is what a file says", (text, json) => {
    expect(ExportFlag.parse(text)).toEqual(Result.succeed(json))
  })

  it.each<[text: string, problem: RegExp]>([
    ["/a=b,foo", /^expected ro, rw, squash=, .*, allow=, deny=, got "foo"$/],
    ["/a=b,ro=1", /got "ro=1"$/],
    ["/a=b,squash", /got "squash"$/],
    ["/a=b,,ro", /got ""$/],
    ["/a=b,toString", /got "toString"$/],
    ["/a=b,ro,rw", /^expected readOnly to be said once, got "rw", too$/],
    ["/a=b,allow=*+async", /^expected ro, rw, [^,]*, anonuid=, .*, got "async"$/],
    ["/a=b,allow", /got "allow"$/]
  ])("%s is told what is wrong", (text, problem) => {
    expect(ExportFlag.parse(text)).toEqual(Result.fail(expect.stringMatching(problem)))
  })

  const Id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
  const terms = {
    readOnly: Schema.optionalKey(Schema.Boolean),
    squash: Schema.optionalKey(Schema.Literals(["none", "root", "all", "self"])),
    anonymousUid: Schema.optionalKey(Id),
    anonymousGid: Schema.optionalKey(Id),
    privilegedPort: Schema.optionalKey(Schema.Literals([true])),
    flavors: Schema.optionalKey(Schema.Literals(["sys", "none", "sys+none"]))
  }
  const Rule = Schema.Struct({ match: Schema.Literals(["*", "10.0.0.0/8", "::1"]), ...terms })
  const Export = Schema.Struct({
    path: Schema.Literals(["/", "/data", "/a b,c"]),
    directory: Schema.NonEmptyString,
    async: Schema.optionalKey(Schema.Literals([true])),
    fsid: Schema.optionalKey(Id),
    clients: Schema.Array(Rule),
    ...terms
  })

  const words = (one: Omit<typeof Rule.Type, "match">): ReadonlyArray<string> => [
    ...(one.readOnly === undefined ? [] : [one.readOnly ? "ro" : "rw"]),
    ...(one.squash === undefined ? [] : [`squash=${one.squash}`]),
    ...(one.anonymousUid === undefined ? [] : [`anonuid=${one.anonymousUid}`]),
    ...(one.anonymousGid === undefined ? [] : [`anongid=${one.anonymousGid}`]),
    ...(one.privilegedPort === undefined ? [] : ["privileged-port"]),
    ...(one.flavors === undefined ? [] : [`flavors=${one.flavors}`])
  ]
  const json = <A extends object>(one: A & { readonly flavors?: string }) =>
    one.flavors === undefined ? one : { ...one, flavors: one.flavors.split("+") }

  it.prop("says all that a file can say of it", [Export], ([one]) => {
    const { clients, ...own } = one
    // A backslash before a comma makes it a part of the name; names that end with one are for files.
    if (one.directory.startsWith("memory") || /\\(,|$)/.test(one.directory)) return
    const text = [
      `${one.path}=${one.directory.replaceAll(",", "\\,")}`,
      ...words(one),
      ...(one.async === undefined ? [] : ["async"]),
      ...(one.fsid === undefined ? [] : [`fsid=${one.fsid}`]),
      ...clients.map((rule) => [`allow=${rule.match}`, ...words(rule)].join("+"))
    ].join(",")
    expect(ExportFlag.parse(text)).toEqual(
      Result.succeed({ ...json(own), ...(clients.length > 0 && { clients: clients.map(json) }) })
    )
  })
})
