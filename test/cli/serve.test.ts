import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import * as Net from "node:net"
import { userInfo } from "node:os"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as MountCalls from "../../src/programs/mount/MountCalls.ts"
import { CREATE, PROGRAM, READ, VERSION } from "../../src/programs/nfs3/Nfs3Calls.ts"
import * as Auth from "../../src/rpc/Auth.ts"
import { writeRecord } from "../../src/rpc/RecordMarking.ts"
import * as RpcClient from "../../src/rpc/RpcClient.ts"
import { CALL, callHeader, RPC_VERSION } from "../../src/rpc/RpcMessage.ts"
import { Writer } from "../../src/xdr/Writer.ts"
import * as Xdr from "../../src/xdr/Xdr.ts"
import { temporary } from "../support/directory.ts"
import { serve, start } from "../support/program.ts"

describe("effect-nfs", { timeout: 30_000 }, () => {
  it.live("prints what it serves and how to mount it", () =>
    Effect.gen(function* () {
      const program = yield* start(["serve", "--port", "0", "--export", "/scratch", "--read-only"])
      const [text] = yield* Effect.orDie(program.prints(/^[^]*Ctrl-C[^]*$/))
      expect(text).toMatch(/serves 127\.0\.0\.1:\/scratch from memory, read-only, on port (\d+)$/m)
      expect(text).toMatch(
        /Linux: sudo mount -t nfs -o vers=3,proto=tcp,port=(\d+),mountport=\1,mountproto=tcp,nolock 127\.0\.0\.1:\/scratch \/mnt$/m
      )
      expect(text).toMatch(
        /macOS: sudo mount_nfs -o vers=3,tcp,port=(\d+),mountport=\1,nolocks 127\.0\.0\.1:\/scratch /m
      )
    })
  )

  it.live("says how it runs requests", () =>
    Effect.gen(function* () {
      const settings = [
        ["--workers", "12"],
        ["--min-workers", "3"],
        ["--queue", "99"],
        ["--batch", "7"],
        ["--time-limit", "1.5m"],
        ["--weights", "metadata=8,bulk=1"],
        ["--memory-limit", "64MiB"],
        ["--memory-low", "0.5"],
        ["--memory-high", "0.75"]
      ]
      const all = yield* start(["serve", "--port", "0", ...settings.flat()])
      yield* Effect.orDie(
        all.prints(
          /^ {2}3 to 12 workers, queue 99, batch 7, time limit 1m 30s, weights \(control 32, metadata 8, data 8, bulk 1\), memory limit 64 MiB \(watermarks 0\.5 and 0\.75\)$/m
        )
      )
      const classes = yield* start(["serve", "--port", "0", "--time-limit", "bulk=2m,metadata=500ms"])
      yield* Effect.orDie(
        classes.prints(/, time limits \(control 30s, metadata 500ms, data 30s, bulk 2m\), memory limit /)
      )
      const few = yield* start([
        "serve",
        "--port",
        "0",
        "--workers",
        "12",
        "--min-workers",
        "12",
        "--weights",
        "bulk=2"
      ])
      yield* Effect.orDie(
        few.prints(
          /^ {2}12 workers, queue 1024, batch 64, time limit 30s, memory limit \S+ \S+ \(watermarks 0\.7 and 0\.9\)$/m
        )
      )
    })
  )

  it.live.each([["SIGINT"], ["SIGTERM"], ["SIGHUP"]] as const)("ends with 0 on %s", ([signal]) =>
    Effect.gen(function* () {
      const program = yield* serve()
      program.kill(signal)
      const { code, stderr, stdout } = yield* program.ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(/effect-nfs ends$/m)
    })
  )

  it.live("says who still has it mounted when it ends", () =>
    Effect.gen(function* () {
      const program = yield* serve()
      const client = yield* RpcClient.make({ port: program.port })
      yield* client.call({ program: MountCalls.PROGRAM, version: 3 }, 1, MountCalls.MNT3, "/")
      program.kill("SIGINT")
      const { code, stdout } = yield* program.ended
      expect(code).toBe(0)
      expect(stdout).toMatch(/still have it mounted.*umount[^]*\n {2}127\.0\.0\.1 \/$/m)
    }).pipe(Effect.scoped)
  )

  it.live.each<[args: ReadonlyArray<string>, says: RegExp]>([
    [["serve", "--prot", "1"], /--prot/],
    [["serve", "--port", "70000"], /port.*65535/],
    [["serve", "--port", "x"], /port/],
    [["serve", "--workers", "0"], /workers.*from 1/],
    [["serve", "--workers", "1.5"], /workers/],
    [
      ["serve", "--workers", "3", "--min-workers", "4"],
      /--min-workers: .*at most as many as workers, which is 3, got 4/
    ],
    [["serve", "--min-workers", "0"], /min-workers.*from 1/],
    [["serve", "--queue", "0"], /queue.*from 1/],
    [["serve", "--batch", "0"], /batch.*from 1/],
    [["serve", "--time-limit", "30"], /time-limit.*such as 500ms, 30s.*got "30"/],
    [["serve", "--time-limit", "0s"], /time-limit.*such as/],
    [["serve", "--time-limit", "metadata=10s,bulk=2"], /time-limit: bulk: .*such as 500ms, 30s.*got "2"/],
    [["serve", "--time-limit", "10s,bulk=2m"], /time-limit: .*one of control, metadata, data, bulk/],
    [["serve", "--weights", "lookup=3"], /weights: lookup: .*control, metadata, data, bulk/],
    [["serve", "--weights", "bulk=0"], /weights: bulk: .*from 1 to 9999, got 0/],
    [["serve", "--weights", "bulk=1,bulk=2"], /weights.*by class.*got "bulk=1,bulk=2"/],
    [["serve", "--weights", ""], /weights.*by class.*got ""/],
    [["serve", "--memory-limit", "all"], /memory-limit/],
    [["serve", "--memory-high", "90"], /memory-high.*from 0 to 1/],
    [
      ["serve", "--memory-low", "0.9", "--memory-high", "0.8"],
      /--memory-low: .*less than memory\.high, which is 0\.8, got 0\.9/
    ],
    [["serve", "--squash", "some"], /squash.*none.*root.*all.*self/],
    [["serve", "--export", "name"], /--export: .*begins with a slash.*got "name"/],
    [["serve", "--quota", "much"], /quota/],
    [["serve", "--portmap", "yes"], /portmap.*auto.*on.*off/],
    [["serve", "--log-level", "loud"], /log-level/],
    [["serve", "--host", "203.0.113.1", "--port", "0"], /203\.0\.113\.1.*--host/],
    [["serve", "/no/such/directory"], /^effect-nfs: DIR: there is no directory \/no\/such\/directory$/m],
    [["serve", process.execPath], /^effect-nfs: DIR: expected a directory, got \/.*node$/m],
    [["serve", "--export", "/a=/no/such"], /--export \/a=\/no\/such: directory: there is no directory \/no\/such$/m],
    [["serve", ""], /DIR.*empty/],
    [["serve", ".", "--quota", "1GiB"], /--quota.*memory/],
    [["serve", "--async"], /--async.*directory/],
    [["serve", "--cross-mounts"], /--cross-mounts.*directory/],
    [["serve", "--export", "/a=.,foo"], /--export \/a=\.,foo: expected ro, rw, .*got "foo"/],
    [["serve", "--export", "/a=.,squash=some"], /--export \/a=\.,squash=some: squash: expected "none".*got "some"/],
    [["serve", "--export", "/a=memory,allow=10.0.0.0/40"], /: clients\[0\]\.match: expected "\*", an IP address/],
    [["serve", "--export", "/a=memory", "--export", "//a=."], /--export \/\/a=\.: path: expected a path of its own/],
    [["serve", "--export", "/a=memory", "--export", "/b"], /--export \/b: expected what it serves, such as \/b=DIR/],
    [["serve", "--export", "/a", "--export", "/b"], /--export: .*one name/],
    [["serve", "--export", "/a=memory", "--read-only"], /--read-only: is for DIR or memory, say it in each --export/],
    [["serve", ".", "--export", "/a=memory"], /DIR: each --export says what it serves/],
    [["serve", "--config", "/no/such"], /\/no\/such: there is no such file/],
    [["serve", "--config", "/no/such", "--quota", "1MiB"], /--quota: what is exported is in \/no\/such/],
    [["serve", "--config", "/no/such", "."], /DIR: what is exported is in \/no\/such/],
    [["sreve"], /sreve/]
  ])("answers %s with one line and a failure", ([args, pattern]) =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* (yield* start(args)).ended
      expect(code).toBe(1)
      expect(stdout).toBe("")
      expect(stderr).toMatch(pattern)
      expect(stderr.trimEnd().split("\n")).toHaveLength(1)
      expect(stderr).toMatch(/^effect-nfs: /)
    })
  )

  it.live("names what to do when the port is in use", () =>
    Effect.gen(function* () {
      const program = yield* serve()
      const { code, stderr } = yield* (yield* start(["serve", "--port", String(program.port)])).ended
      expect(code).toBe(1)
      expect(stderr).toMatch(/^effect-nfs: port \d+ of 127\.0\.0\.1 is in use: .*--port 0.*\n$/)
    })
  )

  it.live("takes every flag from the environment, and lets the command line win", () =>
    Effect.gen(function* () {
      const state = yield* temporary()
      const program = yield* start(["serve", "--export", "/flag"], {
        EFFECT_NFS_PORT: "0",
        EFFECT_NFS_HOST: "127.0.0.2",
        EFFECT_NFS_EXPORT: "/variable",
        EFFECT_NFS_READ_ONLY: "true",
        EFFECT_NFS_STATE_DIR: state,
        EFFECT_NFS_QUOTA: "1MiB",
        EFFECT_NFS_WORKERS: "3",
        EFFECT_NFS_MIN_WORKERS: "2",
        EFFECT_NFS_QUEUE: "10",
        EFFECT_NFS_BATCH: "5",
        EFFECT_NFS_TIME_LIMIT: "500ms",
        EFFECT_NFS_WEIGHTS: "control=7",
        EFFECT_NFS_MEMORY_LIMIT: "2MiB",
        EFFECT_NFS_MEMORY_LOW: "0.1",
        EFFECT_NFS_MEMORY_HIGH: "0.2",
        EFFECT_NFS_SQUASH: "all",
        EFFECT_NFS_PORTMAP: "off",
        EFFECT_NFS_LOG_LEVEL: "debug"
      })
      yield* Effect.orDie(program.prints(/serves 127\.0\.0\.2:\/flag from memory, read-only/))
      yield* Effect.orDie(
        program.prints(
          /2 to 3 workers, queue 10, batch 5, time limit 500ms, weights \(control 7, metadata 16, data 8, bulk 2\), memory limit 2 MiB \(watermarks 0\.1 and 0\.2\)/
        )
      )
      expect(existsSync(Path.join(state, "handle-key"))).toBe(true)
      // The names of WorkerPool.layerConfig are good, too.
      const pool = yield* start(["serve", "--port", "0", "--state-dir", state], {
        EFFECT_NFS_MAX_WORKERS: "3",
        EFFECT_NFS_QUEUE: "11",
        EFFECT_NFS_QUEUE_CAPACITY: "10",
        EFFECT_NFS_BATCH_SIZE: "5",
        EFFECT_NFS_MEMORY_MAX_COST: "2MiB"
      })
      yield* Effect.orDie(pool.prints(/3 workers, queue 11, batch 5, .*memory limit 2 MiB/))
      const { code, stderr } = yield* (yield* start(["serve"], { EFFECT_NFS_PORT: "many" })).ended
      expect(code).toBe(1)
      expect(stderr).toMatch(/EFFECT_NFS_PORT|port/i)
      expect(stderr.trimEnd().split("\n")).toHaveLength(1)
    }).pipe(Effect.scoped)
  )

  it.live("keeps the handle key in the state directory, for its owner only", () =>
    Effect.gen(function* () {
      const state = yield* temporary()
      const directory = Path.join(state, "deep", "down")
      yield* serve(["--state-dir", directory])
      const key = readFileSync(Path.join(directory, "handle-key"))
      expect(statSync(Path.join(directory, "handle-key")).mode & 0o777).toBe(0o600)
      yield* serve(["--state-dir", directory])
      expect(readFileSync(Path.join(directory, "handle-key"))).toEqual(key)
      expect(readdirSync(directory)).toEqual(["handle-key"])
    }).pipe(Effect.scoped)
  )

  it.live("has that where the user's state is, or that of services of the system", () =>
    Effect.gen(function* () {
      const home = yield* temporary()
      const { homedir, uid } = userInfo()
      const [XDG_CACHE_HOME, own] = [home, Path.join(home, ".local", "state")]
      for (const [environment, state] of [
        [{ XDG_STATE_HOME: "/state" }, "/state"],
        [{ HOME: home }, own],
        [{ HOME: "", XDG_CACHE_HOME }, uid === 0 ? "/var/lib" : Path.join(homedir, ".local", "state")]
      ] as const) {
        const { stdout } = yield* (yield* start(["serve", "--help"], environment)).ended
        expect(stdout).toContain(`(default ${state}/effect-nfs)`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("serves with a warning when the state directory cannot be written", () =>
    Effect.gen(function* () {
      // Not even root can make a directory below a file.
      const program = yield* serve(["--state-dir", "/dev/null/state"])
      program.kill("SIGTERM")
      const { code, stderr } = yield* program.ended
      expect(code).toBe(0)
      expect(stderr).toMatch(/WARN.*\/dev\/null\/state/)
      expect(stderr.trimEnd().split("\n")).toHaveLength(1)
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(process.platform !== "linux")("takes less than 130 MB when it is idle", () =>
    Effect.gen(function* () {
      const program = yield* serve()
      yield* Effect.sleep("500 millis")
      const [, kilobytes] = readFileSync(`/proc/${program.pid}/status`, "utf8").match(/^VmRSS:\s*(\d+) kB$/m)!
      expect(Number(kilobytes) * 1024).toBeLessThan(130e6)
    }).pipe(Effect.scoped)
  )

  it.live("names those who are connected without having mounted, too", () =>
    Effect.gen(function* () {
      const program = yield* serve()
      yield* RpcClient.make({ port: program.port })
      yield* Effect.sleep("200 millis")
      program.kill("SIGTERM")
      expect((yield* program.ended).stdout).toMatch(/still have it mounted[^]*\n {2}127\.0\.0\.1$/m)
    }).pipe(Effect.scoped)
  )

  it.live("prints mount commands that a shell and IPv6 understand", () =>
    Effect.gen(function* () {
      const program = yield* start(["serve", "--port", "0", "--host", "::1", "--export", "/my files"])
      const [text] = yield* Effect.orDie(program.prints(/^[^]*Ctrl-C[^]*$/))
      expect(text).toMatch(
        /Linux: .*proto=tcp6,port=\d+,mountport=\d+,mountproto=tcp6,nolock '\[::1\]:\/my files' \/mnt$/m
      )
      expect(text).not.toMatch(/any user/)
    }).pipe(Effect.scoped)
  )

  it.live("warns of listening for others than this machine", () =>
    Effect.gen(function* () {
      const program = yield* start(["serve", "--port", "0", "--host", "0.0.0.0"])
      const [text] = yield* Effect.orDie(program.prints(/^[^]*Ctrl-C[^]*$/))
      expect(text).toMatch(/any user/)
    }).pipe(Effect.scoped)
  )

  it.live("serves several exports, and names those that everybody may use", () =>
    Effect.gen(function* () {
      const directory = yield* temporary()
      const program = yield* start([
        ...["serve", "--port", "0", "--host", "0.0.0.0"],
        ...["--export", `/data=${directory},ro,squash=all,allow=192.0.2.0/24`, "--export", "/tmp=memory:1MiB"]
      ])
      const [text] = yield* Effect.orDie(program.prints(/^[^]*Ctrl-C[^]*$/))
      expect(text).toMatch(/^effect-nfs serves 2 exports, on port \d+$/m)
      expect(text).toMatch(new RegExp(`^ {2}\\S+:/data from ${directory}, read-only$`, "m"))
      expect(text).toMatch(/^ {2}\S+:\/tmp from memory, read-write$/m)
      expect(text.match(/^ {2}Everybody who reaches 0\.0\.0\.0 may use .*$/gm)).toEqual([
        expect.stringMatching(/may use \/tmp, as any user.*allow=10\.0\.0\.0\/8/)
      ])
      const port = Number(/on port (\d+)/.exec(text)![1])
      const client = yield* RpcClient.make({ port })
      const mnt = (path: string) =>
        Effect.map(
          client.call({ program: MountCalls.PROGRAM, version: 3 }, 1, MountCalls.MNT3, path),
          ({ status }) => status
        )
      expect([yield* mnt("/data"), yield* mnt("/tmp")]).toEqual(["MNT3ERR_ACCES", "MNT3_OK"])
    }).pipe(Effect.scoped)
  )

  it.live("has help and a version", () =>
    Effect.gen(function* () {
      const help = yield* (yield* start(["serve", "--help"])).ended
      expect(help.code).toBe(0)
      for (const flag of [
        "host",
        "port",
        "portmap",
        "workers",
        "min-workers",
        "queue",
        "batch",
        "time-limit",
        "weights",
        "memory-limit",
        "memory-low",
        "memory-high",
        "export",
        "read-only",
        "squash",
        "async",
        "cross-mounts",
        "state-dir",
        "log-level",
        "quota"
      ]) {
        expect(help.stdout).toMatch(new RegExp(`--${flag}\\b`))
        expect(help.stdout).toContain(`[EFFECT_NFS_${flag.toUpperCase().replaceAll("-", "_")}]`)
      }
      const version = yield* (yield* start(["--version"])).ended
      expect(version.stdout).toMatch(/0\.1\.0/)
    })
  )

  it.live("a second signal ends it at once, whatever it waits for", () =>
    Effect.gen(function* () {
      const program = yield* serve()
      const client = yield* RpcClient.make({ port: program.port })
      const mount = yield* client.call({ program: MountCalls.PROGRAM, version: 3 }, 1, MountCalls.MNT3, "/")
      if (mount.status !== "MNT3_OK") throw new Error(mount.status)
      const made = yield* client.call(nfs, CREATE.number, CREATE, {
        where: { dir: mount.fhandle, name: "large" },
        how: { mode: "UNCHECKED", objAttributes: { size: 1024 * 1024 } }
      })
      if (made.status !== "NFS3_OK") throw new Error(made.status)
      // A client that asks for much and does not read the answers.
      const socket = yield* Effect.acquireRelease(
        Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(program.port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.pause()
      const call = yield* readCall(made.obj!)
      for (let i = 0; i < 64; i++) socket.write(call)
      yield* Effect.sleep("500 millis")
      program.kill("SIGINT")
      yield* Effect.sleep("1 second")
      const [time, { signal }] = yield* Effect.timed(
        Effect.andThen(
          Effect.sync(() => program.kill("SIGINT")),
          program.ended
        )
      )
      expect(signal).toBe("SIGKILL")
      // In an orderly way it would take ten seconds.
      expect(Duration.toMillis(time)).toBeLessThan(5000)
    }).pipe(Effect.scoped)
  )
})

const nfs = { program: PROGRAM, version: VERSION }

/** A record that calls READ of the first MiB of a file. */
const readCall = (file: Uint8Array) =>
  Effect.sync(() => {
    const writer = new Writer()
    writeRecord(writer, (writer) => {
      callHeader.write(writer, {
        xid: 1,
        type: CALL,
        rpcVersion: RPC_VERSION,
        program: PROGRAM,
        version: VERSION,
        procedure: READ.number
      })
      Auth.opaqueAuth.write(writer, Auth.sys({ uid: 0, gid: 0 }))
      Auth.opaqueAuth.write(writer, Auth.none)
      READ.args.write(writer, { file, offset: 0, count: 1024 * 1024 })
    })
    return Xdr.join(writer.take())
  })
