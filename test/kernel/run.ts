/**
 * The kernel-client suite: boots a guest under QEMU whose real Linux NFS client mounts the server, has it run the checks
 * and tells how they went, line by line. README.md says how to use it; guest/main.sh is the other half.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"

/** All times are in seconds, and generous: the guest is emulated, on cores that it shares. */
const limits = { suite: 1200, boot: 120, serverStart: 30, serverStop: 15, afterCheck: 90 }

const here = import.meta.dirname
const repository = join(here, "../..")

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    keep: { type: "boolean", default: false },
    server: { type: "string" },
    port: { type: "string" }
  }
})

const seconds = (count: number) => count * 1000

const showTail = (what: string, file: string, lines: number) => {
  const text = readFileSync(file, "utf8").trimEnd()
  if (text === "") return
  const shown = text.split("\n").slice(-lines)
  process.stdout.write(`# the end of ${what}:\n${shown.map((line) => `    ${line.slice(0, 500)}\n`).join("")}`)
}

// Whatever way this process ends, nothing that it started outlives it.
const endings: Array<() => void> = []
process.on("exit", () => endings.reverse().forEach((end) => end()))
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129]
] as const) {
  process.on(signal, () => process.exit(status))
}

// npm passes a signal on to the shell that it runs this in, which ends without a word: another parent is all there is to see.
if (process.env["npm_lifecycle_event"] !== undefined) {
  const shell = process.ppid
  setInterval(() => {
    if (process.ppid !== shell) process.exit(143)
  }, 1000).unref()
}

/** Kills a child and all that it started itself; it leads a process group of its own. */
const kill = (child: ChildProcess) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // it has ended already
  }
}

const launch = (command: string, args: ReadonlyArray<string>) => {
  const child = spawn(command, args, { cwd: repository, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  endings.push(() => kill(child))
  const exited = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message))
    child.on("exit", (code, signal) => resolve(signal === null ? `exit status ${code}` : signal))
  })
  return { child, exited }
}

const within = <A>(limit: number, promise: Promise<A>, otherwise: A) => {
  const late = Promise.withResolvers<A>()
  const timer = setTimeout(() => late.resolve(otherwise), seconds(limit))
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}

const logs = mkdtempSync(join(tmpdir(), "effect-nfs-kernel-"))
const log = { server: join(logs, "server.log"), console: join(logs, "console.log"), qemu: join(logs, "qemu.log") }
for (const file of Object.values(log)) writeFileSync(file, "")
endings.push(() => {
  if (options.keep) process.stdout.write(`# logs are kept in ${logs}\n`)
  else rmSync(logs, { recursive: true, force: true })
})

/** The server under test: one process after another, on one port. */
class Server {
  port = 0
  /** Settles when a server ends that was not asked to. */
  readonly died = Promise.withResolvers<string>()
  /** Whether it said that clients find its port. */
  portmapped = false
  private running: ReturnType<typeof launch> | undefined
  private readonly command: (port: number) => [string, ...Array<string>]

  constructor(command: (port: number) => [string, ...Array<string>]) {
    this.command = command
  }

  /** Starts it, again on the same port if it has run before. */
  async start() {
    const [program, ...args] = this.command(this.port)
    const running = launch(program, args)
    this.running = running
    const announced = new Promise<number>((resolve) => {
      let said = ""
      running.child.stdout.on("data", (chunk: Buffer) => {
        appendFileSync(log.server, chunk)
        if (said.length < 65_536) said += chunk
        const port = /\bport[= ](\d+)/.exec(said)?.[1]
        if (port !== undefined) resolve(Number(port))
        this.portmapped ||= said.includes("clients need not name the port")
      })
    })
    running.child.stderr.on("data", (chunk: Buffer) => appendFileSync(log.server, chunk))
    const early = running.exited.then((how) => `the server ended at once: ${how}`)
    const port = await within(limits.serverStart, Promise.race([announced, early]), "the server named no port in time")
    if (typeof port === "string") throw new Error(port)
    this.port = port
    void running.exited.then((how) => {
      if (this.running === running) this.died.resolve(`the server ended by itself: ${how}`)
    })
  }

  /** Asks it to end, which has to be clean and soon. */
  async stop() {
    const running = this.running
    if (running === undefined) throw new Error("the server is not running")
    this.running = undefined
    running.child.kill("SIGTERM")
    const how = await within(limits.serverStop, running.exited, `still running ${limits.serverStop} s after SIGTERM`)
    kill(running.child)
    if (how !== "exit status 0") throw new Error(`the server did not end cleanly: ${how}`)
  }
}

const answerTo = async (request: string, server: Server | undefined) => {
  try {
    if (request !== "restart-server" || server === undefined) throw new Error(`cannot do: ${request}`)
    await server.stop()
    await server.start()
    return "done"
  } catch (error) {
    return String(error)
  }
}

/** What a check may ask of the host while it runs: one line on a connection, answered by another. */
const answerRequests = async (server: Server | undefined) => {
  const listener = createServer((socket) => {
    socket.on("error", () => socket.destroy())
    createInterface(socket).once("line", (request) => {
      void answerTo(request, server).then((answer) => socket.end(`${answer}\n`))
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
  return listener
}

const guestArguments = (image: string, suite: string) => {
  const disk = (file: string, more: string) => ["-drive", `file=${file},format=raw,if=virtio,${more}`]
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // Emulated, even where there is KVM: nested in another machine it often does not work, and QEMU then dies of it.
    // Two processors, for the races that only then can happen.
    ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"],
    ...["-kernel", join(image, "vmlinuz"), "-initrd", join(image, "initrd.gz")],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off log_buf_len=1M"],
    // The root image stays as it was built: what the guest writes goes to a file that vanishes with it.
    ...disk(join(image, "root.img"), "snapshot=on,cache=unsafe"),
    ...disk(suite, "readonly=on"),
    ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"],
    ...["-serial", `file:${log.console}`, "-serial", "stdio"]
  ]
}

const outcomes = new Map<string, boolean>()
let skipped = 0

const skip = (name: string, why: string) => {
  skipped++
  process.stdout.write(`# ${name} is skipped: ${why}\n`)
  return false
}

const report = (name: string, passed: boolean, more = "") => {
  outcomes.set(name, passed)
  process.stdout.write(`${passed ? "ok" : "not ok"} ${name}${more}\n`)
}

/** Boots the guest and passes on what it reports, until it has ended. */
const runGuest = async (image: string, suite: string, died: Promise<string>) => {
  const { child, exited } = launch("qemu-system-x86_64", guestArguments(image, suite))
  child.stderr.on("data", (chunk: Buffer) => appendFileSync(log.qemu, chunk))
  const giveUp = (why: string) => {
    process.stdout.write(`# ${why}\n`)
    kill(child)
  }
  void died.then(giveUp)
  const suiteTimer = setTimeout(() => giveUp(`the suite took more than ${limits.suite} s`), seconds(limits.suite))
  let timer = setTimeout(() => giveUp(`the guest did not boot in ${limits.boot} s`), seconds(limits.boot))
  const expectWithin = (limit: number, what: string) => {
    clearTimeout(timer)
    timer = setTimeout(() => giveUp(`the guest hangs in ${what}`), seconds(limit))
  }
  const lines = createInterface({ input: child.stdout })
  lines.on("line", (line) => {
    const [, verb, name = "", took] = /^(begin|ok|not ok|end|\|) ?(\S*) ?(.*)$/.exec(line) ?? []
    if (verb === "begin") expectWithin(Number(took) + limits.afterCheck, name)
    else if (verb === "ok" || verb === "not ok") report(name, verb === "ok", ` ${took}`)
    else if (verb === "end") expectWithin(limits.afterCheck, "shutting down")
    else process.stdout.write(`    ${line.replace(/^\| /, "")}\n`)
  })
  const drained = new Promise<void>((resolve) => lines.once("close", resolve))
  const how = await exited
  await drained
  clearTimeout(timer)
  clearTimeout(suiteTimer)
  if (how !== "exit status 0") process.stdout.write(`# the guest: ${how}\n`)
}

const serverCommand =
  (state: string, portmap: "auto" | "off") =>
  (port: number): [string, ...Array<string>] => {
    if (options.server !== undefined) {
      return ["sh", "-c", `exec ${options.server.replaceAll("{port}", `${port}`)}`]
    }
    const where = ["--port", `${port}`, "--portmap", portmap, "--state-dir", state]
    return [process.execPath, "bin/effect-nfs.js", "serve", ...where, "--squash", "none"]
  }

const main = async () => {
  const ownServer = options.port === undefined
  const restartable = ownServer && (options.server?.includes("{port}") ?? true)
  const wanted = new RegExp(options.only ?? "")
  const found = readdirSync(join(here, "checks"))
    .map((file) => file.replace(/\.sh$/, ""))
    .sort()
  const matching = found.filter((name) => wanted.test(name))
  if (matching.length === 0) throw new Error(`no check matches ${options.only}`)
  const needs = (what: string) => (name: string) =>
    new RegExp(`^# needs: ${what}$`, "m").test(readFileSync(join(here, "checks", `${name}.sh`), "utf8"))

  const build = spawnSync(join(here, "build.sh"), { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })
  if (build.status !== 0) throw new Error("the guest could not be built")
  const image = build.stdout.trim()

  const state = join(logs, "state")
  mkdirSync(state)
  const server = new Server(serverCommand(state, matching.some(needs("portmap")) ? "auto" : "off"))
  if (ownServer) await server.start()
  else server.port = Number(options.port)
  const example = ["--conditions=effect-nfs-source", "docs/examples/serve-numbers.ts"]
  const numbers = new Server((port) => [process.execPath, ...example, `${port}`])
  if (matching.includes("custom-filesystem")) await numbers.start()
  const requests = await answerRequests(restartable ? server : undefined)

  const possible = matching.filter((name) => {
    if (needs("restart")(name) && !restartable) return skip(name, "it restarts the server")
    if (needs("portmap")(name) && !server.portmapped) return skip(name, "no portmapper knows the server")
    return true
  })
  // A server that does not come back as it was must not take the other checks with it.
  const stormy = needs("restart")
  const checks = [...possible.filter((name) => !stormy(name)), ...possible.filter(stormy)]

  // The guest reads this archive straight from its second disk.
  const suite = join(logs, "suite.tar")
  const hostPort = (requests.address() as AddressInfo).port
  const ports = `NFS_PORT=${server.port}\nHOST_PORT=${hostPort}\nNUMBERS_PORT=${numbers.port}\n`
  writeFileSync(join(logs, "config"), `${ports}CHECKS="${checks.join(" ")}"\n`)
  const scripts = checks.map((name) => `checks/${name}.sh`)
  execFileSync("tar", ["-cf", suite, "-C", logs, "config", "-C", here, "guest", ...scripts])

  await runGuest(image, suite, server.died.promise)
  requests.close()
  for (const name of ["mount", ...checks, "unmount", "dmesg"]) {
    if (!outcomes.has(name)) report(name, false, " never reported")
  }
  if (ownServer) {
    const begin = Date.now()
    const complaint = await server.stop().then(() => undefined, String)
    report("server-stop", complaint === undefined, ` ${complaint ?? ((Date.now() - begin) / 1000).toFixed(1)}`)
  }
}

await main().catch((error: unknown) =>
  report("suite", false, ` ${error instanceof Error ? error.message : String(error)}`)
)

const failed = [...outcomes.values()].filter((passed) => !passed).length
if (failed > 0) {
  showTail("the server's log", log.server, 40)
  showTail("the guest's console", log.console, 20)
  showTail("what QEMU said", log.qemu, 5)
}
endings.reverse().forEach((end) => end())
endings.length = 0
process.stdout.write(`${outcomes.size - failed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exit(failed > 0 ? 1 : 0)
