/** `npm run fuzz`: see `--help`. */

import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Run from "./Run.ts"
import * as Target from "./Target.ts"

const usage = `npm run fuzz -- [options]

Sends mutated calls to a server in a process of its own, over memory and over a directory, and looks at what comes back:
every call has one reply that makes sense, nobody else waits, and the server neither dies nor complains nor keeps anything.

  --minutes N      how long, all backends together (default 1)
  --seed N         the choices to make; default: others each time. It is printed.
  --case M         only this case of the seed, as a failure names it
  --backend NAME   only this one: ${Target.backends.join(", ")}
  --help           this text`

class Misused extends Data.TaggedError("Misused")<{ readonly message: string }> {}
class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly only: number | undefined
  readonly backends: ReadonlyArray<Target.Backend>
}

const parse = (args: ReadonlyArray<string>): Options | "help" | Misused => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: "string", default: "1" },
        seed: { type: "string", default: String(randomInt(0x7fff_ffff)) },
        case: { type: "string" },
        backend: { type: "string" },
        help: { type: "boolean", default: false }
      }
    })
    if (values.help) return "help"
    const backends = Target.backends.filter((name) => values.backend === undefined || values.backend === name)
    if (backends.length === 0)
      throw new Error(`--backend must be ${Target.backends.join(" or ")}, not '${values.backend}'`)
    return {
      minutes: number("minutes", values.minutes),
      seed: Math.floor(number("seed", values.seed)),
      only: values.case === undefined ? undefined : Math.floor(number("case", values.case)),
      backends
    }
  } catch (error) {
    return new Misused({ message: error instanceof Error ? error.message : String(error) })
  }
}

const number = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value >= 0 && value < 2 ** 31)) throw new Error(`--${name} must be a number from 0 on, not '${text}'`)
  return value
}

/** Milliseconds between lines that say how far it is. */
const PROGRESS = 5000

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const sum = (answers: Run.Report["answers"]): number => [...answers.values()].reduce((total, count) => total + count, 0)

/** The rows of a table of answers: the procedures, and how many of their calls were answered how. */
const table = (answers: Run.Report["answers"]): string => {
  const byName = Map.groupBy(answers, ([what]) => what.split(" ")[0]!)
  return [...byName]
    .map(([name, entries]) => {
      const parts = entries
        .sort(([, a], [, b]) => b - a)
        .map(([what, count]) => `${what.split(" ")[1] ?? ""} ${count}`.trim())
      return `  ${name.padEnd(14)} ${parts.join(", ")}`
    })
    .join("\n")
}

const fuzz = Effect.fnUntraced(function* ({ backends, minutes, only, seed }: Options) {
  yield* Console.log(`seed ${seed}`)
  for (const backend of backends) {
    const end = performance.now() + (minutes * 60_000) / backends.length
    let said = performance.now()
    const report = yield* Effect.scoped(
      Effect.gen(function* () {
        const target = yield* Target.make(backend)
        return yield* Run.run(target, {
          seed,
          first: only ?? 0,
          more: (cases) => (only === undefined ? performance.now() < end : cases === 0),
          onCase: ({ answers, cases }) =>
            Effect.gen(function* () {
              if (performance.now() - said < PROGRESS) return
              said = performance.now()
              const { bytes, descriptors, files } = yield* target.measure()
              yield* Console.log(
                `${backend}: ${cases} cases, ${sum(answers)} answers, ${mebibytes(bytes)}, ` +
                  `${descriptors} + ${files} descriptors, slowest neighbour ${target.slowest()} ms`
              )
            })
        })
      })
    )
    const { answers, cases, last, problems, warm } = report
    const memory = [
      ...(warm === undefined ? [] : [`${mebibytes(warm.bytes)} live after the warm-up`]),
      ...(last === undefined ? [] : [`${mebibytes(last.bytes)} at the end`])
    ]
    yield* Console.log([`${backend}: ${cases} cases`, `${sum(answers)} answers`, ...memory].join(", "))
    yield* Console.log(table(answers))
    for (const { number, texts } of problems) {
      const again = `npm run fuzz -- --backend ${backend} --seed ${seed} --case ${number}`
      return yield* new Failed({ message: [`${backend}: case ${number} of seed ${seed}:`, ...texts, again].join("\n") })
    }
  }
})

const options = parse(process.argv.slice(2))
if (options === "help") {
  console.log(usage)
} else if (options instanceof Misused) {
  console.error(options.message)
  process.exitCode = 2
} else {
  const program = fuzz(options).pipe(
    Effect.tapError((error) => Console.error("message" in error ? error.message : error))
  )
  NodeRuntime.runMain(program, { disableErrorReporting: true })
}
