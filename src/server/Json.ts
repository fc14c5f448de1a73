/** JSON as people write it: what is wrong with it is said with the place where it is. */

import * as Result from "effect/Result"

/**
 * The value that `text` stands for, or `LINE:COLUMN: what was expected there`. A name that stands twice in an object is wrong:
 * one of both would hold, and who wrote the other would not know.
 */
export const parse = (text: string): Result.Result<unknown, string> => {
  // What some editors put before everything else says nothing.
  const json = text.replace(/^\uFEFF/, "")
  const wrong = flaw(json)
  if (wrong === undefined) return Result.succeed(JSON.parse(json))
  const { expected, offset } = wrong
  const lines = json.slice(0, offset).split("\n")
  const [found] = /^"[^"\n]*"|^[\w.+-]+|^./su.exec(json.slice(offset)) ?? []
  const got = found === undefined ? "the end" : /^"./.test(found) ? found : JSON.stringify(found)
  return Result.fail(`${lines.length}:${lines.at(-1)!.length + 1}: expected ${expected}, got ${got}`)
}

interface Flaw {
  readonly offset: number
  readonly expected: string
}

/** Levels of values in values. Nobody means more, and all of them take of the stack. */
const DEEPEST = 100

const SPACE = /[ \t\r\n]*/y
// oxlint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/** Where text that is no JSON stops being like it. JSON.parse knows, and does not always say. */
const flaw = (text: string): Flaw | undefined => {
  let offset = 0
  let depth = 0
  const take = (token: RegExp | string): boolean => {
    SPACE.lastIndex = offset
    SPACE.test(text)
    offset = SPACE.lastIndex
    if (typeof token === "string") {
      const found = text.startsWith(token, offset)
      if (found) offset += token.length
      return found
    }
    token.lastIndex = offset
    const found = token.test(text)
    if (found) offset = token.lastIndex
    return found
  }
  const missing = (expected: string): Flaw => ({ offset, expected })
  const string = (expected: string): Flaw | undefined => {
    if (take(STRING)) return undefined
    return missing(text[offset] === '"' ? "a text that ends in its line" : expected)
  }
  const list = (end: string, item: () => Flaw | undefined): Flaw | undefined => {
    if (take(end)) return undefined
    do {
      const wrong = item()
      if (wrong !== undefined) return wrong
    } while (take(","))
    return take(end) ? undefined : missing(`, or ${end}`)
  }
  const entry = (names: Set<unknown>) => (): Flaw | undefined => {
    take("")
    const from = offset
    const wrong = string("a name in quotes")
    if (wrong !== undefined) return wrong
    const name: unknown = JSON.parse(text.slice(from, offset))
    if (names.has(name)) return { offset: from, expected: "a name that is not there yet" }
    names.add(name)
    return take(":") ? value() : missing(":")
  }
  const value = (): Flaw | undefined => {
    depth++
    const wrong = depth > DEEPEST ? missing(`no more than ${DEEPEST} levels`) : plain()
    depth--
    return wrong
  }
  const plain = (): Flaw | undefined => {
    if (take("{")) return list("}", entry(new Set()))
    if (take("[")) return list("]", value)
    return take(SCALAR) ? undefined : string("a value")
  }
  const wrong = value()
  take("")
  return wrong ?? (offset === text.length ? undefined : missing("the end"))
}
