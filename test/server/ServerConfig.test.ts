import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { settings } from "../../src/server/Reference.ts"
import * as ServerConfig from "../../src/server/ServerConfig.ts"

const problems = (value: unknown): ReadonlyArray<string> =>
  Result.match(ServerConfig.decode(value), { onSuccess: () => [], onFailure: (problems) => problems })

const memory = { path: "/a", memory: {} }

describe("a configuration", () => {
  it("is taken as it is written", () => {
    const config = {
      listen: { host: "0.0.0.0", port: 0, portmap: "off" },
      exports: [
        {
          path: "/data",
          directory: "./data",
          async: true,
          crossMounts: false,
          readOnly: true,
          squash: "all",
          anonymousUid: 1000,
          anonymousGid: 1000,
          privilegedPort: true,
          flavors: ["sys"],
          fsid: 7,
          maxFileSize: 1024,
          clients: [
            { match: "10.0.0.0/8", readOnly: false },
            { match: "*", deny: true }
          ]
        },
        { path: "/tmp", memory: { quota: "1GiB" } }
      ],
      pool: {
        workers: 4,
        minWorkers: 1,
        timeLimits: { bulk: "2 minutes" },
        weights: 3,
        memory: { low: 0.1, high: 0.2 }
      },
      limits: { connections: 10, rate: { callsPerSecond: 100 } },
      stateDir: "/var/lib/nfs",
      logLevel: "debug"
    }
    expect(ServerConfig.decode(config)).toEqual(Result.succeed(config))
    expect(ServerConfig.parse(JSON.stringify(config))).toEqual(Result.succeed(config))
  })

  it.each([0, "0", "0s", "500ms", "1 second"])("remembers what a disk says for %j", (cacheLife) => {
    const config = { exports: [{ path: "/a", directory: "x", cacheLife }] }
    expect(ServerConfig.decode(config)).toEqual(Result.succeed(config))
  })

  it.each<[value: unknown, problem: RegExp]>([
    [3, /^expected object, got 3$/],
    [{}, /^exports: expected a list of what to serve$/],
    [{ exports: 3 }, /^exports: expected array, got 3$/],
    [{ exports: [], export: [] }, /^export: expected one of listen, exports, /],
    [{ exports: [{ memory: {} }] }, /^exports\[0\]\.path: expected what clients mount/],
    [
      { exports: [{ path: "a", memory: {} }] },
      /^exports\[0\]\.path: expected a path that begins with a slash.*, got "a"$/
    ],
    [{ exports: [{ path: "/a" }] }, /^exports\[0\]: expected directory or memory beside path$/],
    [
      { exports: [{ path: "/a", directory: "" }] },
      /^exports\[0\]\.directory: expected text that is not empty, and without NUL, got ""$/
    ],
    [{ exports: [{ path: "/a", directory: "x\0" }] }, /^exports\[0\]\.directory: expected text .* without NUL, got "x/],
    [
      {
        exports: [
          { ...memory, fsid: 7 },
          { path: "//a/", memory: {}, fsid: 8 }
        ]
      },
      /^exports\[1\]\.path: expected a path of its own, got "\/a" again$/
    ],
    [{ exports: [{ ...memory, directory: "x" }] }, /^exports\[0\]\.memory: expected no memory beside a directory$/],
    [{ exports: [{ ...memory, async: true }] }, /^exports\[0\]\.async: expected nothing about a disk for memory/],
    [
      { exports: [{ path: "/a", memory: { quota: "much" } }] },
      /^exports\[0\]\.memory\.quota: expected a size such as 512MiB/
    ],
    [{ exports: [{ ...memory, readonly: true }] }, /^exports\[0\]\.readonly: expected one of path, .*readOnly/],
    [{ exports: [{ ...memory, readOnly: "yes" }] }, /^exports\[0\]\.readOnly: expected true or false, got "yes"$/],
    [{ exports: [{ ...memory, squash: "some" }] }, /^exports\[0\]\.squash: expected "none" \| "root" .*, got "some"$/],
    [{ exports: [{ ...memory, fsid: -1 }] }, /^exports\[0\]\.fsid: expected an integer from 0 to 4294967295, got -1$/],
    [
      { exports: [memory, { ...memory, path: "/b", clients: [{ match: "10.0.0.0/33" }] }] },
      /^exports\[1\]\.clients\[0\]\.match: expected "\*", an IP address or a CIDR such as 10\.0\.0\.0\/8, got "10\.0\.0\.0\/33"$/
    ],
    [
      { exports: [memory, { ...memory, path: "//a/" }] },
      /^exports\[1\]\.path: expected a path of its own, got "\/a" again$/
    ],
    [
      {
        exports: [
          { ...memory, fsid: 5 },
          { path: "/b", memory: {}, fsid: 5 }
        ]
      },
      /^exports\[1\]\.fsid: expected another fsid than that of \/a, got 5$/
    ],
    [{ exports: [], listen: { port: 65_536 } }, /^listen\.port: expected an integer from 0 to 65535, got 65536$/],
    [{ exports: [], listen: { port: "2049" } }, /^listen\.port: expected an integer from 0 to 65535, got "2049"$/],
    [
      { exports: [], pool: { workers: 2, minWorkers: 3 } },
      /^pool\.minWorkers: expected at most as many as workers, which is 2/
    ],
    [
      { exports: [], pool: { memory: { low: 0.95 } } },
      /^pool\.memory\.low: expected less than memory\.high, which is 0\.9/
    ],
    [
      { exports: [], pool: { timeLimits: { bulk: "2" } } },
      /^pool\.timeLimits\.bulk: expected a time such as 500ms, 30s or 2m, got "2"$/
    ],
    [
      { exports: [{ path: "/a", directory: "x", cacheLife: "soon" }] },
      /^exports\[0\]\.cacheLife: expected a time such as 500ms or 1s, or 0, got "soon"$/
    ],
    [
      { exports: [{ path: "/a", directory: "x", cacheLife: 5 }] },
      /^exports\[0\]\.cacheLife: expected a time such as 500ms or 1s, or 0, got 5$/
    ],
    [{ exports: [], pool: { timeLimits: "0s" } }, /^pool\.timeLimits: expected a time/],
    [
      { exports: [], pool: { weights: { bulky: 2 } } },
      /^pool\.weights\.bulky: expected one of control, metadata, data, bulk$/
    ],
    [
      { exports: [], limits: { connections: 0 } },
      /^limits\.connections: expected a number of connections, 1 or more, got 0$/
    ],
    [{ exports: [], logLevel: "loud" }, /^logLevel: expected "trace" .*, got "loud"$/]
  ])("%j is told what is wrong, in one line", (value, problem) => {
    expect(problems(value)).toEqual([expect.stringMatching(problem)])
    expect(problems(value)[0]).not.toContain("\n")
  })

  it("is told all that is wrong", () => {
    const wrong = { listen: { port: -1 }, exports: [{ path: "a", memory: {} }], stateDir: "" }
    expect(problems(wrong).map((problem) => problem.split(":")[0])).toEqual([
      "listen.port",
      "exports[0].path",
      "stateDir"
    ])
  })

  it("has a description of every setting", () => {
    const undescribed = (all: typeof settings): ReadonlyArray<string> =>
      all.flatMap(({ description, field, parts }) => [...(description === "" ? [field] : []), ...undescribed(parts)])
    expect(undescribed(settings)).toEqual([])
  })
})
