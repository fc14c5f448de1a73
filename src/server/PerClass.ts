/** A setting for each of the classes in which requests wait. */

import { priorities, type Priority } from "../rpc/RpcProgram.ts"

export type PerClass<A> = Readonly<Record<Priority, A>>

/** A value for each class. */
export const make = <A>(value: (priority: Priority) => A): PerClass<A> => ({
  control: value("control"),
  metadata: value("metadata"),
  data: value("data"),
  bulk: value("bulk")
})

/** As it stands in a configuration: one value for all, or some their own; the others have `otherwise`. */
export const of = <A extends string | number>(
  said: A | { readonly [P in Priority]?: A | undefined } | undefined,
  otherwise: PerClass<A>
): PerClass<A> => make((priority) => (typeof said === "object" ? said[priority] : said) ?? otherwise[priority])

/** For people: one for all, or all of them. */
export const format = <A>(name: string, values: PerClass<A>, value: (value: A) => string): string => {
  const all = priorities.map((priority) => value(values[priority]))
  if (all.every((text) => text === all[0])) return `${name} ${all[0]}`
  return `${name}s (${priorities.map((priority, i) => `${priority} ${all[i]}`).join(", ")})`
}
