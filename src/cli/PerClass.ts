/** Settings of the classes in which requests wait: one value for all, or some their own: `metadata=8,bulk=1`. */

import * as Schema from "effect/Schema"
import { priorities, type Priority } from "../rpc/RpcProgram.ts"

export type PerClass<A> = Readonly<Record<Priority, A>>

/** The text of a setting: `value` matches that of one class, `expected` says how all of it looks. */
export const text = (value: RegExp, expected: string) =>
  Schema.String.check(
    Schema.makeFilter((text: string) => {
      if (value.test(text)) return undefined
      const names = new Set<string>()
      for (const entry of text.split(",")) {
        const at = entry.indexOf("=")
        const name = entry.slice(0, at)
        if (at < 0 || !value.test(entry.slice(at + 1))) return `must be ${expected}`
        if (!priorities.some((priority) => priority === name)) return `must name classes of ${priorities.join(", ")}`
        if (names.has(name)) return `must name ${name} once`
        names.add(name)
      }
      return undefined
    })
  )

/** What such a text says for each class; `defaults` for those that it does not name. */
export const parse = <A>(text: string, value: (text: string) => A, defaults: PerClass<A>): PerClass<A> => {
  if (!text.includes("=")) return make(() => value(text))
  const said = new Map(text.split(",").map((entry) => entry.split("=") as [name: string, value: string]))
  return make((priority) => {
    const own = said.get(priority)
    return own === undefined ? defaults[priority] : value(own)
  })
}

/** A value for each class. */
export const make = <A>(value: (priority: Priority) => A): PerClass<A> => ({
  control: value("control"),
  metadata: value("metadata"),
  data: value("data"),
  bulk: value("bulk")
})

/** For people: one for all, or all of them. */
export const format = <A>(name: string, values: PerClass<A>, value: (value: A) => string): string => {
  const all = priorities.map((priority) => value(values[priority]))
  if (all.every((text) => text === all[0])) return `${name} ${all[0]}`
  return `${name}s (${priorities.map((priority, i) => `${priority} ${all[i]}`).join(", ")})`
}
