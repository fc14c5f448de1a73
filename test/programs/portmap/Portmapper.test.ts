import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as PortmapCalls from "../../../src/programs/portmap/PortmapCalls.ts"
import * as Portmapper from "../../../src/programs/portmap/Portmapper.ts"
import * as RpcbindCalls from "../../../src/programs/portmap/RpcbindCalls.ts"
import * as Service from "../../../src/programs/portmap/Service.ts"
import type { Procedure, Transport } from "../../../src/rpc/RpcProgram.ts"
import * as Xdr from "../../../src/xdr/Xdr.ts"
import { encode, testCodec } from "../codecs.ts"

const { GETADDR, GETADDRLIST, GETTIME, GETVERSADDR } = RpcbindCalls
const { GETPORT, IPPROTO_TCP, IPPROTO_UDP } = PortmapCalls

for (const calls of [PortmapCalls, RpcbindCalls]) {
  for (const [name, call] of Object.entries(calls)) {
    if (typeof call !== "object" || !("args" in call)) continue
    describe(`${calls === PortmapCalls ? "portmap" : "rpcbind"} ${name}`, () => {
      testCodec("arguments", call.args as Xdr.Codec<unknown>)
      testCodec("results", call.result as Xdr.Codec<unknown>)
    })
  }
}

const NFS = 100003
const MOUNT = 100005
const mount = [1, 2, 3].map((version) => ({ program: MOUNT, version }))
const nfs = { program: NFS, version: 3 }

/** A portmapper for a server at this address, as a client sees it. */
const at = (host: string) => {
  const programs = Portmapper.make(Service.of({ host, port: 2049 }, { tcp: [nfs, ...mount], udp: mount }))
  return <A, B>(
    version: number,
    call: { readonly number: number; readonly args: Xdr.Codec<A>; readonly result: Xdr.Codec<B> },
    args: A,
    { address = "192.0.2.7", transport = "tcp" }: { address?: string; transport?: Transport } = {}
  ): B => {
    const program = programs.find((program) => program.version === version)
    const procedure = program!.procedures[call.number] as Procedure<A, B>
    const decoded = Result.getOrThrow(Xdr.decode(procedure.args, encode(call.args, args)))
    const peer = { address, port: 700 }
    const caller = { credentials: { _tag: "None" }, transport, peer, ...peer, charge: () => {} } as const
    const result = Effect.runSync(procedure.handler(decoded, caller))
    return Result.getOrThrow(Xdr.decode(call.result, encode(procedure.result, result)))
  }
}

const mapping = (prog: number, vers: number, prot: number, port = 0) => ({ prog, vers, prot, port })
const rpcb = (prog: number, vers: number, addr = "", netid = "") => ({ prog, vers, netid, addr, owner: "" })

describe("the portmapper", () => {
  it("has the procedures of its versions, and none that passes on calls", () => {
    const names = Portmapper.make([]).map(({ procedures, program, version }) => [
      program,
      version,
      procedures.flatMap((procedure) => (procedure === undefined ? [] : [procedure.name]))
    ])
    const common = ["NULL", "SET", "UNSET", "GETADDR", "DUMP", "GETTIME"]
    assert.deepStrictEqual(names, [
      [100000, 2, ["NULL", "SET", "UNSET", "GETPORT", "DUMP"]],
      [100000, 3, common],
      [100000, 4, [...common, "GETVERSADDR", "GETADDRLIST"]]
    ])
    for (const { procedures } of Portmapper.make([])) {
      for (const unavailable of [5, 7, 8, 10, 12]) assert.isUndefined(procedures[unavailable])
    }
  })

  it("takes no registrations, not even from here", () => {
    const call = at("127.0.0.1")
    const here = { address: "127.0.0.1" }
    for (const procedure of [PortmapCalls.SET, PortmapCalls.UNSET]) {
      assert.isFalse(call(2, procedure, mapping(NFS, 3, IPPROTO_TCP, 666), here))
    }
    for (const version of [3, 4]) {
      for (const procedure of [RpcbindCalls.SET, RpcbindCalls.UNSET]) {
        assert.isFalse(call(version, procedure, rpcb(NFS, 3, "127.0.0.1.2.154", "tcp"), here))
      }
    }
    assert.strictEqual(call(2, GETPORT, mapping(NFS, 3, IPPROTO_TCP)), 2049)
  })

  describe("version 2", () => {
    it.each<[string, number, number, number, number]>([
      ["NFS over TCP", NFS, 3, IPPROTO_TCP, 2049],
      ["NFS over UDP, which there is not", NFS, 3, IPPROTO_UDP, 0],
      ["MOUNT over TCP", MOUNT, 3, IPPROTO_TCP, 2049],
      ["MOUNT over UDP", MOUNT, 1, IPPROTO_UDP, 2049],
      ["another version: the server says which it has", NFS, 2, IPPROTO_TCP, 2049],
      ["another program", 100021, 4, IPPROTO_TCP, 0],
      ["another protocol", NFS, 3, 132, 0]
    ])("GETPORT: %s", (_, prog, vers, prot, port) => {
      assert.strictEqual(at("127.0.0.1")(2, GETPORT, mapping(prog, vers, prot, 77)), port)
    })

    it("DUMP lists what is there, IPv6 left out", () => {
      const listed = at("::")(2, PortmapCalls.DUMP, undefined)
      assert.deepStrictEqual(listed, [
        mapping(NFS, 3, IPPROTO_TCP, 2049),
        ...[1, 2, 3].map((version) => mapping(MOUNT, version, IPPROTO_TCP, 2049)),
        ...[1, 2, 3].map((version) => mapping(MOUNT, version, IPPROTO_UDP, 2049))
      ])
      assert.deepStrictEqual(at("::1")(2, PortmapCalls.DUMP, undefined), [])
    })
  })

  describe.each([3, 4])("version %d", (version) => {
    it.each<[string, string, number, number, { address?: string; transport?: Transport }, string]>([
      ["NFS over TCP", "192.0.2.1", NFS, 3, {}, "192.0.2.1.8.1"],
      ["NFS over UDP", "192.0.2.1", NFS, 3, { transport: "udp" }, ""],
      ["MOUNT over UDP", "192.0.2.1", MOUNT, 3, { transport: "udp" }, "192.0.2.1.8.1"],
      ["another version", "192.0.2.1", NFS, 2, {}, "192.0.2.1.8.1"],
      ["another program", "192.0.2.1", 100021, 4, {}, ""],
      ["over IPv6", "2001:db8::1", NFS, 3, { address: "2001:db8::7" }, "2001:db8::1.8.1"],
      ["over IPv6, which there is not", "192.0.2.1", NFS, 3, { address: "2001:db8::7" }, ""],
      ["over IPv4, which there is not", "2001:db8::1", NFS, 3, {}, ""]
    ])("GETADDR: %s", (_, host, prog, vers, from, address) => {
      assert.strictEqual(at(host)(version, GETADDR, rpcb(prog, vers, "", "udp6"), from), address)
    })

    it.each<[host: string, hint: string, from: string, address: string]>([
      ["0.0.0.0", "192.0.2.1.0.111", "192.0.2.7", "192.0.2.1.8.1"],
      // By address translation.
      ["127.0.0.1", "10.0.2.2.0.111", "127.0.0.1", "10.0.2.2.8.1"],
      ["192.0.2.1", "0.0.0.0.0.111", "192.0.2.7", "192.0.2.1.8.1"],
      ["192.0.2.1", "/run/rpcbind.sock", "192.0.2.7", "192.0.2.1.8.1"],
      ["::", "", "192.0.2.7", "0.0.0.0.8.1"],
      ["::", "2001:db8::1.0.111", "192.0.2.7", "0.0.0.0.8.1"],
      ["::", "2001:db8::1.0.111", "2001:db8::7", "2001:db8::1.8.1"],
      ["::", "192.0.2.1.0.111", "2001:db8::7", "::.8.1"]
    ])("says where a server at %s is to a client that sees it at %j", (host, hint, address, answer) => {
      assert.strictEqual(at(host)(version, GETADDR, rpcb(NFS, 3, hint), { address }), answer)
    })

    it("DUMP lists what is there", () => {
      const listed = at("::")(version, RpcbindCalls.DUMP, undefined)
      const owner = "effect-nfs"
      assert.strictEqual(listed.length, 14)
      assert.deepStrictEqual(listed[0], { prog: NFS, vers: 3, netid: "tcp", addr: "0.0.0.0.8.1", owner })
      assert.deepStrictEqual(listed.at(-1), { prog: MOUNT, vers: 3, netid: "udp6", addr: "::.8.1", owner })
    })

    it("GETTIME tells the time", () => {
      assert.closeTo(at("127.0.0.1")(version, GETTIME, undefined), Date.now() / 1000, 2)
    })
  })

  describe("version 4", () => {
    it("GETVERSADDR makes do with no other version", () => {
      const call = at("192.0.2.1")
      assert.strictEqual(call(4, GETVERSADDR, rpcb(NFS, 3)), "192.0.2.1.8.1")
      assert.strictEqual(call(4, GETVERSADDR, rpcb(NFS, 2)), "")
    })

    it("GETADDRLIST lists all transports that the client can use", () => {
      const inet = { protofmly: "inet", maddr: "192.0.2.1.8.1" }
      const hint = "192.0.2.1.0.111"
      assert.deepStrictEqual(at("::")(4, GETADDRLIST, rpcb(MOUNT, 3, hint)), [
        { ...inet, netid: "tcp", semantics: "NC_TPI_COTS_ORD", proto: "tcp" },
        { ...inet, netid: "udp", semantics: "NC_TPI_CLTS", proto: "udp" }
      ])
      assert.deepStrictEqual(at("::")(4, GETADDRLIST, rpcb(NFS, 3), { address: "2001:db8::7" }), [
        { maddr: "::.8.1", netid: "tcp6", semantics: "NC_TPI_COTS_ORD", protofmly: "inet6", proto: "tcp" }
      ])
      assert.deepStrictEqual(at("::")(4, GETADDRLIST, rpcb(NFS, 2)), [])
    })
  })
})
