import { Buffer } from "node:buffer"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { release, tmpdir } from "node:os"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect/Scope"
import type { Device, Time } from "../../../src/filesystem/Attributes.ts"
import { type Code, errors, type FilesystemError, is } from "../../../src/filesystem/FilesystemError.ts"
import { type KernelHandles, type Located, Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
import { failure, fails, pattern } from "../../../src/testing/filesystem/Fixture.ts"
import { missing, run } from "../../support/commands.ts"

const { O_NOFOLLOW, O_RDONLY, S_IFBLK, S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } = fs.constants
const O_PATH = 0o10000000

const isRoot = process.getuid?.() === 0

/** What each implementation is able to do. */
const implementations = [
  { name: "koffi", layer: Syscalls.layerKoffi, resolution: 1n, byDescriptor: true },
  { name: "node", layer: Syscalls.layerNode, resolution: 1000n, byDescriptor: false }
]

/** Filesystems of this machine, by their magic numbers (statfs(2)), and what their kinds remember. */
const kinds: Record<
  number,
  { readonly kind: string; readonly remembersAbsence: boolean; readonly readsCached: boolean }
> = {
  0xef53: { kind: "ext4", remembersAbsence: true, readsCached: !isOlderThan(6, 5) },
  0x01021994: { kind: "tmpfs", remembersAbsence: false, readsCached: false }
}

function isOlderThan(major: number, minor: number): boolean {
  const [ours = 0, oursMinor = 0] = release().split(".").map(Number)
  return ours < major || (ours === major && oursMinor < minor)
}

const places = [tmpdir(), "/dev/shm"]
  .filter((path) => fs.existsSync(path))
  .map((path) => ({ path, ...(kinds[fs.statfsSync(path).type] ?? { kind: "other", ...kinds[0x01021994] }) }))

/** A directory of its own, and what is opened in it. */
class World {
  readonly sys: Syscalls["Service"]
  readonly path: string
  readonly fd: number
  private readonly open: Array<number> = []

  constructor(sys: Syscalls["Service"], path: string) {
    this.sys = sys
    this.path = path
    this.fd = this.opened(fs.openSync(path, O_RDONLY))
  }

  /** Closes it with the world. */
  opened(fd: number): number {
    this.open.push(fd)
    return fd
  }

  at(name: string | Buffer): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.fd}/`), Buffer.from(name)])
  }

  locate(name: string | Buffer): Located {
    return { fd: this.opened(fs.openSync(this.at(name), O_PATH | O_NOFOLLOW)), path: this.at(name) }
  }

  file(name: string | Buffer, content: string | Uint8Array = "content"): Located {
    fs.writeFileSync(this.at(name), content)
    return this.locate(name)
  }

  symlink(name: string | Buffer, target: string | Buffer = "nowhere"): Located {
    fs.symlinkSync(target, this.at(name))
    return this.locate(name)
  }

  directory(name: string): Located {
    fs.mkdirSync(this.at(name))
    return this.locate(name)
  }

  stat(name: string | Buffer): fs.BigIntStats {
    return fs.lstatSync(this.at(name), { bigint: true })
  }

  close(): void {
    for (const fd of this.open) fs.closeSync(fd)
    fs.rmSync(this.path, { recursive: true })
  }

  static readonly make = (place: string): Effect.Effect<World, never, Syscalls | Scope> =>
    Effect.acquireRelease(
      Effect.map(Syscalls, (sys) => new World(sys, fs.mkdtempSync(join(place, "effect-nfs-syscalls-")))),
      (world) => Effect.sync(() => world.close())
    )
}

const nanoseconds = ({ nanoseconds, seconds }: Time): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)

const isFile = (expected: fs.BigIntStats, actual: fs.BigIntStats): void =>
  assert.deepStrictEqual([actual.dev, actual.ino], [expected.dev, expected.ino])

const handlesOf = ({ sys }: World): KernelHandles => sys.handles ?? assert.fail("no handles")

const handleOf = (handles: KernelHandles, fd: number): Uint8Array => {
  const handle = handles.of(fd)
  return is(handle) ? assert.fail(handle.code) : handle
}

/** Takes a file out of the page cache. */
const evict = (path: string): void => {
  execFileSync("dd", [`of=${path}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"], { stdio: "ignore" })
}

describe.skipIf(process.platform !== "linux")("Syscalls", () => {
  for (const { byDescriptor, layer, name, resolution } of implementations) {
    for (const place of places) {
      const check = (body: (world: World) => Effect.Effect<void, FilesystemError>) => (): Effect.Effect<void> =>
        World.make(place.path).pipe(
          Effect.flatMap(body),
          Effect.scoped,
          Effect.catch(({ code }) => Effect.die(new Error(`unexpected ${code}`))),
          Effect.provide(layer),
          Effect.orDie
        )
      const test = (title: string, body: Parameters<typeof check>[0]) => it.live(title, check(body))
      const rootTest = (title: string, body: Parameters<typeof check>[0]) =>
        it.live.skipIf(!isRoot)(`${title} (as root)`, check(body))

      describe(`with ${name} on ${place.path} (${place.kind})`, () => {
        for (const [title, target] of [
          ["short", Buffer.from("a")],
          ["not in UTF-8", Buffer.from([0x66, 0xff, 0x80, 0x2f, 0xc3])],
          ["too long for its inode", Buffer.alloc(60, "x")],
          ["as long as can be", Buffer.alloc(4095, "./")]
        ] as const) {
          test(`reads a symlink's target that is ${title}`, (world) =>
            Effect.gen(function* () {
              const link = world.symlink(Buffer.from([0xff, 0x6c]), target)
              assert.deepStrictEqual(yield* world.sys.readlink(link), target)
            }))
        }

        test("reads nothing from what is no symlink", (world) => fails(world.sys.readlink(world.file("f")), "EINVAL"))

        test("reads a symlink that has lost its name, or says that it is gone", (world) =>
          Effect.gen(function* () {
            const link = world.symlink("l", "target")
            fs.renameSync(world.at("l"), world.at("m"))
            if (byDescriptor) assert.deepStrictEqual(yield* world.sys.readlink(link), Buffer.from("target"))
            else yield* fails(world.sys.readlink(link), "ESTALE")
            world.symlink("l", "another")
            if (byDescriptor) assert.deepStrictEqual(yield* world.sys.readlink(link), Buffer.from("target"))
            else yield* fails(world.sys.readlink(link), "ESTALE")
            if (!byDescriptor) yield* fails(world.sys.readlink({ fd: link.fd, path: undefined }), "ENOTSUP")
          }))

        rootTest("gives files of any type to others", (world) =>
          Effect.gen(function* () {
            const target = world.file("target")
            world.symlink("link", "target")
            for (const [at, located] of [
              ["target", target],
              ["link", world.locate("link")],
              ["directory", world.directory("directory")],
              ["big", world.file("big")]
            ] as const) {
              const uid = at === "big" ? 0xfffffffe : at.length
              yield* world.sys.chown(located, uid, 77)
              const { gid, uid: found } = world.stat(at)
              assert.deepStrictEqual([found, gid], [BigInt(uid), 77n], at)
            }
            assert.strictEqual(world.stat("target").uid, 6n, "a symlink's target keeps its owner")
          })
        )

        test("sets times of files of any type, as exactly as it says", (world) =>
          Effect.gen(function* () {
            assert.strictEqual(nanoseconds(world.sys.timeDelta), resolution)
            world.file("target")
            world.symlink("link", "target")
            world.directory("directory")
            for (const at of ["target", "link", "directory"]) {
              const located = world.locate(at)
              for (const time of [
                { seconds: 0, nanoseconds: 0 },
                { seconds: 1_234_567_890, nanoseconds: 123_456_789 },
                { seconds: 4_294_967_295, nanoseconds: 999_999_999 },
                { seconds: -1, nanoseconds: 999_999_999 },
                { seconds: -2_000_000_000, nanoseconds: 1_000 }
              ]) {
                const other = { seconds: time.seconds + 1, nanoseconds: 0 }
                yield* world.sys.utimes(located, time, other)
                const { atimeNs, mtimeNs } = world.stat(at)
                assert.strictEqual(mtimeNs, nanoseconds(other), at)
                assert.strictEqual(floor(atimeNs, resolution), floor(nanoseconds(time), resolution), at)
              }
            }
            assert.strictEqual(world.stat("target").mtimeNs, -1_999_999_999_000_000_000n, "a target keeps its times")
          }))

        test("leaves times as they are, to the nanosecond", (world) =>
          Effect.gen(function* () {
            const file = world.file("f")
            const before = world.stat("f")
            yield* world.sys.utimes(file, undefined, { seconds: 7, nanoseconds: 0 })
            assert.strictEqual(world.stat("f").atimeNs, before.atimeNs)
            yield* world.sys.utimes(file, { seconds: 8, nanoseconds: 0 }, undefined)
            assert.deepStrictEqual([world.stat("f").atimeNs, world.stat("f").mtimeNs], [8_000_000_000n, 7_000_000_000n])
            yield* world.sys.utimes(file, undefined, undefined)
            assert.deepStrictEqual([world.stat("f").atimeNs, world.stat("f").mtimeNs], [8_000_000_000n, 7_000_000_000n])
          }))

        test("sets times to the filesystem's clock", (world) =>
          Effect.gen(function* () {
            const file = world.file("f")
            yield* world.sys.utimes(file, { seconds: 1, nanoseconds: 0 }, { seconds: 1, nanoseconds: 0 })
            fs.writeFileSync(world.at("before"), "")
            yield* world.sys.utimes(file, "now", undefined)
            fs.writeFileSync(world.at("after"), "")
            const { atimeNs, mtimeNs } = world.stat("f")
            assert.strictEqual(mtimeNs, 1_000_000_000n)
            assert.isTrue(atimeNs >= world.stat("before").mtimeNs && atimeNs <= world.stat("after").mtimeNs)
          }))

        test("gives files and symlinks another name, of any bytes", (world) =>
          Effect.gen(function* () {
            for (const [at, located] of [
              ["f", world.file("f")],
              ["l", world.symlink("l", "f")]
            ] as const) {
              const other = Buffer.from([0xfe, at.charCodeAt(0), 0x80])
              yield* world.sys.link(located, world.fd, other)
              isFile(world.stat(at), world.stat(other))
              assert.strictEqual(world.stat(at).nlink, 2n)
              yield* fails(world.sys.link(located, world.fd, other), "EEXIST")
            }
          }))

        test("refuses names that are none, and links that cannot be", (world) =>
          Effect.gen(function* () {
            const file = world.file("f")
            const down = world.directory("down")
            for (const bad of ["", "a\0b", "down/a", "/tmp/a"]) {
              yield* fails(world.sys.link(file, world.fd, Buffer.from(bad)), "EINVAL")
            }
            yield* fails(world.sys.link(file, world.fd, Buffer.alloc(256, "x")), "ENAMETOOLONG")
            yield* fails(world.sys.link(file, file.fd, Buffer.from("a")), "ENOTDIR")
            yield* fails(world.sys.link(down, world.fd, Buffer.from("a")), "EPERM")
            yield* fails(world.sys.link(file, world.opened(fs.openSync("/dev", O_RDONLY)), Buffer.from("a")), "EXDEV")
            fs.rmdirSync(world.at("down"))
            yield* fails(world.sys.link(file, down.fd, Buffer.from("a")), "ESTALE")
            fs.unlinkSync(world.at("f"))
            yield* fails(world.sys.link(file, world.fd, Buffer.from("a")), "ESTALE")
            assert.deepStrictEqual(fs.readdirSync(world.path), [])
          }))

        test("links the file that is meant, also when another one has its name now", (world) =>
          Effect.gen(function* () {
            const file = world.file("f")
            fs.renameSync(world.at("f"), world.at("g"))
            world.file("f", "another")
            if (byDescriptor) {
              yield* world.sys.link(file, world.fd, Buffer.from("new"))
              isFile(world.stat("g"), world.stat("new"))
            } else {
              yield* fails(world.sys.link(file, world.fd, Buffer.from("new")), "ESTALE")
              assert.deepStrictEqual(fs.readdirSync(world.path).sort(), ["f", "g"])
              yield* fails(world.sys.link({ fd: file.fd, path: undefined }, world.fd, Buffer.from("new")), "ENOTSUP")
            }
          }))

        const none: Device = { major: 0, minor: 0 }
        if (!byDescriptor) {
          test("says what it cannot do", (world) =>
            Effect.gen(function* () {
              yield* fails(world.sys.mknod(world.fd, Buffer.from("fifo"), S_IFIFO | 0o600, none), "ENOTSUP")
              world.file("f")
              const fd = world.opened(fs.openSync(world.at("f"), O_RDONLY))
              assert.isUndefined(world.sys.handles)
              assert.isUndefined(world.sys.readCached(fd, Buffer.alloc(4), 0))
              assert.isUndefined(world.sys.openCached(world.fd, Buffer.from("f")))
            }))

          it.effect.prop(
            "keeps every microsecond from 1970 to 2106",
            {
              seconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })),
              micros: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999 }))
            },
            ({ micros, seconds }) =>
              check((world) =>
                Effect.gen(function* () {
                  const time = { seconds, nanoseconds: 1000 * micros }
                  yield* world.sys.utimes(world.file("f"), undefined, time)
                  assert.strictEqual(floor(world.stat("f").mtimeNs, 1000n), nanoseconds(time))
                })
              )(),
            { arbitrary: { runs: 200 } }
          )
          return
        }

        test("makes FIFOs and sockets", (world) =>
          Effect.gen(function* () {
            const name = Buffer.from([0x70, 0xff])
            yield* world.sys.mknod(world.fd, name, S_IFIFO | 0o600, none)
            assert.isTrue(world.stat(name).isFIFO())
            yield* world.sys.mknod(world.fd, Buffer.from("socket"), S_IFSOCK | 0o600, none)
            assert.isTrue(world.stat("socket").isSocket())
            yield* fails(world.sys.mknod(world.fd, name, S_IFIFO | 0o600, none), "EEXIST")
            yield* fails(world.sys.mknod(world.fd, Buffer.from("a/b"), S_IFIFO | 0o600, none), "EINVAL")
          }))

        rootTest("makes device nodes", (world) =>
          Effect.gen(function* () {
            const most = { major: 0xfff, minor: 0xfffff }
            for (const [type, rdev] of [
              [S_IFCHR, { major: 1, minor: 3 }],
              [S_IFBLK, { major: 259, minor: 70_000 }],
              [S_IFBLK, most]
            ] as const) {
              yield* world.sys.mknod(world.fd, Buffer.from("node"), type | 0o640, rdev)
              const { mode } = world.stat("node")
              assert.strictEqual(Number(mode) & ~0o777, type)
              const [major, minor] = execFileSync("stat", ["-c", "%Hr %Lr", join(world.path, "node")], {
                encoding: "utf8"
              })
                .split(" ")
                .map(Number)
              assert.deepStrictEqual({ major, minor }, rdev)
              fs.unlinkSync(world.at("node"))
            }
            for (const rdev of [
              { ...most, major: 0x1000 },
              { ...most, minor: 0x100000 }
            ]) {
              yield* fails(world.sys.mknod(world.fd, Buffer.from("node"), S_IFCHR, rdev), "EINVAL")
            }
          })
        )

        test("opens only what it finds in memory", (world) =>
          Effect.sync(() => {
            const open = (name: string | Buffer) => {
              const found = world.sys.openCached(world.fd, Buffer.from(name))
              return typeof found === "number" ? world.opened(found) : found
            }
            const name = Buffer.from([0x66, 0xff])
            world.file(name)
            world.symlink("l", "f")
            for (const at of [name, "l"]) {
              const fd = open(at)
              if (typeof fd !== "number") return assert.fail(`${String(at)}: ${fd}`)
              isFile(world.stat(at), fs.fstatSync(fd, { bigint: true }))
              assert.throws(() => fs.readSync(fd, Buffer.alloc(1)), /EBADF/)
            }
            assert.isUndefined(open("never seen"))
            assert.throws(() => world.stat("never seen"))
            assert.strictEqual(open("never seen"), place.remembersAbsence ? "absent" : undefined)
            world.file("never seen")
            assert.isNumber(open("never seen"))
            world.directory("down")
            world.file("down/f")
            for (const bad of ["", "..", "down/f", "f\0", "/", "/etc", "x".repeat(256)])
              assert.isUndefined(open(bad), bad)
            assert.notStrictEqual(typeof open("x".repeat(255)), "number")
          }))

        test("reads what was written a moment ago, and only what is all there", (world) =>
          Effect.sync(() => {
            const content = pattern(300_000)
            world.file("f", content)
            const fd = world.opened(fs.openSync(world.at("f"), O_RDONLY))
            const read = (offset: number, length: number): Buffer | undefined => {
              const buffer = Buffer.alloc(length)
              const count = world.sys.readCached(fd, buffer, offset)
              return count === undefined ? undefined : buffer.subarray(0, count)
            }
            const expected = (offset: number, length: number) =>
              place.readsCached ? content.subarray(offset, offset + length) : undefined
            for (const [offset, length] of [
              [0, 300_000],
              [4095, 2],
              [299_999, 1],
              [65_536, 65_536]
            ] as const) {
              assert.deepStrictEqual(read(offset, length), expected(offset, length))
            }
            // A view on V8's own heap, until somebody asks for its address.
            const small = new Uint8Array(8)
            assert.strictEqual(world.sys.readCached(fd, small, 8), place.readsCached ? 8 : undefined)
            if (place.readsCached) assert.deepStrictEqual(Buffer.from(small), content.subarray(8, 16))
            assert.isUndefined(read(0, 400_000), "beyond the end nothing is cached")
            assert.isUndefined(read(0, 0))
            assert.isUndefined(world.sys.readCached(-1, small, 0))
          }))

        if (place.readsCached) {
          test("does not even ask a disk for what is not in memory", (world) =>
            Effect.sync(() => {
              world.file("f", pattern(1_000_000))
              evict(join(world.path, "f"))
              const fd = world.opened(fs.openSync(world.at("f"), O_RDONLY))
              const buffer = Buffer.alloc(65_536)
              for (let i = 0; i < 3; i++) assert.isUndefined(world.sys.readCached(fd, buffer, 0))
              fs.readSync(fd, buffer, 0, 1, 0)
              assert.strictEqual(world.sys.readCached(fd, buffer.subarray(0, 4096), 0), 4096)
            }))
        }

        test("finds each file's own handle, which outlives renames", (world) =>
          Effect.gen(function* () {
            world.directory("down")
            const handles = handlesOf(world)
            const known = new Map<string, string>()
            for (const [at, located] of [
              ["f", world.file("f")],
              ["l", world.symlink("l")],
              ["down", world.locate("down")],
              ["down/f", world.file("down/f")]
            ] as const) {
              const handle = handleOf(handles, located.fd)
              assert.isAtMost(handle.length, 40)
              known.set(at, Buffer.from(handle).toString("hex"))
            }
            assert.strictEqual(new Set(known.values()).size, known.size)
            fs.renameSync(world.at("f"), world.at("g"))
            fs.renameSync(world.at("down"), world.at("up"))
            for (const [at, now] of [
              ["f", "g"],
              ["l", "l"],
              ["down", "up"],
              ["down/f", "up/f"]
            ] as const) {
              const handle = Buffer.from(known.get(at)!, "hex")
              assert.deepStrictEqual(Buffer.from(handleOf(handles, world.locate(now).fd)), handle)
              if (!isRoot) {
                yield* fails(handles.open(world.fd, handle), "EPERM")
                continue
              }
              const fd = world.opened(yield* handles.open(world.fd, handle))
              isFile(world.stat(now), fs.fstatSync(fd, { bigint: true }))
              assert.throws(() => fs.readSync(fd, Buffer.alloc(1)), /EBADF/)
            }
          }))

        rootTest("knows a file that is gone from the next one with its number", (world) =>
          Effect.gen(function* () {
            const handles = handlesOf(world)
            const before = new Map<bigint, Uint8Array>()
            let again = 0
            for (let i = 0; i < 100; i++) {
              fs.writeFileSync(world.at(`f${i}`), "")
              const { ino } = world.stat(`f${i}`)
              const fd = fs.openSync(world.at(`f${i}`), O_PATH)
              const handle = handleOf(handles, fd)
              fs.closeSync(fd)
              const last = before.get(ino)
              if (last !== undefined) {
                again++
                assert.notDeepEqual(handle, last)
                yield* fails(handles.open(world.fd, last), "ESTALE")
              }
              before.set(ino, handle)
              fs.unlinkSync(world.at(`f${i}`))
              yield* fails(handles.open(world.fd, handle), "ESTALE")
            }
            if (place.kind === "ext4") assert.isAbove(again, 0, "an inode number came again")
          })
        )

        test("opens nothing for what is no handle", (world) =>
          Effect.gen(function* () {
            const handles = handlesOf(world)
            const codes = isRoot ? (["ESTALE"] as const) : (["ESTALE", "EPERM"] as const)
            for (const length of [0, 1, 41, 128])
              yield* fails(handles.open(world.fd, Buffer.alloc(length, 1)), "ESTALE")
            for (const length of [2, 9, 40]) yield* fails(handles.open(world.fd, Buffer.alloc(length, 1)), ...codes)
            assert.strictEqual(handles.of(world.opened(fs.openSync("/proc/self/status", O_RDONLY))), errors.ENOTSUP)
          }))

        test("knows each of a thousand calls at once by its own result or error", (world) =>
          Effect.gen(function* () {
            setFlagsFromString("--expose-gc")
            const collect = runInNewContext("gc") as () => void
            const file = world.file("f")
            const link = world.symlink("l", "the target of a link")
            const down = world.directory("down")
            const gone = world.directory("gone")
            fs.rmdirSync(world.at("gone"))
            const kinds: ReadonlyArray<
              readonly [Code | "nothing", (i: number) => Effect.Effect<unknown, FilesystemError>]
            > = [
              [
                "nothing",
                () =>
                  Effect.map(world.sys.readlink(link), (target) =>
                    assert.strictEqual(String(target), "the target of a link")
                  )
              ],
              ["nothing", (i) => world.sys.mknod(world.fd, Buffer.from(`node${i}`), S_IFREG | 0o600, none)],
              ["nothing", (i) => world.sys.link(file, world.fd, Buffer.from(`link${i}`))],
              ["EINVAL", () => world.sys.readlink(file)],
              ["EIO", () => world.sys.readlink({ fd: -1, path: undefined })],
              ["EEXIST", () => world.sys.link(file, world.fd, Buffer.from("l"))],
              ["EPERM", () => world.sys.link(down, world.fd, Buffer.from("a"))],
              ["ENOTDIR", () => world.sys.mknod(file.fd, Buffer.from("a"), S_IFREG, none)],
              ["ENAMETOOLONG", () => world.sys.mknod(world.fd, Buffer.alloc(256, "x"), S_IFREG, none)],
              ["ESTALE", () => world.sys.mknod(gone.fd, Buffer.from("a"), S_IFREG, none)]
            ]
            let running = true
            // Meanwhile, calls on this thread fail in their own way, and the garbage collector looks for what is left over.
            const others = Effect.promise(async () => {
              for (let i = 0; running; i++) {
                assert.isUndefined(world.sys.openCached(world.fd, Buffer.from("..")))
                assert.isUndefined(world.sys.readCached(-1, Buffer.alloc(1), 0))
                if (i % 8 === 0) collect()
                await new Promise((resolve) => setImmediate(resolve))
              }
            })
            const calls = Effect.forEach(
              Array.from({ length: 1000 }, (_, i) => i),
              (i) => {
                const [expected, f] = kinds[i % kinds.length]!
                return Effect.map(failure(f(i)), (code) => assert.strictEqual(code, expected, `call ${i}`))
              },
              { concurrency: "unbounded", discard: true }
            )
            yield* Effect.all(
              [
                Effect.ensuring(
                  calls,
                  Effect.sync(() => (running = false))
                ),
                others
              ],
              {
                concurrency: "unbounded"
              }
            )
            assert.strictEqual(fs.readdirSync(world.path).length, 200 + 3)
            assert.strictEqual(world.stat("f").nlink, 101n)
          }))
      })
    }
  }

  const programFile = join(import.meta.dirname, "../../support/programs/systemCalls.ts")
  const program = (command: string, ...args: ReadonlyArray<string>) =>
    Effect.map(run(command, args), ({ stderr, stdout }) => {
      assert.strictEqual(stderr, "")
      return JSON.parse(stdout.toString()) as { name: string; opened?: string; messages: ReadonlyArray<string> }
    })

  it.live("takes koffi where it can be loaded, and otherwise says why not", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* program(process.execPath, programFile), {
        name: "koffi",
        messages: ["Debug: System calls go through koffi"]
      })
      const { messages, name } = yield* program(process.execPath, "--no-addons", programFile)
      assert.strictEqual(name, "node")
      assert.match(
        messages.join(),
        /^Debug: System calls go through node:fs \(the package koffi cannot be loaded: .+\)$/
      )
    })
  )

  it.live.skipIf(!isRoot || missing("handles without the capability for them", "setpriv"))(
    "opens no handles without the capability for it (as root)",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make(tmpdir())
        const handle = Buffer.from(handleOf(handlesOf(world), world.file("f").fd)).toString("hex")
        const command = [process.execPath, programFile, world.path, handle] as const
        assert.strictEqual((yield* program(...command)).opened, "opened")
        const without = yield* program("setpriv", "--bounding-set=-dac_read_search", ...command)
        assert.deepStrictEqual([without.name, without.opened], ["koffi", "EPERM"])
      }).pipe(Effect.scoped, Effect.provide(Syscalls.layerKoffi))
  )
})

const floor = (value: bigint, step: bigint): bigint => value - (((value % step) + step) % step)
