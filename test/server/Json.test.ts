import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Json from "../../src/server/Json.ts"

describe("JSON", () => {
  it.each([
    ["", "1:1: expected a value, got the end"],
    ["{", "1:2: expected a name in quotes, got the end"],
    ['{"a":x}', '1:6: expected a value, got "x"'],
    ['{"a":1,}', '1:8: expected a name in quotes, got "}"'],
    ["[1,\n  2 3]", '2:5: expected , or ], got "3"'],
    ['{"a" 1}', '1:6: expected :, got "1"'],
    ["{a: 1}", '1:2: expected a name in quotes, got "a"'],
    ['{"a": "x\ny"}', '1:7: expected a text that ends in its line, got "\\""'],
    ["{}\n{}", '2:1: expected the end, got "{"'],
    ["[01]", '1:2: expected a value, got "01"'],
    ["// so\n{}", '1:1: expected a value, got "/"'],
    ["[1, 2", "1:6: expected , or ], got the end"],
    ["[".repeat(100_000), '1:101: expected no more than 100 levels, got "["'],
    ['{"a": 1,\n "b": {"a": 2},\n "\\u0061": 3}', '3:2: expected a name that is not there yet, got "\\u0061"'],
    ['{"__proto__": 1, "__proto__": 2}', '1:18: expected a name that is not there yet, got "__proto__"']
  ])("%j is told where it is wrong", (text, flaw) => {
    expect(Json.parse(text)).toEqual(Result.fail(flaw))
  })

  it("may have a byte order mark before it", () => {
    expect(Json.parse('\uFEFF{"a": 1}')).toEqual(Result.succeed({ a: 1 }))
    expect(Json.parse("\uFEFF")).toEqual(Result.fail("1:1: expected a value, got the end"))
  })

  it.prop(
    "is taken when it is right, and told a place within it otherwise",
    [Arbitrary.schema(Schema.Json), Schema.Int],
    ([value, at]) => {
      const text = JSON.stringify(value, undefined, 1)
      expect(Json.parse(text)).toEqual(Result.succeed(JSON.parse(text)))
      const broken = text.slice(0, Math.abs(at) % text.length)
      const parsed = Json.parse(broken)
      if (Result.isFailure(parsed)) {
        const [line, column] = parsed.failure.split(":").map(Number)
        expect(broken.split("\n")[line! - 1]!.length + 1).toBeGreaterThanOrEqual(column!)
      }
    }
  )
})
