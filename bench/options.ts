/** The command line of `npm run bench`. */

import { parseArgs } from "node:util"

export const usage = `npm run bench -- [options]

Measures this server side by side with itself without the worker pool, with a bare Node server (the limit), and with
nfs-ganesha and unfs3 where they are installed: each in a process of its own, in short turns, over several rounds. Figures
are medians of all turns, ratios are medians of the ratios of each turn. Without --full or --only, it measures the cases
that most goals are about, which takes about five minutes.

  --full           everything, memory and large-directory too: 20 minutes and more
  --only PATTERN   only the cases whose names match this regular expression: 'getattr', '4x32$', '^read.*local'; 'memory'
                   is how much of it the server takes, 'large-directory' lists one of 1,000,000 entries
  --servers NAMES  only these servers, separated by commas
  --seconds N      how long each case is measured for each server in a round, after a warm-up (default 1)
  --rounds N       rounds, each with new processes (default 2, 3 with --full)
  --goals          tell which goals are met
  --strict         the same, and fail when one is missed
  --json FILE      write all figures to a file, too
  --docs           write the figures to docs/performance.md and its chart; needs --full
  --profile DIR    write a CPU profile of each server process to DIR; 'node bench/profile.ts FILE' sums one up
  --help           this text`

export interface Options {
  readonly full: boolean
  readonly only: RegExp | undefined
  readonly servers: ReadonlyArray<string> | undefined
  readonly seconds: number
  readonly rounds: number
  readonly goals: boolean
  readonly strict: boolean
  readonly json: string | undefined
  readonly docs: boolean
  readonly profile: string | undefined
}

/** What the arguments ask for; a text when they make no sense. */
export const parse = (args: ReadonlyArray<string>): Options | "help" | { readonly problem: string } => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        full: { type: "boolean", default: false },
        only: { type: "string" },
        servers: { type: "string" },
        seconds: { type: "string", default: "1" },
        rounds: { type: "string" },
        goals: { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
        json: { type: "string" },
        docs: { type: "boolean", default: false },
        profile: { type: "string" },
        help: { type: "boolean", default: false }
      }
    })
    if (values.help) return "help"
    const { docs, full, json, only, profile, servers, strict } = values
    if (full && only !== undefined) throw new Error("--full is everything: leave out --only")
    if (docs && (!full || servers !== undefined)) throw new Error("--docs needs --full and all servers")
    return {
      full,
      only: only === undefined ? undefined : new RegExp(only, "i"),
      servers: servers?.split(","),
      seconds: positive("seconds", values.seconds),
      rounds: Math.ceil(positive("rounds", values.rounds ?? (full ? "3" : "2"))),
      goals: values.goals || strict,
      strict,
      json,
      docs,
      profile
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
