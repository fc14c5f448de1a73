/** What a configuration lets people do that its author may not have meant, or means and cannot have: one line each. */

import * as Limits from "../rpc/Limits.ts"
import type { ServerConfig } from "../server/ServerConfig.ts"
import * as Sources from "../server/Sources.ts"

export const warnings = (config: ServerConfig, host = config.listen?.host ?? "127.0.0.1"): ReadonlyArray<string> => [
  ...openToAll(config, host),
  ...neverReached(config),
  ...tooMany(config)
]

/** Exports that are for everybody, where more than this machine can reach them. */
const openToAll = ({ exports }: ServerConfig, host: string): ReadonlyArray<string> => {
  if (host.startsWith("127.") || host === "::1" || host === "localhost") return []
  return exports
    .filter(({ clients }) => clients === undefined)
    .map((one) => {
      const squash = Sources.squashOf(one)
      const who = squash === "none" || squash === "root" ? ", as any user: NFS believes clients" : ""
      return `Everybody who reaches ${host} may use ${one.path}${who}. Name its clients, as in "clients": [{ "match": "10.0.0.0/8" }] or allow=10.0.0.0/8.`
    })
}

/** Rules behind one for everybody. */
const neverReached = ({ exports }: ServerConfig): ReadonlyArray<string> =>
  exports.flatMap(({ clients = [], path }) => {
    const last = clients.findIndex(({ match }) => match === "*") + 1
    if (last === 0 || last === clients.length) return []
    return `The rules of ${path} behind the one for "*" are never looked at: the first that matches holds. Put that one last.`
  })

/** More connections than the system allows. */
const tooMany = ({ limits: { connections = 0 } = {} }: ServerConfig): ReadonlyArray<string> => {
  const most = Limits.mostConnections()
  if (connections <= most) return []
  return [
    `There will be ${most} connections at most, not ${connections}: the system lets this process have twice as many files and connections open. Raise that with ulimit -n, or LimitNOFILE= of systemd.`
  ]
}
