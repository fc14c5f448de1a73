/** What the samples say: medians, and ratios of what was measured in the same turn. */

import type { Case } from "./cases.ts"
import { type Contestant, POOL, playing } from "./contestants.ts"
import type { Measurement } from "./load/protocol.ts"
import type { Sample } from "./rounds.ts"

/** Something about a measurement, where it could be told. */
export type Figure = (measurement: Measurement) => number | undefined

/** Calls per second, or whole listings where it takes several calls for one. */
export const rate = ({ callsEach, callsPerSecond }: Measurement): number => callsPerSecond / callsEach

/** How long one of these takes from the client's view, in milliseconds: the median. */
export const latency = ({ callsEach, latency }: Measurement): number => latency.p50 * callsEach

/** Processor time that the server takes for one, in microseconds. */
export const processorTime: Figure = ({ callsEach, serverMicros }) =>
  serverMicros === undefined ? undefined : serverMicros * callsEach

/** Medians of one case at one server. */
export interface Row {
  readonly case: string
  readonly contestant: string
  readonly rate: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly generatorBusy: number
  readonly serverMicros: number | undefined
  /** The rate of `pool` by that of this one. */
  readonly ratio: number | undefined
  /** The same by processor time per call, which does not suffer from what else runs on the machine. */
  readonly ratioByProcessor: number | undefined
}

export const rows = (
  samples: ReadonlyArray<Sample>,
  cases: ReadonlyArray<Case>,
  contestants: ReadonlyArray<Contestant>
): ReadonlyArray<Row> =>
  cases.flatMap((each) =>
    playing(contestants, each).flatMap(({ name: contestant }): ReadonlyArray<Row> => {
      const own = samples.filter((sample) => sample.case === each && sample.contestant === contestant)
      if (own.length === 0) return []
      const middle = (figure: (measurement: Measurement) => number): number =>
        median(own.map(({ measurement }) => figure(measurement)))
      return [
        {
          case: each.name,
          contestant,
          rate: middle(rate),
          p50: middle(({ latency }) => latency.p50),
          p99: middle(({ latency }) => latency.p99),
          p999: middle(({ latency }) => latency.p999),
          generatorBusy: middle(({ generatorBusy }) => generatorBusy),
          serverMicros: medianIfAny(own.map(({ measurement }) => processorTime(measurement))),
          ratio: ratio(samples, each, POOL, contestant, rate),
          ratioByProcessor: ratio(samples, each, contestant, POOL, processorTime)
        }
      ]
    })
  )

/** The median of the turns' ratios between two servers in a case; nothing where they never both were measured. */
export const ratio = (
  samples: ReadonlyArray<Sample>,
  of: Case,
  upper: string,
  lower: string,
  figure: Figure
): number | undefined => {
  const turns = (contestant: string) =>
    new Map(
      samples
        .filter((sample) => sample.case === of && sample.contestant === contestant)
        .map(({ measurement, round, turn }) => [`${round} ${turn}`, figure(measurement)] as const)
    )
  const divisors = turns(lower)
  return medianIfAny(
    Array.from(turns(upper), ([turn, value]) => {
      const divisor = divisors.get(turn)
      return value === undefined || divisor === undefined || divisor === 0 ? undefined : value / divisor
    })
  )
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** The median of what is known; nothing when nothing is. */
export const medianIfAny = (values: ReadonlyArray<number | undefined>): number | undefined => {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : median(known)
}
