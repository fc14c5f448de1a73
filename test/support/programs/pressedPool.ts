/**
 * Offers a pool tasks that would need ten times the heap of this process if all waited at once, half a megabyte
 * each millisecond, and says what became of them. The first argument is the heap's size in MiB; with a second one, `blind`, the
 * pool does not see the memory.
 */

import { setTimeout } from "node:timers/promises"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { MemoryUsed } from "../../../src/pool/MemoryPressure.ts"
import * as WorkerPool from "../../../src/pool/WorkerPool.ts"

/** Bytes of the heap, as `--max-old-space-size` has them. */
const HEAP = Number(process.argv[2]) * 2 ** 20

/** Bytes of a task: in the heap, as decoded objects would be. */
const PAYLOAD = 256 * 1024
const NUMBERS = Array.from({ length: PAYLOAD / 8 }, (_, i) => i + 0.5)

let ended = 0

/** Opens when the pool takes no more for the first time: what came until then waits together. */
const full = Deferred.makeUnsafe<void>()

class Payload extends WorkerPool.Task {
  readonly effect = Effect.andThen(Deferred.await(full), Effect.sleep(2))
  readonly context = Context.empty()
  readonly priority = 3
  readonly lane = undefined
  readonly uninterruptible = false
  readonly numbers: ReadonlyArray<number> = NUMBERS.slice()

  onExit(): void {
    ended += this.numbers.length > 0 ? 1 : 0
  }
}

const program = Effect.gen(function* () {
  const pool = yield* WorkerPool.make({ maxWorkers: 8, queueCapacity: 5_000 })
  const count = Math.ceil((10 * HEAP) / PAYLOAD)
  let admission = 1
  let answered = 0
  const client = yield* Effect.forkScoped(
    Effect.forever(
      pool.execute(pool.stats).pipe(
        Effect.tap((stats) => {
          admission = Math.min(admission, stats.admission)
          answered++
          return Effect.sleep(20)
        }),
        Effect.retry({ times: 1000 })
      )
    )
  )
  let offered = 0
  while (offered < count) {
    for (let i = 0; i < 2; i++) {
      const task = new Payload()
      while (!pool.offerUnsafe(task)) {
        Deferred.doneUnsafe(full, Effect.void)
        yield* Effect.callback<void>((resume) => {
          pool.awaitRoomUnsafe({ onRoom: () => resume(Effect.void), onStopped: () => {} })
        })
      }
      offered++
    }
    pool.flushUnsafe()
    yield* Effect.promise(() => setTimeout(1))
  }
  while (ended < offered) yield* Effect.promise(() => setTimeout(10))
  yield* Console.log(JSON.stringify({ offered, ended, admission, answered, alive: client.pollUnsafe() === undefined }))
})

const blind = process.argv[3] === "blind"
await Effect.runPromise(Effect.scoped(blind ? Effect.provideService(program, MemoryUsed, () => 0) : program))
