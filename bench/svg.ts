/** Small charts as SVG, legible on light and on dark pages: each brings its own background, which follows the reader's scheme. */

export interface Series {
  readonly name: string
  readonly colour: 1 | 2 | 3
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
  /** Stays at a value until the next point. */
  readonly steps?: boolean
  /** A broad band, on which another line can lie. */
  readonly band?: boolean
}

export interface Panel {
  readonly title: string
  readonly series: ReadonlyArray<Series>
}

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #3d444d }
.title { font-weight: 600; fill: #1f2328 }
.page { fill: #ffffff }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.band { stroke-width: 7; stroke-opacity: 0.4 }
.s1 { stroke: #0969da } .f1 { fill: #0969da }
.s2 { stroke: #bc4c00 } .f2 { fill: #bc4c00 }
.s3 { stroke: #6e7781 } .f3 { fill: #6e7781 }
.f4 { fill: #1a7f37 } .reference { stroke: #1f2328; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 } .title { fill: #f0f6fc } .page { fill: #151b23 } .grid { stroke: #3d444d }
.s1 { stroke: #58a6ff } .f1 { fill: #58a6ff } .s2 { stroke: #f0883e } .f2 { fill: #f0883e } .s3 { stroke: #9198a1 } .f3 { fill: #9198a1 }
.f4 { fill: #3fb950 } .reference { stroke: #f0f6fc }
}`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const number = (value: number): string => String(Math.round(value * 10) / 10)

const text = (x: number, y: number, content: string, options: { anchor?: string; class?: string } = {}): string =>
  `<text x="${number(x)}" y="${number(y)}"${options.anchor === undefined ? "" : ` text-anchor="${options.anchor}"`}${
    options.class === undefined ? "" : ` class="${options.class}"`
  }>${escape(content)}</text>`

const rule = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="grid" x1="${number(x1)}" y1="${number(y1)}" x2="${number(x2)}" y2="${number(y2)}"/>`

const page = (width: number, height: number, description: string, body: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(description)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="8"/>`,
    ...body,
    "</svg>\n"
  ].join("\n")

/** Distances between ticks, of which there are about `count` up to `most`. */
const tickStep = (most: number, count: number): number => {
  const rough = most / count
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  return magnitude * ([1, 2, 5].find((factor) => factor * magnitude >= rough) ?? 10)
}

const ticks = (most: number, count: number): ReadonlyArray<number> => {
  const step = tickStep(most, count)
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step)
}

const WIDTH = 760
const LEFT = 60
const RIGHT = 24
const PANEL = 150
const GAP = 60

/** Panels below each other over one time axis, in seconds. */
export const timeLines = (description: string, duration: number, panels: ReadonlyArray<Panel>): string => {
  const height = 20 + panels.length * (PANEL + GAP)
  const x = (at: number): number => LEFT + (at / duration) * (WIDTH - LEFT - RIGHT)
  const body = panels.flatMap(({ series, title }, i) => {
    const top = 44 + i * (PANEL + GAP)
    const bottom = top + PANEL
    const largest = Math.max(1, ...series.flatMap(({ points }) => points.map(([, y]) => y)))
    const step = tickStep(largest, 4)
    const most = Math.ceil(largest / step) * step
    const y = (value: number): number => bottom - (value / most) * PANEL
    let legend = WIDTH - RIGHT
    return [
      text(LEFT, top - 16, title, { class: "title" }),
      ...ticks(most, 4).flatMap((value) => [
        rule(LEFT, y(value), WIDTH - RIGHT, y(value)),
        text(LEFT - 8, y(value) + 4, value.toLocaleString("en"), { anchor: "end" })
      ]),
      ...ticks(duration, 8).map((at) => text(x(at), bottom + 18, `${number(at)} s`, { anchor: "middle" })),
      ...series.map(({ band = false, colour, points, steps = false }) => {
        const d = (steps ? changes(points) : points).map(([at, value], i) =>
          i === 0
            ? `M${number(x(at))} ${number(y(value))}`
            : `${steps ? `H${number(x(at))}V` : `L${number(x(at))} `}${number(y(value))}`
        )
        return `<path class="line s${colour}${band ? " band" : ""}" d="${d.join("")}"/>`
      }),
      ...series.toReversed().flatMap(({ colour, name }) => {
        const width = name.length * 7 + 26
        legend -= width
        return [
          `<rect class="f${colour}" x="${number(legend)}" y="${top - 24}" width="12" height="4" rx="2"/>`,
          text(legend + 18, top - 16, name)
        ]
      })
    ]
  })
  return page(WIDTH, height, description, body)
}

/** Without the points that say nothing new; the last one always does. */
const changes = (points: Series["points"]): Series["points"] =>
  points.filter(([, y], i) => i === 0 || i === points.length - 1 || y !== points[i - 1]![1])

export interface Row {
  readonly name: string
  /** Ascending. */
  readonly values: ReadonlyArray<{ readonly name: string; readonly value: number }>
}

/** Rows of values, each as a dot, the first and the last with its name, on one logarithmic axis. */
export const dots = (
  description: string,
  title: string,
  rows: ReadonlyArray<Row>,
  format: (value: number) => string
): string => {
  const left = 170
  const top = 50
  const bottom = top + rows.length * 56
  const all = rows.flatMap(({ values }) => values.map(({ value }) => value))
  const low = Math.floor(Math.log10(Math.min(...all)))
  const high = Math.ceil(Math.log10(Math.max(...all)))
  const x = (value: number): number => left + ((Math.log10(value) - low) / (high - low)) * (WIDTH - left - 40)
  const body = [
    text(24, 28, title, { class: "title" }),
    ...Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).flatMap((value) => [
      rule(x(value), top, x(value), bottom),
      text(x(value), bottom + 20, format(value), { anchor: "middle" })
    ]),
    ...rows.flatMap(({ name, values }, i) => {
      const y = top + i * 56 + 28
      const first = values[0]!
      const last = values.at(-1)!
      return [
        text(24, y + 5, name),
        `<path class="line s1" d="M${number(x(first.value))} ${y}H${number(x(last.value))}"/>`,
        ...values.map(({ value }) => `<circle class="f1" cx="${number(x(value))}" cy="${y}" r="5"/>`),
        text(x(first.value), y + 20, first.name, { anchor: "middle" }),
        text(x(last.value), y - 10, last.name, { anchor: "middle" })
      ]
    })
  ]
  return page(WIDTH, bottom + 40, description, body)
}

export interface Comparison {
  readonly title: string
  /** How many times the reference's each one's value is. */
  readonly rows: ReadonlyArray<{
    readonly name: string
    readonly values: ReadonlyArray<{ readonly name: string; readonly value: number }>
  }>
}

/** Rows of dots, one for each rival, on a logarithmic axis whose 1 is the reference's line. */
export const comparisons = (
  description: string,
  reference: string,
  colours: Readonly<Record<string, 1 | 2 | 3 | 4>>,
  panels: ReadonlyArray<Comparison>
): string => {
  const row = 24
  const left = 190
  const all = panels.flatMap(({ rows }) => rows.flatMap(({ values }) => values.map(({ value }) => value)))
  const low = Math.floor(Math.log10(Math.min(1, ...all)))
  const high = Math.ceil(Math.log10(Math.max(1, ...all)))
  const x = (value: number): number =>
    left + ((Math.log10(value) - low) / Math.max(1, high - low)) * (WIDTH - left - 40)
  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
  let legend = 24
  let top = 70
  const body = [
    text(24, 28, description, { class: "title" }),
    ...Object.entries(colours).flatMap(([name, colour]) => {
      const at = legend
      legend += name.length * 7 + 40
      return [`<circle class="f${colour}" cx="${at + 5}" cy="47" r="5"/>`, text(at + 16, 52, name)]
    }),
    ...panels.flatMap(({ rows, title }) => {
      const first = top + 24
      const bottom = first + rows.length * row
      top = bottom + 40
      return [
        text(24, first - 8, title, { class: "title" }),
        ...decades.flatMap((value) => [
          rule(x(value), first, x(value), bottom),
          text(x(value), bottom + 18, value === 1 ? reference : `${value} x`, { anchor: "middle" })
        ]),
        `<line class="reference" x1="${number(x(1))}" y1="${first}" x2="${number(x(1))}" y2="${bottom}"/>`,
        ...rows.flatMap(({ name, values }, i) => {
          const y = first + i * row + row / 2
          return [
            text(24, y + 5, name),
            ...values.map(
              ({ name, value }) => `<circle class="f${colours[name] ?? 3}" cx="${number(x(value))}" cy="${y}" r="5"/>`
            )
          ]
        })
      ]
    })
  ]
  return page(WIDTH, top, description, body)
}
