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
