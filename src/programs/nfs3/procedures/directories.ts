/**
 * Listing directories: READDIR, READDIRPLUS (RFC 1813, 3.3.16, 3.3.17).
 *
 * Our cookie verifier is always zero, and whatever a client sends is accepted: cookies belong to entries, so a listing goes
 * on where it was also after the directory has changed.
 */

import * as Effect from "effect/Effect"
import { SEARCH } from "../../../exports/Permissions.ts"
import type { Entry, Listing } from "../../../filesystem/Filesystem.ts"
import * as Bytestring from "../../../xdr/Bytestring.ts"
import { type Entryplus3, READDIR, READDIRPLUS } from "../Nfs3Calls.ts"
import { NFS3_OK, onFile, postOp, type Target } from "../Operation.ts"
import { type Failure, refusal } from "../Status.ts"

const COOKIE_VERIFIER = new Uint8Array(8)

/** Cookies of the two entries that every directory has and no filesystem lists. */
const DOT_COOKIE = 1n
const DOT_DOT_COOKIE = 2n

/** `post_op_attr` with attributes. */
const ATTRIBUTES_LENGTH = 4 + 84
/** A reply without entries: status, attributes, verifier, end of the list, eof. */
const EMPTY_LENGTH = 4 + ATTRIBUTES_LENGTH + 8 + 4 + 4

/** An entry of READDIR: that there is one, its fileid, name and cookie. */
const entryLength = (name: string): number => {
  const length = Bytestring.byteLength(name)
  return 4 + 8 + 4 + length + (-length & 3) + 8
}

export const readdir = onFile(READDIR, {
  idempotent: true,
  handle: (args) => args.dir,
  run: (directory, { cookie, count }) => {
    let left = room(directory, count)
    const fits = (name: string): boolean => (left -= entryLength(name)) >= 0
    return list(directory, cookie, left, fits, false)
  },
  ok: (directory, listing) => ({
    status: NFS3_OK,
    dirAttributes: postOp(directory, listing.directory),
    cookieverf: COOKIE_VERIFIER,
    entries: listing.entries,
    eof: listing.eof
  }),
  failed: (status, attributes) => ({ status, dirAttributes: attributes })
})

export const readdirplus = onFile(READDIRPLUS, {
  idempotent: true,
  priority: "data",
  handle: (args) => args.dir,
  run: (directory, { cookie, dircount, maxcount }) => {
    const plusLength = ATTRIBUTES_LENGTH + 4 + 4 + directory.share.handleLength
    let left = room(directory, maxcount)
    // `dircount` bounds what READDIR gives too. It is how much a client would like to get, so it holds back no first entry.
    let leftOfNames = dircount
    let first = true
    const fits = (name: string): boolean => {
      const length = entryLength(name)
      left -= length + plusLength
      leftOfNames -= length
      const fitting = left >= 0 && (leftOfNames >= 0 || first)
      first = false
      return fitting
    }
    return list(directory, cookie, left, fits, true)
  },
  ok: (directory, listing) => {
    const searchable = (directory.access.permissions(listing.directory) & SEARCH) !== 0
    return {
      status: NFS3_OK,
      dirAttributes: postOp(directory, listing.directory),
      cookieverf: COOKIE_VERIFIER,
      entries: listing.entries.map((entry) => entryplus(directory, entry, searchable)),
      eof: listing.eof
    }
  },
  failed: (status, attributes) => ({ status, dirAttributes: attributes })
})

/** With what a LOOKUP of the entry would tell, for those who may search the directory. */
const entryplus = (directory: Target, { cookie, fileid, found, name }: Entry, searchable: boolean): Entryplus3 => {
  const shown = searchable ? found : undefined
  return {
    fileid,
    name,
    cookie,
    nameAttributes: shown === undefined ? undefined : postOp(directory, shown.attributes),
    nameHandle: shown === undefined ? undefined : directory.share.handle(shown.file)
  }
}

/** What a reply of `count` bytes has for entries. */
const room = ({ server }: Target, count: number): number => Math.min(count, server.maxTransfer) - EMPTY_LENGTH

const tooSmall = Effect.fail(refusal("NFS3ERR_TOOSMALL"))

/** The entries after `cookie` that fit, those of the directory itself and its parent among them. */
const list = Effect.fnUntracedEager(function* (
  { access, file, operations }: Target,
  cookie: bigint,
  room: number,
  fits: (name: string) => boolean,
  attributes: boolean
): Effect.fn.Return<Listing, Failure> {
  if (room < 0) return yield* tooSmall
  const entries: Array<Entry> = []
  if (cookie < DOT_DOT_COOKIE) {
    const parent = yield* operations.parent(file, access.readdir)
    const { directory } = parent
    if (cookie < DOT_COOKIE) {
      if (!fits(".")) return yield* tooSmall
      entries.push({ name: ".", fileid: directory.fileid, cookie: DOT_COOKIE, found: { file, attributes: directory } })
    }
    if (!fits("..")) return entries.length === 0 ? yield* tooSmall : { entries, eof: false, directory }
    entries.push({ name: "..", fileid: parent.attributes.fileid, cookie: DOT_DOT_COOKIE, found: parent })
  }
  const after = cookie <= DOT_DOT_COOKIE ? 0n : cookie
  const listing = yield* operations.readdir(file, { cookie: after, fits, attributes }, access.readdir)
  if (entries.length > 0) return { ...listing, entries: entries.concat(listing.entries) }
  return listing.entries.length > 0 || listing.eof ? listing : yield* tooSmall
})
