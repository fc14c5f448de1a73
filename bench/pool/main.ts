/**
 * `npm run bench:pool`: what the worker pool costs and does, beside what one would use instead.
 *
 *     npm run bench:pool                     # tables
 *     npm run bench:pool -- --json           # the figures
 *     npm run bench:pool -- --plots          # also draws the plots of docs/worker-pool.md
 *     npm run bench:pool -- --rounds 30      # samples of each figure of the first table (default 15)
 *     npm run bench:pool -- --only cost      # one part: cost, batching, priorities or sizing
 *     npm run bench:pool -- --strict         # fails when a goal is missed
 */

import { availableParallelism, cpus, loadavg } from "node:os"
import { parseArgs } from "node:util"
import * as Batching from "./batching.ts"
import * as Cost from "./cost.ts"
import * as Plots from "./plots.ts"
import * as Priorities from "./priorities.ts"
import * as Sizing from "./sizing.ts"

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    plots: { type: "boolean", default: false },
    rounds: { type: "string", default: "15" },
    only: { type: "string" },
    strict: { type: "boolean", default: false }
  }
})

const wanted = (part: string): boolean => options.only === undefined || options.only === part
const say = (...lines: ReadonlyArray<string>): void => {
  if (!options.json) console.log(lines.join("\n"), "\n")
}

const machine = {
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  /** Processes that wanted a core in the last minute, this one not yet among them. */
  load: loadavg()[0]!
}
say(
  `${machine.date}, Node.js ${machine.node}, ${machine.cores} cores of ${machine.cpu}, load ${machine.load.toFixed(1)}`
)

const cost = wanted("cost") ? await Cost.measure(Number(options.rounds)) : undefined
const goals = cost === undefined ? undefined : Cost.goals(cost)
if (cost !== undefined) {
  say(Cost.print(cost))
  say(...goals!.map(({ found, goal, met }) => `${met ? "met   " : "MISSED"} ${goal}: ${found}`))
}

const batching = wanted("batching") ? await Batching.measure() : undefined
if (batching !== undefined) say(Batching.print(batching))

const priorities = wanted("priorities") ? await Priorities.measure() : undefined
if (priorities !== undefined) say(Priorities.print(priorities))

const sizing = wanted("sizing")
  ? { resizing: await Sizing.resizing(), autoscaling: await Sizing.autoscaling() }
  : undefined
if (sizing !== undefined) say(Sizing.print(sizing.resizing, sizing.autoscaling))

if (options.plots) {
  if (priorities === undefined || sizing === undefined) throw new Error("--plots needs all parts: leave out --only")
  say(...Plots.write(priorities, sizing.resizing, sizing.autoscaling))
}
if (options.json) console.log(JSON.stringify({ machine, cost, goals, batching, priorities, sizing }, undefined, 2))
// Figures of a busy machine prove nothing: only who asks for it is told by the exit code.
if (options.strict && goals?.some(({ met }) => !met)) process.exitCode = 1
