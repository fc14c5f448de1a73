/**
 * Random programs against a pool: whatever is done to it, in whatever order, nothing is lost, nothing runs twice, no bound
 * is exceeded, no time limit is missed, and every submitter gets the one answer that is due to it.
 */

import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { MemoryUsed } from "../../src/pool/MemoryPressure.ts"
import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { failure, turns } from "../support/pool.ts"
import { property } from "../support/runs.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What a task does, besides being counted. */
const plainBody = Schema.Literals([
  "succeed",
  "fail",
  "die",
  // Wait for the clock, for promises, for the event loop; then end in one way or the other.
  "sleep",
  "promise",
  "immediate",
  "yield",
  "yield, fail",
  "yield, die",
  "sleep, die",
  "sleep, with a slow finalizer",
  "interrupt itself"
])
/** What a task does to the pool, in its first step. */
const meddlingBody = Schema.Literals([
  "cancel another",
  "submit another",
  "offer others",
  "grow",
  "shrink",
  "stop",
  "stop without drain",
  "stop with a time limit",
  "start"
])

const TaskSpec = Schema.Struct({
  body: Schema.Union([plainBody, plainBody, plainBody, meddlingBody]),
  lane: between(0, 2),
  priority: Schema.Literals(["control", "metadata", "data", "bulk"]),
  uninterruptible: Schema.Boolean,
  cost: Schema.Literals([0, 0, 1, 3, 20]),
  /** Milliseconds. */
  timeout: Schema.Union([Schema.Undefined, Schema.Undefined, between(1, 50)]),
  entry: Schema.Literals(["execute", "submit", "offer"]),
  /** Which task "cancel another" means, counted from the last. */
  other: between(1, 12)
})
type TaskSpec = typeof TaskSpec.Type

const Submit = Schema.TaggedStruct("Submit", {
  tasks: Schema.Array(TaskSpec).check(Schema.isMinLength(1), Schema.isMaxLength(6))
})
const Cancel = Schema.TaggedStruct("Cancel", { other: between(1, 12) })
const Turn = Schema.TaggedStruct("Turn", {})
const Start = Schema.TaggedStruct("Start", {})

/** What is more frequent stands more often. */
const Command = Schema.Union([
  Submit,
  Submit,
  Submit,
  Submit,
  Cancel,
  Cancel,
  Schema.TaggedStruct("Pass", { millis: between(1, 60) }),
  Turn,
  Turn,
  Schema.TaggedStruct("Resize", { workers: between(1, 5) }),
  Schema.TaggedStruct("Memory", { used: Schema.Literals([0.5, 0.8, 0.99]) }),
  Schema.TaggedStruct("Stop", { drain: Schema.Boolean, timeout: Schema.Union([Schema.Undefined, between(10, 10)]) }),
  Start,
  Start
])
type Command = typeof Command.Type

const program = Arbitrary.all({
  workers: Arbitrary.schema(between(1, 4)),
  autoscale: Arbitrary.schema(Schema.Boolean),
  maxCost: Arbitrary.schema(between(1, 10)),
  queueCapacity: Arbitrary.schema(between(1, 6)),
  batchSize: Arbitrary.schema(between(1, 4)),
  commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 3, maxLength: 40 })
})

const isTimeout = (exit: Exit.Exit<unknown, unknown>): boolean => failure(exit) instanceof WorkerPool.TaskTimeout

/** A task, and what became of it. */
interface Entry {
  readonly id: number
  readonly spec: TaskSpec
  starts: number
  ends: number
  /** How the task itself ended. */
  outcome: Exit.Exit<unknown, unknown> | undefined
  answers: number
  /** What its submitter was told. */
  answer: Exit.Exit<unknown, unknown> | undefined
  cancelled: boolean
  readonly submittedAt: number
  cancel: Effect.Effect<void>
}

class Offered extends WorkerPool.Task {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  readonly priority: number
  readonly lane = "offered"
  override readonly cost: number
  override readonly timeLimit: number | undefined
  readonly uninterruptible: boolean
  readonly onExit: (exit: Exit.Exit<unknown, unknown>) => void

  constructor(
    effect: Effect.Effect<unknown, unknown>,
    context: Context.Context<never>,
    spec: TaskSpec,
    onExit: (exit: Exit.Exit<unknown, unknown>) => void
  ) {
    super()
    this.effect = effect
    this.context = context
    this.priority = Object.keys(WorkerPool.standardPriorities).indexOf(spec.priority)
    this.cost = spec.cost
    this.timeLimit = spec.timeout
    this.uninterruptible = spec.uninterruptible
    this.onExit = onExit
  }
}

/** How a program lets time pass. */
interface Time {
  readonly pass: (millis: number) => Effect.Effect<void>
  /** Milliseconds by which a timer may be late. */
  readonly lateness: number
}

const onTestClock: Time = { pass: (millis) => Effect.asVoid(TestClock.adjust(millis)), lateness: 0 }

/** On a busy machine. A timer may even be early, by the rounding of clocks. */
const live: Time = { pass: (millis) => Effect.sleep(millis), lateness: 5_000 }

/** How long a submitter waits for room, and how long the slowest finalizer takes. */
const SUBMIT_TIMEOUT = 50
const FINALIZER = 10

interface Options {
  readonly workers: number
  readonly autoscale: boolean
  readonly maxCost: number
  readonly queueCapacity: number
  readonly batchSize: number
  readonly commands: ReadonlyArray<Command>
}

const run = Effect.fnUntraced(function* (options: Options, { lateness, pass }: Time) {
  const { autoscale, batchSize, maxCost, queueCapacity } = options
  let memoryUsed = 0.5
  const pool = yield* WorkerPool.make({
    maxWorkers: options.workers,
    autoscale,
    queueCapacity,
    batchSize,
    submitTimeout: SUBMIT_TIMEOUT,
    memory: { maxCost }
  }).pipe(
    Effect.provideService(MemoryUsed, () => memoryUsed),
    Effect.provideService(WorkerPool.EventLoopUtilisation, () => 0.5)
  )
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const entries: Array<Entry> = []
  const startedLast = new Map<string, number>()
  let running = 0
  let wanted = options.workers
  let ceiling = options.workers
  let stops = 0
  let aborts = 0

  const check = Effect.map(pool.stats, (stats) => {
    const queued = Object.values(stats.queued).reduce((sum, n) => sum + n, 0)
    assert.isAtMost(queued, queueCapacity, "more wait than there is room for")
    assert.isAtMost(stats.active, stats.workers, "more run than there are workers")
    assert.isAtMost(stats.workers, ceiling, "more workers than were asked for")
    ceiling = Math.max(wanted, Math.min(ceiling, stats.workers))
    assert.strictEqual(
      stats.submitted,
      stats.completed + stats.failed + stats.interrupted + stats.timedOut + stats.active + queued,
      "a task is not accounted for"
    )
    // Above the bound there is at most one task of each kind of class, whatever it costs.
    const largest = Math.max(0, ...entries.map(({ spec }) => spec.cost))
    assert.isAtMost(stats.cost, Math.max(maxCost, largest) + largest, "several cost more than there is room for")
    assert.isAtLeast(stats.target, stats.minWorkers)
    assert.isAtMost(stats.target, stats.maxWorkers)
    assert.strictEqual(stats.maxWorkers, wanted)
    return { ...stats, waiting: queued }
  })

  const resize = (workers: number) =>
    Effect.flatMap(pool.stats, (stats) => {
      wanted = workers
      ceiling = Math.max(workers, Math.min(ceiling, stats.workers))
      return Effect.orDie(pool.resize(workers))
    })

  const stop = (drain: boolean, timeout?: number) =>
    Effect.suspend(() => {
      stops++
      if (timeout !== undefined) aborts++
      return Effect.forkDetach(pool.stop({ drain, timeout }), { startImmediately: true })
    })

  const cancel = (other: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const entry = entries[entries.length - other]
      if (entry === undefined) return Effect.void
      entry.cancelled = true
      return entry.cancel
    })

  const bodyOf = (entry: Entry): Effect.Effect<unknown, unknown> => {
    const { id, spec } = entry
    switch (spec.body) {
      case "succeed":
        return Effect.succeed(id)
      case "fail":
        return Effect.fail(id)
      case "die":
        return Effect.die(id)
      case "sleep":
        return Effect.as(Effect.sleep(20), id)
      case "promise":
        return Effect.promise(() => Promise.resolve(id))
      case "immediate":
        return Effect.as(turns(1), id)
      case "yield":
        return Effect.as(Effect.yieldNow, id)
      case "yield, fail":
        return Effect.andThen(Effect.yieldNow, Effect.fail(id))
      case "yield, die":
        return Effect.andThen(Effect.yieldNow, Effect.die(id))
      case "sleep, die":
        return Effect.andThen(Effect.sleep(10), Effect.die(id))
      case "sleep, with a slow finalizer":
        return Effect.as(Effect.sleep(30), id).pipe(Effect.ensuring(Effect.sleep(10)))
      case "interrupt itself":
        return Effect.interrupt
      case "cancel another":
        return Effect.as(cancel(spec.other), id)
      case "submit another":
        return Effect.as(submit([{ ...spec, body: "yield" }]), id)
      case "offer others":
        return Effect.as(
          submit([
            { ...spec, body: "succeed", entry: "offer" },
            { ...spec, body: "yield", entry: "offer" }
          ]),
          id
        )
      case "grow":
        return Effect.as(resize(wanted + 1), id)
      case "shrink":
        return Effect.as(resize(Math.max(1, wanted - 1)), id)
      case "stop":
        return Effect.as(stop(true), id)
      case "stop without drain":
        return Effect.as(stop(false), id)
      case "stop with a time limit":
        return Effect.as(stop(true, 10), id)
      case "start":
        return Effect.as(Effect.forkDetach(pool.start, { startImmediately: true }), id)
    }
  }

  const taskOf = (entry: Entry): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => {
      const { id, spec } = entry
      const order = `${spec.entry === "offer" ? "offered" : spec.lane} ${spec.priority}`
      entry.starts++
      running++
      assert.isAbove(id, startedLast.get(order) ?? -1, "a task overtook another of its lane and class")
      startedLast.set(order, id)
      return Effect.andThen(check, bodyOf(entry))
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          running--
          entry.ends++
          entry.outcome = exit
        })
      )
    )

  /** Submits some at once: those that are offered are only then run. */
  const submit = (specs: ReadonlyArray<TaskSpec>): Effect.Effect<void> =>
    Effect.gen(function* () {
      for (const spec of specs) {
        const entry: Entry = {
          id: entries.length,
          spec,
          starts: 0,
          ends: 0,
          outcome: undefined,
          answers: 0,
          answer: undefined,
          cancelled: false,
          submittedAt: clock.currentTimeMillisUnsafe(),
          cancel: Effect.void
        }
        const answered = (exit: Exit.Exit<unknown, unknown>) => {
          entry.answers++
          entry.answer = exit
          assert.strictEqual(entry.starts, entry.ends, "answered before the task had ended")
          const { timeout, uninterruptible } = entry.spec
          if (timeout !== undefined && !(uninterruptible && entry.starts === 1)) {
            const latest = SUBMIT_TIMEOUT + timeout + FINALIZER + lateness
            assert.isAtMost(clock.currentTimeMillisUnsafe() - entry.submittedAt, latest, "a time limit was missed")
          }
          if (isTimeout(exit)) {
            assert.isAtLeast(
              clock.currentTimeMillisUnsafe() - entry.submittedAt,
              timeout! - (lateness > 0 ? 1 : 0),
              "a time limit came too early"
            )
          }
        }
        const task = taskOf(entry)
        if (spec.entry === "offer") {
          const offered = new Offered(task, context, spec, answered)
          if (!pool.offerUnsafe(offered)) continue
          entry.cancel = Effect.sync(() => pool.cancelUnsafe(offered))
          entries.push(entry)
          continue
        }
        entries.push(entry)
        const submitted =
          spec.entry === "execute"
            ? pool.execute(task, spec)
            : Effect.flatMap(pool.submit(task, spec), (handle) => {
                entry.cancel = Effect.asVoid(Effect.forkDetach(handle.cancel, { startImmediately: true }))
                return handle.await
              })
        const fiber = yield* Effect.forkDetach(submitted, { startImmediately: true })
        if (spec.entry === "execute" || entry.cancel === Effect.void) {
          entry.cancel = Effect.sync(() => {
            fiber.interruptUnsafe()
          })
        }
        fiber.addObserver(answered)
      }
      pool.flushUnsafe()
    })

  const settle = Effect.gen(function* () {
    for (let i = 0; i < 30 + lateness / 10 && entries.some((entry) => entry.answers === 0); i++) {
      yield* turns(3)
      yield* pass(10)
    }
    yield* turns(2)
  })
  // When a check has failed, tasks must end all the same for the pool to close.
  yield* Effect.addFinalizer(() => Effect.andThen(pool.resize(10), settle).pipe(Effect.orDie))

  for (const command of options.commands) {
    switch (command._tag) {
      case "Submit":
        yield* submit(command.tasks)
        break
      case "Cancel":
        yield* cancel(command.other)
        break
      case "Pass":
        yield* pass(command.millis)
        break
      case "Turn":
        yield* turns(1)
        break
      case "Resize":
        yield* resize(command.workers)
        break
      case "Memory":
        memoryUsed = command.used
        break
      case "Stop":
        yield* stop(command.drain, command.timeout)
        break
      case "Start":
        yield* Effect.forkDetach(pool.start, { startImmediately: true })
        break
    }
    yield* check
  }

  // No worker is idle while something waits, but for the one that is kept for others.
  yield* turns(30)
  const between = yield* check
  if (between.waiting > 0 && between.active < between.workers) {
    assert.isAbove(between.target, 1, "the only worker sleeps while tasks wait")
    assert.strictEqual(between.active, between.workers - 1, "workers sleep while tasks wait")
    assert.strictEqual(between.queued.control! + between.queued.metadata!, 0, "the reserved worker sleeps")
    const others = entries.filter(
      ({ ends, spec: { priority }, starts }) => starts > ends && (priority === "data" || priority === "bulk")
    )
    assert.lengthOf(others, between.active, "a worker sleeps")
  }
  memoryUsed = 0.5
  yield* settle
  const stats = yield* check
  assert.deepStrictEqual([running, stats.active, stats.waiting, stats.cost], [0, 0, 0, 0], "something is left over")
  if (stats.state === "running") assert.strictEqual(stats.workers, stats.target)
  if (!autoscale) assert.strictEqual(stats.target, wanted)
  if (stats.state === "stopped") assert.strictEqual(stats.workers, 0)

  let saturated = 0
  let timeouts = 0
  for (const entry of entries) {
    const { answer, spec } = entry
    assert.strictEqual(entry.answers, 1, "a submitter got no answer, or several")
    assert.isAtMost(entry.starts, 1, "a task ran twice")
    const error = failure(answer!)
    if (isTimeout(answer!)) {
      timeouts++
      assert.isDefined(spec.timeout)
      if (entry.starts === 1) assert.isTrue(!spec.uninterruptible && Exit.hasInterrupts(entry.outcome!))
    } else if (entry.starts === 0) {
      if (error instanceof WorkerPool.PoolSaturated) saturated++
      else if (error instanceof WorkerPool.PoolStopped) assert.isAbove(stops, 0)
      else assert.isTrue(entry.cancelled && Exit.hasInterrupts(answer!), "a task was lost")
    } else {
      const interrupted = (entry.cancelled || aborts > 0) && Exit.hasInterrupts(entry.outcome!)
      if (interrupted && spec.body !== "interrupt itself") assert.isFalse(spec.uninterruptible)
      else assertOutcome(entry)
      // Who gave up on a task is told that, even where the task completed.
      if (!(entry.cancelled && Exit.hasInterrupts(answer!))) assert.deepStrictEqual(answer, entry.outcome)
    }
  }
  assert.strictEqual(stats.rejected, saturated)
  assert.isAtLeast(stats.timedOut, timeouts)
  // Who had given up on a task does not hear of it.
  assert.isAtMost(
    stats.timedOut,
    timeouts + entries.filter((entry) => entry.cancelled && !isTimeout(entry.answer!)).length
  )
  assert.strictEqual(stats.started, entries.filter((entry) => entry.starts === 1).length)
})

/** A task that was let be ended as its body says. */
const assertOutcome = ({ id, outcome, spec }: Entry) => {
  if (spec.body === "interrupt itself") assert.isTrue(Exit.hasInterrupts(outcome!))
  else if (spec.body.endsWith("fail")) assert.deepStrictEqual(outcome, Exit.fail(id))
  else if (spec.body.endsWith("die")) assert.strictEqual(Exit.isFailure(outcome!) && Cause.squash(outcome.cause), id)
  else assert.deepStrictEqual(outcome, Exit.succeed(id))
}

describe("WorkerPool", () => {
  it.effect.prop(
    "loses nothing, runs nothing twice, keeps its bounds and answers everybody",
    [program],
    ([options]) => Effect.scoped(run(options, onTestClock)),
    property(400, 80)
  )

  // What no test clock shows: timers that come late and together, the event loop's own turns, tasks that end at any moment.
  it.live.prop(
    "does so in real time",
    [program],
    ([options]) => Effect.scoped(run(options, live)),
    property(50, 80, 10)
  )
})
