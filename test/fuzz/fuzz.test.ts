/** Some seconds of `npm run fuzz`, with the same seed each time; and its judge, who must not be blind. */

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import { replyHeader } from "../../src/rpc/RpcMessage.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { Random } from "../support/random.ts"
import * as RawClient from "../support/rawClient.ts"
import * as Judge from "./Judge.ts"
import * as Run from "./Run.ts"
import * as Stream from "./Stream.ts"
import * as Target from "./Target.ts"

const SEED = 1

describe("mutated calls", { timeout: 120_000 }, () => {
  it.live.each([
    ["memory", 12],
    ["local", 4]
  ] as const)("do a server of %s no harm: replay with npm run fuzz", ([backend, cases]) =>
    Effect.gen(function* () {
      const target = yield* Target.make(backend)
      const { answers, problems } = yield* Run.run(target, { seed: SEED, first: 0, more: (done) => done < cases })
      expect(problems, `seed ${SEED}`).toEqual([])
      // They came far: most procedures did something, and refused something.
      const heard = [...answers.keys()]
      expect(heard.filter((what) => what.endsWith(" NFS3_OK")).length).toBeGreaterThan(8)
      expect(heard.filter((what) => what.includes(" NFS3ERR_")).length).toBeGreaterThan(15)
      expect(heard).toEqual(expect.arrayContaining(["AUTH_ERROR", "PROG_UNAVAIL", "LOOKUP GARBAGE_ARGS"]))
    })
  )
})

describe("the judge", () => {
  const call = (options: Partial<RawClient.CallBytes> = {}) =>
    RawClient.call({ xid: 7, program: 100_003, version: 3, procedure: 0, ...options }).subarray(4)
  const reply = (xid: number, stat: "SUCCESS" | "SYSTEM_ERR" | "GARBAGE_ARGS", result: Uint8Array = Buffer.alloc(0)) =>
    Buffer.concat([
      Result.getOrThrow(
        Xdr.encode(replyHeader, {
          xid,
          type: 1,
          body: { status: "MSG_ACCEPTED", verifier: Auth.none, reply: { stat } }
        })
      ),
      result
    ])
  const expected = (options?: Partial<RawClient.CallBytes>) => Judge.expect(call(options), "nfs", "tcp")!
  const judge = (calls: ReadonlyArray<Judge.Expected>, replies: ReadonlyArray<Buffer>, complete = true) =>
    Judge.compare(calls, replies, { transport: "tcp", complete })

  it.each<[what: string, options: Partial<RawClient.CallBytes>, deserved: Judge.Deserved]>([
    ["a call", {}, "RESULT"],
    ["another version of RPC", { rpcVersion: 3 }, "RPC_MISMATCH"],
    ["a credential of an unknown flavour", { auth: { flavor: 6, body: Buffer.alloc(4) } }, "AUTH_ERROR"],
    ["a program that there is not", { program: 100_000 }, "PROG_UNAVAIL"],
    ["another version of the program", { version: 4 }, "PROG_MISMATCH"],
    ["a procedure that there is not", { procedure: 22 }, "PROC_UNAVAIL"],
    ["arguments that are missing", { procedure: Nfs.GETATTR.number }, "GARBAGE_ARGS"]
  ])("knows what %s deserves", (_, options, deserved) => {
    expect(expected(options).deserved).toBe(deserved)
  })

  it("knows what is no call", () => {
    expect(Judge.expect(call({ type: 1 }), "nfs", "tcp")).toBeUndefined()
    expect(Judge.expect(call().subarray(0, 23), "nfs", "tcp")).toBeUndefined()
  })

  it("is content with one reply to each call", () => {
    expect(judge([expected(), expected({ xid: 8 })], [reply(8, "SUCCESS"), reply(7, "SUCCESS")])).toEqual([])
  })

  it.each<[what: string, replies: ReadonlyArray<Buffer>, problem: RegExp]>([
    ["none", [], /^0 replies instead of 1 to 7/],
    ["two replies", [reply(7, "SUCCESS"), reply(7, "SUCCESS")], /^2 replies instead of 1 to 7/],
    ["a reply to nobody", [reply(7, "SUCCESS"), reply(8, "SUCCESS")], /^1 replies to 8, which nobody called/],
    ["an error of the server's", [reply(7, "SYSTEM_ERR")], /says SYSTEM_ERR instead of RESULT/],
    ["a refusal without reason", [reply(7, "GARBAGE_ARGS")], /says GARBAGE_ARGS instead of RESULT/],
    ["a result that is too long", [reply(7, "SUCCESS", Buffer.alloc(4))], /has a result that is none of NULL/],
    ["what is no reply", [call()], /is no reply/]
  ])("complains of %s", (_, replies, problem) => {
    expect(judge([expected()], replies)).toEqual([expect.stringMatching(problem)])
  })

  it("lets a change that comes twice be answered once, and nothing else", () => {
    const args = Buffer.alloc(0)
    const change = expected({ procedure: Nfs.REMOVE.number, args })
    const question = expected({ procedure: Nfs.LOOKUP.number, args })
    expect(judge([change, change], [reply(7, "GARBAGE_ARGS")])).toEqual([])
    expect(judge([question, question], [reply(7, "GARBAGE_ARGS")])).toEqual([
      expect.stringMatching(/^1 replies instead of 2/)
    ])
  })

  it("does not miss replies when the connection broke", () => {
    expect(judge([expected()], [], false)).toEqual([])
    expect(judge([expected()], [reply(8, "SUCCESS")], false)).toHaveLength(1)
  })

  it("reads a stream as it was written, however it was framed", () => {
    const random = new Random(SEED)
    for (let i = 0; i < 200; i++) {
      const messages = Array.from({ length: random.int(5) }, () => random.bytes(random.int(600)))
      const stream = Stream.write(messages, random, 0)
      expect(Stream.read(stream, 1000)).toEqual({ complete: messages, tooLong: false })
      expect(Buffer.concat(Stream.cut(stream, random))).toEqual(stream)
    }
  })
})
