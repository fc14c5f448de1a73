/** From which port a client calls: some servers believe only those that not every user may send from. */

import { randomInt } from "node:crypto"
import * as Effect from "effect/Effect"
import type { RpcDisconnected } from "./ClientCalls.ts"

/** Ports from here to 1023 (IPPORT_RESERVED) are tried; services that listen have theirs mostly below. */
const FIRST = 665
const END = 1024

/** Ports that are tried before none is taken to be free. */
const ATTEMPTS = 30

/** Opens something from a privileged port; from any (0) where this process may use none, or none is free. */
export const privileged = <A, R>(
  open: (localPort: number) => Effect.Effect<A, RpcDisconnected, R>
): Effect.Effect<A, RpcDisconnected, R> => {
  const start = randomInt(FIRST, END)
  const attempt = (tried: number): Effect.Effect<A, RpcDisconnected, R> =>
    tried === ATTEMPTS
      ? open(0)
      : open(FIRST + ((start - FIRST + tried) % (END - FIRST))).pipe(
          Effect.catchIf(
            ({ code }) => code === "EADDRINUSE" || code === "EADDRNOTAVAIL",
            () => attempt(tried + 1)
          ),
          Effect.catchIf(
            ({ code }) => code === "EACCES",
            () => open(0)
          )
        )
  return attempt(0)
}
