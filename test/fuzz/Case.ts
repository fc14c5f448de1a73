/**
 * One case: a tree with every kind of file, calls about it, most of them mutated, over several connections and datagrams at
 * once, and a look at all that came back. The same seed and number make the same case, but for what the server chooses.
 */

import type { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import type { Transport } from "../../src/rpc/RpcProgram.ts"
import { type NfsClient, ok } from "../support/nfs.ts"
import { Random } from "../support/random.ts"
import * as Calls from "./Calls.ts"
import * as Exchange from "./Exchange.ts"
import * as Judge from "./Judge.ts"
import { mutate } from "./Mutation.ts"
import * as Parts from "./Parts.ts"
import * as Programs from "./Programs.ts"
import * as Stream from "./Stream.ts"
import type { Target } from "./Target.ts"

/** Most bytes of a record: what stands around the data, of which there is at most 1 MiB, and none for a portmapper. */
const maxRecord: { readonly [S in Programs.Service]: number } = { nfs: 1024 * 1024 + 4096, portmap: 4096 }
const MAX_DATAGRAM = 60_000

/** Messages of a case. */
const MESSAGES = 160

export interface Options {
  readonly seed: number
  readonly number: number
  /** Is told of each answer, for statistics. */
  readonly onAnswer?: (call: Judge.Expected, said: Judge.Said) => void
}

/** Runs a case; gives what is wrong, besides what the target says of itself. */
export const run = Effect.fnUntraced(function* (
  target: Target,
  { number, onAnswer, seed }: Options
): Effect.fn.Return<ReadonlyArray<string>, RpcClientError> {
  const random = new Random(seed, number)
  const { client, root } = target
  const where = { dir: root, name: `case ${number}` }
  const made = ok(yield* client.nfs(Nfs.MKDIR, { where, attributes: { mode: 0o777 } }))
  const corpus = yield* Calls.record(client, made.obj!)
  const messages = { nfs: yield* compose("nfs", corpus, random), portmap: yield* compose("portmap", corpus, random) }

  const conversations: Array<Effect.Effect<ReadonlyArray<string>>> = []
  for (const service of ["nfs", "portmap"] as const) {
    const all = messages[service]
    const datagrams = all.filter(() => random.chance(service === "nfs" ? 0.1 : 0.4))
    conversations.push(talk(target.ports[service], service, datagrams, onAnswer))
    const rest = all.filter((message) => !datagrams.includes(message))
    for (let left = rest; left.length > 0;) {
      const own = left.slice(0, random.between(1, left.length))
      left = left.slice(own.length)
      conversations.push(connection(target.ports[service], service, own, random, onAnswer))
    }
  }
  const problems = (yield* Effect.all(conversations, { concurrency: "unbounded" })).flat()
  // A server that has ended cannot be asked any more.
  if (problems.length > 0 || (yield* target.problems).length > 0) return problems
  yield* empty(client, root)
  return yield* target.leftovers
})

/** The messages for a port, in their order: mutated calls among whole ones. */
const compose = Effect.fnUntraced(function* (service: Programs.Service, corpus: Calls.Corpus, random: Random) {
  const { calls, dictionary } = corpus
  const generated: Array<Calls.Call> = []
  const procedures = Programs.at(service, "tcp")
  for (let i = 0; i < 30; i++) generated.push(yield* Calls.arbitrary(random.pick(procedures), random, dictionary))
  const recorded = service === "nfs" ? calls : generated
  const another = (): ReadonlyArray<Parts.Part> => {
    const call = Calls.pick(random.chance(0.6) ? recorded : generated, random)
    // Somewhere else, too: programs that are not there, or not at this port.
    return Calls.message(
      random.chance(0.03) ? { ...call, program: random.pick([100_000, 100_003, 100_227, 7]) } : call,
      random
    )
  }
  const messages: Array<Buffer> = []
  for (let i = 0; i < (service === "nfs" ? MESSAGES : MESSAGES / 6); i++) {
    const call = another()
    messages.push(random.chance(0.25) ? Parts.join(call) : mutate(call, random, dictionary, another))
    if (random.chance(0.05)) messages.push(random.pick(messages))
  }
  return messages
})

type Answered = Options["onAnswer"]

/** Sends messages over a connection. */
const connection = (
  port: number,
  service: Programs.Service,
  messages: ReadonlyArray<Buffer>,
  random: Random,
  onAnswer: Answered
): Effect.Effect<ReadonlyArray<string>> => {
  // What is no call ends its connection, so most connections have only calls: else none would get far.
  const strict = random.chance(0.7)
  const chosen = strict ? messages.filter((message) => Judge.expect(message, service, "tcp") !== undefined) : messages
  const bytes = Stream.write(chosen, random, strict ? 0 : 0.1)
  const pieces = Stream.cut(bytes, random)
  const { complete, tooLong } = Stream.read(bytes, maxRecord[service])
  const expected = complete.map((record) => Judge.expect(record, service, "tcp"))
  const garbage = expected.indexOf(undefined)
  const calls = (garbage < 0 ? expected : expected.slice(0, garbage)).filter((call) => call !== undefined)
  const isBad = tooLong || garbage >= 0
  const manners: Exchange.Manners = {
    localAddress: `127.0.0.${random.between(1, 8)}`,
    waitsFor: isBad || random.chance(0.5) ? 0 : Judge.fewest(calls),
    readsLate: random.chance(0.1),
    leavesAfter: random.chance(0.1) ? { pieces: random.int(pieces.length + 1), reset: random.chance(0.5) } : undefined
  }
  return Effect.map(Exchange.stream(port, pieces, manners), ({ how, replies }) => {
    const complete = !isBad && how !== "left"
    const problems = Judge.compare(calls, replies, { transport: "tcp", complete, ...(onAnswer && { onAnswer }) })
    return [
      ...problems,
      ...(how === "silent" ? [`a connection with ${calls.length} calls was neither answered nor closed`] : []),
      ...(how === "closed" && complete ? [`a connection with ${calls.length} calls was closed without reason`] : [])
    ]
  })
}

/** Sends messages as datagrams. */
const talk = (
  port: number,
  service: Programs.Service,
  messages: ReadonlyArray<Buffer>,
  onAnswer: Answered
): Effect.Effect<ReadonlyArray<string>> => {
  const transport: Transport = "udp"
  const sent = messages
    .filter(({ length }) => length <= MAX_DATAGRAM)
    .map((message) => ({ message, expected: Judge.expect(message, service, transport) }))
  const calls = sent.map(({ expected }) => expected).filter((call) => call !== undefined)
  return Effect.map(
    Exchange.datagrams(
      port,
      sent.map(({ expected, message }) => ({ message, isAnswered: expected !== undefined }))
    ),
    ({ isAnswered, repeated, replies }) =>
      // What was sent again may be answered again.
      Judge.compare(repeated > 0 ? [...calls, ...calls] : calls, replies, {
        transport,
        complete: repeated === 0,
        ...(onAnswer && { onAnswer })
      }).concat(isAnswered ? [] : ["a datagram was not answered"])
  )
}

/** Removes everything below a directory, which also shows that what the mutated calls have left is a tree. */
const empty = Effect.fnUntraced(function* (
  { nfs }: Pick<NfsClient, "nfs">,
  dir: Uint8Array
): Effect.fn.Return<void, RpcClientError> {
  const from = { cookie: 0n, cookieverf: new Uint8Array(8) }
  for (;;) {
    const page = ok(yield* nfs(Nfs.READDIRPLUS, { dir, ...from, dircount: 32_768, maxcount: 32_768 }))
    const entries = page.entries.filter(({ name }) => name !== "." && name !== "..")
    for (const { name, nameAttributes, nameHandle } of entries) {
      const object = { dir, name }
      if (nameAttributes?.attributes.type === "directory") {
        yield* empty({ nfs }, nameHandle!)
        ok(yield* nfs(Nfs.RMDIR, { object }))
      } else {
        ok(yield* nfs(Nfs.REMOVE, { object }))
      }
    }
    if (page.eof) return
  }
})
