/**
 * Rounds of measurements. In each, all servers run in new processes, because how one happens to be compiled must not decide,
 * and each case is measured at all of them in short turns, so that they see the same weather.
 */

import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case } from "./cases.ts"
import type { Contestant } from "./contestants.ts"
import type { Job, Measurement, Outcome } from "./load/protocol.ts"
import * as Processes from "./processes.ts"

export class MeasurementFailed extends Data.TaggedError("MeasurementFailed")<{ readonly message: string }> {}

/** One measurement of one case at one server. */
export interface Sample {
  readonly round: number
  readonly turn: number
  readonly case: Case
  readonly contestant: string
  readonly measurement: Measurement
}

export interface Plan {
  readonly cases: ReadonlyArray<Case>
  readonly contestants: ReadonlyArray<Contestant>
  readonly rounds: number
  readonly seconds: number
  readonly nodeArgs: ReadonlyArray<string>
  readonly onSample: (sample: Sample) => void
}

/** The length of a turn. */
const TURN_SECONDS = 1

/** A server's first calls of a kind run unseen until their code is compiled and its heap has found its size. */
const WARM_UP_SECONDS = 1

/** Before each further turn, until everything is in the caches again. */
const RAMP_UP_SECONDS = 0.2

export const run = (plan: Plan): Effect.Effect<ReadonlyArray<Sample>, MeasurementFailed | Processes.ProcessFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const processors = Processes.processors()
      const generator = yield* Processes.start({
        name: "the load generator",
        module: "load/main.ts",
        processor: processors.generator
      })
      const rounds = Array.from({ length: plan.rounds }, (_, round) => round)
      const samples = yield* Effect.forEach(rounds, (round) =>
        Effect.scoped(playRound(plan, round, generator, processors.server))
      )
      return samples.flat()
    })
  )

const playRound = Effect.fnUntraced(function* (
  plan: Plan,
  round: number,
  generator: Processes.Process,
  processor: number | undefined
): Effect.fn.Return<ReadonlyArray<Sample>, MeasurementFailed | Processes.ProcessFailed, Scope.Scope> {
  const { cases, contestants, nodeArgs, onSample, seconds } = plan
  const running = yield* Effect.forEach(contestants, (contestant) =>
    Effect.map(contestant.start({ processor, nodeArgs }), (endpoint) => ({ contestant: contestant.name, endpoint }))
  )
  const turns = Math.max(1, Math.round(seconds / TURN_SECONDS))
  const samples: Array<Sample> = []
  for (const each of cases) {
    for (let turn = 0; turn < turns; turn++) {
      for (const { contestant, endpoint } of rotated(running, round + turn)) {
        const warmUpSeconds = turn === 0 ? WARM_UP_SECONDS : RAMP_UP_SECONDS
        const { connections, depth, operation } = each
        const job = { endpoint, operation, connections, depth, seconds: seconds / turns, warmUpSeconds }
        const measurement = yield* measure(generator, job, `${each.name}, ${contestant}`)
        const sample = { round, turn, case: each, contestant, measurement }
        samples.push(sample)
        onSample(sample)
      }
    }
  }
  return samples
})

const measure = Effect.fnUntraced(function* (generator: Processes.Process, job: Job, name: string) {
  const outcome = (yield* generator.ask(job)) as Outcome
  if (outcome._tag === "Measured") return outcome.measurement
  return yield* new MeasurementFailed({ message: `${name}: ${outcome.message}` })
})

/** Nobody is always the first or always behind the same one. */
const rotated = <A>(items: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const first = by % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}
