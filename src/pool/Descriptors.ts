/** How many files and connections the system lets this process have open at once (`ulimit -n`). */

/** Read once: Node.js has raised it as far as it can when it started. */
let known: number | undefined

/** `Infinity` where there is no limit, or none is told. */
export const limit = (): number => (known ??= read())

const read = (): number => {
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean }
  const before = report.excludeNetwork
  // Otherwise it asks for the names of all addresses.
  report.excludeNetwork = true
  try {
    const { userLimits } = report.getReport() as { readonly userLimits?: Limits }
    const soft = userLimits?.open_files.soft
    return typeof soft === "number" ? soft : Infinity
  } finally {
    report.excludeNetwork = before
  }
}

interface Limits {
  readonly open_files: { readonly soft: number | "unlimited" }
}
