/** Text of the command line as JSON has it. What makes no sense stays text, for the schema to object to. */

/** A number. */
export const number = (text: string): number | string => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text)

/** One value for all classes of requests, or some their own: `metadata=8,bulk=1`. */
export const classes =
  (value: (text: string) => number | string) =>
  (text: string): unknown => {
    if (!text.includes("=")) return value(text)
    const entries = text.split(",").map((entry) => {
      const [name = "", ...rest] = entry.split("=")
      return [name, value(rest.join("="))] as const
    })
    const byName = new Map(entries)
    return byName.size === entries.length ? Object.fromEntries(byName) : text
  }

/** JSON with a value at a field, `exports[0].path`. Where that has no place, the schema has something to object to. */
export const put = (json: unknown, { field, value }: { readonly field: string; readonly value: unknown }): unknown => {
  const at = (json: unknown, [key, ...deeper]: ReadonlyArray<string>): unknown => {
    if (key === undefined) return value
    if (Array.isArray(json)) return json.toSpliced(Number(key), 1, at(json[Number(key)], deeper))
    if (json === null || (json !== undefined && typeof json !== "object")) return json
    const known = json as Readonly<Record<string, unknown>> | undefined
    return { ...known, [key]: at(known?.[key], deeper) }
  }
  return at(json, field.match(/[^.[\]]+/g) ?? [])
}
