import { describe, expect, it } from "vitest"
import { check } from "./rooms.ts"

const importing = (path: string, target: string) => check(path, `import * as X from "${target}"\n`)

describe("rooms", () => {
  it.each([
    ["xdr/Xdr.ts", "./Reader.ts"],
    ["rpc/RpcServer.ts", "../xdr/Xdr.ts"],
    ["rpc/RpcServer.ts", "../pool/WorkerPool.ts"],
    ["rpc/transport/Tcp.ts", "node:net"],
    ["programs/nfs3/Read.ts", "../../exports/Exports.ts"],
    ["programs/nfs3/Read.ts", "../../rpc/RpcProgram.ts"],
    ["server/NfsServer.ts", "../programs/nfs3/Nfs3.ts"],
    ["server/NfsServer.ts", "../rpc/TcpTransport.ts"],
    ["observability/Metrics.ts", "../server/NfsServer.ts"],
    ["cli/Serve.ts", "../server/NfsServer.ts"],
    ["main.ts", "./cli/Cli.ts"],
    ["index.ts", "./xdr/Xdr.ts"],
    ["pool/WorkerPool.ts", "effect/Queue"],
    ["testing/arbitraryOf.ts", "../xdr/Xdr.ts"]
  ])("%s may import %s", (path, target) => {
    expect(importing(path, target)).toEqual([])
  })

  it.each([
    ["xdr/Xdr.ts", "../rpc/Auth.ts"],
    ["rpc/RpcServer.ts", "../programs/nfs3/Nfs3.ts"],
    ["pool/WorkerPool.ts", "../xdr/Xdr.ts"],
    ["pool/WorkerPool.ts", "../rpc/RpcServer.ts"],
    ["filesystem/Filesystem.ts", "../rpc/Auth.ts"],
    ["filesystem/Filesystem.ts", "../exports/Exports.ts"],
    ["exports/Exports.ts", "../xdr/Xdr.ts"],
    ["exports/Exports.ts", "../rpc/Auth.ts"],
    ["programs/nfs3/Read.ts", "../../server/NfsServer.ts"],
    ["programs/nfs3/Read.ts", "../../rpc/transport/Tcp.ts"],
    ["programs/mount/Mount.ts", "node:net"],
    ["programs/mount/Mount.ts", "@effect/platform-node/NodeSocketServer"],
    ["server/NfsServer.ts", "../observability/Metrics.ts"],
    ["server/NfsServer.ts", "../index.ts"],
    ["pool/WorkerPool.ts", "../../test/helpers.ts"],
    ["testing/arbitraryOf.ts", "../rpc/RpcProgram.ts"],
    ["filesystem/Filesystem.ts", "../testing/index.ts"],
    ["index.ts", "./testing/index.ts"],
    ["cli/Serve.ts", "../testing/arbitraryOf.ts"]
  ])("%s may not import %s", (path, target) => {
    expect(importing(path, target)).toHaveLength(1)
  })

  it("lets everybody calculate with addresses, and no more of node:net", () => {
    expect(check("exports/Rule.ts", `import { BlockList, isIP } from "node:net"\n`)).toEqual([])
    expect(check("exports/Rule.ts", `import { isIP, Socket } from "node:net"\n`)).toHaveLength(1)
  })

  it("sees every form of import, on its line, and no comment", () => {
    const source = `/**
 * import * as A from "../rpc/Auth.ts"
 */
// export * from "../rpc/Auth.ts"
import {
  type Auth
} from "../rpc/Auth.ts"
export * from '../rpc/Auth.ts'
import "../rpc/Auth.ts"
const lazy = () => import("../rpc/Auth.ts")
type Late = import("../rpc/Auth.ts").Auth
`
    expect(check("xdr/Xdr.ts", source).map((line) => line.split(": ")[0])).toEqual(
      [7, 8, 9, 10, 11].map((line) => `src/xdr/Xdr.ts:${line}`)
    )
  })

  it("has no place for files without a room", () => {
    expect(check("helpers.ts", "")).toHaveLength(1)
    expect(check("utils/strings.ts", "")).toHaveLength(1)
  })
})
