/** `npm run bench`: see `--help`. */

import { mkdirSync, writeFileSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { type Case, cases } from "./cases.ts"
import { type Contestant, contestants, playing } from "./contestants.ts"
import * as Docs from "./docs.ts"
import * as Figures from "./figures.ts"
import * as Goals from "./goals.ts"
import * as LargeDirectory from "./largeDirectory.ts"
import * as Memory from "./memory.ts"
import * as Options from "./options.ts"
import * as Report from "./report.ts"
import * as Rounds from "./rounds.ts"

class Misused extends Data.TaggedError("Misused")<{ readonly message: string }> {}

/** A goal was missed, or a server of ours failed. */
class Missed extends Data.TaggedError("Missed")<{ readonly message: string }> {}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

const chooseCases = Effect.fnUntraced(function* ({ full, only }: Options.Options) {
  const wanted = (name: string) => full || (only?.test(name) ?? false)
  const chosen = {
    cases: cases.filter(({ name, quick }) => wanted(name) || (only === undefined && quick)),
    memory: wanted(Memory.NAME),
    largeDirectory: wanted(LargeDirectory.NAME)
  }
  if (chosen.cases.length > 0 || chosen.memory || chosen.largeDirectory) return chosen
  const names = [...cases.map(({ name }) => name), Memory.NAME, LargeDirectory.NAME]
  return yield* new Misused({ message: `no case matches; there are: ${names.join(", ")}` })
})

/** Who can be measured and takes part; the others, with why they cannot. */
const chooseContestants = Effect.fnUntraced(function* ({ servers }: Options.Options, chosen: ReadonlyArray<Case>) {
  const names = new Set(contestants.map(({ name }) => name))
  const unknown = servers?.find((name) => !names.has(name))
  if (unknown !== undefined) {
    return yield* new Misused({ message: `there is no server '${unknown}'; there are: ${[...names].join(", ")}` })
  }
  const wanted = contestants.filter(
    (one) => (servers?.includes(one.name) ?? true) && chosen.some((of) => playing([one], of).length > 0)
  )
  const absent = wanted.flatMap(({ about, missing }) => {
    const why = missing?.()
    return why === undefined ? [] : [`Not measured: ${about}: ${why}.`]
  })
  return { present: wanted.filter(({ missing }) => missing?.() === undefined), absent }
})

const progress = (total: number) => {
  let done = 0
  return (outcome: Rounds.Outcome): void => {
    const { case: of, contestant, round } = outcome
    const what =
      "message" in outcome
        ? outcome.message
        : `${Math.round(Figures.rate(outcome.measurement)).toLocaleString("en-US")} a second`
    done = Math.min(done + 1, total)
    say(
      `${String(Math.floor((done / total) * 100)).padStart(3)}%  round ${round + 1}  ${of.name.padEnd(26)}  ${contestant.padEnd(10)}  ${what}`
    )
  }
}

const turnsOf = (chosen: ReadonlyArray<Case>, present: ReadonlyArray<Contestant>): number =>
  chosen.reduce((sum, of) => sum + playing(present, of).length, 0)

const bench = Effect.fnUntraced(function* (options: Options.Options) {
  const { docs, goals, json, profile, rounds, seconds, strict } = options
  const chosen = yield* chooseCases(options)
  const { absent, present } = yield* chooseContestants(options, chosen.cases)
  for (const line of absent) say(line)
  if (profile !== undefined) mkdirSync(profile, { recursive: true })

  if (chosen.memory) say("memory")
  const memory = chosen.memory ? yield* Memory.measure(rounds) : undefined
  if (chosen.largeDirectory) say("large-directory")
  const directories = chosen.largeDirectory ? yield* LargeDirectory.measure(rounds) : []

  const total = turnsOf(chosen.cases, present) * rounds * Rounds.turns(seconds)
  const { failures, samples } =
    total === 0
      ? { failures: [], samples: [] }
      : yield* Rounds.run({
          cases: chosen.cases,
          contestants: present,
          rounds,
          seconds,
          nodeArgs: profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`],
          onOutcome: progress(total)
        })
  const rows = Figures.rows(samples, chosen.cases, present)
  const verdicts = [
    ...Goals.verdicts(samples, chosen.cases, present),
    ...directories.map(LargeDirectory.verdict),
    ...(memory === undefined ? [] : Memory.verdicts(memory))
  ]
  const place = Report.place(DateTime.formatIsoDateUtc(yield* DateTime.now))
  const disturbance = Report.disturbance(samples)
  const notes = [...absent, ...Report.failures(failures)]
  yield* Console.log(
    [
      `${place}${disturbance === undefined ? "" : `; other programs kept ${disturbance.toFixed(1)} processors busy`}`,
      ...(rows.length === 0 ? [] : [Report.contestants(present), Report.figures(rows), Report.legend]),
      ...notes,
      // Of the rows that have no other table, the goals are the result.
      ...(verdicts.length > 0 && (goals || rows.length === 0) ? [Report.goals(verdicts)] : [])
    ].join("\n\n")
  )
  if (json !== undefined) {
    const found = {
      place,
      machine: Report.machine(),
      seconds,
      rounds,
      disturbance,
      verdicts,
      rows,
      memory,
      directories,
      notes,
      samples
    }
    writeFileSync(json, `${JSON.stringify(found, undefined, 2)}\n`)
  }
  if (docs) {
    Docs.write({ place, disturbance, rows, goals: Report.goals(verdicts), figures: Report.figures(rows), notes })
  }
  // A busy machine may cost anybody a turn; who has none at all does not work.
  const broken = failures.find(
    ({ case: of, contestant }) =>
      playing(present, of).some(({ name, peer }) => name === contestant && peer !== true) &&
      !rows.some((row) => row.case === of.name && row.contestant === contestant)
  )
  if (broken !== undefined) {
    return yield* new Missed({ message: `${broken.contestant} failed at ${broken.case.name}: ${broken.message}` })
  }
  const missed = verdicts.filter(({ met }) => !met).length
  // Figures of a busy machine prove nothing: only who asks for it is told by the exit code.
  if (strict && missed > 0) return yield* new Missed({ message: `${missed} of ${verdicts.length} goals are missed` })
})

const options = Options.parse(process.argv.slice(2))
if (options === "help") {
  console.log(Options.usage)
} else if ("problem" in options) {
  console.error(options.problem)
  process.exitCode = 2
} else {
  const program = bench(options).pipe(Effect.tapError((error) => Console.error(error.message)))
  NodeRuntime.runMain(program, { disableErrorReporting: true })
}
