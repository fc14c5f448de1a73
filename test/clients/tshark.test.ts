/** What tshark, which knows the protocols from their RFCs and not from us, makes of a session. */

import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing, run } from "../support/commands.ts"
import { connect } from "../support/nfs.ts"
import { serve } from "../support/program.ts"
import { everyProcedure } from "../support/session.ts"

const CALL = "0"
const REPLY = "1"
const MOUNT = "100005"
const NFS = "100003"

/** Captures what goes over a port of the loopback interface while `session` runs; gives the file. */
const capture = Effect.fnUntraced(function* <A, E, R>(port: number, session: Effect.Effect<A, E, R>) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-nfs-test-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const file = join(directory, "session.pcap")
  const tshark = spawn("tshark", ["-q", "-l", "-i", "lo", "-B", "64", "-f", `tcp port ${port}`, "-w", file], {
    stdio: ["ignore", "ignore", "pipe"]
  })
  const ended = new Promise<void>((resolve) => void tshark.on("close", () => resolve()))
  yield* Effect.callback<void>((resume) => {
    let said = ""
    tshark.stderr.on("data", (text: Buffer) => {
      said += text.toString()
      if (said.includes("Capturing on")) resume(Effect.void)
    })
    return Effect.sync(() => tshark.kill("SIGKILL"))
  })
  // It says so a moment before it does.
  yield* Effect.sleep("1 second")
  yield* session
  yield* Effect.sleep("1 second")
  tshark.kill("SIGINT")
  yield* Effect.promise(() => ended)
  return file
})

/** Fields of the messages in a capture that a filter selects; a packet with several messages has several of each. */
const fields = (file: string, port: number, filter: string, ...names: ReadonlyArray<string>) =>
  Effect.map(
    run("tshark", [
      ...["-r", file, "-2", "-d", `tcp.port==${port},rpc`, "-o", "rpc.defragment_rpc_over_tcp:TRUE"],
      ...["-R", filter, "-T", "fields", "-E", "separator=;", "-E", "aggregator=,"],
      ...names.flatMap((name) => ["-e", name])
    ]),
    ({ code, stderr, stdout }) => {
      if (code !== 0) throw new Error(stderr)
      return stdout
        .toString()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split(";").map((values) => values.split(",")))
    }
  )

describe.skipIf(missing("tshark", "tshark"))("tshark", { timeout: 120_000 }, () => {
  it.live("finds nothing malformed in a session of every procedure, and an answer to every call", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const file = yield* capture(port, Effect.scoped(Effect.flatMap(connect(port), everyProcedure)))

      const malformed = yield* fields(
        file,
        port,
        "_ws.malformed || _ws.short || _ws.expert.severity == error",
        "frame.number"
      )
      expect(malformed).toEqual([])

      const messages = (yield* fields(
        file,
        port,
        "rpc",
        "rpc.msgtyp",
        "rpc.xid",
        "rpc.program",
        "rpc.procedure"
      )).flatMap(([types, xids, programs, procedures]) =>
        types!.map((type, i) => ({ type, xid: xids![i], call: `${programs![i]} ${procedures![i]}` }))
      )
      const of = (type: string) => messages.filter((message) => message.type === type)
      const xids = (type: string) =>
        of(type)
          .map(({ xid }) => xid!)
          .sort()
      expect(xids(REPLY)).toEqual(xids(CALL))
      // What tshark recognised as calls is every procedure there is.
      const called = new Set(of(CALL).map(({ call }) => call))
      for (let procedure = 0; procedure <= 21; procedure++) expect(called).toContain(`${NFS} ${procedure}`)
      for (let procedure = 0; procedure <= 5; procedure++) expect(called).toContain(`${MOUNT} ${procedure}`)

      // It read the answers as we meant them.
      const names = (yield* fields(file, port, "nfs.readdirplus.entry.name", "nfs.readdirplus.entry.name")).flat(2)
      expect(names).toEqual(expect.arrayContaining([".", "..", "symlink", "fifo", "socket", "device", "disk"]))
    }).pipe(Effect.scoped)
  )
})
