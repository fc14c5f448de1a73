/** What is to be reached, and how far it is. */

import type { Case } from "./cases.ts"
import { type Contestant, POOL } from "./contestants.ts"
import { type Figure, latency, processorTime, rate, ratio } from "./figures.ts"
import type { Sample } from "./rounds.ts"

export interface Verdict {
  /** Of what. */
  readonly name: string
  readonly goal: string
  readonly found: string
  readonly met: boolean
}

/** All peers that took part; the best of them counts. */
const PEERS = "best peer"

interface Goal {
  /** The cases by their names; those of the local backend end in `local`. */
  readonly cases: RegExp
  /** The server of ours that is compared; default `pool`. */
  readonly of?: string
  readonly than: string
  /** The ratio of rates to be reached, */
  readonly atLeast?: number
  /** (and the one that earns a star) */
  readonly star?: number
  /** or the ratio of latencies not to be exceeded. */
  readonly atMost?: number
}

const goals: ReadonlyArray<Goal> = [
  { cases: /^(NULL|GETATTR|ACCESS|LOOKUP) 4x32$/, than: "ganesha", atLeast: 5 },
  { cases: /^(NULL|GETATTR|ACCESS|LOOKUP) 4x32$/, than: "bare", atLeast: 0.3, star: 0.4 },
  { cases: /^(NULL|GETATTR|ACCESS|LOOKUP) 4x32 local$/, than: "ganesha", atLeast: 4 },
  { cases: /^(NULL|GETATTR|ACCESS|LOOKUP) 4x32 local$/, than: "unfs3", atLeast: 2 },
  { cases: /^CREATE\+REMOVE 4x32$/, than: "ganesha", atLeast: 2 },
  { cases: /^READDIRPLUS 4x32/, than: "ganesha", atLeast: 2 },
  { cases: /^CREATE\+REMOVE 4x32 local$/, of: "async", than: "ganesha", atLeast: 1 },
  { cases: /^(READ|WRITE) 4 KiB 4x16$/, than: "ganesha", atLeast: 3 },
  { cases: /^(READ|WRITE) 4 KiB 4x16 local$/, than: "ganesha", atLeast: 1.5 },
  { cases: /^READ (64 KiB 4x32|1 MiB 4x4)/, than: PEERS, atLeast: 1 },
  { cases: /^WRITE (64 KiB 4x32|1 MiB 4x4)$/, than: "bare", atLeast: 0.8 },
  { cases: / 1x1$/, than: PEERS, atMost: 1.3 },
  { cases: /(?<!^CREATE\+REMOVE) 1x1 local$/, than: PEERS, atMost: 1.5 },
  { cases: /^CREATE\+REMOVE 1x1 local$/, of: "async", than: PEERS, atMost: 1.5 },
  { cases: /^(NULL|GETATTR|ACCESS|LOOKUP) 64x4$/, than: "bare", atLeast: 0.3 },
  { cases: / 4x32$/, than: "bypassed", atLeast: 0.8 }
]

/** Of the goals whose case and whose rival were measured. */
export const verdicts = (
  samples: ReadonlyArray<Sample>,
  cases: ReadonlyArray<Case>,
  contestants: ReadonlyArray<Contestant>
): ReadonlyArray<Verdict> =>
  goals.flatMap((goal) =>
    cases.filter(({ name }) => goal.cases.test(name)).flatMap((each) => verdict(goal, each, samples, contestants))
  )

const verdict = (
  { atLeast, atMost, of = POOL, star = Infinity, than }: Goal,
  each: Case,
  samples: ReadonlyArray<Sample>,
  contestants: ReadonlyArray<Contestant>
): ReadonlyArray<Verdict> => {
  const rivals = contestants.filter(
    ({ backend, name, peer }) => backend === each.backend && (than === PEERS ? peer === true : name === than)
  )
  if (rivals.length === 0) return []
  const ratios = (figure: Figure) => rivals.flatMap(({ name }) => ratio(samples, each, of, name, figure) ?? [])
  const name = of === POOL ? each.name : `${each.name} (${of})`
  const one = (goal: string, found: number, met: boolean, beside = ""): ReadonlyArray<Verdict> =>
    Number.isFinite(found)
      ? [{ name, goal, found: `${times(found)}${beside}`, met }]
      : [{ name, goal, found: "not measured", met: false }]
  if (atMost !== undefined) {
    const found = Math.max(...ratios(latency))
    return one(`latency at most ${times(atMost)} ${than}'s`, found, found <= atMost)
  }
  const least = atLeast ?? 1
  const found = Math.min(...ratios(rate))
  // The rates decide; on a busy machine this says how far they can be believed.
  const byProcessor = Math.min(...rivals.flatMap((rival) => ratio(samples, each, rival.name, of, processorTime) ?? []))
  const beside = Number.isFinite(byProcessor) ? ` (by CPU ${times(byProcessor)})` : ""
  return one(`at least ${times(least)} ${than}`, found, found >= least, `${found >= star ? " ★" : ""}${beside}`)
}

/** Parts of something as a percentage, multiples as such. */
export const times = (ratio: number): string =>
  ratio < 0.995 ? `${Math.round(ratio * 100)}%` : `${ratio.toFixed(ratio < 10 ? 2 : 0)} x`
