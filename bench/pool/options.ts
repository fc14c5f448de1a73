/** The command line of `npm run bench:pool`. */

import { parseArgs } from "node:util"

const usage = `npm run bench:pool -- [options]

Measures what the worker pool costs and does, beside what one would use instead.

  --only PART   one part: cost, batching, observing, priorities or sizing
  --rounds N    samples of each figure of cost and observing (default 15)
  --plots       also draws the plots of docs/worker-pool.md
  --json        prints the figures instead of tables
  --strict      fails when a goal is missed
  --help        this text`

const parts = ["cost", "batching", "observing", "priorities", "sizing"] as const
export type Part = (typeof parts)[number]

export interface Options {
  readonly json: boolean
  readonly plots: boolean
  readonly rounds: number
  readonly only: Part | undefined
  readonly strict: boolean
}

/** What the arguments ask for. Ends the process where that is help, or makes no sense. */
export const parse = (args: ReadonlyArray<string>): Options => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        plots: { type: "boolean", default: false },
        rounds: { type: "string", default: "15" },
        only: { type: "string" },
        strict: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const only = parts.find((part) => part === values.only)
    if (values.only !== undefined && only === undefined) {
      throw new Error(`--only must be one of ${parts.join(", ")}, not '${values.only}'`)
    }
    if (values.plots && only !== undefined) throw new Error("--plots needs all parts: leave out --only")
    const rounds = Number(values.rounds)
    if (!(Number.isInteger(rounds) && rounds >= 1)) {
      throw new Error(`--rounds must be a whole number above 0, not '${values.rounds}'`)
    }
    return { ...values, rounds, only }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(2)
  }
}
