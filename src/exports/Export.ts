/**
 * A filesystem as it is served: its handles, and who may do what with it.
 *
 * Terms belong to an address, rights to who calls from there. Both are found once and remembered as long as the connection
 * and the credentials last that they are for: a call costs two look-ups. Nothing of it outlives the export, so another
 * policy, which comes as another export, holds from the next call on.
 */

import { hash } from "node:crypto"
import type { File, Operations } from "../filesystem/Filesystem.ts"
import { errors, type FilesystemError } from "../filesystem/FilesystemError.ts"
import * as ReadOnly from "../filesystem/ReadOnly.ts"
import { prompt } from "../filesystem/Step.ts"
import type { Rate } from "../pool/Rate.ts"
import { Throttle } from "../pool/Throttle.ts"
import * as Access from "./Access.ts"
import * as AddressPattern from "./AddressPattern.ts"
import { type FileHandles, lengthFor } from "./FileHandle.ts"
import * as Identity from "./Identity.ts"
import { type ClientRule, defaults, type Policy, settle, type Settled } from "./Policy.ts"

/** A filesystem to export. */
export interface ExportOptions extends Policy {
  /** What clients mount: an absolute path, which need not exist anywhere else. */
  readonly path: string
  readonly filesystem: Operations
}

/** Where calls come from: one object as long as the connection lasts, since what it may do is remembered by it. */
export interface Client {
  /** Without port; IPv4 in dotted form. */
  readonly address: string
  readonly port: number
}

/** What a caller may do. */
export interface Grant {
  /** For calling each when it shall happen ({@link prompt}). Those of a read-only export change nothing. */
  readonly operations: Operations
  readonly access: Access.Access
  /** The terms of the client that it calls from. */
  readonly terms: Settled
  /** Whether it did not say who it is, where that is asked for. */
  readonly tooWeak: boolean
}

export interface Export {
  readonly path: string
  /** Names it in file handles and in its files' attributes. */
  readonly id: number
  readonly fsid: bigint
  /** The filesystem as it is; a caller's are in its {@link Grant}. */
  readonly operations: Operations
  /** No file is made longer than so many bytes. */
  readonly maxFileSize: number
  readonly rate: Rate | undefined
  /** What its calls are charged to; `undefined` when it has no rate. */
  readonly throttle: Throttle | undefined
  /** Bytes of each of its file handles. */
  readonly handleLength: number
  readonly handle: (file: File) => Uint8Array
  /** The addresses of who may use it, as its rules have them; `undefined`: everybody. */
  readonly groups: ReadonlyArray<string> | undefined
  /** The terms for an address; `undefined` when it may not use this export. */
  readonly termsFor: (address: string) => Settled | undefined
  /** EACCES when the client may not use this export. */
  readonly grant: (client: Client, claim: Identity.Claim) => Grant | FilesystemError
}

/** From here on, ports are anybody's (IPPORT_RESERVED). */
const UNPRIVILEGED_FROM = 1024

/** `path` without slashes that say nothing. */
export const normalize = (path: string): string =>
  `/${path
    .split("/")
    .filter((part) => part !== "")
    .join("/")}`

const idFor = (path: string): number => hash("sha256", path, "buffer").readUInt32BE(0)

/** What tells an export from others: the path that clients mount, and the number in its file handles. */
export const identify = (said: { readonly path: string; readonly fsid?: number | undefined }) => {
  const path = normalize(said.path)
  return { path, id: said.fsid ?? idFor(path) }
}

/** An export as its options, which are valid, say. What is owed to the one `before` it, is owed to it. */
export const make = (options: ExportOptions, handles: FileHandles, before?: Export): Export => {
  const { id, path } = identify(options)
  const { clients, filesystem, maxFileSize = Infinity, rate } = options
  const operations = prompt(filesystem)
  const readOnly = ReadOnly.readOnly(operations)
  const termsFor = termsOf(settle(options, defaults), clients)
  const admissions = new WeakMap<Client, Admission>()
  const admit = ({ address, port }: Client): Admission => {
    const terms = termsFor(address)
    if (terms === undefined || (terms.privilegedPort && port >= UNPRIVILEGED_FROM)) return nobody
    return admission(terms, terms.readOnly ? readOnly : operations)
  }
  return {
    path,
    id,
    fsid: BigInt(id),
    operations: filesystem,
    maxFileSize: Math.min(maxFileSize, filesystem.properties.maxFileSize),
    rate,
    throttle: rate === undefined ? undefined : (before?.throttle ?? new Throttle(rate)),
    handleLength: lengthFor(filesystem.root.key.length),
    handle: (file) => handles.encode(id, file.key),
    groups: clients?.filter(({ deny }) => deny !== true).map(({ match }) => match),
    termsFor,
    grant: (client, claim) => {
      let admitted = admissions.get(client)
      if (admitted === undefined) {
        admitted = admit(client)
        admissions.set(client, admitted)
      }
      return admitted(claim)
    }
  }
}

/** The terms for an address: those of the first rule that matches, and of the export where that says nothing. */
const termsOf = (
  own: Settled,
  clients: ReadonlyArray<ClientRule> | undefined
): ((address: string) => Settled | undefined) => {
  if (clients === undefined) return () => own
  const rules = clients.map((rule) => ({
    matches: AddressPattern.parse(rule.match)!,
    terms: rule.deny === true ? undefined : settle(rule, own)
  }))
  return (address) => rules.find(({ matches }) => matches(address))?.terms
}

/** What the users of a client may do. */
type Admission = (claim: Identity.Claim) => Grant | FilesystemError

/** Of a client that may do nothing. */
const nobody: Admission = () => errors.EACCES

const admission = (terms: Settled, operations: Operations): Admission => {
  const { flavors } = terms
  const known = new WeakMap<Identity.Claim, Grant>()
  return (claim) => {
    let grant = known.get(claim)
    if (grant === undefined) {
      // Who says more than is asked for is not listened to: Linux always says who it is.
      const heard = flavors.includes("sys") ? claim : unknown
      const access = Access.make(Identity.make(heard, terms))
      const tooWeak = claim._tag === "None" && !flavors.includes("none")
      grant = { operations, access, terms, tooWeak }
      known.set(claim, grant)
    }
    return grant
  }
}

const unknown: Identity.Claim = { _tag: "None" }
