/**
 * What each procedure of NFS version 3 refuses, and how. For every refusal: its status, the attributes that come with it
 * (RFC 1813 promises them), and that it changed nothing.
 */

import { describe, expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { Fattr3 } from "../../src/programs/nfs3/Nfs3Types.ts"
import type { CallOptions } from "../../src/rpc/RpcClient.ts"
import type { Call } from "../support/nfs.ts"
import { alice, bob } from "../support/server.ts"
import { Tree } from "../support/tree.ts"

type Handles = Tree["Service"]["handles"]

/** A refusal: status without NFS3ERR_, what is wrong, the arguments, and who calls when it is not root. */
type Row<A> = readonly [status: string, why: string, args: (handles: Handles) => A, who?: CallOptions]

/** Arguments that name something in a directory. */
type Directory = ReturnType<typeof where>

type AttributesOf = (handle: Uint8Array) => Fattr3 | undefined

const where = (dir: Uint8Array, name: string) => ({ dir, name })

/** Too large for a file, and all that a client can say above. */
const HUGE = Number.MAX_SAFE_INTEGER

const LATER = { seconds: 2_000_000_000, nanoseconds: 0 }
const NO_TIME = { seconds: 1, nanoseconds: 1_000_000_000 }

/** Names that nothing can have. */
const badNames = <A>(args: (handles: Handles, name: string) => A): ReadonlyArray<Row<A>> => [
  ["NAMETOOLONG", "a name of 256 bytes", (h) => args(h, "n".repeat(256))],
  ["NAMETOOLONG", "a name of 86 characters and 258 bytes", (h) => args(h, "€".repeat(86))],
  ["NAMETOOLONG", "a name of 4,096 bytes", (h) => args(h, "n".repeat(4096))],
  ["ACCES", "an empty name", (h) => args(h, "")],
  ["ACCES", "a name with a slash", (h) => args(h, "dir/inside")],
  ["ACCES", "a name with NUL", (h) => args(h, "file\0")]
]

/** What CREATE, MKDIR, SYMLINK and MKNOD refuse alike. */
const makes = <A>(args: (dir: Uint8Array, name: string) => A): ReadonlyArray<Row<A>> => [
  ["EXIST", "the name of a file", (h) => args(h.root, "file")],
  ["EXIST", "the name of a directory", (h) => args(h.root, "dir")],
  ["EXIST", '"."', (h) => args(h.root, ".")],
  ["EXIST", '".."', (h) => args(h.root, "..")],
  ["NOTDIR", "in a file", (h) => args(h.file, "new")],
  ["NOTDIR", "in a symbolic link", (h) => args(h.symlink, "new")],
  ["ACCES", "in a directory that others may not write", (h) => args(h.dir, "new"), bob],
  ["ACCES", "in a directory that others may not search", (h) => args(h.hidden, "new"), alice],
  ["ACCES", "a name that exists where others may not search", (h) => args(h.hidden, "secret"), alice],
  ["NOSPC", "without an inode left", (h) => args(h.fullRoot, "new")],
  ["ROFS", "in a read-only export", (h) => args(h.readOnlyRoot, "new")],
  ...badNames((h, name) => args(h.root, name))
]

layer(Tree.layer, { excludeTestServices: true })((it) => {
  /**
   * `failed`: the failing arm but for its status. `handles`: arguments that are right but for a handle, to be refused for
   * that; one function for each handle of the arguments.
   */
  const refuses = <A, B extends { readonly status: string }>(
    call: Call<A, B>,
    failed: (args: NoInfer<A>, attributes: AttributesOf) => object,
    handles: ReadonlyArray<(handle: Uint8Array, handles: Handles) => NoInfer<A>>,
    rows: ReadonlyArray<Row<NoInfer<A>>>
  ) =>
    describe(call.name, () => {
      const check = Effect.fnUntraced(function* (status: string, args: A, who?: CallOptions) {
        const { handles, nfs } = yield* Tree
        const look = Effect.forEach(
          Object.values(handles),
          (object) => nfs(Nfs.GETATTR, { object }).pipe(Effect.map((answer) => [object, answer] as const)),
          { concurrency: "unbounded" }
        )
        const before = yield* look
        const attributesOf: AttributesOf = (handle) => {
          const answer = before.find(([object]) => Buffer.compare(object, handle) === 0)?.[1]
          return answer?.status === "NFS3_OK" ? answer.objAttributes : undefined
        }
        const answer = yield* nfs(call, args, who)
        expect(answer).toEqual({ status: `NFS3ERR_${status}`, ...failed(args, attributesOf) })
        expect(yield* look).toEqual(before)
      })

      it.effect.each(rows)("%s: %s", ([status, , args, who]) =>
        Effect.flatMap(Tree, ({ handles }) => check(status, args(handles), who))
      )
      it.effect.each(handles.map((args, index) => ({ args, index })))("STALE, BADHANDLE: handle $index", ({ args }) =>
        Effect.gen(function* () {
          const { forged, gone, handles } = yield* Tree
          yield* check("STALE", args(gone, handles))
          yield* check("BADHANDLE", args(forged, handles))
          yield* check("BADHANDLE", args(new Uint8Array(0), handles))
          yield* check("BADHANDLE", args(forged.subarray(0, 31), handles))
          yield* check("BADHANDLE", args(Buffer.concat([handles.file, Buffer.alloc(4)]), handles))
          yield* check("BADHANDLE", args(Buffer.alloc(64, 0xff), handles))
        })
      )
    })

  const unchanged = (after: Fattr3 | undefined) => ({ before: undefined, after })

  refuses(Nfs.GETATTR, () => ({}), [(object) => ({ object })], [])

  refuses(
    Nfs.SETATTR,
    ({ object }, of) => ({ objWcc: unchanged(of(object)) }),
    [(object) => ({ object, newAttributes: { mode: 0 }, guard: undefined })],
    [
      ["PERM", "another's mode", (h) => ({ object: h.file, newAttributes: { mode: 0o777 }, guard: undefined }), bob],
      ["PERM", "another's times", (h) => ({ object: h.file, newAttributes: { mtime: LATER }, guard: undefined }), bob],
      ["PERM", "giving a file away", (h) => ({ object: h.file, newAttributes: { uid: 5 }, guard: undefined }), alice],
      [
        "PERM",
        "taking another's file",
        (h) => ({ object: h.file, newAttributes: { uid: 1001 }, guard: undefined }),
        bob
      ],
      ["PERM", "a group of others", (h) => ({ object: h.file, newAttributes: { gid: 5 }, guard: undefined }), alice],
      ["ACCES", "another's size", (h) => ({ object: h.file, newAttributes: { size: 0 }, guard: undefined }), bob],
      [
        "ACCES",
        "another's times",
        (h) => ({ object: h.file, newAttributes: { atime: "now" as const }, guard: undefined }),
        bob
      ],
      ["NOT_SYNC", "with a wrong guard", (h) => ({ object: h.file, newAttributes: { mode: 0 }, guard: LATER })],
      ["ISDIR", "the size of a directory", (h) => ({ object: h.dir, newAttributes: { size: 0 }, guard: undefined })],
      ["INVAL", "the size of a FIFO", (h) => ({ object: h.fifo, newAttributes: { size: 0 }, guard: undefined })],
      [
        "INVAL",
        "a second in nanoseconds",
        (h) => ({ object: h.file, newAttributes: { mtime: NO_TIME }, guard: undefined })
      ],
      ["FBIG", "too large a size", (h) => ({ object: h.file, newAttributes: { size: HUGE }, guard: undefined })],
      [
        "ROFS",
        "in a read-only export",
        (h) => ({ object: h.readOnlyFile, newAttributes: { mode: 0 }, guard: undefined })
      ]
    ]
  )

  refuses(
    Nfs.LOOKUP,
    ({ what }, of) => ({ dirAttributes: of(what.dir) }),
    [(dir) => ({ what: where(dir, "file") })],
    [
      ["NOENT", "a name that nothing has", (h) => ({ what: where(h.root, "missing") })],
      ["NOENT", "a name in other letters", (h) => ({ what: where(h.root, "FILE") })],
      ["NOTDIR", "in a file", (h) => ({ what: where(h.file, "x") })],
      ["NOTDIR", '"." of a file', (h) => ({ what: where(h.file, ".") })],
      ["NOTDIR", '".." of a file', (h) => ({ what: where(h.file, "..") })],
      ["NOTDIR", "in a symbolic link", (h) => ({ what: where(h.symlink, "x") })],
      ["ACCES", "where others may not search", (h) => ({ what: where(h.hidden, "secret") }), alice],
      ["ACCES", "what is missing where others may not search", (h) => ({ what: where(h.hidden, "missing") }), alice],
      ["ACCES", '".." where others may not search', (h) => ({ what: where(h.hidden, "..") }), alice],
      ...badNames((h, name) => ({ what: where(h.root, name) }))
    ]
  )

  refuses(Nfs.ACCESS, ({ object }, of) => ({ objAttributes: of(object) }), [(object) => ({ object, access: 0x3f })], [])

  refuses(
    Nfs.READLINK,
    ({ symlink }, of) => ({ symlinkAttributes: of(symlink) }),
    [(symlink) => ({ symlink })],
    [
      ["INVAL", "a file", (h) => ({ symlink: h.file })],
      ["INVAL", "a directory", (h) => ({ symlink: h.dir })],
      ["INVAL", "a FIFO", (h) => ({ symlink: h.fifo })]
    ]
  )

  refuses(
    Nfs.READ,
    ({ file }, of) => ({ fileAttributes: of(file) }),
    [(file) => ({ file, offset: 0, count: 1 })],
    [
      ["ISDIR", "a directory", (h) => ({ file: h.dir, offset: 0, count: 1 })],
      ["INVAL", "a symbolic link", (h) => ({ file: h.symlink, offset: 0, count: 1 })],
      ["INVAL", "a FIFO", (h) => ({ file: h.fifo, offset: 0, count: 1 })],
      ["ACCES", "what others may not read", (h) => ({ file: h.secret, offset: 0, count: 1 }), alice]
    ]
  )

  const bytes = [Buffer.from("12345678")]
  const write = (file: Uint8Array, offset = 0) => ({
    file,
    offset,
    count: 8,
    stable: "FILE_SYNC" as const,
    data: bytes
  })
  refuses(
    Nfs.WRITE,
    ({ file }, of) => ({ fileWcc: unchanged(of(file)) }),
    [(file) => write(file)],
    [
      ["ISDIR", "a directory", (h) => write(h.dir)],
      ["INVAL", "a symbolic link", (h) => write(h.symlink)],
      ["INVAL", "a FIFO", (h) => write(h.fifo)],
      ["INVAL", "less data than said", (h) => ({ ...write(h.file), count: 9 })],
      ["INVAL", "more data than said", (h) => ({ ...write(h.file), count: 7 })],
      ["ACCES", "what others may not write", (h) => write(h.file), bob],
      ["FBIG", "beyond the largest file", (h) => write(h.file, HUGE)],
      ["FBIG", "across the end of the largest file", (h) => write(h.file, HUGE - 8)],
      ["NOSPC", "without space left", (h) => ({ ...write(h.small), count: 8192, data: [Buffer.alloc(8192, 1)] })],
      ["ROFS", "in a read-only export", (h) => write(h.readOnlyFile)]
    ]
  )

  const created = ({ where }: { readonly where: Directory }, of: AttributesOf) => ({ dirWcc: unchanged(of(where.dir)) })
  const create = (dir: Uint8Array, name: string) => ({
    where: where(dir, name),
    how: { mode: "GUARDED" as const, objAttributes: { mode: 0o644 } }
  })
  const unchecked = (dir: Uint8Array, name: string, objAttributes: object) => ({
    where: where(dir, name),
    how: { mode: "UNCHECKED" as const, objAttributes }
  })
  const exclusive = (dir: Uint8Array, name: string) => ({
    where: where(dir, name),
    how: { mode: "EXCLUSIVE" as const, verf: Buffer.alloc(8) }
  })
  refuses(
    Nfs.CREATE,
    created,
    [(dir) => create(dir, "new")],
    [
      ...makes(create),
      ["EXIST", "unchecked, the name of a directory", (h) => unchecked(h.root, "dir", {})],
      ["EXIST", "unchecked, the name of a symbolic link", (h) => unchecked(h.root, "symlink", {})],
      ["EXIST", "exclusive, the name of a file", (h) => exclusive(h.root, "file")],
      ["EXIST", "exclusive, the name of a directory", (h) => exclusive(h.root, "dir")],
      ["ACCES", "exclusive, where others may not write", (h) => exclusive(h.dir, "new"), bob],
      ["ACCES", "unchecked, cutting another's file", (h) => unchecked(h.root, "file", { size: 0 }), bob],
      ["INVAL", "with a second in nanoseconds", (h) => unchecked(h.root, "new", { atime: NO_TIME })],
      ["FBIG", "with too large a size", (h) => unchecked(h.root, "new", { size: HUGE })],
      ["FBIG", "too large a size for a file that is there", (h) => unchecked(h.root, "file", { size: HUGE })]
    ]
  )

  refuses(
    Nfs.MKDIR,
    created,
    [(dir) => ({ where: where(dir, "new"), attributes: {} })],
    [
      ...makes((dir, name) => ({ where: where(dir, name), attributes: { mode: 0o755 } })),
      ["MLINK", "in a directory with too many", (h) => ({ where: where(h.otherRoot, "new"), attributes: {} })],
      [
        "INVAL",
        "with a second in nanoseconds",
        (h) => ({ where: where(h.root, "new"), attributes: { mtime: NO_TIME } })
      ]
    ]
  )

  const symlink = (dir: Uint8Array, name: string, symlinkData = "target") => ({
    where: where(dir, name),
    symlink: { symlinkAttributes: {}, symlinkData }
  })
  refuses(
    Nfs.SYMLINK,
    created,
    [(dir) => symlink(dir, "new")],
    [
      ...makes(symlink),
      ["INVAL", "to nothing", (h) => symlink(h.root, "new", "")],
      ["INVAL", "to a name with NUL", (h) => symlink(h.root, "new", "a\0b")]
    ]
  )

  const fifo = (dir: Uint8Array, name: string) => ({
    where: where(dir, name),
    what: { type: "NF3FIFO" as const, pipeAttributes: {} }
  })
  const noNode = (dir: Uint8Array, type: "NF3REG" | "NF3DIR" | "NF3LNK") => ({
    where: where(dir, "new"),
    what: { type }
  })
  const device = (dir: Uint8Array, type: "NF3CHR" | "NF3BLK") => ({
    where: where(dir, "new"),
    what: { type, devAttributes: {}, spec: { major: 1, minor: 3 } }
  })
  refuses(
    Nfs.MKNOD,
    created,
    [(dir) => fifo(dir, "new")],
    [
      ...makes(fifo),
      ["BADTYPE", "a file", (h) => noNode(h.root, "NF3REG")],
      ["BADTYPE", "a directory", (h) => noNode(h.root, "NF3DIR")],
      ["BADTYPE", "a symbolic link", (h) => noNode(h.root, "NF3LNK")],
      ["PERM", "a character device by a user", (h) => device(h.root, "NF3CHR"), alice],
      ["PERM", "a block device by a user", (h) => device(h.root, "NF3BLK"), alice]
    ]
  )

  const removed = ({ object }: { readonly object: Directory }, of: AttributesOf) => ({
    dirWcc: unchanged(of(object.dir))
  })
  const object = (dir: Uint8Array, name: string) => ({ object: where(dir, name) })
  refuses(
    Nfs.REMOVE,
    removed,
    [(dir) => object(dir, "file")],
    [
      ["NOENT", "a name that nothing has", (h) => object(h.root, "missing")],
      ["ISDIR", "a directory", (h) => object(h.root, "empty")],
      ["ISDIR", '"."', (h) => object(h.root, ".")],
      ["ISDIR", '".."', (h) => object(h.root, "..")],
      ["NOTDIR", "in a file", (h) => object(h.file, "x")],
      ["ACCES", "where others may not write", (h) => object(h.dir, "inside"), bob],
      ["ACCES", "what is missing where others may not search", (h) => object(h.hidden, "missing"), alice],
      ["PERM", "another's file in a sticky directory", (h) => object(h.sticky, "bobs"), alice],
      ["ROFS", "in a read-only export", (h) => object(h.readOnlyRoot, "file")],
      ...badNames((h, name) => object(h.root, name))
    ]
  )

  refuses(
    Nfs.RMDIR,
    removed,
    [(dir) => object(dir, "empty")],
    [
      ["NOENT", "a name that nothing has", (h) => object(h.root, "missing")],
      ["NOTEMPTY", "a directory with a file in it", (h) => object(h.root, "dir")],
      ["NOTDIR", "a file", (h) => object(h.root, "file")],
      ["NOTDIR", "a symbolic link", (h) => object(h.root, "symlink")],
      ["NOTDIR", "in a file", (h) => object(h.file, "x")],
      ["INVAL", '"."', (h) => object(h.root, ".")],
      ["EXIST", '".."', (h) => object(h.dir, "..")],
      ["ACCES", "what is missing where others may not search", (h) => object(h.hidden, "missing"), alice],
      ["PERM", "another's directory in a sticky one", (h) => object(h.sticky, "bobsDir"), alice],
      ["ROFS", "in a read-only export", (h) => object(h.readOnlyRoot, "empty")],
      ...badNames((h, name) => object(h.root, name))
    ]
  )

  const rename = (dir: Uint8Array, name: string, to: Uint8Array, newName: string) => ({
    from: where(dir, name),
    to: where(to, newName)
  })
  refuses(
    Nfs.RENAME,
    ({ from, to }, of) => ({ fromdirWcc: unchanged(of(from.dir)), todirWcc: unchanged(of(to.dir)) }),
    [(dir, h) => rename(dir, "file", h.root, "new"), (dir, h) => rename(h.root, "file", dir, "new")],
    [
      ["NOENT", "a name that nothing has", (h) => rename(h.root, "missing", h.dir, "new")],
      ["NOTDIR", "from a file", (h) => rename(h.file, "x", h.root, "new")],
      ["NOTDIR", "into a file", (h) => rename(h.root, "symlink", h.file, "new")],
      ["NOTDIR", "a directory over a file", (h) => rename(h.root, "dir", h.root, "file")],
      ["ISDIR", "a file over a directory", (h) => rename(h.root, "file", h.root, "empty")],
      ["NOTEMPTY", "over a directory with a file in it", (h) => rename(h.root, "empty", h.root, "dir")],
      ["INVAL", "a directory into itself", (h) => rename(h.root, "dir", h.dir, "new")],
      ["INVAL", '"."', (h) => rename(h.root, ".", h.dir, "new")],
      ["INVAL", '".."', (h) => rename(h.dir, "..", h.root, "new")],
      ["INVAL", 'to "."', (h) => rename(h.root, "file", h.dir, ".")],
      ["INVAL", 'to ".."', (h) => rename(h.root, "file", h.dir, "..")],
      ["XDEV", "to another export", (h) => rename(h.root, "file", h.otherRoot, "new")],
      ["ACCES", "from where others may not write", (h) => rename(h.dir, "inside", h.root, "new"), bob],
      ["ACCES", "to where others may not write", (h) => rename(h.sticky, "bobs", h.dir, "new"), bob],
      ["ACCES", "another's directory to another parent", (h) => rename(h.root, "dir", h.sticky, "new"), bob],
      ["PERM", "another's file in a sticky directory", (h) => rename(h.sticky, "bobs", h.sticky, "new"), alice],
      ["PERM", "over another's file in a sticky directory", (h) => rename(h.root, "file", h.sticky, "bobs"), alice],
      ["ROFS", "in a read-only export", (h) => rename(h.readOnlyRoot, "file", h.readOnlyRoot, "new")],
      ...badNames((h, name) => rename(h.root, name, h.dir, "new")),
      ...badNames((h, name) => rename(h.root, "file", h.dir, name))
    ]
  )

  const link = (file: Uint8Array, dir: Uint8Array, name = "new") => ({ file, link: where(dir, name) })
  refuses(
    Nfs.LINK,
    ({ file, link }, of) => ({ fileAttributes: of(file), linkdirWcc: unchanged(of(link.dir)) }),
    [(file, h) => link(file, h.root), (dir, h) => link(h.file, dir)],
    [
      ["EXIST", "a name that another has", (h) => link(h.file, h.root, "dir")],
      ["EXIST", "a name that it has itself", (h) => link(h.file, h.root, "file")],
      ["EXIST", '"."', (h) => link(h.file, h.root, ".")],
      ["EXIST", '".."', (h) => link(h.file, h.root, "..")],
      ["PERM", "a directory", (h) => link(h.dir, h.root)],
      ["NOTDIR", "in a file", (h) => link(h.file, h.file)],
      ["XDEV", "to another export", (h) => link(h.file, h.otherRoot)],
      ["MLINK", "a file with too many names", (h) => link(h.linked, h.otherRoot, "fourth")],
      ["NOSPC", "without space left", (h) => link(h.small, h.fullRoot)],
      ["ACCES", "where others may not write", (h) => link(h.file, h.dir), bob],
      ["ROFS", "in a read-only export", (h) => link(h.readOnlyFile, h.readOnlyRoot)],
      ...badNames((h, name) => link(h.file, h.root, name))
    ]
  )

  const start = { cookie: 0n, cookieverf: Buffer.alloc(8) }
  const listed = ({ dir }: { readonly dir: Uint8Array }, of: AttributesOf) => ({ dirAttributes: of(dir) })
  refuses(
    Nfs.READDIR,
    listed,
    [(dir) => ({ dir, ...start, count: 4096 })],
    [
      ["NOTDIR", "a file", (h) => ({ dir: h.file, ...start, count: 4096 })],
      ["NOTDIR", "a symbolic link", (h) => ({ dir: h.symlink, ...start, count: 4096 })],
      ["NOTDIR", "a file, in the middle", (h) => ({ dir: h.file, ...start, cookie: 7n, count: 4096 })],
      ["ACCES", "what others may not read", (h) => ({ dir: h.hidden, ...start, count: 4096 }), alice],
      ["TOOSMALL", "in nothing", (h) => ({ dir: h.root, ...start, count: 0 })],
      ["TOOSMALL", "in less than an entry", (h) => ({ dir: h.root, ...start, count: 108 + 27 })],
      ["TOOSMALL", "in less than the next entry", (h) => ({ dir: h.root, ...start, cookie: 2n, count: 108 + 27 })]
    ]
  )

  const plus = { ...start, dircount: 4096, maxcount: 4096 }
  refuses(
    Nfs.READDIRPLUS,
    listed,
    [(dir) => ({ dir, ...plus })],
    [
      ["NOTDIR", "a file", (h) => ({ dir: h.file, ...plus })],
      ["NOTDIR", "a symbolic link", (h) => ({ dir: h.symlink, ...plus })],
      ["ACCES", "what others may not read", (h) => ({ dir: h.hidden, ...plus }), alice],
      ["TOOSMALL", "in nothing", (h) => ({ dir: h.root, ...plus, maxcount: 0 })],
      ["TOOSMALL", "in less than an entry", (h) => ({ dir: h.root, ...plus, maxcount: 108 + 28 + 127 })],
      [
        "TOOSMALL",
        "in less than the next entry",
        (h) => ({ dir: h.root, ...plus, cookie: 2n, maxcount: 108 + 28 + 127 })
      ]
    ]
  )

  const fs = (args: { readonly fsroot: Uint8Array }, of: AttributesOf) => ({ objAttributes: of(args.fsroot) })
  refuses(Nfs.FSSTAT, fs, [(fsroot) => ({ fsroot })], [])
  refuses(Nfs.FSINFO, fs, [(fsroot) => ({ fsroot })], [])
  refuses(Nfs.PATHCONF, ({ object }, of) => ({ objAttributes: of(object) }), [(object) => ({ object })], [])

  refuses(
    Nfs.COMMIT,
    ({ file }, of) => ({ fileWcc: unchanged(of(file)) }),
    [(file) => ({ file, offset: 0, count: 0 })],
    [
      ["ISDIR", "a directory", (h) => ({ file: h.dir, offset: 0, count: 0 })],
      ["INVAL", "a FIFO", (h) => ({ file: h.fifo, offset: 0, count: 0 })],
      ["ACCES", "what others may not write", (h) => ({ file: h.file, offset: 0, count: 0 }), bob]
    ]
  )
})
