/** The classes in which a pool's tasks wait. */

import * as Duration from "effect/Duration"

export interface PriorityOptions {
  /** Its share of the tasks that are started while all classes have some waiting; above 0. */
  readonly weight: number
  /** Whether one worker is kept free of all classes that are not reserved. Default `false`. */
  readonly reserved?: boolean | undefined
  /**
   * How long a task may wait and run. One that is uninterruptible may run as long as it wants once it has started.
   * Default: no limit.
   */
  readonly timeLimit?: Duration.Input | undefined
}

export type Priorities = Readonly<Record<string, PriorityOptions>>

/**
 * What NFS uses, and the default: answers about the server itself; attributes and names; short reads and writes; long
 * ones. Whoever lists a directory does not wait for somebody's large copy.
 */
export const standard = {
  control: { weight: 32, reserved: true },
  metadata: { weight: 16, reserved: true },
  data: { weight: 8 },
  bulk: { weight: 2 }
} as const satisfies Priorities

/** A class as the pool uses it; its number is its place in the table. */
export interface PriorityClass {
  readonly name: string
  readonly weight: number
  readonly reserved: boolean
  /** Milliseconds; Infinity for none. */
  readonly timeLimit: number
}

/** The classes of a table; throws when they make no sense. */
export const classes = (priorities: Priorities): ReadonlyArray<PriorityClass> => {
  const entries = Object.entries(priorities)
  if (entries.length === 0) throw new RangeError("a worker pool needs a priority class")
  return entries.map(([name, { reserved = false, timeLimit, weight }]) => {
    if (!(weight > 0 && weight < Infinity)) {
      throw new RangeError(`the weight of the priority class ${name} must be a number above 0, not ${weight}`)
    }
    return {
      name,
      weight,
      reserved,
      timeLimit: timeLimit === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(timeLimit))
    }
  })
}
