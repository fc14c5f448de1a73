/**
 * The rooms of src/ and who may import from whom: each room knows only rooms above it in this table, and some of them
 * not even these (docs/architecture.md says why). `npm run lint` checks every import of src/ against it.
 */

import { globSync, readFileSync } from "node:fs"
import { posix } from "node:path"

interface Room {
  /** The rooms it may import from, besides itself. */
  readonly knows: ReadonlyArray<string>
  /** Whether it may open sockets, or import modules that do. */
  readonly sockets: boolean
}

const table = new Map<string, Room>([
  ["xdr", { knows: [], sockets: false }],
  ["pool", { knows: [], sockets: false }],
  ["rpc", { knows: ["xdr", "pool"], sockets: true }],
  ["filesystem", { knows: ["xdr", "pool"], sockets: false }],
  ["exports", { knows: ["pool", "filesystem"], sockets: false }],
  ["programs", { knows: ["xdr", "rpc", "pool", "filesystem", "exports"], sockets: false }],
  ["server", { knows: ["xdr", "rpc", "pool", "filesystem", "exports", "programs"], sockets: true }],
  ["observability", { knows: ["xdr", "rpc", "pool", "filesystem", "exports", "programs", "server"], sockets: true }],
  ["testing", { knows: ["xdr", "filesystem"], sockets: false }]
])

/** It needs a test runner, which an app that only serves has not: nobody imports from it but tests. */
const forTestsOnly = "testing"

/** The last room, cli/ with main.ts and index.ts, knows all others but the one for tests. */
const outermost = (room: string): boolean => room === "cli" || room === "main.ts" || room === "index.ts"

const sockets =
  /^node:(net|dgram|tls|http|https|http2)$|^effect\/(socket|http)\/|^@effect\/platform-node\/Node(Socket|Http)|(Tcp|Udp|Tls|Socket|Transport)\w*\.ts$/

/** What of `node:net` is about addresses only. */
const addresses = /^\s*import\s*\{(\s*(BlockList|isIP|isIPv4|isIPv6)\s*,?)+\s*\}\s*from\s*["']node:net["']/

const imports =
  /^\s*(?:import|export)\b[^"'`;]*?\bfrom\s*["'](?<from>[^"']+)["']|^\s*import\s*["'](?<bare>[^"']+)["']|\bimport\(\s*["'](?<dynamic>[^"']+)["']/gm

const withoutComments = (source: string): string =>
  source.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replaceAll(/[^\n]/g, " "))

/** What is wrong with the imports of one file of src/, each as `path:line: what`. `path` is relative to src/. */
export const check = (path: string, source: string): ReadonlyArray<string> => {
  const roomOf = (file: string): string => file.split("/")[0] ?? file
  const home = roomOf(path)
  const room = table.get(home)
  if (room === undefined && !outermost(home)) {
    return [`src/${path}:1: belongs to no room; put it into one of ${[...table.keys(), "cli"].join(", ")}`]
  }
  const knows = (other: string): boolean => (room === undefined ? other !== forTestsOnly : room.knows.includes(other))
  const found: Array<string> = []
  const code = withoutComments(source)
  for (const match of code.matchAll(imports)) {
    const { from, bare, dynamic } = match.groups ?? {}
    const target = from ?? bare ?? dynamic ?? ""
    const line = code.slice(0, match.index + match[0].length).split("\n").length
    const report = (what: string): number => found.push(`src/${path}:${line}: ${what}`)
    if (room?.sockets === false && sockets.test(target) && !addresses.test(match[0]))
      report(`${home}/ knows nothing about sockets, but imports ${target}`)
    if (!target.startsWith(".")) continue
    const file = posix.join(posix.dirname(path), target)
    if (file.startsWith("..")) report(`src/ may not import from outside of it: ${target}`)
    else if (roomOf(file) !== home && !knows(roomOf(file))) {
      report(`${home} may not import from ${roomOf(file)}: ${target}`)
    }
  }
  return found
}

if (import.meta.main) {
  const found = globSync("src/**/*.{ts,js}")
    .map((path) => path.replaceAll("\\", "/"))
    .flatMap((path) => check(path.slice("src/".length), readFileSync(path, "utf8")))
  for (const line of found) console.error(line)
  process.exitCode = found.length === 0 ? 0 : 1
}
