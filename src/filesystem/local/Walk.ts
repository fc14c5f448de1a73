/**
 * One pass through all files below the root, directory by directory, the upper ones first. It opens everything by
 * descriptors, follows no symlink, stays on the root's device, and keeps only one or two operations of the system busy.
 *
 * A file that is moved meanwhile, from a directory that is still to come into one that has been read, is missed. The first
 * of them shows it: its ctime is later than the beginning of the pass, or it has itself been moved away.
 */

import { fstat, type Stats } from "node:fs"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { FilesystemError } from "../FilesystemError.ts"
import { fromCode } from "./Errors.ts"
import { CLOCK_LAG } from "./Stat.ts"
import { close, descend, type Entry, isGone, type Step, textOf, type Tree } from "./Tree.ts"

/** A directory, by the way to it from the root. */
export interface Place extends Step {
  /** `undefined` for the root. */
  readonly above: Place | undefined
  /** Entries that have been read. */
  passed: number
}

export interface Options {
  readonly tree: Tree
  /** Called for each file. */
  readonly pass: (key: string, directory: Place, entry: Entry) => void
  /** Run between two batches of entries: whether the pass shall go on. */
  readonly goOn: Effect.Effect<boolean>
  /** Directories that may wait to be visited; with so many, those found last come first. Default 65,536. */
  readonly maxQueue?: number | undefined
}

/** What a pass that has reached its end says of the files that it did not pass. */
export interface Outcome {
  /** Directories have changed meanwhile: a file may have been missed. */
  readonly changed: boolean
  /** The first directory that could not be read, or of which a file could not be. */
  readonly refused: { readonly place: Place; readonly error: FilesystemError } | undefined
}

/** Goes through all files. It fails with EAGAIN when the process lacks descriptors or memory. */
export const walk = (options: Options): Effect.Effect<Outcome | "stopped", FilesystemError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const pass = new Pass(options)
      yield* Effect.addFinalizer(() => pass.closeParent)
      return yield* pass.run
    })
  )

class Pass {
  private readonly options: Options
  private readonly started = Date.now()
  private readonly queue: Queue
  /** The parent of the directory that was opened last, which others probably have, too. */
  private parent: { readonly place: Place; readonly fd: number } | undefined
  private changed = false
  private refused: Outcome["refused"]

  constructor(options: Options) {
    this.options = options
    this.queue = new Queue(options.maxQueue ?? 65_536)
  }

  readonly run = Effect.gen({ self: this }, function* () {
    const { root } = this.options.tree
    const top: Place = { key: textOf(root.key), parent: "", name: "", above: undefined, passed: 0 }
    this.queue.push(top)
    for (let place = this.queue.take(); place !== undefined; place = this.queue.take()) {
      if (!(yield* this.options.goOn)) return "stopped"
      const visit = place === top ? this.read(place, root.fd) : this.visit(place)
      yield* visit.pipe(Effect.catch((error) => this.missed(place, error)))
    }
    return { changed: this.changed, refused: this.refused }
  })

  private visit(place: Place): Effect.Effect<void, FilesystemError> {
    return Effect.acquireUseRelease(this.open(place), (fd) => this.read(place, fd), close).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          // It was there when its parent was read.
          if (isGone(error)) this.changed = true
        })
      )
    )
  }

  private readonly open = Effect.fnUntraced(
    function* (this: Pass, place: Place) {
      const { tree } = this.options
      const parent = place.above!
      if (parent.above === undefined) return yield* descend(tree, tree.root.fd, [place])
      if (this.parent?.place !== parent) {
        yield* this.closeParent
        this.parent = { place: parent, fd: yield* descend(tree, tree.root.fd, wayTo(parent)) }
      }
      return yield* descend(tree, this.parent.fd, [place])
    },
    Effect.mapError(({ error }) => error)
  )

  readonly closeParent: Effect.Effect<void> = Effect.suspend(() => {
    const { parent } = this
    this.parent = undefined
    return parent === undefined ? Effect.void : close(parent.fd)
  })

  /** Passes the entries of an open directory, and takes in the directories among them. */
  private readonly read = Effect.fnUntraced(function* (this: Pass, place: Place, fd: number) {
    const { room } = this.queue
    const below: Array<Place> = []
    const pull = yield* Stream.toPull(Stream.drop(this.options.tree.entries(fd), place.passed))
    let complete = false
    while (!complete && below.length < room && (yield* this.options.goOn)) {
      const batch = yield* Pull.catchDone(pull, () => Effect.succeed([]))
      yield* Effect.forEach(batch, (entry) => this.pass(place, fd, entry, below), { concurrency: 2, discard: true })
      place.passed += batch.length
      complete = batch.length === 0
    }
    if (!complete) this.queue.push(place)
    for (const directory of below) this.queue.push(directory)
    // In whole seconds, it may have been up to two of them later.
    const { ctimeMs } = yield* stat(fd)
    if (ctimeMs + (ctimeMs % 1000 === 0 ? 2000 : CLOCK_LAG) >= this.started) this.changed = true
  }, Effect.scoped)

  private pass(place: Place, fd: number, entry: Entry, below: Array<Place>): Effect.Effect<void, FilesystemError> {
    const { pass, tree } = this.options
    return Effect.acquireUseRelease(tree.openAt(fd, entry.name), tree.identify, close).pipe(
      Effect.map((bytes) => {
        const key = textOf(bytes)
        pass(key, place, entry)
        if (entry.directory) below.push({ key, parent: place.key, name: textOf(entry.name), above: place, passed: 0 })
      }),
      Effect.catch((error) => this.missed(place, error))
    )
  }

  /** What is gone is none of our business, nor is what other filesystems hold. What we may not see should be said. */
  private missed(place: Place, error: FilesystemError): Effect.Effect<void, FilesystemError> {
    if (error.code === "EAGAIN") return Effect.fail(error)
    if (!isGone(error) && error.code !== "EXDEV") this.refused ??= { place, error }
    return Effect.void
  }
}

/** The steps from the root to a place other than the root. */
export const wayTo = (place: Place): ReadonlyArray<Place> => {
  const steps: Array<Place> = []
  for (let at = place; at.above !== undefined; at = at.above) steps.push(at)
  return steps.reverse()
}

const stat = (fd: number): Effect.Effect<Stats, FilesystemError> =>
  Effect.callback((resume) =>
    fstat(fd, (error, stats) => resume(error === null ? Effect.succeed(stats) : Effect.fail(fromCode(error.code))))
  )

/** Directories that wait: the first comes first, until there are too many. */
class Queue {
  private readonly max: number
  private places: Array<Place> = []
  private first = 0

  constructor(max: number) {
    this.max = max
  }

  /** How many directories are taken in at once, some of them even when there are too many: they are visited next. */
  get room(): number {
    return Math.max(this.max - this.length, this.max / 64)
  }

  private get length(): number {
    return this.places.length - this.first
  }

  push(place: Place): void {
    this.places.push(place)
  }

  take(): Place | undefined {
    if (this.length === 0) return undefined
    if (this.length >= this.max) return this.places.pop()
    const place = this.places[this.first++]
    if (this.first > 1024 && this.first * 2 > this.places.length) {
      this.places = this.places.slice(this.first)
      this.first = 0
    }
    return place
  }
}
