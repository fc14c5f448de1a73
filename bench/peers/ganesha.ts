/**
 * nfs-ganesha, with its defaults (its attribute and name cache, MDCACHE, among them), for NFSv3 over TCP on the loopback
 * address alone.
 *
 * It does not start without a portmapper to register with. So it gets a `/run` of its own, in a mount namespace, where the
 * registrar of the bench listens; what the machine has in `/run` is neither seen nor changed.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type { Backend } from "../cases.ts"
import type { Contestant } from "../contestants.ts"
import * as Processes from "../processes.ts"
import { find, freePort } from "./environment.ts"
import * as Registrar from "./registrar.ts"

const PROGRAM = "ganesha.nfsd"

/** Its module for each kind of backend, and the Debian package that brings it. */
const modules = {
  memory: { name: "MEM", file: "libfsalmem.so", package: "nfs-ganesha-mem" },
  local: { name: "VFS", file: "libfsalvfs.so", package: "nfs-ganesha-vfs" }
} as const

/** Where distributions put the modules. */
const folders = [
  "/usr/lib/x86_64-linux-gnu/ganesha",
  "/usr/lib/aarch64-linux-gnu/ganesha",
  "/usr/lib64/ganesha",
  "/usr/lib/ganesha"
]

export const ganesha = (backend: Backend): Contestant => {
  const module = modules[backend]
  return {
    name: "ganesha",
    backend,
    peer: true,
    about: `nfs-ganesha, ${module.name} backend`,
    missing: () => {
      if (find(PROGRAM) === undefined) return `${PROGRAM} is not installed (Debian: nfs-ganesha)`
      if (!folders.some((folder) => existsSync(join(folder, module.file)))) return `needs the package ${module.package}`
      if (find("unshare") === undefined) return "needs unshare, to run apart from the machine's portmapper"
      return process.getuid?.() === 0 ? undefined : "runs only as root"
    },
    start: Effect.fnUntraced(function* ({ directory, processor }) {
      const run = join(directory, "run")
      const files = join(directory, "files")
      mkdirSync(run)
      mkdirSync(files)
      yield* Registrar.listen(join(run, "rpcbind.sock"))
      const [port, mountPort] = [yield* freePort, yield* freePort]
      const exportPath = backend === "memory" ? "/bench" : files
      const config = join(directory, "ganesha.conf")
      writeFileSync(config, configuration({ port, mountPort, exportPath, module: module.name, state: directory }))
      const server = [
        PROGRAM,
        "-F",
        "-f",
        config,
        "-L",
        join(directory, "log"),
        "-p",
        join(directory, "pid"),
        "-N",
        "NIV_MAJ"
      ]
      const { pid } = yield* Processes.startProgram({
        name: `nfs-ganesha, ${backend}`,
        command: "unshare",
        args: ["--mount", "sh", "-c", 'mount --bind "$0" /run && exec "$@"', run, ...server],
        processor,
        ports: [port, mountPort]
      })
      return { host: "127.0.0.1", port, mountPort, exportPath, pid }
    })
  }
}

const configuration = (options: {
  readonly port: number
  readonly mountPort: number
  readonly exportPath: string
  readonly module: string
  /** A directory for what it keeps. */
  readonly state: string
}): string => `
NFS_CORE_PARAM {
  NFS_Port = ${options.port};
  MNT_Port = ${options.mountPort};
  Bind_addr = 127.0.0.1;
  Protocols = 3;
  Enable_UDP = false;
  Enable_NLM = false;
  Enable_RQUOTA = false;
  Clustered = false;
}
NFSv4 { Graceless = true; RecoveryRoot = "${options.state}"; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
  Export_Id = 1;
  Path = "${options.exportPath}";
  Pseudo = "/bench";
  Access_Type = RW;
  Squash = No_Root_Squash;
  SecType = sys, none;
  Protocols = 3;
  Transports = TCP;
  FSAL { Name = ${options.module}; }
}
`
