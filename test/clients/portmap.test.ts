/** Debian's rpcbind, rpcinfo and showmount, and libnfs without ports, in a network where port 111 is ours. */

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing } from "../support/commands.ts"
import * as Namespace from "../support/namespace.ts"
import { serve, start } from "../support/program.ts"

const MOUNT = "100005"
const NFS = "100003"

/** Nothing is said of the portmapper, by variables: then "auto" is what holds. */
const asUsual = { EFFECT_NFS_PORTMAP: undefined }

/** The network, with Debian's rpcbind in it or without. */
const network = Effect.fnUntraced(function* (portmapper: "rpcbind" | "our own") {
  const namespace = yield* Namespace.make
  if (portmapper === "rpcbind") {
    yield* namespace.launch("rpcbind", "-f")
    yield* Namespace.untilSucceeds(namespace.run("rpcinfo", "-p", "127.0.0.1"))
  }
  const out = (...[command, ...args]: [string, ...ReadonlyArray<string>]) =>
    Effect.map(namespace.run(command, ...args), ({ code, stderr, stdout }) => {
      expect({ command, args, code, stderr }).toEqual({ command, args, code: 0, stderr: "" })
      return stdout.toString()
    })
  /** What `rpcinfo -p` knows besides portmappers: `100003 3 tcp 2049`. */
  const registered = Effect.map(out("rpcinfo", "-p", "127.0.0.1"), (text) =>
    text
      .split("\n")
      .flatMap(
        (line) =>
          line
            .match(/^ *(\d+) +(\d+) +(\w+) +(\d+) /)
            ?.slice(1, 5)
            .join(" ") ?? []
      )
      .filter((line) => !line.startsWith("100000 "))
      .sort()
  )
  return {
    ...namespace,
    out,
    registered,
    serve: (...args: ReadonlyArray<string>) => serve(["--export", "/data", ...args], asUsual, namespace.within)
  }
})

const services = (port: number): ReadonlyArray<string> =>
  [
    `${NFS} 3 tcp ${port}`,
    ...[1, 2, 3].flatMap((version) => ["tcp", "udp"].map((netid) => `${MOUNT} ${version} ${netid} ${port}`))
  ].sort()

const needed = ["unshare", "nsenter", "ip", "rpcbind", "rpcinfo", "showmount", "nfs-ls", "setpriv"]

describe.skipIf(Namespace.notRoot("portmap") || missing("portmap", ...needed))("portmap", { timeout: 60_000 }, () => {
  describe.each([["rpcbind"], ["our own"]] as const)("%s", (portmapper) => {
    it.live("is what the server says it is", () =>
      Effect.gen(function* () {
        const { serve } = yield* network(portmapper)
        const server = yield* serve("--portmap", "on")
        yield* Effect.orDie(
          server.prints(portmapper === "rpcbind" ? /^ {2}Registered with rpcbind/m : /^ {2}Own portmapper on port 111/m)
        )
        yield* Effect.orDie(server.prints(/mount -t nfs -o vers=3,proto=tcp,nolock 127\.0\.0\.1:\/data \/mnt$/m))
      }).pipe(Effect.scoped)
    )

    it.live("lists the services for rpcinfo", () =>
      Effect.gen(function* () {
        const { out, registered, serve } = yield* network(portmapper)
        const { port } = yield* serve()
        expect(yield* registered).toEqual(services(port))
        const owner = portmapper === "rpcbind" ? "superuser" : "effect-nfs"
        const summary = yield* out("rpcinfo", "-s", "127.0.0.1")
        expect(summary).toMatch(new RegExp(`^ *${NFS} +3 +tcp +nfs +${owner}$`, "m"))
        expect(summary).toMatch(new RegExp(`^ *${MOUNT} +3,2,1 +udp,tcp +mountd +${owner}$`, "m"))
        const address = `127\\.0\\.0\\.1\\.${port >> 8}\\.${port & 255}`
        const addresses = yield* out("rpcinfo", "-l", "127.0.0.1", MOUNT, "3")
        expect(addresses).toMatch(new RegExp(`inet/tcp/cots_ord +${address} `))
        expect(addresses).toMatch(new RegExp(`inet/udp/clts +${address} `))
      }).pipe(Effect.scoped)
    )

    it.live.each([
      ["tcp", NFS, [3]],
      ["tcp", MOUNT, [1, 2, 3]],
      ["udp", MOUNT, [1, 2, 3]]
    ] as const)("rpcinfo finds and calls what answers over %s: %s, versions %j", ([netid, program, versions]) =>
      Effect.gen(function* () {
        const { out, serve } = yield* network(portmapper)
        yield* serve()
        const ready = (version: number) => `program ${program} version ${version} ready and waiting\n`
        expect(yield* out("rpcinfo", "-T", netid, "127.0.0.1", program)).toBe(versions.map(ready).join(""))
        expect(yield* out("rpcinfo", "-T", netid, "127.0.0.1", program, "3")).toBe(ready(3))
      }).pipe(Effect.scoped)
    )

    it.live("rpcinfo learns what there is not", () =>
      Effect.gen(function* () {
        const { run, serve } = yield* network(portmapper)
        yield* serve()
        const udp = yield* run("rpcinfo", "-T", "udp", "127.0.0.1", NFS, "3")
        expect(udp.stderr).toMatch(/Program not registered/)
        const version2 = yield* run("rpcinfo", "-T", "tcp", "127.0.0.1", NFS, "2")
        expect(version2.stderr).toMatch(/low version = 3, high version = 3/)
      }).pipe(Effect.scoped)
    )

    it.live("rpcinfo reaches a server at all addresses over IPv4 and IPv6", () =>
      Effect.gen(function* () {
        const { out, serve } = yield* network(portmapper)
        yield* serve("--host", "::")
        for (const [netid, host] of [
          ["tcp", "127.0.0.1"],
          ["udp", "127.0.0.1"],
          ["tcp6", "::1"],
          ["udp6", "::1"]
        ] as const) {
          expect(yield* out("rpcinfo", "-T", netid, host, MOUNT, "3")).toMatch(/version 3 ready and waiting/)
        }
      }).pipe(Effect.scoped)
    )

    it.live("showmount shows exports, and what a client has mounted that was told no port", () =>
      Effect.gen(function* () {
        const { out, serve } = yield* network(portmapper)
        yield* serve()
        expect(yield* out("showmount", "-e", "127.0.0.1")).toBe("Export list for 127.0.0.1:\n/data (everyone)\n")
        expect(yield* out("showmount", "-a", "127.0.0.1")).toBe("All mount points on 127.0.0.1:\n")
        expect(yield* out("showmount", "-d", "127.0.0.1")).toBe("Directories on 127.0.0.1:\n")
        expect(yield* out("nfs-ls", "nfs://127.0.0.1/data/?version=3")).toBe("")
        expect(yield* out("showmount", "-a", "127.0.0.1")).toBe("All mount points on 127.0.0.1:\n127.0.0.1:/data\n")
        expect(yield* out("showmount", "-d", "127.0.0.1")).toBe("Directories on 127.0.0.1:\n/data\n")
      }).pipe(Effect.scoped)
    )

    it.live("stays with a server that answers when a second one comes", () =>
      Effect.gen(function* () {
        const { registered, serve } = yield* network(portmapper)
        const first = yield* serve()
        const second = yield* serve()
        yield* Effect.orDie(second.prints(/mount -t nfs -o vers=3,proto=tcp,port=\d+,/))
        second.kill("SIGTERM")
        const { stderr } = yield* second.ended
        expect(stderr).toMatch(/INFO.*no portmapper, so clients have to name the port: another server is registered/)
        expect(stderr.trimEnd().split("\n")).toHaveLength(1)
        expect(yield* registered).toEqual(services(first.port))
      }).pipe(Effect.scoped)
    )
  })

  it.live("rpcbind forgets a server that ends, and lets one replace another that was killed", () =>
    Effect.gen(function* () {
      const { registered, serve } = yield* network("rpcbind")
      const killed = yield* serve()
      killed.kill("SIGKILL")
      yield* killed.ended
      expect(yield* registered).toEqual(services(killed.port))
      const server = yield* serve()
      expect(yield* registered).toEqual(services(server.port))
      server.kill("SIGTERM")
      expect(yield* server.ended).toMatchObject({ code: 0, stderr: "" })
      expect(yield* registered).toEqual([])
    }).pipe(Effect.scoped)
  )

  it.live("a user who may not listen on port 111 serves without, or is told why not", () =>
    Effect.gen(function* () {
      const { within } = yield* network("our own")
      const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]
      const auto = yield* serve([], asUsual, [...within, ...user])
      yield* Effect.orDie(auto.prints(/mount -t nfs -o vers=3,proto=tcp,port=\d+,/))
      auto.kill("SIGTERM")
      expect((yield* auto.ended).stderr).toMatch(
        /no portmapper.*: no permission to listen on port 111 of 127\.0\.0\.1$/m
      )
      const on = yield* start(["serve", "--port", "0", "--portmap", "on"], {}, [...within, ...user])
      const { code, stderr } = yield* on.ended
      expect(code).toBe(1)
      expect(stderr).toMatch(/^effect-nfs: no permission to listen on port 111 of 127\.0\.0\.1: .*--portmap on.*\n$/m)
    }).pipe(Effect.scoped)
  )
})
