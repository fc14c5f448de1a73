/**
 * `node reuse.ts DIRECTORY ROUNDS koffi|node...`: has inode numbers reused under a `LocalFilesystem` that makes system calls
 * so, and looks whether a key of a file that is gone ever leads to the new file with its number. Prints for each way in
 * which that is done its name, how many files there were, how many numbers came back, and how many of those with the same
 * time of birth.
 */

import * as assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Operations } from "../../../src/filesystem/Filesystem.ts"
import type { FilesystemError } from "../../../src/filesystem/FilesystemError.ts"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"

const [place = "", rounds = "", ...implementations] = process.argv.slice(2)

const layers: Readonly<Record<string, Layer.Layer<Syscalls, unknown>>> = {
  koffi: Syscalls.layerKoffi,
  node: Syscalls.layerNode
}

/** Of the implementation at work. */
let directory = place

/** Milliseconds to go on making files until one has the number that is wanted: a server may have the old one open still. */
const PATIENCE = 3000

type Fails<A> = Effect.Effect<A, FilesystemError>

type Steps = Effect.Effect<unknown, FilesystemError | LocalFilesystem.LocalFilesystemError, Syscalls>

/** Who makes and removes files: a client, or somebody on the machine itself. */
interface Hand {
  readonly create: (name: string) => Fails<unknown>
  readonly remove: (name: string) => Fails<unknown>
}

const machine: Hand = {
  create: (name) => Effect.sync(() => fs.writeFileSync(join(directory, name), "", { flag: "wx" })),
  remove: (name) => Effect.sync(() => fs.unlinkSync(join(directory, name)))
}

const clientOf = (files: Operations): Hand => ({
  create: (name) => files.create(files.root, name, { _tag: "Guarded" }, () => ({ mode: 0o644 })),
  remove: (name) => files.remove(files.root, name, () => undefined)
})

const stats = (name: string): fs.BigIntStats => fs.lstatSync(join(directory, name), { bigint: true })

/** Has a server for as long as `body` runs. */
const serving = <A, E, R>(body: (files: Operations) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(LocalFilesystem.make({ path: directory }), body))

const keyOf = (files: Operations, name: string): Fails<Buffer> =>
  Effect.map(
    files.lookup(files.root, name, () => undefined),
    ({ file }) => Buffer.from(file.key)
  )

/** A key of a file that is gone leads nowhere; who has to look for it may say to ask again. */
const assertStale = (files: Operations, key: Buffer): Effect.Effect<void> =>
  Effect.flatMap(files.resolve(key), (file) => files.getattr(file)).pipe(
    Effect.retry({ while: ({ code }) => code === "EAGAIN", schedule: Schedule.spaced("100 millis"), times: 600 }),
    Effect.match({ onFailure: ({ code }) => code, onSuccess: ({ fileid }) => `a file with the number ${fileid}` }),
    Effect.map((found) => assert.equal(found, "ESTALE", "what the old key leads to"))
  )

interface Way {
  readonly name: string
  all: number
  reused: number
  sameBirth: number
}

let ways: Array<Way> = []

/** Goes on making files until one has the number of the one that was removed. */
const replace = Effect.fnUntraced(function* (way: Way, name: string, hand: Hand) {
  const old = stats(name)
  yield* hand.remove(name)
  way.all++
  const until = performance.now() + PATIENCE
  for (let attempt = 0; performance.now() < until; attempt++) {
    yield* hand.create(name)
    const made = stats(name)
    if (made.ino === old.ino) {
      way.reused++
      if (made.birthtimeNs === old.birthtimeNs) way.sameBirth++
      return true
    }
    // Under another name, so that its number is not the next to come.
    fs.renameSync(join(directory, name), join(directory, `${name}-${attempt}`))
    if (attempt > 10) yield* Effect.sleep("50 millis")
  }
  return false
})

const assertOther = Effect.fnUntraced(function* (files: Operations, name: string, key: Buffer) {
  assert.notDeepEqual(yield* keyOf(files, name), key, "the new file has the key of the old one")
  yield* assertStale(files, key)
})

const inRounds = Effect.fnUntraced(function* (name: string, body: (way: Way, name: string) => Steps) {
  const way: Way = { name, all: 0, reused: 0, sameBirth: 0 }
  ways.push(way)
  for (let round = 0; round < Number(rounds); round++) yield* body(way, `${name}-${round}`)
})

const main = Effect.gen(function* () {
  const keys: Array<readonly [string, Buffer]> = []
  // What the kernel does, without any server.
  yield* inRounds("unserved", (way, name) => Effect.andThen(machine.create(name), replace(way, name, machine)))
  yield* serving((files) =>
    inRounds("served", (way, name) =>
      Effect.gen(function* () {
        const client = clientOf(files)
        yield* client.create(name)
        const key = yield* keyOf(files, name)
        if (yield* replace(way, name, client)) {
          yield* assertOther(files, name, key)
          keys.push([name, key])
        }
      })
    )
  )
  yield* inRounds("restarted", (way, name) =>
    Effect.gen(function* () {
      const key = yield* serving((files) => Effect.andThen(clientOf(files).create(name), keyOf(files, name)))
      if (yield* replace(way, name, machine)) {
        yield* serving((files) => assertOther(files, name, key))
        keys.push([name, key])
      }
    })
  )
  // And once more for a server that has seen none of them.
  yield* serving((files) => Effect.forEach(keys, ([name, key]) => assertOther(files, name, key), { discard: true }))
})

for (const implementation of implementations) {
  ways = []
  directory = join(place, implementation)
  fs.mkdirSync(directory)
  await Effect.runPromise(Effect.provide(main, layers[implementation]!))
  for (const { all, name, reused, sameBirth } of ways) {
    process.stdout.write(`${implementation}: ${name} ${all} ${reused} ${sameBirth}\n`)
  }
}
