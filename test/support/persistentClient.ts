/**
 * An `RpcClient` as the kernels have it: when its connection ends before an answer, or no answer comes for a while, it
 * connects again and repeats the call, with the same xid, until it is answered.
 */

import { randomInt } from "node:crypto"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { OpaqueAuth } from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import type { Procedure, RpcProgram } from "../../src/rpc/RpcProgram.ts"

export interface PersistentClient extends RpcClient.RpcClient {
  /** Calls that were sent again. */
  readonly repetitions: () => number
  /** Times that no answer came for as long as one is waited for. */
  readonly timeouts: () => number
  /** Ends its connection; what is not answered yet is asked again over the next. */
  readonly cut: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly port: number
  readonly localAddress?: string | undefined
  readonly auth?: OpaqueAuth | undefined
  /** How long an answer is waited for; default 1 second. */
  readonly patience?: Duration.Input
}): Effect.fn.Return<PersistentClient, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const oneAtATime = yield* Semaphore.make(1)
  let connection: { readonly client: RpcClient.RpcClient; readonly scope: Scope.Closeable } | undefined
  let lastXid = randomInt(0x1_0000_0000)
  let repetitions = 0
  let timeouts = 0

  const connected = Effect.gen(function* () {
    if (connection === undefined) {
      const own = yield* Scope.fork(scope)
      connection = { client: yield* Scope.provide(RpcClient.make(options), own), scope: own }
    }
    return connection
  }).pipe(Effect.retry({ times: 100 }), Effect.orDie, (effect) => oneAtATime.withPermit(effect))

  const disconnect = (broken: typeof connection) =>
    Effect.suspend(() => {
      if (broken === undefined || broken !== connection) return Effect.void
      connection = undefined
      return Scope.close(broken.scope, Exit.void)
    })

  const call = <A, B>(
    program: Pick<RpcProgram, "program" | "version">,
    number: number,
    procedure: Pick<Procedure<A, B>, "args" | "result">,
    args: A,
    callOptions?: RpcClient.CallOptions
  ): Effect.Effect<B, RpcClient.RpcClientError> => {
    const xid = callOptions?.xid ?? (lastXid = (lastXid + 1) >>> 0)
    const attempt: Effect.Effect<B, RpcClient.RpcClientError> = Effect.flatMap(connected, (current) =>
      current.client.call(program, number, procedure, args, { ...callOptions, xid }).pipe(
        Effect.timeoutOrElse({
          duration: options.patience ?? "1 second",
          orElse: () => {
            timeouts++
            return Effect.fail(new RpcClient.RpcDisconnected({ message: "no answer came" }))
          }
        }),
        Effect.catchTag("RpcDisconnected", () => {
          repetitions++
          return Effect.andThen(disconnect(current), attempt)
        })
      )
    )
    return attempt
  }

  return {
    call,
    sendUnsafe: () => {
      throw new Error("a persistent client sends nothing but calls")
    },
    closed: Effect.never,
    repetitions: () => repetitions,
    timeouts: () => timeouts,
    cut: Effect.suspend(() => disconnect(connection))
  }
})
