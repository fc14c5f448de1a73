/** A server under test: one process after another, on one port. */

import { appendFileSync } from "node:fs"
import { kill, launch, within } from "./processes.ts"

/** In seconds, and generous: the machine has other things to do. */
const limits = { start: 30, stop: 15 }

export class Server {
  port = 0
  /** Settles when a server ends that was not asked to. */
  readonly died = Promise.withResolvers<string>()
  /** Whether it said that clients find its port. */
  portmapped = false
  private running: ReturnType<typeof launch> | undefined
  private readonly command: (port: number) => ReadonlyArray<string>
  private readonly log: string

  constructor(command: (port: number) => ReadonlyArray<string>, log: string) {
    this.command = command
    this.log = log
  }

  /** Starts it, again on the same port if it has run before. */
  async start() {
    const [program = "", ...args] = this.command(this.port)
    const running = launch(program, args)
    this.running = running
    const announced = new Promise<number>((resolve) => {
      let said = ""
      running.child.stdout.on("data", (chunk: Buffer) => {
        appendFileSync(this.log, chunk)
        if (said.length < 65_536) said += chunk
        const port = /\bport[= ](\d+)/.exec(said)?.[1]
        if (port !== undefined) resolve(Number(port))
        this.portmapped ||= said.includes("clients need not name the port")
      })
    })
    running.child.stderr.on("data", (chunk: Buffer) => appendFileSync(this.log, chunk))
    const early = running.exited.then((how) => `the server ended at once: ${how}`)
    const port = await within(limits.start, Promise.race([announced, early]), "the server named no port in time")
    if (typeof port === "string") throw new Error(port)
    this.port = port
    void running.exited.then((how) => {
      if (this.running === running) this.died.resolve(`the server ended by itself: ${how}`)
    })
  }

  /** Asks it to end, which has to be clean and soon. */
  async stop() {
    const running = this.leave()
    running.child.kill("SIGTERM")
    const how = await within(limits.stop, running.exited, `still running ${limits.stop} s after SIGTERM`)
    kill(running.child)
    if (how !== "exit status 0") throw new Error(`the server did not end cleanly: ${how}`)
  }

  /** Ends it wherever it is. */
  async kill() {
    const running = this.leave()
    kill(running.child)
    await running.exited
  }

  private leave() {
    const { running } = this
    if (running === undefined) throw new Error("the server is not running")
    this.running = undefined
    return running
  }
}
