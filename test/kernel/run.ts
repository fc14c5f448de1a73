/**
 * The kernel-client suite: boots a guest under QEMU whose real Linux NFS client mounts the servers, has it run the checks
 * and tells how they went, line by line. README.md says how to use it; guest/main.sh is the other half.
 */

import { execFileSync } from "node:child_process"
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type Backend, type Check, numbersServer, otherBackend, ownBackends, readCheck } from "./backends.ts"
import * as Machine from "./machine.ts"
import { atEnd, endAll } from "./processes.ts"
import { answerRequests } from "./requests.ts"

const here = import.meta.dirname

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    keep: { type: "boolean", default: false },
    server: { type: "string" },
    port: { type: "string" }
  }
})

const say = (text: string) => process.stdout.write(`${text}\n`)

const showTail = (what: string, file: string, lines: number) => {
  const text = readFileSync(file, "utf8").trimEnd()
  if (text === "") return
  const shown = text.split("\n").slice(-lines)
  say(`# the end of ${what}:\n${shown.map((line) => `    ${line.slice(0, 500)}`).join("\n")}`)
}

const logs = mkdtempSync(join(tmpdir(), "effect-nfs-kernel-"))
const log = { console: join(logs, "console.log"), qemu: join(logs, "qemu.log") }
for (const file of Object.values(log)) writeFileSync(file, "")
atEnd(() => {
  if (options.keep) say(`# logs are kept in ${logs}`)
  else rmSync(logs, { recursive: true, force: true })
})

const outcomes = new Map<string, boolean>()
let skipped = 0

const report = (name: string, passed: boolean, more: string) => {
  outcomes.set(name, passed)
  say(`${passed ? "ok" : "not ok"} ${name} ${more}`)
}

const skip = (name: string, why: string) => {
  skipped++
  say(`# ${name} is skipped: ${why}`)
}

const wanted = new RegExp(options.only ?? "")
const isOther = options.server !== undefined || options.port !== undefined
const isRoot = process.getuid?.() === 0

const scriptsIn = (folder: string) =>
  readdirSync(join(here, folder))
    .filter((file) => file.endsWith(".sh"))
    .map((file) => file.replace(/\.sh$/, ""))
    .sort()

const checks = scriptsIn("checks").map((name) => readCheck(join(here, "checks"), name))

const isWanted = (backend: string, { name }: Check) => wanted.test(`${backend}/${name}`)

const portmap = checks.some((check) => check.needs.includes("portmap") && isWanted("memory", check))

const backends = (
  isOther ? [otherBackend(logs, options.server, options.port)] : ownBackends(logs, isRoot, portmap)
).filter((backend) => checks.some((check) => backend.isFor(check) && isWanted(backend.name, check)))

/** The checks that a running backend has to pass, in their order. */
const checksFor = (backend: Backend): ReadonlyArray<string> => {
  const possible = checks.filter((check) => {
    if (!backend.isFor(check) || !isWanted(backend.name, check)) return false
    const obstacle = backend.obstacle(check)
    if (obstacle !== undefined) skip(`${backend.name}/${check.name}`, obstacle)
    return obstacle === undefined
  })
  // A server that does not come back as it was must not take the other checks with it.
  const restarts = ({ needs }: Check) => needs.includes("restart")
  return [...possible.filter((check) => !restarts(check)), ...possible.filter(restarts)].map(({ name }) => name)
}

const main = async () => {
  if (!isOther && !isRoot) skip("directory", "only root can give files to other users")
  const inside = isOther ? [] : scriptsIn("inside").filter((name) => wanted.test(`inside/${name}`))
  if (backends.length + inside.length === 0) throw new Error(`no check matches ${options.only}`)

  const image = Machine.build()
  const disks = [join(logs, "suite.tar")]
  if (inside.length > 0) {
    disks.push(join(logs, "project.img"))
    Machine.makeProjectDisk(disks[1]!)
  }
  for (const { owned, server } of backends) if (owned) await server.start()
  const running = backends.map((backend) => ({ ...backend, checks: checksFor(backend) }))
  const numbers = numbersServer(logs)
  const withNumbers = checks.some((check) => check.needs.includes("numbers") && isWanted("memory", check)) && !isOther
  if (withNumbers) await numbers.start()
  const requests = await answerRequests(backends)

  // The guest reads this archive straight from its second disk.
  const config = [
    `HOST_PORT=${requests.port}`,
    `BACKENDS="${backends.map(({ name }) => name).join(" ")}"`,
    ...running.flatMap(({ checks, name, server }) => [
      `${name}_PORT=${server.port}`,
      `${name}_CHECKS="${checks.join(" ")}"`
    ]),
    `NUMBERS_PORT=${numbers.port}`,
    `INSIDE="${inside.join(" ")}"`
  ]
  writeFileSync(join(logs, "config"), config.map((line) => `${line}\n`).join(""))
  execFileSync("tar", ["-cf", disks[0]!, "-C", logs, "config", "-C", here, "guest", "checks", "inside"])

  await Machine.run(
    { image, disks, console: log.console },
    {
      report,
      say,
      complain: (text) => appendFileSync(log.qemu, text),
      died: Promise.race(backends.map(({ name, server }) => server.died.promise.then((how) => `${name}: ${how}`)))
    }
  )
  requests.close()
  if (withNumbers) await numbers.kill()
  const expected = running.flatMap(({ checks, name }) => ["mount", ...checks, "unmount"].map((it) => `${name}/${it}`))
  for (const name of [...expected, ...inside.map((name) => `inside/${name}`), "dmesg"]) {
    if (!outcomes.has(name)) report(name, false, "never reported")
  }
  for (const { name, owned, server } of backends) {
    if (!owned) continue
    const begin = Date.now()
    const complaint = await server.stop().then(() => undefined, String)
    report(`${name}/server-stop`, complaint === undefined, complaint ?? ((Date.now() - begin) / 1000).toFixed(1))
  }
}

await main().catch((error: unknown) => report("suite", false, error instanceof Error ? error.message : String(error)))

const failed = [...outcomes.values()].filter((passed) => !passed).length
if (failed > 0) {
  for (const backend of backends) showTail(`the log of ${backend.name}`, backend.log, 40)
  showTail("the guest's console", log.console, 20)
  showTail("what QEMU said", log.qemu, 5)
}
endAll()
say(`${outcomes.size - failed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(failed > 0 ? 1 : 0)
