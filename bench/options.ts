/** The command line of `npm run bench`. */

import { parseArgs } from "node:util"

export const usage = `npm run bench -- [options]

Measures this server side by side with itself without the worker pool and with a bare Node server (the limit): each in
a process of its own, in turns of a second, over several rounds. Figures are medians of all turns, ratios are medians of
the ratios of each turn.

  --seconds N      how long each case is measured for each server in a round, after a warm-up (default 3)
  --rounds N       rounds, each with new processes (default 3)
  --only PATTERN   only the cases whose names match this regular expression: 'getattr', '4x32', '^read.*1x1'
  --servers NAMES  only these servers, separated by commas
  --json FILE      write all figures to a file, too
  --profile DIR    write a CPU profile of each server process to DIR; 'node bench/profile.ts FILE' sums one up
  --help           this text`

export interface Options {
  readonly seconds: number
  readonly rounds: number
  readonly only: RegExp
  readonly servers: ReadonlyArray<string> | undefined
  readonly json: string | undefined
  readonly profile: string | undefined
}

/** What the arguments ask for; a text when they make no sense. */
export const parse = (args: ReadonlyArray<string>): Options | "help" | { readonly problem: string } => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: "string", default: "3" },
        rounds: { type: "string", default: "3" },
        only: { type: "string", default: "" },
        servers: { type: "string" },
        json: { type: "string" },
        profile: { type: "string" },
        help: { type: "boolean", default: false }
      }
    })
    if (values.help) return "help"
    return {
      seconds: positive("seconds", values.seconds),
      rounds: Math.ceil(positive("rounds", values.rounds)),
      only: new RegExp(values.only, "i"),
      servers: values.servers?.split(","),
      json: values.json,
      profile: values.profile
    }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < 1e6)) throw new Error(`--${name} must be a number above 0, not '${text}'`)
  return value
}
