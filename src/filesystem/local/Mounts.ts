/**
 * Which filesystems belong to an export: that of its directory, and those mounted below it if they are to be crossed.
 *
 * Each has a tag that holds after a restart, made from where it is mounted: device numbers change. A directory of the same
 * filesystem may be mounted, too, so where nothing is to be crossed the device alone does not tell.
 */

import { hash } from "node:crypto"
import * as fs from "node:fs"
import { close, pathOf } from "./Fs.ts"

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
  private readonly byDevice = new Map<bigint, Mounted>()
  private readonly byTag = new Map<number, Mounted>()
  /** Where something is mounted below the export, as of the last look. */
  private points: ReadonlyArray<string> = []
  private looked = -Infinity

  /** `root`: the export's directory, opened to be read; it is closed elsewhere. */
  constructor(root: number, crossed: boolean) {
    this.root = root
    this.crossed = crossed
    this.add(fs.fstatSync(root, { bigint: true }).dev, { tag: HOME, fd: root })
  }

  /** The tag of a device; `undefined` when it does not belong to the export. */
  tagOf(device: bigint): number | undefined {
    const known = this.byDevice.get(device)
    if (known !== undefined || !this.look()) return known?.tag
    return this.byDevice.get(device)?.tag
  }

  /** A descriptor of something in the filesystem with a tag. */
  rootOf(tag: number): number | undefined {
    const known = this.byTag.get(tag)
    if (known !== undefined || !this.look()) return known?.fd
    return this.byTag.get(tag)?.fd
  }

  /** Whether an open file is in something that is mounted below the export and not to be crossed. */
  hides(fd: number): boolean {
    if (this.crossed) return false
    this.look()
    if (this.points.length === 0) return false
    const path = pathOf(fd)
    return this.points.some((point) => path === point || path.startsWith(`${point}/`))
  }

  close(): void {
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

  /** Looks for what was mounted since the last time; whether it did. */
  private look(): boolean {
    const now = performance.now()
    if (now - this.looked < PAUSE) return false
    this.looked = now
    const root = pathOf(this.root)
    const below = root === "/" ? "/" : `${root}/`
    this.points = mountinfo().flatMap(({ point }) => (point.startsWith(below) ? [point] : []))
    if (!this.crossed) return false
    for (const point of this.points) {
      const fd = openDirectory(point)
      if (fd === undefined) continue
      const device = fs.fstatSync(fd, { bigint: true }).dev
      if (this.byDevice.has(device)) close(fd)
      else this.add(device, { tag: tagOf(point.slice(below.length)), fd })
    }
    return true
  }
}

const tagOf = (path: string): number => hash("sha256", path, "buffer").readUInt32BE(0) || 1

const openDirectory = (path: string): number | undefined => {
  try {
    return fs.openSync(Buffer.from(path, "latin1"), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  } catch {
    // A file that something is mounted on, or what we may not see.
    return undefined
  }
}

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
