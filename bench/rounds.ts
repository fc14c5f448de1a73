/**
 * Rounds of measurements. In each, all servers run in new processes, because how one happens to be compiled must not decide,
 * and each case is measured at all of them in short turns, so that they see the same weather.
 */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case } from "./cases.ts"
import { type Contestant, playing } from "./contestants.ts"
import type { Endpoint, Job, Measurement, Outcome as Answer } from "./load/protocol.ts"
import * as Processes from "./processes.ts"
import * as Temporary from "./temporary.ts"

/** One measurement of one case at one server. */
export interface Sample {
  readonly round: number
  readonly turn: number
  readonly case: Case
  readonly contestant: string
  readonly measurement: Measurement
}

/** A turn in which a server could not be measured, and why. */
export interface Failure {
  readonly round: number
  readonly case: Case
  readonly contestant: string
  readonly message: string
}

export type Outcome = Sample | Failure

interface Played {
  readonly samples: ReadonlyArray<Sample>
  readonly failures: ReadonlyArray<Failure>
}

export interface Plan {
  readonly cases: ReadonlyArray<Case>
  readonly contestants: ReadonlyArray<Contestant>
  readonly rounds: number
  readonly seconds: number
  readonly nodeArgs: ReadonlyArray<string>
  readonly onOutcome: (outcome: Outcome) => void
}

/** The length of a turn. */
const TURN_SECONDS = 0.5

/**
 * A server's first calls of a kind run unseen until their code is compiled and its heap has found its size, which takes one in
 * JavaScript about so long.
 */
const WARM_UP_SECONDS = 1

/** Before each further turn, until everything is in the caches again. */
const RAMP_UP_SECONDS = 0.1

/** How many turns a case has in a round. */
export const turns = (seconds: number): number => Math.max(1, Math.round(seconds / TURN_SECONDS))

export const run = (plan: Plan): Effect.Effect<Played, Processes.ProcessFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const processors = Processes.processors()
      const generator = yield* Processes.start({
        name: "the load generator",
        module: "load/main.ts",
        processor: processors.generator
      })
      const rounds = Array.from({ length: plan.rounds }, (_, round) => round)
      const played = yield* Effect.forEach(rounds, (round) =>
        Effect.scoped(playRound(plan, round, generator, processors.server))
      )
      return {
        samples: played.flatMap(({ samples }) => samples),
        failures: played.flatMap(({ failures }) => failures)
      }
    })
  )

const playRound = Effect.fnUntraced(function* (
  plan: Plan,
  round: number,
  generator: Processes.Process,
  processor: number | undefined
): Effect.fn.Return<Played, Processes.ProcessFailed, Scope.Scope> {
  const { cases, nodeArgs, onOutcome, seconds } = plan
  const root = yield* Temporary.directory
  const endpoints = new Map<Contestant, Endpoint>()
  for (const contestant of plan.contestants) {
    const directory = join(root, `${contestant.name}-${contestant.backend}`)
    mkdirSync(directory)
    endpoints.set(contestant, yield* contestant.start({ processor, nodeArgs, directory }))
  }
  const count = turns(seconds)
  const samples: Array<Sample> = []
  const failures: Array<Failure> = []
  for (const each of cases) {
    const players = playing(plan.contestants, each)
    for (let turn = 0; turn < count; turn++) {
      for (const contestant of rotated(players, round + turn)) {
        const { connections, depth, operation } = each
        const outcome = (yield* generator.ask({
          endpoint: endpoints.get(contestant)!,
          operation,
          connections,
          depth,
          seconds: seconds / count,
          warmUpSeconds: turn === 0 ? WARM_UP_SECONDS : RAMP_UP_SECONDS
        } satisfies Job)) as Answer
        const played = { round, turn, case: each, contestant: contestant.name }
        if (outcome._tag === "Measured") {
          const sample = { ...played, measurement: outcome.measurement }
          samples.push(sample)
          onOutcome(sample)
        } else {
          const failure = { ...played, message: outcome.message }
          failures.push(failure)
          onOutcome(failure)
        }
      }
    }
  }
  return { samples, failures }
})

/** Nobody is always the first or always behind the same one. */
const rotated = <A>(items: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const first = by % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}
