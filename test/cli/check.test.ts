import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { temporary } from "../support/directory.ts"
import { start } from "../support/program.ts"

const check = Effect.fnUntraced(function* (config: object | string) {
  const directory = yield* temporary()
  mkdirSync(join(directory, "data"))
  const file = join(directory, "nfs.json")
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config))
  const ended = yield* (yield* start(["check", file])).ended
  const plain = (text: string) => text.replaceAll(directory, "DIR").trimEnd().split("\n")
  return { code: ended.code, stdout: plain(ended.stdout), stderr: plain(ended.stderr) }
})

describe("effect-nfs check", { timeout: 30_000 }, () => {
  it.live("says what is exported to whom", () =>
    Effect.gen(function* () {
      const checked = yield* check({
        exports: [
          {
            path: "/data",
            directory: "data",
            squash: "root",
            async: true,
            crossMounts: true,
            cacheLife: 0,
            maxFileSize: 1_000_000,
            rate: { callsPerSecond: 100, bytesPerSecond: 5_000_000 },
            clients: [
              { match: "10.0.0.5", squash: "none", privilegedPort: true },
              { match: "10.0.0.0/24", deny: true },
              { match: "10.0.0.0/8", readOnly: true, anonymousUid: 7, flavors: ["sys"] }
            ]
          },
          { path: "/tmp", memory: { quota: "1GiB" } }
        ]
      })
      expect(checked).toEqual({
        code: 0,
        stderr: [""],
        stdout: [
          "listens on 127.0.0.1, port 2049",
          "/data from DIR/data, async, with what is mounted below, remembered for 0, files of at most 1000000 bytes, 100 calls a second, 5000000 bytes a second",
          "  10.0.0.5: read-write, squash none, from ports below 1024",
          "  10.0.0.0/24: nothing",
          "  10.0.0.0/8: read-only, squash root, anonymous 7:65534, flavor sys",
          "  others: nothing",
          "/tmp from memory, at most 1GiB",
          "  everybody: read-write, squash none"
        ]
      })
    })
  )

  it.live("warns of an export that everybody in a network may use", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* check({
        listen: { host: "0.0.0.0" },
        exports: [
          { path: "/a", memory: {}, clients: [{ match: "10.0.0.0/8" }] },
          { path: "/b", memory: {} }
        ]
      })
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: [expect.stringMatching(/^effect-nfs: warning: .*may use \/b, as any user.*allow=/)]
      })
    })
  )

  it.live("warns of rules that are never looked at, and of more connections than there can be", () =>
    Effect.gen(function* () {
      const clients = [{ match: "*" }, { match: "10.0.0.5", deny: true }]
      const { code, stderr } = yield* check({
        exports: [{ path: "/a", memory: {}, clients }],
        limits: { connections: Number.MAX_SAFE_INTEGER }
      })
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: [
          expect.stringMatching(/^effect-nfs: warning: The rules of \/a behind the one for "\*"/),
          expect.stringMatching(/^effect-nfs: warning: There will be \d+ connections at most.*ulimit -n/)
        ]
      })
    })
  )

  it.live.each<[config: object | string, problems: ReadonlyArray<string>]>([
    ["{", ["DIR/nfs.json:1:2: expected a name in quotes, got the end"]],
    [
      { exports: [{ path: "x", memory: {} }], listen: { port: -1 } },
      [
        "DIR/nfs.json: listen.port: expected an integer from 0 to 65535, got -1",
        'DIR/nfs.json: exports[0].path: expected a path that begins with a slash and has at most 1024 bytes, none of them NUL, got "x"'
      ]
    ],
    [
      {
        exports: [
          { path: "/a", directory: "data" },
          { path: "/b", directory: "missing" },
          { path: "/c", directory: "nfs.json" }
        ]
      },
      [
        "DIR/nfs.json: exports[1].directory: there is no directory DIR/missing",
        "DIR/nfs.json: exports[2].directory: expected a directory, got DIR/nfs.json"
      ]
    ]
  ])("says what is wrong with %j", ([config, problems]) =>
    Effect.gen(function* () {
      expect(yield* check(config)).toEqual({
        code: 1,
        stdout: [""],
        stderr: problems.map((problem) => `effect-nfs: ${problem}`)
      })
    })
  )

  it.live("says when there is no file", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* (yield* start(["check", "/no/such/file"])).ended
      expect({ code, stderr }).toEqual({ code: 1, stderr: "effect-nfs: /no/such/file: there is no such file\n" })
    })
  )
})
