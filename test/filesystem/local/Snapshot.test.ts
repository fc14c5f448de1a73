import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { FIRST_COOKIE } from "../../../src/filesystem/Filesystem.ts"
import { type NameHash, Snapshot } from "../../../src/filesystem/local/Snapshot.ts"
import * as Bytestring from "../../../src/xdr/Bytestring.ts"
import { property } from "../../support/runs.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Words that a name's first byte decides: names that begin with the same one collide. */
const hashing = (words: (first: number) => readonly [high: number, low: number]): NameHash => ({
  high: 0,
  low: 0,
  update(bytes, start) {
    const [high, low] = words(bytes[start]!)
    Object.assign(this, { high, low })
  }
})

const hashes: { readonly [K in "sip" | "all" | "some" | "close" | "zero"]: NameHash | undefined } = {
  sip: undefined,
  /** All names collide. */
  all: hashing(() => [-1, -1]),
  some: hashing((first) => [(first & 3) << 1, 0x0123_4567]),
  /** They differ in the last bit that counts. */
  close: hashing((first) => [0x7654_3210, (first & 7) << 9]),
  zero: hashing(() => [0, 0])
}

/** The n-th of many names: short, long, and of bytes that are no text. */
const nameOf = (n: number): string =>
  Bytestring.decode(Buffer.concat([Buffer.of(0x80 + (n & 0x3f)), Buffer.from(`${n}`), Buffer.alloc((n * n) % 37, "x")]))

const add = (snapshot: Snapshot, name: string, fileid: bigint): void => {
  const bytes = Buffer.concat([Buffer.from("around"), Bytestring.encode(name), Buffer.from("it")])
  snapshot.add(bytes, 6, bytes.length - 2, fileid)
}

const read = (names: ReadonlyMap<string, bigint>, hash?: NameHash): Snapshot => {
  const snapshot = new Snapshot(1n, hash)
  for (const [name, fileid] of names) add(snapshot, name, fileid)
  return snapshot
}

/** `count` names from the `from`-th on, with fileids. */
const some = (count: number, from = 0): Map<string, bigint> =>
  new Map(Array.from({ length: count }, (_, i) => [nameOf(from + i), BigInt(from + i + 1) * 0x1_0000_0001n]))

const all = (snapshot: Snapshot) => Array.from(snapshot.after(0n))

/** That it has exactly these names, with cookies that rise. */
const assertShows = (snapshot: Snapshot, names: ReadonlyMap<string, bigint>): void => {
  const entries = all(snapshot)
  let last = FIRST_COOKIE - 1n
  for (const { cookie, fileid, name } of entries) {
    if (fileid !== names.get(name)) assert.fail(name)
    if (cookie <= last || cookie >= 1n << 63n) assert.fail(`${name}: ${cookie} after ${last}`)
    last = cookie
  }
  assert.strictEqual(new Set(entries.map((entry) => entry.name)).size, entries.length)
  assert.strictEqual(entries.length, names.size)
}

describe("Snapshot", () => {
  const Step = Schema.Struct({
    what: Schema.Literals(["create", "create", "remove", "replace", "list", "list", "reread"]),
    name: natural(60),
    count: natural(12)
  })

  for (const [kind, hash] of Object.entries(hashes)) {
    it.prop(
      `lists once who stays, whatever comes and goes meanwhile (hash: ${kind})`,
      [Arbitrary.schema(natural(50)), Arbitrary.array(Arbitrary.schema(Step), { minLength: 5 })],
      ([initially, steps]) => {
        const names = some(initially)
        let snapshot = read(names, hash)
        const cookies = new Map<string, bigint>()
        // A listing in progress: what it has shown, and who was there all the time.
        let cookie = 0n
        let shown: Array<string> = []
        let stayed = new Set(names.keys())
        let number = 1000n
        for (const { count, name: n, what } of steps) {
          const name = nameOf(n)
          if (what === "create" || what === "replace") {
            names.set(name, ++number)
            snapshot.patch({ name, fileid: number })
          } else if (what === "remove") {
            names.delete(name)
            stayed.delete(name)
            if (hash !== undefined) cookies.delete(name)
            snapshot.patch({ name, fileid: undefined })
          } else if (what === "reread") {
            // Colliding names get their cookies anew, so there is no saying what a listing shows then.
            if (hash !== undefined) continue
            names.set(name, ++number)
            snapshot = read(names)
          } else {
            const portion = shown.length + count
            let eof = true
            for (const entry of snapshot.after(cookie)) {
              if (shown.length >= portion) {
                eof = false
                break
              }
              assert.strictEqual(entry.fileid, names.get(entry.name))
              assert.strictEqual(cookies.get(entry.name) ?? entry.cookie, entry.cookie)
              cookies.set(entry.name, entry.cookie)
              assert.isTrue(entry.cookie > cookie && entry.cookie >= FIRST_COOKIE)
              cookie = entry.cookie
              shown.push(entry.name)
            }
            if (!eof) continue
            for (const name of stayed) {
              assert.strictEqual(shown.filter((other) => other === name).length, 1, JSON.stringify(name))
            }
            cookie = 0n
            shown = []
            stayed = new Set(names.keys())
          }
        }
        assertShows(snapshot, names)
      },
      property(150, 60)
    )
  }

  it("holds many names, and what became of them", () => {
    const names = some(12_000)
    const snapshot = read(names)
    assertShows(snapshot, names)
    for (const [name, fileid] of some(12_000, 8000)) {
      const gone = fileid % 3n === 0n
      snapshot.patch({ name, fileid: gone ? undefined : fileid + 1n })
      if (gone) names.delete(name)
      else names.set(name, fileid + 1n)
    }
    assertShows(snapshot, names)
    for (const name of [...names.keys()]) {
      snapshot.patch({ name, fileid: undefined })
      names.delete(name)
    }
    assertShows(snapshot, names)
  })

  it("gives every name the same cookie, in every process", () => {
    const names = ["\udcff", "größer", "x".repeat(255), "a"]
    // Of the names' SipHash-2-4 with a key of zeros, the upper 31 bits of both halves, without the last 8.
    const cookies = [1184067753255553024n, 3418830180588444416n, 3724988544309820928n, 5431627231514972416n]
    assert.deepStrictEqual(
      all(read(new Map(names.map((name) => [name, 1n])))).map(({ cookie, name }) => [name, cookie]),
      names.map((name, i) => [name, cookies[i]])
    )
  })

  it("is removed while it is listed, with every name that it shows", () => {
    for (const hash of Object.values(hashes)) {
      const names = new Set(some(200).keys())
      const snapshot = read(some(200), hash)
      const shown = new Set<string>()
      let next = 200
      for (const { cookie, name } of snapshot.after(0n)) {
        assert.isFalse(shown.has(name))
        shown.add(name)
        names.delete(name)
        snapshot.patch({ name, fileid: undefined })
        // A removed name's cookie leads on.
        const following = snapshot.after(cookie).next().value
        assert.isTrue(following === undefined || following.cookie > cookie)
        // What comes at the same time may be shown or not.
        if (next < 256) snapshot.patch({ name: nameOf(next++), fileid: 1n })
      }
      assert.strictEqual(names.size, 0)
    }
  })

  it("tells 256 names with one hash apart, and shows more", () => {
    const snapshot = read(some(256), hashes.all)
    assertShows(snapshot, some(256))
    assert.strictEqual(all(read(some(20_000), hashes.all)).length, 20_000)
  })

  it("leaves colliding names their cookies, however many come beside them", () => {
    const snapshot = read(some(400), hashes.some)
    const cookies = new Map(all(snapshot).map(({ cookie, name }) => [name, cookie]))
    const names = some(900)
    for (const [name, fileid] of some(500, 400)) snapshot.patch({ name, fileid })
    for (const name of some(100).keys()) {
      names.delete(name)
      snapshot.patch({ name, fileid: undefined })
    }
    assertShows(snapshot, names)
    for (const { cookie, name } of all(snapshot)) assert.strictEqual(cookies.get(name) ?? cookie, cookie)
  })

  it("has nothing after the last cookie, and any number is a cookie", () => {
    const snapshot = read(some(3000))
    const entries = all(snapshot)
    for (const cookie of [(1n << 64n) - 1n, 1n << 63n, entries.at(-1)!.cookie]) {
      assert.deepStrictEqual([...snapshot.after(cookie)], [])
    }
    const [first, second] = entries
    assert.strictEqual(snapshot.after(first!.cookie - 1n).next().value?.name, first!.name)
    assert.strictEqual(snapshot.after(second!.cookie - 1n).next().value?.name, second!.name)
    assert.deepStrictEqual([...new Snapshot(0n).after(0n)], [])
  })

  it("knows fileids of 64 bits, and when there is none", () => {
    const names = new Map([["a", 1n], ["b", 0n], ["c", (1n << 64n) - 1n], ["d", 1n << 32n]]) // prettier-ignore
    const fileids = new Map(all(read(names)).map(({ fileid, name }) => [name, fileid]))
    for (const [name, fileid] of names) assert.strictEqual(fileids.get(name), fileid === 0n ? undefined : fileid)
  })

  it("leaves out names that nobody could ask for", () => {
    const snapshot = read(new Map([["x".repeat(256), 1n], ["y".repeat(255), 2n]])) // prettier-ignore
    snapshot.patch({ name: "z".repeat(256), fileid: 3n })
    assert.deepStrictEqual(
      all(snapshot).map(({ fileid }) => fileid),
      [2n]
    )
  })

  it("shows a name once that was read twice", () => {
    // As it happens when it is renamed and back meanwhile.
    const snapshot = read(some(100))
    add(snapshot, nameOf(7), 7n)
    assertShows(snapshot, some(100).set(nameOf(7), 7n))
  })

  it("takes at most 24 bytes more than each name, when it was listed", () => {
    const names = new Map(Array.from({ length: 50_000 }, (_, i) => [`file-${i}.txt`, BigInt(i + 1)]))
    const snapshot = read(names)
    assert.strictEqual(all(snapshot).length, names.size)
    const bytes = [...names.keys()].reduce((sum, name) => sum + name.length, 0)
    assert.isBelow((snapshot.bytes - bytes) / names.size, 24)
  })

  it("does not grow with changes that leave it as it was", () => {
    for (const count of [10, 10_000]) {
      const snapshot = read(some(count))
      assert.strictEqual(all(snapshot).length, count)
      const { bytes } = snapshot
      for (let i = 0; i < 50_000; i++) {
        snapshot.patch({ name: `other ${i % 100}`, fileid: (i / 100) & 1 ? undefined : 1n })
      }
      assert.isBelow(snapshot.bytes, 2 * bytes + 10_000)
      assertShows(snapshot, some(count))
      assert.isBelow(snapshot.bytes, 1.1 * bytes + 1000)
    }
  })
})
