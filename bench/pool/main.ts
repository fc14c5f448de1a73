/** `npm run bench:pool`: see `--help`. */

import { availableParallelism, cpus, loadavg } from "node:os"
import * as Batching from "./batching.ts"
import * as Cost from "./cost.ts"
import * as Observing from "./observing.ts"
import * as Options from "./options.ts"
import * as Plots from "./plots.ts"
import * as Priorities from "./priorities.ts"
import * as Sizing from "./sizing.ts"

const options = Options.parse(process.argv.slice(2))

const wanted = (part: Options.Part): boolean => options.only === undefined || options.only === part
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

const cost = wanted("cost") ? await Cost.measure(options.rounds) : undefined
const goals = cost === undefined ? undefined : Cost.goals(cost)
if (cost !== undefined) {
  say(Cost.print(cost))
  say(...goals!.map(({ found, goal, met }) => `${met ? "met   " : "MISSED"} ${goal}: ${found}`))
}

const batching = wanted("batching") ? await Batching.measure() : undefined
if (batching !== undefined) say(Batching.print(batching))

const observing = wanted("observing") ? await Observing.measure(options.rounds) : undefined
if (observing !== undefined) say(Observing.print(observing))

const priorities = wanted("priorities") ? await Priorities.measure() : undefined
if (priorities !== undefined) say(Priorities.print(priorities))

const sizing = wanted("sizing")
  ? { resizing: await Sizing.resizing(), autoscaling: await Sizing.autoscaling() }
  : undefined
if (sizing !== undefined) say(Sizing.print(sizing.resizing, sizing.autoscaling))

if (options.plots && priorities !== undefined && sizing !== undefined) {
  say(...Plots.write(priorities, sizing.resizing, sizing.autoscaling))
}
if (options.json)
  console.log(JSON.stringify({ machine, cost, goals, batching, observing, priorities, sizing }, undefined, 2))
// Figures of a busy machine prove nothing: only who asks for it is told by the exit code.
if (options.strict && goals?.some(({ met }) => !met)) process.exitCode = 1
