/** The package as others get it: packed, installed in an app of its own under a plain Node.js, used from there. */

import { execFile } from "node:child_process"
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import manifest from "../../package.json" with { type: "json" }
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import { connect, ok } from "../support/nfs.ts"
import { startNode } from "../support/program.ts"

const root = join(import.meta.dirname, "../..")

/** Everything is made below this directory. */
const place = mkdtempSync(join(tmpdir(), "effect-nfs-package-"))
const app = join(place, "app")

/** Of ours, what says how to reach a registry; nothing that `npm run` and vitest tell the programs that they start. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_lifecycle|npm_package|VITEST|NODE_ENV$|NODE_OPTIONS$|INIT_CWD$)/.test(name)
    )
  ),
  PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
  NO_COLOR: "1"
}

/** Runs a program to its end, and gives its output; a failing one with what it said. */
const run = async (cwd: string, command: string, ...args: ReadonlyArray<string>): Promise<string> => {
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1 << 26 })).stdout
  } catch (error) {
    const { code, stderr, stdout } = error as { code: unknown; stderr: string; stdout: string }
    throw new Error(`${command} ${args.join(" ")}: ${String(code)}\n${stdout}${stderr}`, { cause: error })
  }
}

const quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
const dev = (name: keyof typeof manifest.devDependencies) => `${name}@${manifest.devDependencies[name]}`

let tarball = ""

beforeAll(async () => {
  const packed = await run(root, "npm", "pack", "--json", "--silent", "--pack-destination", place)
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf("["))) as [{ filename: string }]
  tarball = join(place, filename)
  cpSync(join(import.meta.dirname, "consumer"), app, { recursive: true })
  writeFileSync(join(app, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const packages = [dev("typescript"), dev("@types/node"), dev("vitest"), dev("@effect/vitest")]
  await run(app, "npm", "install", ...quiet, tarball, ...packages)
})

afterAll(() => rmSync(place, { recursive: true, force: true }))

/** What a client reads from a file of the server on this port. */
const read = Effect.fnUntraced(function* (port: number, path: string, name: string) {
  const client = yield* connect(port)
  const { object } = ok(yield* client.nfs(Nfs.LOOKUP, { what: { dir: yield* client.root(path), name } }))
  return Buffer.concat(ok(yield* client.nfs(Nfs.READ, { file: object, offset: 0, count: 100 })).data).toString()
})

describe("the package", () => {
  it("passes publint and are-the-types-wrong", async () => {
    await run(root, process.execPath, "tools/lint/run.ts", "package", tarball)
  })

  it("brings nothing but what it needs to run and to be understood", () => {
    const installed = join(app, "node_modules/effect-nfs")
    const files = globSync("**/*", { cwd: installed, withFileTypes: true }).filter((file) => file.isFile())
    const paths = files.map((file) => join(file.parentPath, file.name).slice(installed.length + 1))
    const top = [...new Set(paths.map((path) => path.split(/[\\/]/)[0]!))].toSorted()
    expect(top).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "bin", "dist", "docs", "package.json"])
    expect(paths.filter((path) => path.startsWith("dist") && !/\.(js|d\.ts|js\.map)$/.test(path))).toEqual([])
  })

  it("has source maps with the sources in them", () => {
    const dist = join(app, "node_modules/effect-nfs/dist")
    const modules = globSync("**/*.js", { cwd: dist })
    expect(modules.length).toBeGreaterThan(100)
    for (const module of modules) {
      const map = JSON.parse(readFileSync(join(dist, `${module}.map`), "utf8")) as {
        sources: Array<string>
        sourcesContent?: Array<string>
      }
      const source = readFileSync(join(root, "src", module.replace(/\.js$/, ".ts")), "utf8")
      expect(map.sourcesContent, module).toEqual([source])
      expect(map.sources[0], module).toMatch(/^(\.\.\/)+src\//)
    }
  })

  it("type-checks in a strict app", async () => {
    await run(app, "node_modules/.bin/tsc")
  })

  it("loads no test runner but for tests", async () => {
    mkdirSync(join(place, "bare"))
    await run(join(place, "bare"), "npm", "install", ...quiet, tarball)
    const load = 'const { NfsServer } = await import("effect-nfs"); console.log(typeof NfsServer.layer)'
    expect(await run(join(place, "bare"), process.execPath, "--input-type=module", "--eval", load)).toBe("function\n")
    const installed = globSync("node_modules/{vitest,typescript,@effect/vitest}", { cwd: join(place, "bare") })
    expect(installed).toEqual([])
  })

  it.live("serves from an app in JavaScript, which ends on a signal", () =>
    Effect.gen(function* () {
      const program = yield* startNode([join(app, "app.js")])
      const [, port] = yield* Effect.orDie(program.prints(/port (\d+)/))
      const client = yield* connect(Number(port))
      expect((yield* client.root("/js")).length).toBeGreaterThan(0)
      program.kill("SIGTERM")
      const { code, stderr } = yield* program.ended
      expect({ code, stderr }).toEqual({ code: 130, stderr: "" })
    })
  )

  it.live("serves a filesystem of an app in TypeScript", () =>
    Effect.gen(function* () {
      const program = yield* startNode([join(app, "app.ts")])
      const [, port] = yield* Effect.orDie(program.prints(/answer 42, port (\d+)/))
      expect(yield* read(Number(port), "/ts", "hello.txt")).toBe("Hello!\n")
    })
  )

  it("tests an app's filesystem", { timeout: 120_000 }, async () => {
    const report = join(place, "report.json")
    await run(app, "node_modules/.bin/vitest", "run", "--reporter=json", `--outputFile=${report}`)
    const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, "utf8")) as Record<string, number>
    expect(numFailedTests).toBe(0)
    expect(numPassedTests).toBeGreaterThan(100)
  })

  it("has a program that says its version", async () => {
    expect(await run(app, "node_modules/.bin/effect-nfs", "--version")).toContain(manifest.version)
  })

  it.live("has a program that serves, and ends in an orderly way", () =>
    Effect.gen(function* () {
      const arguments_ = ["serve", "--port", "0", "--portmap", "off"]
      const program = yield* startNode([join(app, "node_modules/.bin/effect-nfs"), ...arguments_])
      const [, port] = yield* Effect.orDie(program.prints(/port[ =](\d+)/))
      const client = yield* connect(Number(port))
      expect((yield* client.root("/")).length).toBeGreaterThan(0)
      program.kill("SIGTERM")
      expect((yield* program.ended).code).toBe(0)
    })
  )
})
