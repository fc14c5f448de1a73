/** One measurement: the closed loop runs, first unseen, then counted. */

import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ClosedLoop } from "./ClosedLoop.ts"
import { Histogram } from "./Histogram.ts"
import type { Prepared } from "./operations.ts"
import * as ProcessorTime from "./ProcessorTime.ts"
import type { Job, Measurement } from "./protocol.ts"

/** The server answered something else than success, or nothing. */
export class LoadFailed extends Data.TaggedError("LoadFailed")<{ readonly message: string }> {}

/** A call that waits so long will not be answered any more. */
const STALLED_SECONDS = 10

/** Runs the loop until it was counted for as long as the job says, and lets it answer what it has in flight. */
export const measure = (job: Job, { callsEach = 1, cycles }: Prepared): Effect.Effect<Measurement, LoadFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { connections, depth, endpoint, seconds, warmUpSeconds } = job
      const latencies = new Histogram()
      const failed = Deferred.makeUnsafe<never, LoadFailed>()
      const loop = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new ClosedLoop({
              host: endpoint.host,
              port: endpoint.port,
              connections,
              depth,
              cycles,
              latencies,
              onFailure: (message) => {
                Deferred.doneUnsafe(failed, Exit.fail(new LoadFailed({ message })))
              }
            })
        ),
        (loop) => Effect.sync(() => loop.destroy())
      )

      const counted = Effect.gen(function* () {
        loop.start()
        yield* Effect.sleep(warmUpSeconds * 1000)
        latencies.reset()
        const before = ProcessorTime.snapshot(endpoint.pid)
        yield* Effect.sleep(seconds * 1000)
        const measurement = summarize(latencies, callsEach, before, ProcessorTime.snapshot(endpoint.pid))
        yield* Effect.callback<void>((resume) => loop.stop(() => resume(Effect.void)))
        return measurement ?? (yield* new LoadFailed({ message: "no call was answered while the clock ran" }))
      })
      return yield* Effect.raceAllFirst([counted, Deferred.await(failed), watch(loop)])
    })
  )

/** Fails when a call gets no answer. */
const watch = (loop: ClosedLoop): Effect.Effect<never, LoadFailed> =>
  Effect.suspend(() =>
    performance.now() - loop.inFlight.oldest() > STALLED_SECONDS * 1000
      ? Effect.fail(new LoadFailed({ message: `a call got no answer for ${STALLED_SECONDS} seconds` }))
      : Effect.sleep("1 second")
  ).pipe(Effect.forever)

const summarize = (
  latencies: Histogram,
  callsEach: number,
  before: ProcessorTime.Snapshot,
  after: ProcessorTime.Snapshot
): Measurement | undefined => {
  const calls = latencies.count
  if (calls === 0) return undefined
  const { all, generator, seconds, server } = ProcessorTime.between(before, after)
  return {
    calls,
    callsEach,
    seconds,
    callsPerSecond: calls / seconds,
    latency: {
      p50: latencies.percentile(0.5),
      p99: latencies.percentile(0.99),
      p999: latencies.percentile(0.999),
      max: latencies.max
    },
    generatorBusy: generator / seconds,
    serverMicros: server === undefined ? undefined : (server * 1e6) / calls,
    disturbance: all === undefined || server === undefined ? undefined : Math.max(0, all - server - generator) / seconds
  }
}
