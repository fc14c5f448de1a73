/**
 * What one client does on one of its lanes: it works on names that nobody else uses, so it knows what every answer has to
 * be and what must be there in the end. What was executed twice, late or not at all shows as EXIST or NOENT, or as content
 * that is another.
 */

import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import * as Nfs from "../../src/programs/nfs3/Nfs3Calls.ts"
import type { RpcClientError } from "../../src/rpc/RpcClient.ts"
import type { Call } from "../support/nfs.ts"
import type { PersistentClient } from "../support/persistentClient.ts"
import type { Random } from "../support/random.ts"

/** Most files of a lane, and most bytes of each, so that what there is does not grow with time. */
const FILES = 5
const SIZE = 32 * 1024

/** A file, which may have several names. */
interface File {
  readonly handle: Uint8Array
  content: Buffer
}

export interface Name {
  readonly dir: Uint8Array
  readonly name: string
}

/** What must be there under a name: a file, where a symlink leads, or a directory. */
export type Thing =
  | { readonly _tag: "File"; readonly file: File }
  | { readonly _tag: "Symlink"; readonly target: string }
  | { readonly _tag: "Directory" }

export class Lane {
  /** What must be there. */
  readonly things = new Map<Name, Thing>()
  /** What was not as it had to be. */
  readonly wrong: Array<string> = []
  operations = 0
  private readonly client: PersistentClient
  private readonly dirs: ReadonlyArray<Uint8Array>
  private readonly prefix: string
  private readonly random: Random
  private made = 0
  private verifier: Buffer | undefined

  /** `dirs`: directories that all lanes share; `prefix`: what its names begin with, and nobody else's. */
  constructor(client: PersistentClient, dirs: ReadonlyArray<Uint8Array>, prefix: string, random: Random) {
    this.client = client
    this.dirs = dirs
    this.prefix = prefix
    this.random = random
  }

  /** Does something. */
  get step(): Effect.Effect<void, RpcClientError> {
    this.operations++
    const { random } = this
    const files = [...this.things].filter(([, { _tag }]) => _tag === "File")
    const [name, thing] = files.length === 0 ? [] : random.pick(files)
    const file = thing?._tag === "File" ? thing.file : undefined
    if (name === undefined || file === undefined || (this.things.size < FILES && random.chance(0.2))) return this.make()
    return random.pick([
      () => this.write(file),
      () => this.write(file),
      () => this.write(file),
      () => this.read(file),
      () => this.read(file),
      () => this.read(file),
      () => this.truncate(file),
      () => this.rename(name),
      () => this.remove(),
      () => this.find(name, file),
      () => this.miss(),
      () => (this.things.size < FILES ? this.link(file) : this.remove())
    ])()
  }

  /** Looks whether there is what must be there. */
  get check(): Effect.Effect<void, RpcClientError> {
    return Effect.forEach(
      [...this.things],
      ([name, thing]) =>
        Effect.gen({ self: this }, function* () {
          const found = yield* this.nfs("LOOKUP", Nfs.LOOKUP, { what: name })
          if (found.status !== "NFS3_OK") return
          if (thing._tag === "File") {
            this.note(Buffer.compare(found.object, thing.file.handle) === 0, `${name.name} is another file`)
            yield* this.read(thing.file)
            const names = [...this.things.values()].filter(
              (other) => other._tag === "File" && other.file === thing.file
            )
            this.note(found.objAttributes?.attributes.nlink === names.length, `${name.name} has other names`)
          } else if (thing._tag === "Symlink") {
            const link = yield* this.nfs("READLINK", Nfs.READLINK, { symlink: found.object })
            if (link.status === "NFS3_OK") this.note(link.data === thing.target, `${name.name} leads elsewhere`)
          } else {
            this.note(found.objAttributes?.attributes.type === "directory", `${name.name} is no directory`)
          }
        }),
      { discard: true }
    )
  }

  private nfs<A, B extends { readonly status: string }>(what: string, call: Call<A, B>, args: A, expected = "NFS3_OK") {
    return Effect.tap(
      this.client.call({ program: Nfs.PROGRAM, version: Nfs.VERSION }, call.number, call, args),
      ({ status }) => Effect.sync(() => this.note(status === expected, `${what} is answered ${status}`))
    )
  }

  private note(right: boolean, what: string): void {
    if (!right) this.wrong.push(`${this.prefix} after ${this.operations} operations: ${what}`)
  }

  private fresh(): Name {
    return { dir: this.random.pick(this.dirs), name: `${this.prefix} ${this.made++}` }
  }

  private make(): Effect.Effect<void, RpcClientError> {
    const where = this.fresh()
    const { random } = this
    const file = (how: Parameters<typeof this.create>[1]) => () => this.create(where, how)
    return random.pick([
      file({ mode: "GUARDED", objAttributes: { mode: 0o644 } }),
      file({ mode: "GUARDED", objAttributes: { mode: 0o600 } }),
      file({ mode: "EXCLUSIVE", verf: random.bytes(8) }),
      () => {
        const target = `${this.prefix}/${random.int(1000)}`
        const symlink = { symlinkAttributes: {}, symlinkData: target }
        return this.nfs("SYMLINK", Nfs.SYMLINK, { where, symlink }).pipe(
          Effect.map(() => void this.things.set(where, { _tag: "Symlink", target }))
        )
      },
      () =>
        this.nfs("MKDIR", Nfs.MKDIR, { where, attributes: { mode: 0o755 } }).pipe(
          Effect.map(() => void this.things.set(where, { _tag: "Directory" }))
        )
    ])()
  }

  private create(
    where: Name,
    how: Parameters<(typeof Nfs.CREATE)["args"]["write"]>[1]["how"]
  ): Effect.Effect<void, RpcClientError> {
    return Effect.map(this.nfs("CREATE", Nfs.CREATE, { where, how }), (made) => {
      if (made.status !== "NFS3_OK") return
      this.things.set(where, { _tag: "File", file: { handle: Uint8Array.from(made.obj!), content: Buffer.alloc(0) } })
    })
  }

  private write(file: File): Effect.Effect<void, RpcClientError> {
    const { random } = this
    const { length: size } = file.content
    const offset = random.chance(0.5) && size < SIZE ? size : random.int(Math.min(size, SIZE) + 1)
    const data = Buffer.alloc(random.pick([8, 100, 4096, SIZE / 2]), random.bytes(8))
    const stable = random.pick(["UNSTABLE", "UNSTABLE", "UNSTABLE", "DATA_SYNC", "FILE_SYNC"] as const)
    const args = { file: file.handle, offset, count: data.length, stable, data: [data] }
    return Effect.map(this.nfs("WRITE", Nfs.WRITE, args), (written) => {
      if (written.status !== "NFS3_OK") return
      this.note(written.count === data.length, `WRITE wrote ${written.count} of ${data.length} bytes`)
      const verifier = Buffer.from(written.verf)
      this.note(this.verifier === undefined || verifier.equals(this.verifier), "the write verifier has changed")
      this.verifier = verifier
      const content = Buffer.alloc(Math.max(size, offset + data.length))
      file.content.copy(content)
      data.copy(content, offset)
      file.content = content
    })
  }

  private read(file: File): Effect.Effect<void, RpcClientError> {
    const args = { file: file.handle, offset: 0, count: 4 * SIZE }
    return Effect.map(this.nfs("READ", Nfs.READ, args), (answer) => {
      if (answer.status !== "NFS3_OK") return
      this.note(Buffer.concat(answer.data).equals(file.content), "READ gives other content")
    })
  }

  private truncate(file: File): Effect.Effect<void, RpcClientError> {
    const size = this.random.int(file.content.length + 1)
    const args = { object: file.handle, newAttributes: { size }, guard: undefined }
    return Effect.map(this.nfs("SETATTR", Nfs.SETATTR, args), () => {
      file.content = Buffer.from(file.content.subarray(0, size))
    })
  }

  /** To a new name, or over another file. */
  private rename(from: Name): Effect.Effect<void, RpcClientError> {
    const thing = this.things.get(from)!
    const others = [...this.things].filter(([, other]) => other._tag === "File")
    const to = this.random.chance(0.3) ? this.random.pick(others)[0] : this.fresh()
    return Effect.map(this.nfs("RENAME", Nfs.RENAME, { from, to }), () => {
      const other = this.things.get(to)
      // Names of one file stay as they are.
      if (other?._tag === "File" && thing._tag === "File" && other.file === thing.file) return
      this.things.delete(from)
      this.things.set(to, thing)
    })
  }

  private link(file: File): Effect.Effect<void, RpcClientError> {
    const link = this.fresh()
    return Effect.map(this.nfs("LINK", Nfs.LINK, { file: file.handle, link }), () => {
      this.things.set(link, { _tag: "File", file })
    })
  }

  private remove(): Effect.Effect<void, RpcClientError> {
    const [object, { _tag }] = this.random.pick([...this.things])
    const removed =
      _tag === "Directory" ? this.nfs("RMDIR", Nfs.RMDIR, { object }) : this.nfs("REMOVE", Nfs.REMOVE, { object })
    return Effect.map(removed, () => void this.things.delete(object))
  }

  private find(what: Name, { content, handle }: File): Effect.Effect<void, RpcClientError> {
    return Effect.map(this.nfs("LOOKUP", Nfs.LOOKUP, { what }), (found) => {
      if (found.status !== "NFS3_OK") return
      this.note(Buffer.compare(found.object, handle) === 0, "LOOKUP finds another file")
      this.note(found.objAttributes?.attributes.size === content.length, "LOOKUP finds another size")
    })
  }

  /** A name that it has not given yet. */
  private miss(): Effect.Effect<void, RpcClientError> {
    const what = { dir: this.random.pick(this.dirs), name: `${this.prefix} ${this.made}` }
    return Effect.asVoid(this.nfs("LOOKUP of nothing", Nfs.LOOKUP, { what }, "NFS3ERR_NOENT"))
  }
}
