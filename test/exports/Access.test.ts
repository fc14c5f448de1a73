import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Access from "../../src/exports/Access.ts"
import type { Identity } from "../../src/exports/Identity.ts"
import type { Attributes, SetAttributes } from "../../src/filesystem/Attributes.ts"
import type { CreateHow, File, Operations } from "../../src/filesystem/Filesystem.ts"
import { errors, type FilesystemError, is } from "../../src/filesystem/FilesystemError.ts"
import * as LocalFilesystem from "../../src/filesystem/local/LocalFilesystem.ts"
import { Syscalls } from "../../src/filesystem/local/Syscalls.ts"
import * as MemoryFilesystem from "../../src/filesystem/memory/MemoryFilesystem.ts"
import { temporary } from "../support/directory.ts"
import { isRoot } from "../support/local.ts"
import recorded from "./linux.json" with { type: "json" }

/** The identities of linux.py. */
const identities: { readonly [name: string]: Identity } = {
  root: { uid: 0, gid: 0, gids: [] },
  owner: { uid: 1000, gid: 1000, gids: [] },
  "owner in the group": { uid: 1000, gid: 1000, gids: [2000] },
  member: { uid: 1001, gid: 1001, gids: [3000, 2000] },
  "member by gid": { uid: 1002, gid: 2000, gids: [] },
  "member by the last of 16 groups": {
    uid: 1004,
    gid: 1004,
    gids: [...Array.from({ length: 15 }, (_, i) => 3000 + i), 2000]
  },
  other: { uid: 1003, gid: 1003, gids: [] }
}
const OWNER = 1000
const GROUP = 2000
const THEM = 1009

type Outcome = Effect.Effect<string, FilesystemError>
type Question = (access: Access.Access) => Outcome

const octal = (mode: number): string => mode.toString(8).padStart(4, "0")

const madeAs = ({ gid, mode, uid }: Attributes): string => `${uid}:${gid}:${octal(mode)}`

/** The mode of a file in the end. */
const mode = (fs: Operations, file: File): Outcome => Effect.map(fs.getattr(file), ({ mode }) => octal(mode))

const permissions = (fs: Operations, file: File, access: Access.Access): Outcome =>
  Effect.map(fs.getattr(file), (attributes) => String(access.permissions(attributes)))

const change =
  (fs: Operations, file: File, set: SetAttributes): Question =>
  (access) =>
    Effect.andThen(fs.setattr(file, access.setattr(set)), mode(fs, file))

const done = <A>(effect: Effect.Effect<A, FilesystemError>): Outcome => Effect.as(effect, "ok")

/** What is asked about a file, by the names of linux.py. */
const aboutFile = (fs: Operations, file: File): { readonly [operation: string]: Question } => ({
  access: (access) => permissions(fs, file, access),
  read: (access) => done(fs.read(file, 0, 1, access.read)),
  write: (access) => Effect.andThen(fs.write(file, 0, [Buffer.from("x")], "unstable", access.write), mode(fs, file)),
  truncate: change(fs, file, { size: 0 }),
  "chmod 0755": change(fs, file, { mode: 0o755 }),
  "chmod 7777": change(fs, file, { mode: 0o7777 }),
  "chmod 2666": change(fs, file, { mode: 0o2666 }),
  "chown to the same": change(fs, file, { uid: OWNER }),
  "chown to another": change(fs, file, { uid: 1003 }),
  "chgrp to the same": change(fs, file, { gid: GROUP }),
  "chgrp to 1000": change(fs, file, { gid: 1000 }),
  "chgrp to 3000": change(fs, file, { gid: 3000 }),
  touch: (access) => done(change(fs, file, { atime: "now", mtime: "now" })(access)),
  "touch with a time": (access) => {
    const time = { seconds: 1, nanoseconds: 2 }
    return done(change(fs, file, { atime: time, mtime: time })(access))
  }
})

/** What is asked about a directory that has `theirs`, `mine` and a `directory` of theirs, beside one that is open to all. */
const aboutDirectory = (fs: Operations, it: File, open: File): { readonly [operation: string]: Question } => {
  const guarded = { _tag: "Guarded" } as const
  const mine = (fs: Operations) =>
    Effect.map(
      fs.lookup(open, "mine", () => undefined),
      ({ file }) => file
    )
  const made = (effect: Effect.Effect<{ readonly attributes: Attributes }, FilesystemError>): Outcome =>
    Effect.map(effect, ({ attributes }) => madeAs(attributes))
  return {
    access: (access) => permissions(fs, it, access),
    lookup: (access) => done(fs.lookup(it, "theirs", access.lookup)),
    "lookup missing": (access) => done(fs.lookup(it, "missing", access.lookup)),
    list: (access) => done(fs.readdir(it, { cookie: 0n, fits: () => true, attributes: false }, access.readdir)),
    create: (access) => made(fs.create(it, "new", guarded, access.create(guarded, { mode: 0o6775 }))),
    "create existing": (access) => made(fs.create(it, "theirs", guarded, access.create(guarded, { mode: 0o644 }))),
    mkdir: (access) => made(fs.mkdir(it, "new", access.mkdir({ mode: 0o775 }))),
    "mkdir existing": (access) => made(fs.mkdir(it, "theirs", access.mkdir({ mode: 0o775 }))),
    symlink: (access) => made(fs.symlink(it, "new", "x", access.symlink({}))),
    mkfifo: (access) => {
      const special = { type: "fifo" } as const
      return made(fs.mknod(it, "new", special, access.mknod(special, { mode: 0o664 })))
    },
    mkdev: (access) => {
      const special = { type: "character", rdev: { major: 1, minor: 3 } } as const
      return made(fs.mknod(it, "new", special, access.mknod(special, { mode: 0o664 })))
    },
    "remove theirs": (access) => done(fs.remove(it, "theirs", access.remove)),
    "remove mine": (access) => done(fs.remove(it, "mine", access.remove)),
    "remove missing": (access) => done(fs.remove(it, "missing", access.remove)),
    "rmdir theirs": (access) => done(fs.rmdir(it, "directory", access.remove)),
    "rename theirs": (access) => done(fs.rename(it, "theirs", it, "new", access.rename)),
    "rename mine": (access) => done(fs.rename(it, "mine", it, "new", access.rename)),
    "rename missing": (access) => done(fs.rename(it, "missing", it, "new", access.rename)),
    "rename mine over theirs": (access) => done(fs.rename(it, "mine", it, "theirs", access.rename)),
    "move theirs out": (access) => done(fs.rename(it, "theirs", open, "new", access.rename)),
    "move mine in": (access) => done(fs.rename(open, "mine", it, "new", access.rename)),
    "move their directory out": (access) => done(fs.rename(it, "directory", open, "new", access.rename)),
    "link mine": (access) => Effect.flatMap(mine(fs), (file) => done(fs.link(file, it, "new", access.link))),
    "chmod 7777": change(fs, it, { mode: 0o7777 }),
    "chown to another": change(fs, it, { uid: 1003 }),
    "chgrp to the same": change(fs, it, { gid: GROUP })
  }
}

const file = Effect.fnUntraced(function* (fs: Operations, directory: File, name: string, set: SetAttributes) {
  return (yield* fs.create(directory, name, { _tag: "Guarded" }, () => set)).file
})

const directory = Effect.fnUntraced(function* (fs: Operations, parent: File, name: string, set: SetAttributes) {
  return (yield* fs.mkdir(parent, name, () => set)).file
})

/** Where a question is asked: in a directory of its own, of a filesystem that is served. */
type Place = Effect.Effect<{ readonly fs: Operations; readonly root: File }, FilesystemError>

const questions = {
  file: Effect.fnUntraced(function* (place: Place, mode: number) {
    const { fs, root } = yield* place
    return aboutFile(fs, yield* file(fs, root, "file", { uid: OWNER, gid: GROUP, mode }))
  }),
  directory: Effect.fnUntraced(function* (place: Place, mode: number, { uid }: Identity) {
    const { fs, root } = yield* place
    const subject = yield* directory(fs, root, "directory", { uid: OWNER, gid: GROUP, mode })
    const open = yield* directory(fs, root, "open", { uid: 0, gid: GROUP, mode: 0o777 })
    yield* file(fs, open, "mine", { uid, gid: GROUP, mode: 0o644 })
    yield* file(fs, subject, "mine", { uid, gid: GROUP, mode: 0o644 })
    yield* file(fs, subject, "theirs", { uid: THEM, gid: GROUP, mode: 0o644 })
    yield* directory(fs, subject, "directory", { uid: THEM, gid: GROUP, mode: 0o755 })
    return aboutDirectory(fs, subject, open)
  })
}

const inMemory: Place = Effect.map(MemoryFilesystem.make(), (fs) => ({ fs, root: fs.root }))

/** One directory of the host, in which each question has its own. */
const onDisk = Effect.flatMap(temporary(), (path) => LocalFilesystem.make({ path, async: true })).pipe(
  Effect.map((fs): Place => {
    let asked = 0
    return Effect.suspend(() => directory(fs, fs.root, `${asked++}`, { mode: 0o755 })).pipe(
      Effect.map((root) => ({ fs, root }))
    )
  }),
  Effect.orDie,
  Effect.provide(Syscalls.layer)
)

/**
 * The differences: through a handle, owners read and write what they may not open, and who may execute a file has it read,
 * page by page.
 */
const expected = (operation: string, identity: string, mode: string, linux: string): string => {
  if (linux !== "EACCES") return linux
  const owns = identity.startsWith("owner")
  if (operation === "read") return owns || executes(identity, mode) ? "ok" : linux
  return (operation === "write" || operation === "truncate") && owns ? mode : linux
}

/** What Linux said to who asked for execution. */
const executes = (identity: string, mode: string): boolean => {
  const { modes, outcomes } = recorded.file
  const access: { readonly [identity: string]: string } = outcomes.access
  return (Number(access[identity]!.split(" ")[modes.split(" ").indexOf(mode)]) & 1) !== 0
}

const backends: {
  readonly [name: string]: {
    readonly place: Effect.Effect<Place, never, Scope.Scope>
    /** The modes that are tried; disks take their time. */
    readonly tries: (mode: string) => boolean
  }
} = {
  memory: { place: Effect.succeed(inMemory), tries: () => true },
  "a directory": { place: onDisk, tries: (mode) => ["0000", "0644", "0770", "1777", "2775", "6755"].includes(mode) }
}

describe.each(Object.keys(backends))("Access answers as Linux does, with %s", (backend) => {
  const { place, tries } = backends[backend]!
  for (const kind of ["file", "directory"] as const) {
    const modes = recorded[kind].modes.split(" ")
    for (const [operation, byIdentity] of Object.entries(recorded[kind].outcomes)) {
      // Others than root cannot give files to anybody.
      it.live.skipIf(backend !== "memory" && !isRoot)(`${kind}: ${operation}`, () =>
        Effect.gen(function* () {
          const where = yield* place
          const ours: Array<string> = []
          const theirs: Array<string> = []
          for (const [identity, outcomes] of Object.entries(byIdentity)) {
            for (const [i, linux] of outcomes.split(" ").entries()) {
              const mode = modes[i]!
              if (!tries(mode)) continue
              const asked = yield* questions[kind](where, Number.parseInt(mode, 8), identities[identity]!)
              const outcome = asked[operation]!(Access.make(identities[identity]!))
              const answer = yield* outcome.pipe(Effect.catch((error) => Effect.succeed(error.code)))
              ours.push(`${identity} ${mode} ${answer}`)
              theirs.push(`${identity} ${mode} ${expected(operation, identity, mode, linux)}`)
            }
          }
          assert.isAbove(ours.length, 20)
          assert.deepStrictEqual(ours, theirs)
        })
      )
    }
  }
})

describe("Access", () => {
  const who = (name: keyof typeof identities) => Access.make(identities[name]!)

  const attributes = (set: Partial<Attributes>): Attributes => ({
    type: "regular",
    mode: 0o644,
    nlink: 1,
    uid: OWNER,
    gid: GROUP,
    size: 0,
    used: 0,
    rdev: { major: 0, minor: 0 },
    fileid: 1n,
    atime: { seconds: 0, nanoseconds: 0 },
    mtime: { seconds: 0, nanoseconds: 0 },
    ctime: { seconds: 0, nanoseconds: 0 },
    change: 0n,
    ...set
  })

  it("lets owners read and commit whatever the mode, and others what they may read or execute", () => {
    for (const guard of ["read", "commit"] as const) {
      assert.isUndefined(who("owner")[guard](attributes({ mode: 0 })))
      assert.strictEqual(who("other")[guard](attributes({ mode: 0o770 })), errors.EACCES)
    }
    assert.isUndefined(who("other").read(attributes({ mode: 0o004 })))
    assert.isUndefined(who("other").read(attributes({ mode: 0o001 })))
    assert.strictEqual(who("member").read(attributes({ mode: 0o707 })), errors.EACCES)
    assert.isUndefined(who("root").read(attributes({ mode: 0 })))
  })

  it("lets everybody read links", () => {
    assert.isUndefined(who("other").readlink(attributes({ type: "symlink", mode: 0 })))
  })

  const directory = attributes({ type: "directory", mode: 0o777 })

  it("makes files for their owner only when they come without a mode", () => {
    const guarded = { _tag: "Guarded" } as const
    const mode = (set: SetAttributes | FilesystemError) => (is(set) ? set.code : set.mode)
    assert.strictEqual(mode(who("other").create(guarded, {})(directory, undefined)), 0o600)
    assert.strictEqual(mode(who("other").mkdir({})(directory, undefined)), 0o700)
    assert.strictEqual(mode(who("other").symlink({})(directory, undefined)), 0o777)
  })

  it("lets root choose the owner of something new, and ignores what others choose", () => {
    const wanted = { uid: 5, gid: 6, mode: 0o644, size: 7 }
    assert.deepInclude(who("root").mkdir(wanted)(directory, undefined), { uid: 5, gid: 6 })
    assert.deepInclude(who("other").mkdir(wanted)(directory, undefined), { uid: 1003, gid: 1003 })
    assert.notProperty(who("other").mkdir(wanted)(directory, undefined), "size")
  })

  it("refuses to lend a group that the caller is not in", () => {
    const setgid = attributes({ type: "directory", mode: 0o2777 })
    const unchecked = { _tag: "Unchecked" } as const
    const asked = { mode: 0o2755 }
    assert.deepInclude(who("other").create(unchecked, asked)(setgid, undefined), { gid: GROUP, mode: 0o755 })
    assert.deepInclude(who("member").create(unchecked, asked)(setgid, undefined), { gid: GROUP, mode: 0o2755 })
    // A directory inherits the bit with the group.
    assert.deepInclude(who("other").mkdir({ mode: 0o755 })(setgid, undefined), { gid: GROUP, mode: 0o2755 })
  })

  it("truncates a file that an UNCHECKED create meets for those who may write it, and sets nothing else", () => {
    const unchecked = { _tag: "Unchecked" } as const
    const asked = { mode: 0o777, uid: 1003, size: 0 }
    const meet = (name: string, existing: Attributes, how: CreateHow = unchecked) =>
      who(name).create(how, asked)(directory, existing)
    assert.deepStrictEqual(meet("other", attributes({ mode: 0o646 })), { size: 0 })
    assert.deepStrictEqual(meet("owner", attributes({ mode: 0o444 })), { size: 0 })
    assert.strictEqual(meet("other", attributes({ mode: 0o644 })), errors.EACCES)
    // It EXISTs for others, too.
    assert.deepStrictEqual(meet("other", attributes({ mode: 0o644 }), { _tag: "Guarded" }), {})
    assert.deepStrictEqual(who("other").create(unchecked, { mode: 0 })(directory, attributes({ mode: 0 })), {})
  })

  it("renames a directory within its parent without writing it", () => {
    const source = attributes({ type: "directory", mode: 0o755, fileid: 2n })
    const at = { from: directory, source, target: undefined }
    assert.isUndefined(who("other").rename({ ...at, to: directory }))
    assert.strictEqual(who("other").rename({ ...at, to: { ...directory, fileid: 3n } }), errors.EACCES)
  })

  it("sets times to now for those who may write, with the size or without", () => {
    const writable = attributes({ mode: 0o622 })
    const now = { atime: "now", mtime: "now", size: 0 } as const
    assert.deepStrictEqual(who("other").setattr(now)(writable), now)
    assert.strictEqual(who("other").setattr(now)(attributes({})), errors.EACCES)
    assert.strictEqual(who("other").setattr({ ...now, mode: 0o777 })(writable), errors.EPERM)
  })

  it("lets anybody set nothing", () => {
    assert.deepStrictEqual(who("other").setattr({})(attributes({ mode: 0 })), {})
  })

  it("clears setuid also when the mode is set together with the owner", () => {
    assert.deepStrictEqual(who("root").setattr({ uid: 7, mode: 0o6755 })(attributes({})), { uid: 7, mode: 0o755 })
    const directory = attributes({ type: "directory" })
    assert.deepStrictEqual(who("root").setattr({ uid: 7, mode: 0o2755 })(directory), { uid: 7, mode: 0o2755 })
  })
})
