/** A server with a program made for tests: procedures that wait, count, die, and say how often they ran. */

import { Buffer } from "node:buffer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import { RpcCodec } from "../../src/rpc/RpcCodec.ts"
import * as RpcProgram from "../../src/rpc/RpcProgram.ts"
import * as RpcServer from "../../src/rpc/RpcServer.ts"
import type { Chunks } from "../../src/xdr/Reader.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import * as Logs from "./logs.ts"

export const PROGRAM = 1

/** Procedure numbers. */
export const P = {
  NULL: 0,
  ECHO: 1,
  WAIT: 2,
  COUNT: 3,
  WAIT_AND_COUNT: 4,
  DIE: 5,
  TOO_LONG: 6,
  INTERRUPT: 7,
  COUNT_AND_DIE: 8,
  BIG: 9,
  STEP: 10,
  BROKEN: 11,
  WHO: 12,
  DIE_LATE: 13,
  STRICT: 14,
  FIRST: 15
} as const

const callOf = <A, B>(args: Xdr.Codec<A>, result: Xdr.Codec<B>) => ({ args, result })

/** What clients need to know of each procedure. */
export const calls = {
  ECHO: callOf(Xdr.string(1_000_000), Xdr.string(1_000_000)),
  WAIT: callOf(Xdr.uint32, Xdr.uint32),
  COUNT: callOf(Xdr.string(100), Xdr.uint32),
  WAIT_AND_COUNT: callOf(Xdr.uint32, Xdr.uint32),
  DIE: callOf(Xdr.nothing, Xdr.nothing),
  TOO_LONG: callOf(Xdr.nothing, Xdr.struct({ first: Xdr.data(10_000), second: Xdr.string(4) })),
  INTERRUPT: callOf(Xdr.nothing, Xdr.nothing),
  COUNT_AND_DIE: callOf(Xdr.nothing, Xdr.nothing),
  BIG: callOf(Xdr.uint32, Xdr.data(10_000_000)),
  STEP: callOf(Xdr.string(100), Xdr.nothing),
  BROKEN: callOf(
    Xdr.map(
      Xdr.uint32,
      (): number => {
        throw new Error("a codec with a bug")
      },
      (n: number) => n
    ),
    Xdr.nothing
  ),
  WHO: callOf(
    Xdr.nothing,
    Xdr.struct({
      transport: Xdr.string(3),
      address: Xdr.string(100),
      port: Xdr.uint32,
      uid: Xdr.optional(Xdr.uint32)
    })
  ),
  DIE_LATE: callOf(Xdr.nothing, Xdr.nothing),
  STRICT: callOf(Xdr.nothing, Xdr.uint32),
  FIRST: callOf(Xdr.data(1_000_000), Xdr.data(1_000_000))
}

/** What has happened in a server. */
export class World {
  /** Times that COUNT and its like were executed. */
  counted = 0
  /** Calls of BIG that were executed. */
  big = 0
  /** Calls of WAIT and WAIT_AND_COUNT that wait now. */
  waiting = 0
  interrupted = 0
  /** What FIRST was given first, not copied. */
  first: Chunks | undefined = undefined
  /** The arguments of STEP, as they were executed. */
  readonly steps: Array<string> = []
  private open = false
  private readonly gates = new Map<number, Deferred.Deferred<void>>()

  gate(n: number): Deferred.Deferred<void> {
    const known = this.gates.get(n)
    if (known !== undefined) return known
    const gate = Deferred.makeUnsafe<void>()
    if (this.open) Deferred.doneUnsafe(gate, Effect.void)
    this.gates.set(n, gate)
    return gate
  }

  /** Lets the calls with argument `n` go on. */
  release(n: number): void {
    Deferred.doneUnsafe(this.gate(n), Effect.void)
  }

  /** Lets all calls go on, those to come, too. */
  releaseAll(): void {
    this.open = true
    for (const gate of this.gates.values()) Deferred.doneUnsafe(gate, Effect.void)
  }
}

/** The program in two versions; the other one can do little. */
const programsOf = (world: World): ReadonlyArray<RpcProgram.RpcProgram> => {
  const wait = (n: number) =>
    Effect.suspend(() => {
      world.waiting++
      return Deferred.await(world.gate(n))
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          world.waiting--
          if (Exit.hasInterrupts(exit)) world.interrupted++
        })
      )
    )
  const procedure = <A, B>(
    name: string,
    { args, result }: { readonly args: Xdr.Codec<A>; readonly result: Xdr.Codec<B> },
    handler: RpcProgram.Procedure<A, B>["handler"],
    options: { readonly idempotent?: boolean } = {}
  ) => RpcProgram.procedure<A, B>({ name, args, result, handler, priority: "metadata", idempotent: true, ...options })
  const mutation = { idempotent: false }
  const count = procedure("COUNT", calls.COUNT, () => Effect.sync(() => ++world.counted), mutation)
  const v1 = RpcProgram.make({
    name: "TEST",
    program: PROGRAM,
    version: 1,
    procedures: {
      [P.NULL]: RpcProgram.nullProcedure,
      [P.ECHO]: procedure("ECHO", calls.ECHO, (text) => Effect.as(Effect.yieldNow, text)),
      [P.WAIT]: procedure("WAIT", calls.WAIT, (n) => Effect.as(wait(n), n)),
      [P.COUNT]: count,
      [P.FIRST]: procedure("FIRST", calls.FIRST, (data) => Effect.sync(() => (world.first ??= data))),
      [P.WAIT_AND_COUNT]: procedure(
        "WAIT_AND_COUNT",
        calls.WAIT_AND_COUNT,
        (n) =>
          Effect.andThen(
            wait(n),
            Effect.sync(() => ++world.counted)
          ),
        mutation
      ),
      [P.DIE]: procedure("DIE", calls.DIE, () => Effect.die(new Error("a handler with a bug"))),
      [P.TOO_LONG]: procedure("TOO_LONG", calls.TOO_LONG, () =>
        Effect.succeed({ first: [Buffer.alloc(5_000)], second: "too long" })
      ),
      [P.INTERRUPT]: procedure("INTERRUPT", calls.INTERRUPT, () => Effect.interrupt),
      [P.DIE_LATE]: procedure("DIE_LATE", calls.DIE_LATE, () =>
        Effect.onExit(Effect.never, () => Effect.die(new Error("a finalizer with a bug")))
      ),
      [P.COUNT_AND_DIE]: procedure(
        "COUNT_AND_DIE",
        calls.COUNT_AND_DIE,
        () =>
          Effect.andThen(
            Effect.sync(() => world.counted++),
            Effect.die(new Error("half done"))
          ),
        mutation
      ),
      [P.STRICT]: procedure(
        "STRICT",
        calls.STRICT,
        (_, { credentials }) =>
          credentials._tag === "None" ? Effect.fail(Auth.tooWeak) : Effect.sync(() => ++world.counted),
        mutation
      ),
      [P.BIG]: procedure("BIG", calls.BIG, (length) =>
        Effect.sync(() => {
          world.big++
          return [Buffer.alloc(length, world.big)]
        })
      ),
      [P.STEP]: procedure("STEP", calls.STEP, (name) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void world.steps.push(name))
        )
      ),
      [P.BROKEN]: procedure("BROKEN", calls.BROKEN, () => Effect.undefined),
      [P.WHO]: procedure("WHO", calls.WHO, (_, { address, credentials, port, transport }) =>
        Effect.succeed({ transport, address, port, uid: credentials._tag === "Sys" ? credentials.uid : undefined })
      )
    }
  })
  return [v1, RpcProgram.make({ name: "TEST", program: PROGRAM, version: 3, procedures: { [P.COUNT]: count } })]
}

export interface ServerOptions {
  readonly server?: Partial<RpcServer.Options>
  /** Whether it answers over UDP, too. */
  readonly datagrams?: boolean
  readonly pool?: WorkerPool.Options
  readonly maxPayload?: number
}

/** A server on a free port, in the surrounding scope. `close` ends it before that; its pool stays. */
export const serve = Effect.fnUntraced(function* (options: ServerOptions = {}) {
  const world = new World()
  const logs = Logs.make()
  const context = yield* Effect.context<never>()
  const pool = yield* WorkerPool.make({ maxWorkers: 8, ...options.pool })
  const scope = yield* Scope.make()
  const programs = programsOf(world)
  const server = yield* RpcServer.make({
    programs,
    datagramPrograms: options.datagrams ? programs : undefined,
    shutdownTimeout: "5 seconds",
    ...options.server
  }).pipe(
    Scope.provide(scope),
    Effect.provideService(WorkerPool.WorkerPool, pool),
    Effect.provide([RpcCodec.layer({ maxPayload: options.maxPayload }), logs.layer])
  )
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Effect.sync(() => world.releaseAll()),
      close
    )
  )
  return {
    port: server.address.port,
    server,
    pool,
    world,
    messages: logs.messages,
    close,
    /** Connections that the server has. */
    clients: () => Effect.runSyncWith(context)(server.clients)
  }
})
