/**
 * Which filesystems belong to an export: that of its directory, and those mounted below it if they are to be crossed.
 *
 * Each has a tag that holds after a restart, made from where it is mounted: device numbers change. A directory of the same
 * filesystem may be mounted, too, so where nothing is to be crossed the kernel's number of the mount tells.
 */

import { hash } from "node:crypto"
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Scope from "effect/Scope"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { fail } from "../FilesystemError.ts"
import { at, attempt, close, type Fails, fstat, type Held, mountOf, O_PATH, open, pathOf } from "./Fs.ts"

/** The tag of the filesystem that the export's directory is in. */
export const HOME = 0

/** Milliseconds for which a device that is not known stays so. */
const PAUSE = 1000

interface Mounted {
  readonly tag: number
  /** Its root, opened to be read. */
  readonly fd: number
}

export class Mounts {
  private readonly root: number
  /** Whether clients may go into what is mounted below. */
  readonly crossed: boolean
  private readonly mount: string | undefined
  private readonly byDevice = new Map<bigint, Mounted>()
  private readonly byTag = new Map<number, Mounted>()
  /** With what paths below the export began, and where something is mounted there, as of the last look. */
  private below = ""
  private points: ReadonlySet<string> = new Set()
  private looked = -Infinity
  /** Those that are being opened, by their points: who does not answer is not asked once more. */
  private readonly opening: FiberMap.FiberMap<string, void, never>

  /** `root`: the export's directory, opened to be read; it is closed elsewhere. */
  static readonly make = (root: number, crossed: boolean): Effect.Effect<Mounts, never, Scope.Scope> =>
    Effect.gen(function* () {
      const opening = yield* FiberMap.make<string, void, never>()
      return yield* Effect.acquireRelease(
        Effect.sync(() => new Mounts(root, crossed, opening)),
        (mounts) => Effect.sync(() => mounts.close())
      )
    })

  private constructor(root: number, crossed: boolean, opening: FiberMap.FiberMap<string, void, never>) {
    this.root = root
    this.crossed = crossed
    this.mount = mountOf(root)
    this.opening = opening
    this.add(fs.fstatSync(root, { bigint: true }).dev, { tag: HOME, fd: root })
  }

  /** The tag of a device that has been asked for; `undefined` when it does not belong to the export. */
  tagOf(device: bigint): number | undefined {
    return this.byDevice.get(device)?.tag
  }

  /** The tag of a device; `undefined` when it does not belong to the export. */
  tag(device: bigint): Fails<number | undefined> {
    return this.seek(() => this.byDevice.get(device)?.tag)
  }

  /** A descriptor of something in the filesystem with a tag. */
  rootOf(tag: number): Fails<number | undefined> {
    return this.seek(() => this.byTag.get(tag)?.fd)
  }

  /**
   * Opens what has a name in a directory, with O_PATH: EXDEV when something is mounted there that is not to be crossed. Such
   * a mount is not asked for anything, since it may be a server that does not answer.
   */
  open(held: Held, directory: number, name: string): Fails<number> {
    return Effect.suspend(() => {
      if (!this.crossed && this.isPoint(directory, name)) return fail.EXDEV
      const opening = open(held, at(directory, name), O_PATH | fs.constants.O_NOFOLLOW)
      if (this.crossed) return opening
      return Effect.flatMap(opening, (fd) =>
        Effect.onError(
          // It may have been mounted since the last look.
          attempt(() => mountOf(fd)).pipe(
            Effect.flatMap((mount) => (mount === this.mount ? Effect.succeed(fd) : fail.EXDEV))
          ),
          () => Effect.sync(() => close(fd))
        )
      )
    })
  }

  private isPoint(directory: number, name: string): boolean {
    this.look()
    if (this.points.size === 0) return false
    return this.points.has(`${pathOf(directory)}/${Bytestring.encode(name).toString("latin1")}`)
  }

  private close(): void {
    for (const { fd } of this.byTag.values()) {
      if (fd !== this.root) close(fd)
    }
  }

  private add(device: bigint, mounted: Mounted): void {
    const twin = this.byTag.get(mounted.tag)
    if (twin !== undefined && twin.fd !== this.root) close(twin.fd)
    this.byDevice.set(device, mounted)
    this.byTag.set(mounted.tag, mounted)
  }

  /** What is known, or after another look, for which those that answer late are not waited for. */
  private seek<A>(known: () => A | undefined): Fails<A | undefined> {
    return Effect.suspend(() => {
      const now = known()
      if (now !== undefined || !this.crossed) return Effect.succeed(now)
      return Effect.interruptible(this.openAll).pipe(Effect.timeoutOption(PAUSE), Effect.map(known))
    })
  }

  private readonly openAll = Effect.gen({ self: this }, function* () {
    if (this.look()) {
      for (const point of this.points) {
        yield* FiberMap.run(this.opening, point, this.visit(point), { onlyIfMissing: true })
      }
    }
    yield* FiberMap.awaitEmpty(this.opening)
  })

  /** Nothing comes of a file that something is mounted on, nor of what we may not see. */
  private visit(point: string): Effect.Effect<void> {
    const held = { uses: 0 }
    const opening = open(held, Buffer.from(point, "latin1"), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
    return Effect.flatMap(opening, (fd) =>
      fstat(held, fd).pipe(
        Effect.map(({ dev }) => {
          if (this.byDevice.has(dev)) close(fd)
          else this.add(dev, { tag: tagOf(point.slice(this.below.length)), fd })
        }),
        Effect.onError(() => Effect.sync(() => close(fd)))
      )
    ).pipe(Effect.ignore)
  }

  /** Looks for what was mounted since the last time; whether it did. */
  private look(): boolean {
    const now = performance.now()
    if (now - this.looked < PAUSE) return false
    this.looked = now
    const root = pathOf(this.root)
    this.below = root === "/" ? root : `${root}/`
    this.points = new Set(mountinfo().flatMap(({ point }) => (point.startsWith(this.below) ? [point] : [])))
    return true
  }
}

/** `path`: where it is mounted, from the export's root. */
const tagOf = (path: string): number => hash("sha256", path, "buffer").readUInt32BE(0) || 1

export interface Mount {
  readonly id: string
  /** The directory of its filesystem that is mounted. */
  readonly source: string
  readonly point: string
}

/** What is mounted, paths as Latin-1; nothing where the system does not tell. */
export const mountinfo = (): ReadonlyArray<Mount> => {
  let text = ""
  try {
    text = fs.readFileSync("/proc/self/mountinfo", "latin1")
  } catch {
    return []
  }
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [id = "", , , source = "", point = ""] = line.split(" ")
      return { id, source: unescape(source), point: unescape(point) }
    })
}

/** Spaces and the like are octal there (proc(5)). */
const unescape = (path: string): string =>
  path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
