/** Ways to run many small tasks, no more than `WORKERS` at once. Each gives nanoseconds per task. */

import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Semaphore from "effect/Semaphore"
import PQueue from "p-queue"
import { make, Task, type WorkerPool } from "../../src/pool/WorkerPool.ts"

/** Tasks that run at once. */
const WORKERS = 8

/** What is run: a task that completes at once, and one that waits (for a microtask). */
export const kinds = ["at once", "waiting"] as const
export type Kind = (typeof kinds)[number]

/** One after the other on an idle pool; or from many submitters, so many that the queue is always full. */
export const loads = ["lone", "full"] as const
export type Load = (typeof loads)[number]

/** Tasks in a sample of `lone`. */
const LONE = 20_000

/** More submitters than the queue of a pool has room for. */
const SUBMITTERS = 2048
/** Tasks of each. */
const EACH = 24
/** The same for a semaphore, which takes longer the more fibers wait for it. */
const FEW = 2

export interface Contender {
  readonly name: string
  /** Whether it is what the others are compared with: the task itself, as an effect or as a promise. */
  readonly base: "effect" | "promise"
  readonly run: (load: Load, kind: Kind) => Promise<number>
}

let done = 0
const effects: Record<Kind, Effect.Effect<void>> = {
  "at once": Effect.sync(() => {
    done++
  }),
  waiting: Effect.callback<void>((resume) => {
    queueMicrotask(() => {
      done++
      resume(Effect.void)
    })
  })
}
const functions: Record<Kind, () => void | Promise<void>> = {
  "at once": () => {
    done++
  },
  waiting: () =>
    new Promise((resolve) =>
      queueMicrotask(() => {
        done++
        resolve()
      })
    )
}

/** Nanoseconds that this thread has computed: nobody else who uses the machine is in them. */
const computed = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (user + system) * 1000
}

/** Nanoseconds per task of what `body` does so many times. */
const timed = async (tasks: number, body: () => Promise<void>): Promise<number> => {
  done = 0
  const start = computed()
  await body()
  const ns = (computed() - start) / tasks
  if (done !== tasks) throw new Error(`${done} tasks of ${tasks} were run`)
  return ns
}

const repeat = (times: number, body: () => Effect.Effect<unknown, unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    let left = times
    return Effect.whileLoop({ while: () => left-- > 0, body, step: constVoid })
  })

/** Many fibers, each repeating `body`; `onAllIn` is called once all have begun. */
const fromMany = (each: number, body: () => Effect.Effect<unknown, unknown>, onAllIn: () => void): Promise<void> => {
  const gate = Deferred.makeUnsafe<void>()
  const loop = repeat(each, body)
  let begun = 0
  const submitter = Effect.suspend(() => {
    if (++begun === SUBMITTERS) setImmediate(onAllIn)
    return loop
  })
  const all = Effect.forEach(
    Array.from({ length: SUBMITTERS }),
    () => Effect.andThen(Deferred.await(gate), submitter),
    {
      concurrency: "unbounded",
      discard: true
    }
  )
  const ended = Effect.runPromise(all)
  Deferred.doneUnsafe(gate, Effect.void)
  return ended
}

const ofEffects = (
  name: string,
  wrap: (effect: Effect.Effect<void>) => Effect.Effect<unknown, unknown>,
  { around = () => constVoid, each = EACH }: { around?: (load: Load) => () => void; each?: number } = {}
): Contender => ({
  name,
  base: "effect",
  run: (load, kind) => {
    const release = around(load)
    const effect = effects[kind]
    const body = () => wrap(effect)
    return load === "lone"
      ? timed(LONE, () => Effect.runPromise(repeat(LONE, body)))
      : timed(SUBMITTERS * each, () => fromMany(each, body, release))
  }
})

const ofPromises = (name: string, base: Contender["base"], run: (kind: Kind) => unknown): Contender => ({
  name,
  base,
  run: (load, kind) => {
    const repeat = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) await run(kind)
    }
    return load === "lone"
      ? timed(LONE, () => repeat(LONE))
      : timed(SUBMITTERS * EACH, async () => {
          await Promise.all(Array.from({ length: SUBMITTERS }, () => repeat(EACH)))
        })
  }
})

/** Keeps all workers busy until the function that it gives is called, so that a queue forms. */
const hold =
  (pool: WorkerPool["Service"]) =>
  (load: Load): (() => void) => {
    if (load === "lone") return constVoid
    const gate = Deferred.makeUnsafe<void>()
    for (let i = 0; i < WORKERS; i++) Effect.runFork(pool.execute(Deferred.await(gate), { priority: "control" }))
    return () => Deferred.doneUnsafe(gate, Effect.void)
  }

/** `execute` of a pool. */
export const ofPool = (name: string, pool: WorkerPool["Service"]): Contender =>
  ofEffects(name, (effect) => pool.execute(effect), { around: hold(pool) })

/** A task as a user of the low-level entry writes it. */
class Probe extends Task {
  readonly effect: Effect.Effect<void>
  readonly context = Context.empty()
  readonly priority = 1
  readonly lane = 0
  readonly uninterruptible = false
  private readonly ended: () => void

  constructor(effect: Effect.Effect<void>, ended: () => void) {
    super()
    this.effect = effect
    this.ended = ended
  }

  onExit(): void {
    this.ended()
  }
}

/** The entry below `execute`: whoever has a task ended offers the next. */
const lowLevel = (pool: WorkerPool["Service"], capacity: number): Contender => ({
  name: "pool: offerUnsafe, flushUnsafe",
  base: "effect",
  run: (load, kind) => {
    const tasks = load === "lone" ? LONE : SUBMITTERS * EACH
    const atOnce = load === "lone" ? 1 : capacity
    const release = hold(pool)(load)
    return timed(
      tasks,
      () =>
        new Promise((resolve) => {
          let left = tasks
          let open = tasks
          let looping = false
          const offer = () => {
            left--
            if (!pool.offerUnsafe(new Probe(effects[kind], ended))) throw new Error("no room")
          }
          // One at a time: the next when the one before has ended, in a loop as far as that is at once.
          const one = () => {
            looping = true
            while (left > 0 && open === left) {
              offer()
              pool.flushUnsafe()
            }
            looping = false
          }
          const ended = () => {
            if (--open === 0) resolve()
            else if (load === "lone") {
              if (!looping) queueMicrotask(one)
            } else if (left > 0) offer()
          }
          if (load === "lone") return one()
          for (let i = 0; i < atOnce; i++) offer()
          release()
        })
    )
  }
})

/**
 * What no pool can do without that keeps what `execute` promises: the submitter's fiber is suspended in a queue, with
 * something to do if it is interrupted, and the task has a fiber of its own. No bounds, no order, no limits, no figures.
 */
const bare = (): ((effect: Effect.Effect<void>) => Effect.Effect<void>) => {
  const runFork = Effect.runForkWith(Context.empty())
  let waiting: Array<() => void> = []
  const drain = (): void => {
    const batch = waiting
    waiting = []
    for (const start of batch) start()
  }
  return (effect) =>
    Effect.callback<void>((resume) => {
      const start = (): void => void runFork(effect).addObserver(resume)
      if (waiting.push(start) === 1) setImmediate(drain)
      return Effect.void
    })
}

export const DIRECT = "directly, in a fiber"
export const DIRECT_PROMISE = "directly, awaited"
export const EXECUTE = "pool: execute"
export const EXECUTE_ONE = "pool: execute, batchSize 1"
export const SEMAPHORE = "Semaphore.withPermits, forked"
export const P_QUEUE = "p-queue"

export const contenders = Effect.gen(function* () {
  // The time limit is that of a busy machine: nothing shall be refused.
  const options = { maxWorkers: WORKERS, submitTimeout: "1 minute" } as const
  const pool = yield* make(options)
  const one = yield* make({ ...options, batchSize: 1 })
  const { queueCapacity } = yield* pool.stats
  const semaphore = Semaphore.makeUnsafe(WORKERS)
  const queue = new PQueue({ concurrency: WORKERS })
  const effectQueue = new PQueue({ concurrency: WORKERS })
  const runPromise = Effect.runPromiseWith(yield* Effect.context<never>())
  const forked = (effect: Effect.Effect<void>) => Effect.flatMap(Effect.forkChild(effect), Fiber.join)
  return [
    ofEffects(DIRECT, (effect) => effect),
    ofPromises(DIRECT_PROMISE, "promise", (kind) => functions[kind]()),
    ofPool(EXECUTE, pool),
    ofPool(EXECUTE_ONE, one),
    lowLevel(pool, queueCapacity),
    ofEffects("suspended, and a fiber for the task", bare()),
    ofEffects("Effect.forkChild and join", forked),
    ofEffects("Semaphore.withPermits", (effect) => semaphore.withPermits(1)(effect), { each: FEW }),
    ofEffects(SEMAPHORE, (effect) => semaphore.withPermits(1)(forked(effect)), { each: FEW }),
    ofPromises(P_QUEUE, "promise", (kind) => queue.add(functions[kind])),
    ofPromises("p-queue of effects", "effect", (kind) => effectQueue.add(() => runPromise(effects[kind])))
  ]
})
