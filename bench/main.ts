/** `npm run bench`: see `--help`. */

import { mkdirSync, writeFileSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { cases, goals } from "./cases.ts"
import { contestants } from "./contestants.ts"
import * as Options from "./options.ts"
import * as Report from "./report.ts"
import * as Rounds from "./rounds.ts"

class Misused extends Data.TaggedError("Misused")<{ readonly message: string }> {}

const progress = ({ case: { name }, contestant, measurement, round }: Rounds.Sample): void => {
  const rate = Math.round(measurement.callsPerSecond).toLocaleString("en-US")
  process.stderr.write(
    `round ${round + 1}  ${name.padEnd(16)}  ${contestant.padEnd(10)}  ${rate.padStart(10)} calls/s\n`
  )
}

const bench = Effect.fnUntraced(function* (options: Options.Options) {
  const { json, only, profile, rounds, seconds } = options
  const chosenCases = cases.filter(({ name }) => only.test(name))
  if (chosenCases.length === 0) {
    return yield* new Misused({ message: `no case matches; there are: ${cases.map(({ name }) => name).join(", ")}` })
  }
  const names = contestants.map(({ name }) => name)
  const unknown = options.servers?.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    return yield* new Misused({ message: `there is no server '${unknown}'; there are: ${names.join(", ")}` })
  }
  const chosen = contestants.filter(({ name }) => options.servers?.includes(name) ?? true)
  if (profile !== undefined) mkdirSync(profile, { recursive: true })

  const samples = yield* Rounds.run({
    cases: chosenCases,
    contestants: chosen,
    rounds,
    seconds,
    nodeArgs: profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`],
    onSample: progress
  })

  const rows = Report.rows(
    samples,
    chosenCases,
    chosen.map(({ name }) => name)
  )
  yield* Console.log(
    ["", Report.table(rows), "", ...Report.notes(rows, samples), ...Report.verdicts(rows, goals)].join("\n")
  )
  if (json !== undefined) {
    const report = {
      date: DateTime.formatIso(yield* DateTime.now),
      machine: Report.machine(),
      seconds,
      rounds,
      rows,
      samples
    }
    writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
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
