/**
 * A filesystem of numbers: a directory for each, with what is known about it, computed when somebody looks. The root lists
 * the numbers up to 100, and has the others, too: `cat /mnt/1001/factors`.
 */

import { ComputedFilesystem } from "effect-nfs"
import * as Effect from "effect/Effect"

const factors = (n: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  let rest = n
  for (let factor = 2; factor * factor <= rest; factor++) {
    for (; rest % factor === 0; rest /= factor) found.push(factor)
  }
  return rest > 1 ? [...found, rest] : found
}

/** The files that each number has. */
const facts: ReadonlyMap<string, (n: number) => string> = new Map([
  ["square", (n) => `${n * n}\n`],
  ["binary", (n) => `${n.toString(2)}\n`],
  ["factors", (n) => `${factors(n).join(" ")}\n`]
])

const isNumber = (name: string): boolean => /^[1-9]\d{0,7}$/.test(name)

/** Names with the ids that they stand for. Ids are paths here, without the first slash. */
const listed: ReadonlyMap<string, string> = new Map([
  ["all.txt", "all.txt"],
  ["largest", "largest"],
  ...Array.from({ length: 100 }, (_, i): [string, string] => [`${i + 1}`, `${i + 1}`])
])

const LINE = 7
const LINES = 100_000

/** The part of `all.txt` that somebody reads: its line n is n, in six columns. */
const linesAt = (offset: number, count: number): Uint8Array => {
  const first = Math.floor(offset / LINE)
  const last = Math.ceil((offset + count) / LINE)
  const lines = Array.from({ length: last - first }, (_, i) => `${first + i + 1}\n`.padStart(LINE))
  return Buffer.from(lines.join("")).subarray(offset - first * LINE, offset - first * LINE + count)
}

/** What the file with this id is. */
const get = (id: string): ComputedFilesystem.Node | undefined => {
  if (id === "") {
    return {
      type: "directory",
      parent: "",
      entries: listed,
      find: (name) => listed.get(name) ?? (isNumber(name) ? name : undefined)
    }
  }
  if (id === "largest") return { type: "symlink", target: "100" }
  if (id === "all.txt") {
    return { type: "regular", size: LINE * LINES, read: (offset, count) => Effect.sync(() => linesAt(offset, count)) }
  }
  const [number = "", name] = id.split("/")
  if (!isNumber(number)) return undefined
  if (name === undefined) {
    const entries = new Map(Array.from(facts.keys(), (fact) => [fact, `${number}/${fact}`]))
    return { type: "directory", parent: "", entries }
  }
  const fact = facts.get(name)
  return fact && { type: "regular", content: fact(Number(number)) }
}

export const layer = ComputedFilesystem.layer({ root: "", get: (id) => Effect.sync(() => get(id)) })
