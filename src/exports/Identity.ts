/** Who a caller is to a filesystem: its user and groups, after what an export makes of them. */

/** Who a caller says it is, as RPC's credentials have it. */
export type Claim =
  | { readonly _tag: "None" }
  | { readonly _tag: "Sys"; readonly uid: number; readonly gid: number; readonly gids: ReadonlyArray<number> }

export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Auxiliary groups. */
  readonly gids: ReadonlyArray<number>
}

/**
 * Whose word is not taken for who they are: nobody's; root's, who becomes anonymous; everybody's, who become anonymous
 * ("all") or the user and groups that this process has ("self").
 *
 * "self" is for directories of the host that are served without the rights of root: the system lets the server do what its
 * own user may, whoever asks, and gives that user what it makes. With "self" clients are told the same.
 */
export type Squash = "none" | "root" | "all" | "self"

export interface SquashPolicy {
  readonly squash: Squash
  readonly anonymousUid: number
  readonly anonymousGid: number
}

/** The uid and gid of "nobody" on most systems. */
export const NOBODY = 65534

export const ROOT = 0

/** What POSIX calls "no id": no user and no group has it. */
const NO_ID = 0xffff_ffff

/** The user and groups of this process; nobody where the system has no such thing. */
export const ofProcess = (): Identity => ({
  uid: process.geteuid?.() ?? NOBODY,
  gid: process.getegid?.() ?? NOBODY,
  gids: process.getgroups?.() ?? []
})

/** Who a caller is under `policy`. Callers without credentials are anonymous under each, but for "self". */
export const make = (claim: Claim, policy: SquashPolicy): Identity => {
  const { anonymousGid, anonymousUid, squash } = policy
  if (squash === "self") return ofProcess()
  if (claim._tag === "None" || squash === "all") return { uid: anonymousUid, gid: anonymousGid, gids: [] }
  const user = (uid: number): number => (uid === NO_ID || (squash === "root" && uid === ROOT) ? anonymousUid : uid)
  const group = (gid: number): number => (gid === NO_ID || (squash === "root" && gid === ROOT) ? anonymousGid : gid)
  return { uid: user(claim.uid), gid: group(claim.gid), gids: claim.gids.map(group) }
}

export const isRoot = (identity: Identity): boolean => identity.uid === ROOT

export const isMember = (identity: Identity, gid: number): boolean =>
  identity.gid === gid || identity.gids.includes(gid)
