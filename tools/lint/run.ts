/**
 * `npm run lint`, `npm run format` and `npm run format:check`: installs the tools of this folder when they are missing
 * or older than its package.json, then runs them side by side over the whole project. `package TARBALL` looks at what
 * `npm pack` made.
 */

import { spawn, spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"

const here = import.meta.dirname
const root = dirname(dirname(here))
const windows = process.platform === "win32"
const bin = join(here, "node_modules", ".bin")
const env = { ...process.env, PATH: [bin, dirname(process.execPath), process.env["PATH"]].join(delimiter) }

const install = (): void => {
  const stamp = join(here, "node_modules", ".installed")
  const packages = readFileSync(join(here, "package.json"), "utf8")
  try {
    if (readFileSync(stamp, "utf8") === packages) return
  } catch {
    // Not installed yet.
  }
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: here,
    env,
    shell: windows,
    stdio: "inherit"
  })
  if (status !== 0) throw new Error("the tools of tools/lint could not be installed")
  writeFileSync(stamp, packages)
}

interface Check {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const tool = (command: string, ...args: ReadonlyArray<string>): Check => ({
  name: command,
  command: join(bin, command),
  args
})

const [, , wanted = "", ...files] = process.argv

const runs: Record<string, ReadonlyArray<Check>> = {
  lint: [
    tool("oxlint", "--deny-warnings"),
    tool("effect-tsgo", "diagnostics", "--project", "tsconfig.json", "--severity", "warning,error", "--strict"),
    tool("knip", "--no-progress"),
    { name: "rooms", command: process.execPath, args: ["tools/rooms.ts"] }
  ],
  format: [tool("oxfmt", "--write")],
  "format:check": [tool("oxfmt", "--check")],
  // For ECMAScript modules only: there is nothing for `require` and for resolution as it was before Node.js 16.
  package: [tool("publint", "--strict", ...files), tool("attw", "--profile", "esm-only", ...files)]
}

/** Runs one check, prints its output in one piece when it ends, and gives whether it passed. */
const run = ({ name, command, args }: Check): Promise<boolean> =>
  new Promise((resolve) => {
    const started = performance.now()
    const child = spawn(command, args, { cwd: root, env, shell: windows, stdio: ["ignore", "pipe", "pipe"] })
    const output: Array<Buffer> = []
    const end = (passed: boolean): void => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      if (!passed) process.stdout.write(Buffer.concat(output))
      console.log(`${passed ? "ok    " : "FAILED"} ${name} (${seconds} s)`)
      resolve(passed)
    }
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk))
    child.on("error", (error) => {
      output.push(Buffer.from(`${error.message}\n`))
      end(false)
    })
    child.on("close", (code) => end(code === 0))
  })

const checks = runs[wanted]
if (checks === undefined) {
  console.error(`usage: node tools/lint/run.ts ${Object.keys(runs).join(" | ")}`)
  process.exitCode = 2
} else {
  install()
  const passed = await Promise.all(checks.map(run))
  process.exitCode = passed.every(Boolean) ? 0 : 1
}
