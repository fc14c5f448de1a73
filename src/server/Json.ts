/** JSON as people write it: what is wrong with it is said with the place where it is. */

import * as Result from "effect/Result"

/** The value that `text` stands for, or `LINE:COLUMN: what was expected there`. */
export const parse = (text: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(text))
  } catch {
    const { expected, offset } = flaw(text)
    const lines = text.slice(0, offset).split("\n")
    const [found] = /^[\w.+-]+|^./su.exec(text.slice(offset)) ?? []
    const got = found === undefined ? "the end" : JSON.stringify(found)
    return Result.fail(`${lines.length}:${lines.at(-1)!.length + 1}: expected ${expected}, got ${got}`)
  }
}

interface Flaw {
  readonly offset: number
  readonly expected: string
}

const SPACE = /[ \t\r\n]*/y
// oxlint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/** Where text that is no JSON stops being like it. JSON.parse knows, and does not always say. */
const flaw = (text: string): Flaw => {
  let offset = 0
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
  const entry = (): Flaw | undefined => string("a name in quotes") ?? (take(":") ? value() : missing(":"))
  const value = (): Flaw | undefined => {
    if (take("{")) return list("}", entry)
    if (take("[")) return list("]", value)
    return take(SCALAR) ? undefined : string("a value")
  }
  const wrong = value()
  take("")
  return wrong ?? missing("the end")
}
