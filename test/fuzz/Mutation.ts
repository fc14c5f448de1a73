/** What can be wrong with a call. Each mutation takes a call apart or its bytes, and gives what a broken client might send. */

import { Buffer } from "node:buffer"
import type { Random } from "../support/random.ts"
import { counted, isCounted, join, type Part, wide, word } from "./Parts.ts"

/** What calls of this run are about: real values to put where mutated ones would be refused at once. */
export interface Dictionary {
  readonly handles: ReadonlyArray<Buffer>
  readonly names: ReadonlyArray<Buffer>
  /** Directories and names in them. */
  readonly entries: ReadonlyArray<{ readonly directory: Buffer; readonly name: Buffer }>
  /** Cookies, offsets, sizes. */
  readonly wides: ReadonlyArray<bigint>
}

/** Lengths, counts, discriminants at which something changes: the limits of types, protocols and of this server. */
const words = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 20, 31, 32, 33, 63, 64, 65, 68, 127, 128, 255, 256, 257, 399, 400, 401, 404,
  1023, 1024, 1025, 4095, 4096, 4097, 4100, 65_535, 65_536, 100_000, 100_003, 100_005, 0xf_ffff, 0x10_0000, 0x10_0001,
  0x7fff_fffc, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fff0, 0xffff_fffc, 0xffff_fffe, 0xffff_ffff
]

const wides = [
  0n,
  1n,
  2n,
  3n,
  2n ** 31n,
  2n ** 32n,
  2n ** 52n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 64n - 1n
]

/** Names that a path may not be made of, or that are too much for one. */
const names = [
  "",
  ".",
  "..",
  "/",
  "../outside",
  "../outside/secret",
  "/etc/passwd",
  "a/b",
  "a\0b",
  "\0",
  "x".repeat(255),
  "x".repeat(256),
  "x".repeat(4096),
  "x".repeat(4097),
  "ä".repeat(128),
  "link-outside",
  "\ud83d\ude00"
].map((name) => Buffer.from(name))

const notUtf8 = [Buffer.of(0xff), Buffer.of(0xc0, 0xaf), Buffer.of(0xed, 0xa0, 0x80), Buffer.of(0x61, 0x80, 0x62)]

/** Parts of a call before its arguments: six words, and a flavour, length and body for its credential, none for its verifier. */
const HEADER = 11

/** Calls taken apart. */
type Structural = (
  parts: Array<Part>,
  random: Random,
  dictionary: Dictionary,
  others: () => ReadonlyArray<Part>
) => void

/** Where parts of these kinds are, of the arguments unless said otherwise. */
const places = (parts: ReadonlyArray<Part>, kinds: ReadonlyArray<Part["kind"]>, from = 1): ReadonlyArray<number> =>
  parts.flatMap(({ kind }, index) => (index >= from && kinds.includes(kind) ? [index] : []))

const at = (
  parts: Array<Part>,
  random: Random,
  kinds: ReadonlyArray<Part["kind"]>,
  change: (index: number, part: Part) => void
): void => {
  // The header decides about everything: it is left alone more often.
  const inside = places(parts, kinds, HEADER)
  const all = places(parts, kinds)
  const from = inside.length > 0 && random.chance(0.9) ? inside : all
  if (from.length === 0) return
  const index = random.pick(from)
  change(index, parts[index]!)
}

/** Puts data with its length in the place of other data that has one. */
const replace = (parts: Array<Part>, index: number, kind: Part["kind"], bytes: Buffer): void => {
  if (isCounted(parts, index)) parts[index - 1] = word(bytes.length)
  parts[index] = { kind, bytes }
}

const structural: ReadonlyArray<Structural> = [
  // A number, length, discriminant or boolean that stands on an edge.
  (parts, random) => at(parts, random, ["word"], (index) => (parts[index] = word(random.pick(words)))),
  (parts, random) =>
    at(parts, random, ["word"], (index, { bytes }) => {
      parts[index] = word(bytes.readUInt32BE() + random.pick([-4, -2, -1, 1, 2, 4]))
    }),
  (parts, random, dictionary) =>
    at(parts, random, ["wide"], (index) => (parts[index] = wide(random.pick([...wides, ...dictionary.wides])))),
  // Another handle, another name: of another file, in another place, or none.
  (parts, random, { entries, handles }) => {
    const entry = random.pick(entries)
    if (random.chance(0.5))
      return at(parts, random, ["text"], (index) => {
        if (parts[index - 2]?.kind === "opaque") replace(parts, index - 2, "opaque", entry.directory)
        replace(parts, index, "text", entry.name)
      })
    at(parts, random, ["opaque"], (index) => replace(parts, index, "opaque", random.pick(handles)))
  },
  (parts, random) =>
    at(parts, random, ["opaque"], (index) =>
      replace(parts, index, "opaque", random.bytes(random.pick([0, 1, 4, 8, 31, 32, 64, 65])))
    ),
  (parts, random, dictionary) =>
    at(parts, random, ["text"], (index) =>
      replace(parts, index, "text", random.pick([...names, ...notUtf8, ...dictionary.names]))
    ),
  // Parts missing, repeated, exchanged.
  (parts, random) => at(parts, random, ["word", "wide", "opaque", "text"], (index) => parts.splice(index, 1)),
  (parts, random) =>
    at(parts, random, ["word", "wide", "opaque", "text"], (index, part) => parts.splice(index, 0, part)),
  (parts, random) => {
    const [a, b] = [random.int(parts.length), random.int(parts.length)]
    ;[parts[a], parts[b]] = [parts[b]!, parts[a]!]
  },
  // The head of one call and the tail of another.
  (parts, random, _, others) => {
    const tail = others()
    parts.splice(random.between(1, parts.length), Infinity, ...tail.slice(random.int(tail.length)))
  },
  // Much of something.
  (parts, random) =>
    at(parts, random, ["word", "text"], (index, part) => {
      parts.splice(index, 0, ...Array.from({ length: random.pick([10, 1000]) }, () => part))
    })
]

/** Calls as bytes. */
type Bytewise = (bytes: Buffer, random: Random) => Buffer

const bytewise: ReadonlyArray<Bytewise> = [
  (bytes, random) => {
    const flipped = Buffer.from(bytes)
    for (let flips = random.pick([1, 1, 2, 8]); flips > 0; flips--) {
      flipped[random.int(flipped.length)]! ^= 1 << random.int(8)
    }
    return flipped
  },
  (bytes, random) => bytes.subarray(0, random.int(bytes.length)),
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.between(1, 40))]),
  // Not at a multiple of four any more.
  (bytes, random) => {
    const at = random.int(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), random.bytes(random.between(1, 3)), bytes.subarray(at)])
  }
]

/** Who calls: nobody, somebody, and what is neither. The flavour and the body of a credential. */
export const credential = (random: Random): ReadonlyArray<Part> => {
  const machine = (length: number): ReadonlyArray<Part> => [
    word(length),
    { kind: "text", bytes: Buffer.alloc(length, "m") }
  ]
  const groups = (count: number): ReadonlyArray<Part> => [word(count), ...Array.from({ length: count }, word)]
  const sys = (uid: number, ...rest: ReadonlyArray<ReadonlyArray<Part>>): ReadonlyArray<Part> => [
    word(1),
    ...counted(join([word(7), ...machine(4), word(uid), word(uid), ...rest.flat()]))
  ]
  const body = (flavor: number, length: number): ReadonlyArray<Part> => [word(flavor), ...counted(random.bytes(length))]
  return random.pick<() => ReadonlyArray<Part>>([
    () => sys(0, groups(0)),
    () => sys(0, groups(16)),
    () => sys(1000, groups(3)),
    () => sys(0xffff_ffff, groups(1)),
    () => sys(0xffff_fffe, groups(1)),
    () => sys(1000, groups(17)),
    () => sys(1000, [word(0xffff_ffff)]),
    () => sys(1000, groups(1), [word(1)]),
    () => sys(1000),
    () => [word(1), ...counted(join([word(7), ...machine(256), word(0), word(0), word(0)]))],
    () => body(0, 0),
    () => body(0, 8),
    () => body(1, random.int(60)),
    () => body(6, random.int(60)),
    () => body(random.int(8), 400),
    () => body(random.int(8), 401),
    () => [word(1), word(0xffff_ffff)],
    () => [word(1), word(0x7fff_fffc), { kind: "opaque", bytes: random.bytes(20) }]
  ])()
}

/** A call with some of this done to it, as bytes. `others` gives another call. */
export const mutate = (
  call: ReadonlyArray<Part>,
  random: Random,
  dictionary: Dictionary,
  others: () => ReadonlyArray<Part>
): Buffer => {
  const parts = [...call]
  const bytesOnly = random.chance(0.3)
  if (!bytesOnly) {
    for (let count = random.pick([1, 1, 1, 2, 3]); count > 0; count--) {
      random.pick(structural)(parts, random, dictionary, others)
    }
  }
  const bytes = join(parts)
  return bytesOnly || random.chance(0.1)
    ? random.pick(bytewise)(bytes.length === 0 ? Buffer.alloc(1) : bytes, random)
    : bytes
}
