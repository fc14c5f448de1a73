/** Kinds of settings, each with what to say when something else is there. */

import * as Schema from "effect/Schema"
import { priorities } from "../rpc/RpcProgram.ts"

/** A setting that may be left out. Where `default` is no value, the description ends with `(default: ...)`. */
export const optional = <S extends Schema.Top>(
  schema: S,
  about: { readonly description: string; readonly default?: unknown }
) => {
  const { expected } = schema.ast.checks?.at(-1)?.annotations ?? schema.ast.annotations ?? {}
  return Schema.optional(schema).annotate({ ...about, ...(typeof expected === "string" && { expected }) })
}

/** These settings together; who writes another one is told which there are. */
export const struct = <const F extends Schema.Struct.Fields>(fields: F) =>
  Schema.Struct(fields).annotate({ messageUnexpectedKey: `Expected one of ${Object.keys(fields).join(", ")}` })

const number = (expected: string, holds: (n: number) => boolean) =>
  Schema.Number.check(Schema.makeFilter(holds, { expected }))

export const whole = (minimum: number, maximum: number) =>
  number(`an integer from ${minimum} to ${maximum}`, (n) => Number.isInteger(n) && minimum <= n && n <= maximum)

export const Share = number("a share from 0 to 1, such as 0.7", (n) => n >= 0 && n <= 1)

export const Text = Schema.String.check(
  Schema.makeFilter((text) => text !== "" && !text.includes("\0"), {
    expected: "text that is not empty, and without NUL"
  })
)

export const Flag = Schema.Boolean.annotate({ expected: "true or false" })

/** One value for all classes in which requests wait, or some their own. */
export const perClass = <A, I>(value: Schema.Codec<A, I>) => {
  const own = Schema.optional(value)
  return Schema.Union([value, struct({ control: own, metadata: own, data: own, bulk: own })]).annotate({
    expected: `one for all, or some by class (${priorities.join(", ")})`
  })
}
