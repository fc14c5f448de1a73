/**
 * When data may have been lost that clients have yet to commit.
 *
 * A system that fails to bring a file to stable storage may have dropped data of others, too, and tells of it only once, to
 * whoever syncs first. So every such failure renews the write verifier: then all clients send again what they have not
 * committed (RFC 1813, 3.3.7 and 3.3.21).
 */

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WriteVerifier } from "../../exports/SharedState.ts"
import type { Code, FilesystemError } from "../../filesystem/FilesystemError.ts"

const LOSSES: ReadonlySet<Code> = new Set(["EIO", "ENOSPC", "EDQUOT"])

/** An operation that syncs a file. It is seen through, whoever loses interest: nobody else would hear of a failure. */
export const syncing = <A>(
  { writeVerifier }: { readonly writeVerifier: WriteVerifier },
  operation: Effect.Effect<A, FilesystemError>
): Effect.Effect<A, FilesystemError> => {
  const watched = Effect.mapErrorEager(operation, (error) => {
    if (LOSSES.has(error.code)) writeVerifier.renew()
    return error
  })
  return Exit.isExit(watched) ? watched : Effect.uninterruptible(watched)
}
