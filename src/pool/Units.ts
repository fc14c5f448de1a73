/** Lengths of time and sizes as people write them in settings. */

import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const SHORT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** Milliseconds of `30s`, `1.5m` or `90 seconds`; `undefined` for what is no length of time. */
export const toMillis = (text: string): number | undefined => {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  if (unit !== undefined) return Number(number) * SHORT[unit as keyof typeof SHORT]
  return Option.getOrUndefined(Option.map(Duration.fromInput(text as Duration.Input), Duration.toMillis))
}

/** Bytes of `512MiB`, or of a number of them; `undefined` for what is no size, or none. */
export const toBytes = (size: string | number): number | undefined => {
  const bytes =
    typeof size === "number"
      ? size
      : Option.getOrUndefined(Option.map(ByteSize.fromString(size), ByteSize.toNumberUnsafe))
  return Number.isSafeInteger(bytes) && bytes! > 0 ? bytes : undefined
}

/** A length of time above 0. */
export const Time = Schema.String.check(
  Schema.makeFilter((text) => (toMillis(text) ?? 0) > 0, { expected: "a time such as 500ms, 30s or 2m" })
)

const expected = "a size such as 512MiB, or a number of bytes"

/** A number of bytes, with a unit or without. */
export const Size = Schema.Union([Schema.Number, Schema.String]).check(
  Schema.makeFilter((size) => toBytes(size) !== undefined, { expected })
)
