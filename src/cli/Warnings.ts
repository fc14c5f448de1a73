/** What a configuration lets people do that its author may not have meant. */

import type { ServerConfig } from "../server/ServerConfig.ts"
import * as Sources from "../server/Sources.ts"

/** Exports that are for everybody, where more than this machine can reach them: one line each. */
export const warnings = (
  { exports, listen }: ServerConfig,
  host = listen?.host ?? "127.0.0.1"
): ReadonlyArray<string> => {
  if (host.startsWith("127.") || host === "::1" || host === "localhost") return []
  return exports
    .filter(({ clients }) => clients === undefined)
    .map((one) => {
      const squash = Sources.squashOf(one)
      const who = squash === "none" || squash === "root" ? ", as any user: NFS believes clients" : ""
      return `Everybody who reaches ${host} may use ${one.path}${who}. Name its clients, as in "clients": [{ "match": "10.0.0.0/8" }] or allow=10.0.0.0/8.`
    })
}
