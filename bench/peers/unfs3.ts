/** unfs3, which serves directories only, on the loopback address alone and without a portmapper. */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type { Contestant } from "../contestants.ts"
import * as Processes from "../processes.ts"
import { find, freePort } from "./environment.ts"

const PROGRAM = "unfsd"

export const unfs3: Contestant = {
  name: "unfs3",
  backend: "local",
  peer: true,
  about: "unfs3",
  missing: () => (find(PROGRAM) === undefined ? `${PROGRAM} is not on PATH` : undefined),
  start: Effect.fnUntraced(function* ({ directory, processor }) {
    const files = join(directory, "files")
    mkdirSync(files)
    const list = join(directory, "exports")
    writeFileSync(list, `"${files}" 127.0.0.1(rw,no_root_squash,insecure)\n`)
    const [port, mountPort] = [String(yield* freePort), String(yield* freePort)]
    const { pid } = yield* Processes.startProgram({
      name: "unfs3",
      command: find(PROGRAM) ?? PROGRAM,
      // In the foreground, no portmapper, TCP only.
      args: ["-d", "-p", "-t", "-l", "127.0.0.1", "-e", list, "-n", port, "-m", mountPort],
      processor,
      ports: [Number(port), Number(mountPort)]
    })
    return { host: "127.0.0.1", port: Number(port), mountPort: Number(mountPort), exportPath: files, pid }
  })
}
