/**
 * The pool's numbers as Effect metrics, for whatever collects these. They are brought up to date once a second from what
 * the pool counts anyway, so that no task pays for them.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Stats } from "./PoolStats.ts"
import type { Scheduler } from "./Scheduler.ts"

const gauge = (name: string, description: string) => Metric.gauge(`worker_pool_${name}`, { description })

const gauges = {
  workers: gauge("workers", "Tasks that may run at once"),
  active: gauge("active", "Tasks that run"),
  utilisation: gauge("utilisation", "Share of the workers that has a task"),
  cost: gauge("cost_bytes", "Bytes that waiting and running tasks pin"),
  admission: gauge("admission", "Share of the queue that is open; below 1 when memory is scarce")
}

const queued = gauge("queued", "Tasks that wait, by class")
const wait = gauge("wait_microseconds", "Time in the queue, by class and quantile")
const run = gauge("run_microseconds", "Time from start to end, by class and quantile")

const outcomes = ["submitted", "started", "completed", "failed", "interrupted", "rejected", "timedOut"] as const
const tasks = Metric.counter("worker_pool_tasks", { description: "Tasks, by class and what became of them" })
const quantiles = ["p50", "p90", "p99"] as const

/** Brings the metrics up to date. `name` tells those of several pools apart. */
export const publish = (
  scheduler: Scheduler,
  stats: Effect.Effect<Stats>,
  name: string | undefined
): Effect.Effect<void> => {
  const pool = name === undefined ? {} : { pool: name }
  const whole = Object.entries(gauges).map(([key, metric]) => ({
    key: key as keyof typeof gauges,
    metric: Metric.withAttributes(metric, pool)
  }))
  const classes = scheduler.classes.map(({ class: { name } }) => ({
    name,
    queued: Metric.withAttributes(queued, { ...pool, class: name }),
    tasks: outcomes.map((outcome) => ({
      outcome,
      metric: Metric.withAttributes(tasks, { ...pool, class: name, outcome }),
      last: 0
    })),
    times: quantiles.map((quantile) => ({
      quantile,
      wait: Metric.withAttributes(wait, { ...pool, class: name, quantile }),
      run: Metric.withAttributes(run, { ...pool, class: name, quantile })
    }))
  }))
  return Effect.contextWith((context: Context.Context<never>) =>
    Effect.map(stats, (now) => {
      for (const { key, metric } of whole) metric.updateUnsafe(now[key], context)
      for (const known of classes) {
        const summary = now.classes[known.name]!
        known.queued.updateUnsafe(now.queued[known.name]!, context)
        for (const counted of known.tasks) {
          counted.metric.updateUnsafe(summary[counted.outcome] - counted.last, context)
          counted.last = summary[counted.outcome]
        }
        for (const { quantile, run, wait } of known.times) {
          wait.updateUnsafe(summary.wait[quantile], context)
          run.updateUnsafe(summary.run[quantile], context)
        }
      }
    })
  )
}
