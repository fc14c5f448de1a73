/** A filesystem under test, and short ways to say what is done to it. */

import { Buffer } from "node:buffer"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Attributes, SetAttributes } from "../../filesystem/Attributes.ts"
import {
  type Entry,
  type File,
  Filesystem,
  type Found,
  type Made,
  type Operations,
  type Stability,
  type Wcc,
  type WriteResult
} from "../../filesystem/Filesystem.ts"
import { type Code, errors, type FilesystemError } from "../../filesystem/FilesystemError.ts"

/**
 * What an implementation may be unable to do. `ownership`: files can be given to any user and group. `devices`: device nodes
 * can be made, or else this is refused with EPERM. `byteNames`: names and targets of symbolic links may be any bytes, not only
 * UTF-8 (new ones that are not get EINVAL). `space`: it tells how much of that there is. `sparseFiles`: holes cost nothing.
 * `linkCounts`: directories count their subdirectories, and replaced files lose a link. `anyMode`: it works on files whatever
 * their mode allows the server.
 */
export type Capability =
  | "hardLinks"
  | "symlinks"
  | "specialFiles"
  | "devices"
  | "ownership"
  | "byteNames"
  | "space"
  | "sparseFiles"
  | "linkCounts"
  | "anyMode"

export type Test = (title: string, body: (at: Fixture) => Effect.Effect<void, FilesystemError>) => void

/** Tests in filesystems that `layer` makes, each in one of its own, with what `make` makes of it. */
export const testWith =
  (layer: Layer.Layer<Filesystem, unknown>, make: Effect.Effect<Fixture, FilesystemError, Filesystem>): Test =>
  (title, body) => {
    it.live(title, () =>
      make.pipe(
        Effect.flatMap(body),
        Effect.catch(({ code }) => Effect.die(new Error(`unexpected ${code}`))),
        Effect.provide(layer, { local: true })
      )
    )
  }

/** Tests in filesystems that `layer` makes, each in one of its own, in a new directory below its root. */
export const testIn = (layer: Layer.Layer<Filesystem, unknown>, lacks: ReadonlyArray<Capability> = []): Test =>
  testWith(layer, Fixture.make(new Set(lacks)))

type Fails<A> = Effect.Effect<A, FilesystemError>

/** A guard that lets everything go on. */
export const allow = (): undefined => undefined

/** A guard that refuses. */
export const refuse = (code: Code) => (): FilesystemError => errors[code]

/** A guard that sets these attributes. */
export const give = (set: SetAttributes) => (): SetAttributes => set

/** The code that `effect` fails with; "nothing" when it does not. */
export const failure = <A>(effect: Fails<A>): Effect.Effect<Code | "nothing"> =>
  effect.pipe(
    Effect.as("nothing" as const),
    Effect.catch((error) => Effect.succeed(error.code))
  )

/** Asserts that `effect` fails with one of `codes`. */
export const fails = <A>(effect: Fails<A>, ...codes: ReadonlyArray<Code>): Effect.Effect<void> =>
  Effect.map(failure(effect), (code) => assert.include(codes, code))

export const bytes = (text: string): Uint8Array => Buffer.from(text)

/** A pattern that shows where it begins: no two parts of it are the same. */
export const pattern = (length: number, seed = 1): Buffer => {
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
  return Buffer.from(words.buffer, 0, length)
}

/** Asserts that something changed a file: its counter grew and its ctime did not go back. */
export const assertChanged = (before: Attributes, after: Attributes): void => {
  assert.isTrue(after.change > before.change, "the change counter grows")
  assert.isTrue(time(after.ctime) >= time(before.ctime), "ctime does not go back")
}

export const time = ({ nanoseconds, seconds }: Attributes["ctime"]): bigint =>
  BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)

/** Long ago. */
const PAST = { seconds: 1_000_000_000, nanoseconds: 0 }

export class Fixture {
  readonly fs: Operations
  /** The directory of this test. */
  readonly home: File
  private readonly lacking: ReadonlySet<Capability>

  private constructor(fs: Operations, home: File, lacking: ReadonlySet<Capability>) {
    this.fs = fs
    this.home = home
    this.lacking = lacking
  }

  /** The filesystem as it is: nothing is made in it. */
  static readonly root: Effect.Effect<Fixture, never, Filesystem> = Effect.map(
    Filesystem,
    (fs) => new Fixture(fs, fs.root, new Set())
  )

  static make(lacking: ReadonlySet<Capability>): Effect.Effect<Fixture, FilesystemError, Filesystem> {
    return Effect.flatMap(Filesystem, (fs) =>
      Effect.map(fs.mkdir(fs.root, "home", give({ mode: 0o755 })), (made) => new Fixture(fs, made.file, lacking))
    )
  }

  /** In the root of a filesystem that lacks nothing. */
  static over(fs: Operations): Fixture {
    return new Fixture(fs, fs.root, new Set())
  }

  /** The same filesystem with another directory for what follows. */
  in(directory: File): Fixture {
    return new Fixture(this.fs, directory, this.lacking)
  }

  has(capability: Capability): boolean {
    return !this.lacking.has(capability)
  }

  create(name: string, directory = this.home): Fails<File> {
    return Effect.map(this.fs.create(directory, name, { _tag: "Guarded" }, give({ mode: 0o644 })), fileOf)
  }

  mkdir(name: string, directory = this.home): Fails<File> {
    return Effect.map(this.fs.mkdir(directory, name, give({ mode: 0o755 })), fileOf)
  }

  symlink(name: string, target: string, directory = this.home): Fails<File> {
    return Effect.map(this.fs.symlink(directory, name, target, give({ mode: 0o777 })), fileOf)
  }

  /** A file with this content. */
  file(name: string, content: string | Uint8Array, directory = this.home): Fails<File> {
    return Effect.tap(this.create(name, directory), (file) => this.write(file, 0, content))
  }

  /** Asks again as long as the filesystem has to look for the file. */
  resolve(key: Uint8Array): Fails<File> {
    return Effect.retry(this.fs.resolve(key), {
      while: ({ code }) => code === "EAGAIN",
      schedule: Schedule.spaced("50 millis"),
      times: 200
    })
  }

  attributes(file: File): Fails<Attributes> {
    return this.fs.getattr(file)
  }

  set(file: File, set: SetAttributes): Fails<Wcc> {
    return this.fs.setattr(file, give(set))
  }

  /** Lets a file look as if nothing had changed in it for long. */
  age(file: File): Fails<Attributes> {
    return Effect.map(this.set(file, { mtime: PAST }), ({ after }) => after)
  }

  /** Asserts that `attributes` are of a file that changed since it was aged. */
  assertModified({ mtime }: Attributes): void {
    assert.isTrue(time(mtime) > time(PAST), "mtime shows the change")
  }

  /** Writes all of `content`, however many operations that takes. */
  write(
    file: File,
    offset: number,
    content: string | Uint8Array,
    stability: Stability = "fileSync"
  ): Fails<WriteResult> {
    const data = typeof content === "string" ? bytes(content) : content
    return Effect.flatMap(this.fs.write(file, offset, [data], stability, allow), (result) =>
      result.count >= data.length
        ? Effect.succeed(result)
        : this.write(file, offset + result.count, data.subarray(result.count), stability)
    )
  }

  /** All bytes of [offset, offset + count), or up to the end, however many operations that takes. */
  read(file: File, offset = 0, count = 1 << 20): Fails<Buffer> {
    return Effect.flatMap(this.fs.read(file, offset, count, allow), ({ data, eof }) => {
      const part = Buffer.concat(data)
      if (eof || part.length >= count) return Effect.succeed(part)
      assert.isNotEmpty(part, "a read goes on or ends")
      return Effect.map(this.read(file, offset + part.length, count - part.length), (rest) =>
        Buffer.concat([part, rest])
      )
    })
  }

  text(file: File): Fails<string> {
    return Effect.map(this.read(file), (content) => content.toString())
  }

  lookup(name: string, directory = this.home): Fails<Found> {
    return this.fs.lookup(directory, name, allow)
  }

  remove(name: string, directory = this.home): Fails<Wcc> {
    return this.fs.remove(directory, name, allow)
  }

  rmdir(name: string, directory = this.home): Fails<Wcc> {
    return this.fs.rmdir(directory, name, allow)
  }

  link(
    file: File,
    name: string,
    directory = this.home
  ): Fails<{ readonly attributes: Attributes; readonly directory: Wcc }> {
    return this.fs.link(file, directory, name, allow)
  }

  rename(name: string, newName: string, from = this.home, to = from): Fails<{ readonly from: Wcc; readonly to: Wcc }> {
    return this.fs.rename(from, name, to, newName, allow)
  }

  /** The entries of a directory, asked for in portions of `portion`. */
  entries(directory = this.home, portion = Infinity, attributes = false): Fails<ReadonlyArray<Entry>> {
    return this.entriesAfter(0n, directory, portion, attributes)
  }

  entriesAfter(
    cookie: bigint,
    directory = this.home,
    portion = Infinity,
    attributes = false
  ): Fails<ReadonlyArray<Entry>> {
    return Effect.flatMap(this.list(directory, cookie, portion, attributes), ({ entries, eof }) => {
      if (eof) return Effect.succeed(entries)
      assert.isNotEmpty(entries, "a listing goes on or ends")
      return Effect.map(this.entriesAfter(entries.at(-1)!.cookie, directory, portion, attributes), (rest) => [
        ...entries,
        ...rest
      ])
    })
  }

  /** One operation: at most `portion` entries after `cookie`. */
  list(directory: File, cookie: bigint, portion = Infinity, attributes = false) {
    let count = 0
    return this.fs.readdir(directory, { cookie, fits: () => ++count <= portion, attributes }, allow)
  }

  /** The names in a directory, sorted. */
  names(directory = this.home, portion = Infinity): Fails<ReadonlyArray<string>> {
    return Effect.map(this.entries(directory, portion), (entries) => entries.map(({ name }) => name).toSorted())
  }

  /** Asserts that what `directory` is and holds is as it was after `effect`. */
  unchanged<A, E>(directory: File, effect: Effect.Effect<A, E>): Effect.Effect<A, E | FilesystemError> {
    const state = Effect.all([this.entries(directory, Infinity, true), this.attributes(directory)])
    return Effect.flatMap(state, ([entries, attributes]) =>
      Effect.tap(effect, () =>
        Effect.map(state, ([entriesAfter, attributesAfter]) => {
          assert.deepStrictEqual(entriesAfter.map(listed), entries.map(listed))
          assert.deepStrictEqual(lasting(attributesAfter), lasting(attributes))
        })
      )
    )
  }
}

const fileOf = ({ file }: Made): File => file

/** Reading may move atime, and so may looking at what is in a directory. */
export const lasting = ({ atime: _, ...attributes }: Attributes): Omit<Attributes, "atime"> => attributes

const listed = ({ cookie, found, name }: Entry): unknown => [name, cookie, found && lasting(found.attributes)]
