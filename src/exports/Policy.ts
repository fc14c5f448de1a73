/**
 * The terms of an export, as a schema: what comes from code, from a configuration file and from the command line is checked
 * by it, and the documentation of the settings is made from it.
 */

import { Buffer } from "node:buffer"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { Rate } from "../pool/Rate.ts"
import * as AddressPattern from "./AddressPattern.ts"
import { NOBODY } from "./Identity.ts"

/** Unsigned 32 bits. */
const uint32 = Schema.Number.check(
  Schema.makeFilter((n) => n >>> 0 === n, { expected: "an integer from 0 to 4294967295" })
)

/** `false` by default. */
const flag = ({ description }: { readonly description: string }) =>
  Schema.optional(Schema.Boolean).annotate({ description, default: false, expected: "true or false" })

/** The most bytes that a MOUNT call's path may have (RFC 1813, 5.1.1). */
export const PATH_MAX = 1024

/** What clients mount: an absolute path, which need not exist anywhere else. Slashes that say nothing are ignored. */
export const ExportPath = Schema.String.check(
  Schema.makeFilter((path) => path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= PATH_MAX, {
    expected: `a path that begins with a slash and has at most ${PATH_MAX} bytes, none of them NUL`
  })
).annotate({ description: "what clients mount, an absolute path, which need not exist anywhere else" })

const terms = {
  /** Whether nothing can be changed; default `false`. */
  readOnly: flag({ description: "whether nothing can be changed" }),
  /**
   * Whose word is not taken for who they are. Default `"root"`: everybody but root is who they say. For a directory of the
   * host that a process without the rights of root serves, choose `"self"`.
   */
  squash: Schema.optional(Schema.Literals(["none", "root", "all", "self"])).annotate({
    description:
      "whose word is not taken for who they are: nobody's, root's, everybody's (they become anonymous), or everybody's (they become the server's own user)",
    default: "root"
  }),
  /** The user that the anonymous are; default 65534, "nobody". */
  anonymousUid: Schema.optional(uint32).annotate({
    description: "the number of the user that the anonymous are",
    default: NOBODY
  }),
  /** The group that the anonymous are in; default 65534. */
  anonymousGid: Schema.optional(uint32).annotate({
    description: "the number of the group that the anonymous are in",
    default: NOBODY
  }),
  /**
   * Whether calls must come from a source port below 1024, which on most systems only root can use; default `false`, since
   * macOS and containers call from others.
   */
  privilegedPort: flag({
    description: "whether calls must come from a source port below 1024, which on most systems only root can use"
  }),
  /**
   * How clients may say who they are; default `["sys", "none"]`. `"sys"`: by numbers of a user and groups (AUTH_SYS), which
   * nobody verifies. `"none"`: not at all (AUTH_NONE), which makes them anonymous.
   */
  flavors: Schema.optional(
    Schema.Array(Schema.Literals(["sys", "none"])).check(
      Schema.makeFilter((flavors) => flavors.length > 0, { expected: `one of "sys" and "none", or both` })
    )
  ).annotate({
    description: "how clients may say who they are: by numbers of a user and groups (sys), or not at all (none)",
    default: ["sys", "none"]
  })
} as const

/** `expected` in the message about a key that none of `fields` has. */
const known = (fields: Schema.Struct.Fields) => ({
  messageUnexpectedKey: `Expected one of ${Object.keys(fields).join(", ")}`
})

/** What an export's clients, or those of one of its rules, may do. */
export const Terms = Schema.Struct(terms).annotate(known(terms))
export type Terms = typeof Terms.Type

const rule = {
  /** `"*"`, an IP address or a CIDR. Those of IPv4 match IPv4 addresses in their IPv6 form, too. */
  match: Schema.String.check(
    Schema.makeFilter((text) => AddressPattern.parse(text) !== undefined, {
      expected: `"*", an IP address or a CIDR such as 10.0.0.0/8`
    })
  ).annotateKey({
    description: `which clients the rule is for: "*" for all, an IP address or a CIDR such as 10.0.0.0/8`,
    messageMissingKey: `Expected "*", an IP address or a CIDR such as 10.0.0.0/8`
  }),
  /** Whether these clients may do nothing at all; default `false`. */
  deny: flag({ description: "whether these clients may do nothing at all" }),
  ...terms
} as const

/** Who may use an export, and on which terms. What a rule does not say is as the export has it. */
export const ClientRule = Schema.Struct(rule)
  .annotate(known(rule))
  .check(
    Schema.makeFilter((rule) => {
      const [idle] = Object.keys(terms).filter((key) => rule[key as keyof Terms] !== undefined)
      if (rule.deny !== true || idle === undefined) return undefined
      return { path: [idle], issue: "Expected no terms for clients that may do nothing (deny)" }
    })
  )
export type ClientRule = typeof ClientRule.Type

const policy = {
  ...terms,
  /** Who may use it: the first rule that matches a client's address holds. Without rules everybody, with rules nobody else. */
  clients: Schema.optional(Schema.Array(ClientRule)).annotate({
    description:
      "who may use it: the first rule that matches a client's address holds, and what it does not say is as the export has it; with rules, nobody else may (default: everybody)",
    expected: "a list of rules"
  }),
  /**
   * The number of the export, 0 to 2^32 - 1, by which file handles name it; made from its path by default. Set it to
   * rename an export that is mounted.
   */
  fsid: Schema.optional(uint32).annotate({
    description:
      "the number by which file handles name it, to keep them when it is renamed (default: made from its path)"
  }),
  /** The most bytes of a file; default what the filesystem can hold. */
  maxFileSize: Schema.optional(
    Schema.Number.check(
      Schema.makeFilter((n) => Number.isSafeInteger(n) && n >= 0, { expected: "a number of bytes, 0 or more" })
    )
  ).annotate({
    description: "the most bytes of a file (default: what the filesystem can hold)"
  }),
  /** What all clients together may ask for in a time; default: any amount. */
  rate: Schema.optional(Rate).annotate({
    description:
      "how much all clients together may ask of it in a time: while they ask for more, those who do are read from later (default: any amount)"
  })
} as const

/** The terms of an export. */
export const Policy = Schema.Struct(policy).annotate(known(policy))
export type Policy = typeof Policy.Type

/** Terms that leave nothing open. */
export type Settled = { readonly [K in keyof Terms]-?: NonNullable<Terms[K]> }

/** The terms where nothing is said. */
export const defaults: Settled = {
  readOnly: false,
  squash: "root",
  anonymousUid: NOBODY,
  anonymousGid: NOBODY,
  privilegedPort: false,
  flavors: ["sys", "none"]
}

/** `terms`, and `otherwise` where they say nothing. */
export const settle = (terms: Terms, otherwise: Settled): Settled => ({
  readOnly: terms.readOnly ?? otherwise.readOnly,
  squash: terms.squash ?? otherwise.squash,
  anonymousUid: terms.anonymousUid ?? otherwise.anonymousUid,
  anonymousGid: terms.anonymousGid ?? otherwise.anonymousGid,
  privilegedPort: terms.privilegedPort ?? otherwise.privilegedPort,
  flavors: terms.flavors ?? otherwise.flavors
})

/** How to decode what people have written: everything that is wrong, with what is there. */
export const strictly = { errors: "all", onExcessProperty: "error", reportInput: true } as const

/** What is wrong, as `clients[0].match: expected ..., got ...`, in one line each. */
export const explain = (issue: SchemaIssue.Issue): ReadonlyArray<string> =>
  formatter(issue).issues.map(({ message, path = [] }) => {
    const field = path.map(segment).join("").replace(/^\./, "")
    const what = message.replace(/^Expected/, "expected").replace(/ \| undefined(?=, got )/, "")
    return field === "" ? what : `${field}: ${what}`
  })

const formatter = SchemaIssue.makeFormatterStandardSchemaV1()

const segment = (key: PropertyKey | { readonly key: PropertyKey }): string => {
  const name = typeof key === "object" ? key.key : key
  return typeof name === "number" ? `[${name}]` : `.${String(name)}`
}
