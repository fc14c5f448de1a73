/** What the guest mounts, one after another: the servers under test, and which checks each of them has to pass. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Server } from "./Server.ts"

/**
 * What a check cannot do without, as a line `# needs: ...` of it says: `restart`, a server that can be ended and started
 * again; `portmap`, one that a portmapper knows; `disk`, an export that is a directory of the host; `numbers`, the example of
 * a filesystem of one's own, which is served beside the one in memory.
 */
export type Need = "restart" | "portmap" | "disk" | "numbers"

export interface Check {
  readonly name: string
  readonly needs: ReadonlyArray<Need>
}

export interface Backend {
  readonly name: string
  readonly server: Server
  /** Whether this suite starts and ends it. */
  readonly owned: boolean
  /** Whether a check is meant for it. */
  readonly isFor: (check: Check) => boolean
  /** Why it cannot be checked with it as it runs, if so. */
  readonly obstacle: (check: Check) => string | undefined
  /** The directory of the host that it serves. */
  readonly directory: string | undefined
  /** What it says. */
  readonly log: string
}

export const readCheck = (folder: string, name: string): Check => {
  const [, needs = ""] = /^# needs: (.*)$/m.exec(readFileSync(join(folder, `${name}.sh`), "utf8")) ?? []
  return { name, needs: needs.split(" ").filter((need) => need !== "") as ReadonlyArray<Need> }
}

/** Without CAP_DAC_READ_SEARCH the kernel opens no file by its handle, and the server has to find it otherwise. */
const withoutHandles = ["setpriv", "--bounding-set=-dac_read_search", "--inh-caps=-dac_read_search"]

/**
 * The project's own servers; all but memory are for root, because only root can give files to other users. `portmap`:
 * whether to try to be found by a portmapper, which only one server can.
 */
export const ownBackends = (logs: string, isRoot: boolean, portmap: boolean): ReadonlyArray<Backend> => {
  const command = (name: string, directory: ReadonlyArray<string>, more: ReadonlyArray<string>) => {
    const state = join(logs, `${name}-state`)
    for (const path of [state, ...directory]) mkdirSync(path)
    const options = ["--state-dir", state, "--squash", "none", ...more]
    return (port: number) => [
      process.execPath,
      "bin/effect-nfs.js",
      "serve",
      ...directory,
      "--port",
      `${port}`,
      ...options
    ]
  }
  const memory: Backend = {
    ...watched(logs, "memory", command("memory", [], ["--portmap", portmap ? "auto" : "off"])),
    owned: true,
    isFor: ({ needs }) => !needs.includes("disk"),
    directory: undefined
  }
  const onDisk = (name: string, prefix: ReadonlyArray<string>, isFor: Backend["isFor"]): Backend => {
    const directory = join(logs, name)
    const serve = command(name, [directory], ["--portmap", "off"])
    return { ...watched(logs, name, (port) => [...prefix, ...serve(port)]), owned: true, isFor, directory }
  }
  if (!isRoot) return [memory]
  return [
    memory,
    onDisk("directory", [], ({ needs }) => !needs.includes("portmap") && !needs.includes("numbers")),
    // The same for all that do not ask for a file that has not been seen for long.
    onDisk("searched", withoutHandles, ({ needs }) => needs.includes("restart"))
  ]
}

/** The example of docs/writing-a-filesystem.md. */
export const numbersServer = (logs: string): Server => {
  const example = ["--conditions=effect-nfs-source", "docs/examples/serve-numbers.ts"]
  return new Server((port) => [process.execPath, ...example, `${port}`], join(logs, "numbers.log"))
}

/** Another server, that a shell starts, or that runs already. */
export const otherBackend = (logs: string, server: string | undefined, port: string | undefined): Backend => {
  const made = watched(logs, "other", (at) => ["sh", "-c", `exec ${(server ?? "").replaceAll("{port}", `${at}`)}`])
  if (port !== undefined) made.server.port = Number(port)
  return {
    ...made,
    owned: port === undefined,
    isFor: ({ needs }) => !needs.includes("disk") && !needs.includes("numbers"),
    obstacle: (check) =>
      check.needs.includes("restart") && server?.includes("{port}") !== true
        ? "it restarts the server"
        : made.obstacle(check),
    directory: undefined
  }
}

const watched = (logs: string, name: string, command: (port: number) => ReadonlyArray<string>) => {
  const log = join(logs, `${name}.log`)
  writeFileSync(log, "")
  const server = new Server(command, log)
  const obstacle: Backend["obstacle"] = ({ needs }) =>
    needs.includes("portmap") && !server.portmapped ? "no portmapper knows the server" : undefined
  return { name, log, server, obstacle }
}
