/**
 * A client that gets its answers over a bad network, the way Linux does: when its connection ends, or an answer does not
 * come, it connects again and sends all calls that have no answer once more, with the same xids.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { PROGRAM, VERSION } from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import type { Call, Identity } from "./nfs.ts"

export interface StubbornClient {
  readonly nfs: <A, B>(call: Call<A, B>, args: A) => Effect.Effect<B>
  /** Calls that were sent more than once. */
  readonly repeated: () => number
}

/** How long it waits for an answer. */
const PATIENCE = "150 millis"

interface Connection {
  readonly rpc: RpcClient.RpcClient
  readonly scope: Scope.Closeable
}

/** `firstXid`: later calls count on from it. */
export const make = Effect.fnUntraced(function* (
  port: number,
  firstXid: number,
  identity: Identity = { uid: 0, gid: 0 }
): Effect.fn.Return<StubbornClient, never, Scope.Scope> {
  const lock = yield* Semaphore.make(1)
  let current: Connection | undefined
  let xid = firstXid
  let repeated = 0

  const connect = Effect.gen(function* () {
    if (current !== undefined) return current
    const scope = yield* Scope.make()
    const rpc = yield* RpcClient.make({ port, auth: Auth.sys(identity) }).pipe(
      Scope.provide(scope),
      Effect.retry({ times: 100 }),
      Effect.orDie
    )
    return (current = { rpc, scope })
  })
  const connection = Semaphore.withPermit(lock, connect)

  /** All calls on a connection that is given up fail, and come again. */
  const giveUp = (lost: Connection): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (current !== lost) return Effect.void
      current = undefined
      return Scope.close(lost.scope, Exit.void)
    })
  yield* Effect.addFinalizer(() => Effect.suspend(() => (current === undefined ? Effect.void : giveUp(current))))

  return {
    repeated: () => repeated,
    nfs: <A, B>(call: Call<A, B>, args: A): Effect.Effect<B> =>
      Effect.suspend(() => {
        const own = { xid: xid++ }
        let attempts = 0
        const attempt = Effect.flatMap(connection, (used) => {
          if (++attempts === 2) repeated++
          return used.rpc.call({ program: PROGRAM, version: VERSION }, call.number, call, args, own).pipe(
            Effect.timeoutOrElse({
              duration: PATIENCE,
              orElse: () => Effect.fail(new RpcClient.RpcDisconnected({ message: "no answer" }))
            }),
            Effect.tapError((error) => (error._tag === "RpcDisconnected" ? giveUp(used) : Effect.void))
          )
        })
        return attempt.pipe(Effect.retry({ while: (error) => error._tag === "RpcDisconnected" }), Effect.orDie)
      })
  }
})
