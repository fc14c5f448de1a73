/**
 * What a check may ask of the host while it runs: a line `BACKEND CHECK VERB ARGUMENTS...`, answered by the output of what
 * was done and a last line, `done` or what went wrong.
 *
 * All that has to do with files happens in the directory of the check, behind the back of the server.
 */

import { execFile } from "node:child_process"
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import type { Backend } from "./backends.ts"
import { repository } from "./processes.ts"

const run = promisify(execFile)

interface Request {
  readonly backend: Backend
  /** The path of a name in the check's directory. */
  readonly at: (name: string | undefined) => string
}

/** What can be asked for; gives what the check is told, if anything. */
const verbs: Record<string, (request: Request, ...args: Array<string>) => Promise<string | void>> = {
  "restart-server": async ({ backend: { server } }) => {
    await server.stop()
    await server.start()
  },

  "kill-server": async ({ backend: { server } }) => {
    await server.kill()
    await server.start()
  },

  /** Makes that many empty files in a directory. */
  fill: async ({ at }, name, count) => {
    const directory = at(name)
    for (let number = 0; number < Number(count); number++) {
      closeSync(openSync(join(directory, `stable-${number}-${"x".repeat(number % 40)}`), "wx", 0o644))
    }
  },

  /** Makes a copy of this project's sources. */
  "copy-source": async ({ at }, name) => {
    const directory = at(name)
    mkdirSync(directory)
    for (const part of ["src", "test", "docs", "bin", "tools/rooms.ts", "package.json", "LICENSE"]) {
      cpSync(join(repository, part), join(directory, part), { recursive: true, preserveTimestamps: true })
    }
  },

  /** What a command says of a directory: see guest/describe.sh. */
  describe: async ({ at }, command, name) => {
    const script = join(import.meta.dirname, "guest/describe.sh")
    const options = { encoding: "buffer", maxBuffer: 2 ** 28 } as const
    return (await run("bash", [script, command ?? "", at(name)], options)).stdout.toString("latin1")
  },

  /** The sizes of the files of a directory, by their names. */
  sizes: async ({ at }, name) => {
    const directory = at(name)
    const files = readdirSync(directory).sort()
    return files.map((file) => `${statSync(join(directory, file)).size}\n`).join("")
  },

  remove: async ({ at }, name) => rmSync(at(name), { recursive: true })
}

const answerTo = async (line: string, backends: ReadonlyArray<Backend>): Promise<string> => {
  const [to = "", check = "", verb = "", ...args] = line.split(" ")
  const backend = backends.find(({ name }) => name === to)
  const act = verbs[verb]
  if (backend === undefined || act === undefined) throw new Error(`cannot do: ${line}`)
  const at = (name: string | undefined) => {
    // The names come from the checks, and yet this is root who acts upon them.
    if (backend.directory === undefined || ![check, name ?? ""].every((part) => /^[\w-]+$/.test(part))) {
      throw new Error(`cannot do: ${line}`)
    }
    return join(backend.directory, check, name!)
  }
  return `${(await act({ backend, at }, ...args)) ?? ""}done`
}

/** Listens for requests on a port of its own. */
export const answerRequests = async (backends: ReadonlyArray<Backend>) => {
  const listener = createServer((socket) => {
    socket.on("error", () => socket.destroy())
    createInterface(socket).once("line", (line) => {
      void answerTo(line, backends)
        .catch(String)
        .then((answer) => socket.end(`${answer}\n`, "latin1"))
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
  return { port: (listener.address() as AddressInfo).port, close: () => listener.close() }
}
