/** Many cases against one server, one after the other, and what it keeps of them. */

import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Measurement } from "../support/watchedServer.ts"
import * as Case from "./Case.ts"
import type { Target } from "./Target.ts"

/** Cases after which what the server keeps is measured first: by then its tables, caches and code are there. */
const WARM_UP = 30

/** How long a case may take, on a machine that has much else to do. */
const PATIENCE = "90 seconds"

/**
 * Bytes that may be more at the end than after the warm-up. What is bounded may still fill up in between: the replies of
 * 1,024 calls of each of eight addresses, and code that is compiled later.
 */
const TOLERANCE = 24 * 1024 * 1024

/** Descriptors likewise: a connection that has just ended may still be there. */
const DESCRIPTORS = 4

/** Descriptors of served files that may be open: those of recent cases, which are closed when they were not used for long. */
const FILES = 2048

export interface Report {
  readonly cases: number
  /** What was answered how often, as `LOOKUP NFS3_OK`. */
  readonly answers: ReadonlyMap<string, number>
  /** What was wrong, with the case in which it was found. */
  readonly problems: ReadonlyArray<{ readonly number: number; readonly texts: ReadonlyArray<string> }>
  readonly warm: Measurement | undefined
  readonly last: Measurement | undefined
}

export interface Options {
  readonly seed: number
  readonly first: number
  /** Whether to go on with the next case. */
  readonly more: (cases: number) => boolean
  readonly onCase?: (report: Report) => Effect.Effect<void>
}

/** Runs cases until there are no more, or something is wrong. */
export const run = Effect.fnUntraced(function* (
  target: Target,
  { first, more, onCase, seed }: Options
): Effect.fn.Return<Report> {
  const answers = new Map<string, number>()
  const onAnswer: NonNullable<Case.Options["onAnswer"]> = ({ procedure }, { status }) => {
    const what = procedure === undefined ? status : `${procedure.name} ${status}`
    answers.set(what, (answers.get(what) ?? 0) + 1)
  }
  let cases = 0
  let warm: Measurement | undefined
  const report = (texts: ReadonlyArray<string>, last?: Measurement): Report => ({
    cases,
    answers,
    problems: texts.length === 0 ? [] : [{ number: first + cases - 1, texts }],
    warm,
    last
  })
  while (more(cases)) {
    const exit = yield* Case.run(target, { seed, number: first + cases, onAnswer }).pipe(
      Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.succeed(["it did not end"]) }),
      Effect.exit
    )
    cases++
    // A client that prepares or cleans up got no answer, or one that should not be.
    const texts = [...(Exit.isSuccess(exit) ? exit.value : [Cause.pretty(exit.cause)]), ...(yield* target.problems)]
    if (texts.length > 0) return report(texts)
    if (cases === WARM_UP) warm = yield* target.measure({ collected: true })
    if (onCase !== undefined) yield* onCase(report([]))
  }
  const last = yield* target.measure({ collected: true })
  return report(leaks(warm ?? last, last), last)
})

const leaks = (warm: Measurement, last: Measurement): ReadonlyArray<string> => [
  ...(last.bytes > warm.bytes + TOLERANCE
    ? [`${last.bytes} bytes are live, after the warm-up it was ${warm.bytes}`]
    : []),
  ...(last.descriptors > warm.descriptors + DESCRIPTORS
    ? [`${last.descriptors} descriptors are open, after the warm-up it was ${warm.descriptors}`]
    : []),
  ...(last.files > FILES ? [`${last.files} descriptors of served files are open`] : [])
]
