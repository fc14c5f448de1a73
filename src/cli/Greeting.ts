/** What `serve` tells the person who starts and ends it. */

import { hostname } from "node:os"
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Identity from "../exports/Identity.ts"
import type { Stats } from "../pool/WorkerPool.ts"
import { standardWeights, timeLimitsOf, weightsOf } from "../server/ConfiguredServer.ts"
import type { Mounted, NfsServer, Portmap } from "../server/NfsServer.ts"
import * as PerClass from "../server/PerClass.ts"
import type { Export, ServerConfig } from "../server/ServerConfig.ts"
import * as Sources from "../server/Sources.ts"
import { warnings } from "./Warnings.ts"

/** What is served, and how to mount it. */
export const greeting = (server: NfsServer["Service"], pool: Stats, config: ServerConfig): string => {
  const { host, port } = server.address
  const wildcard = host === "0.0.0.0" || host === "::"
  const name = wildcard ? hostname() : host.includes(":") ? `[${host}]` : host
  const all = config.exports.map((one, i) => `${quoted(`${name}:${server.exports[i]}`)} from ${described(one)}`)
  const [only, ...others] = all
  const from = only === undefined ? "nothing" : others.length > 0 ? `${all.length} exports` : only
  return [
    `effect-nfs serves ${from}, on port ${port}`,
    ...(others.length > 0 ? all.map((one) => `  ${one}`) : []),
    `  ${settingsOf(pool, config)}`,
    ...notes(config.exports).map((note) => `  ${note}`),
    ...warnings(config, host).map((warning) => `  ${warning}`),
    ...announcement(server.portmap),
    ...mounting(name, port, server),
    "Ctrl-C ends it."
  ].join("\n")
}

/** Where an export's files come from, and whether they can be changed. */
const described = ({ directory, readOnly }: Export): string =>
  `${directory ?? "memory"}, ${readOnly ? "read-only" : "read-write"}`

/** How to mount the first export. */
const mounting = (name: string, port: number, { exports: [path], portmap }: NfsServer["Service"]) => {
  if (path === undefined) return []
  const source = quoted(`${name}:${path}`)
  const netid = name.startsWith("[") ? "tcp6" : "tcp"
  const named = portmap._tag === "None"
  const ports = named ? `,port=${port},mountport=${port}` : ""
  const mountproto = named ? `,mountproto=${netid}` : ""
  return [
    `  Linux: sudo mount -t nfs -o vers=3,proto=${netid}${ports}${mountproto},nolock ${source} /mnt`,
    `  macOS: sudo mount_nfs -o vers=3,tcp${ports},nolocks ${source} /private/mnt`
  ]
}

/** What people should know of users and owners. */
const notes = (exports: ReadonlyArray<Export>): ReadonlyArray<string> => {
  const { uid } = Identity.ofProcess()
  const isRoot = uid === Identity.ROOT
  const all = exports.flatMap((one) => {
    if (one.directory === undefined) return []
    if (Sources.squashOf(one) === "self") {
      const acting = `Everybody who reaches this port acts as uid ${uid}, which it runs as`
      return [isRoot ? `${acting}.` : `${acting}: only root can serve users as who they are.`]
    }
    return isRoot
      ? []
      : [
          `Running as uid ${uid}, it cannot give files to other users: what they create is refused. --squash self makes everybody that user.`
        ]
  })
  return [...new Set(all)]
}

/** Who tells clients the ports. That nobody does has been logged, with the reason. */
const announcement = (portmap: Portmap): ReadonlyArray<string> => {
  switch (portmap._tag) {
    case "Rpcbind":
      return ["  Registered with rpcbind: clients need not name the port."]
    case "Own":
      return [`  Own portmapper on port ${portmap.port}: clients need not name the port.`]
    case "None":
      return []
  }
}

/** How requests are run, in one line. */
const settingsOf = ({ maxCost, maxWorkers, minWorkers, queueCapacity }: Stats, { pool = {} }: ServerConfig): string => {
  const { batch = 64, memory: { high = 0.9, low = 0.7 } = {} } = pool
  const weights = PerClass.format("weight", weightsOf(pool), String)
  return [
    minWorkers < maxWorkers ? `${minWorkers} to ${maxWorkers} workers` : `${maxWorkers} workers`,
    `queue ${queueCapacity}`,
    `batch ${batch}`,
    PerClass.format("time limit", timeLimitsOf(pool), Duration.format),
    ...(weights === PerClass.format("weight", standardWeights, String) ? [] : [weights]),
    `memory limit ${ByteSize.format(ByteSize.bytes(Math.floor(maxCost)))} (watermarks ${low} and ${high})`
  ].join(", ")
}

/** A word for a shell. */
const quoted = (text: string): string => (/^[\w:/.[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** Who will notice that the server is gone: who has said that it mounts, and who is connected all the same. */
export const farewell = (mounts: ReadonlyArray<Mounted>, clients: ReadonlyArray<string>): string => {
  const known = new Set(mounts.map(({ host }) => host))
  const silent = [...new Set(clients)].filter((host) => !known.has(host))
  const users = [...mounts.map(({ host, path }) => `  ${host} ${path}`), ...silent.map((host) => `  ${host}`)]
  if (users.length === 0) return "effect-nfs ends"
  return [
    "effect-nfs ends. These clients still have it mounted, and wait for it until they unmount (sudo umount -f -l, on macOS sudo umount -f):",
    ...users
  ].join("\n")
}
