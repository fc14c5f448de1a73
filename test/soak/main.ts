/** `npm run soak`: see `--help`. Its last line counts what passed and what failed. */

import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Soak from "./Soak.ts"

const usage = `npm run soak -- [options]

200 clients at work on a server in a process of its own, over memory and over a directory, while connections are cut from
both ends and the server is changed. In the end every file is what its client made it, and the server keeps nothing.

  --minutes N      how long (default 3)
  --seed N         the choices to make; default: others each time. It is printed; what happens when is up to the network.
  --help           this text`

/** Everything has been said. */
class Failed extends Data.TaggedError("Failed") {}

/** Problems of a check that are shown. */
const SHOWN = 20

const say = (text: string): void => console.log(text)

const soak = Effect.fnUntraced(function* (options: { readonly minutes: number; readonly seed: number }) {
  say(`# seed ${options.seed}`)
  const checks = yield* Effect.scoped(Soak.run({ ...options, say: (text) => say(`# ${text}`) }))
  for (const { name, problems } of checks) {
    say(`${problems.length === 0 ? "ok" : "not ok"} ${name}`)
    for (const problem of problems.slice(0, SHOWN)) say(`    ${problem}`)
    if (problems.length > SHOWN) say(`    and ${problems.length - SHOWN} more`)
  }
  const failed = checks.filter(({ problems }) => problems.length > 0).length
  if (failed > 0) say(`# again: npm run soak -- --seed ${options.seed}`)
  say(`${checks.length - failed} passed, ${failed} failed`)
  if (failed > 0) return yield* new Failed()
})

const failed = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.findErrorOption(cause), (error) => error instanceof Failed)

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < 2 ** 31)) throw new Error(`--${name} must be a number above 0, not '${text}'`)
  return value
}

try {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "3" },
      seed: { type: "string", default: String(randomInt(1, 0x7fff_ffff)) },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    say(usage)
  } else {
    const options = { minutes: positive("minutes", values.minutes), seed: Math.floor(positive("seed", values.seed)) }
    const program = soak(options).pipe(
      Effect.tapCause((cause) => (failed(cause) ? Effect.void : Console.error(Cause.pretty(cause))))
    )
    NodeRuntime.runMain(program, { disableErrorReporting: true })
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 2
}
