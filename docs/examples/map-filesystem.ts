/**
 * A writable filesystem over a Map: inodes by their keys. Each operation is one synchronous step, so that nothing comes
 * between a guard and what it allows. It has no hard links and no special files, and says so.
 */

import { randomBytes } from "node:crypto"
import { Attributes, Bytestring, Filesystem, FilesystemError } from "effect-nfs"
import * as Layer from "effect/Layer"

const { allowed, attempt, raise } = FilesystemError
const CAPACITY = { totalBytes: 1024 ** 3, totalFiles: 100_000 }
const MAX_FILE_SIZE = 2 ** 31 - 1

/** A directory has entries, a regular file data, a symbolic link a target. */
interface Inode extends Filesystem.File {
  readonly entries?: Map<string, Inode>
  data?: Buffer
  readonly target?: string
  attributes: Attributes.Attributes
  /** Its place in listings, which a file that replaces it takes over. */
  cookie: bigint
  parent?: Inode
  /** What EXCLUSIVE created it with, until its attributes are set. */
  verifier?: string | undefined
}

const alive = (inode: Inode) => (inode.attributes.nlink === 0 ? raise("ESTALE") : inode)
const entriesOf = (inode: Inode) => alive(inode).entries ?? raise("ENOTDIR")
const dataOf = (inode: Inode) => alive(inode).data ?? raise(inode.entries ? "EISDIR" : "EINVAL")
const targetOf = (inode: Inode) => alive(inode).target ?? raise("EINVAL")
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const now = (): Attributes.Time => Attributes.fromMillis(Date.now())
const since = ({ attributes }: Inode, before: Attributes.Attributes) => ({ before, after: attributes, atomic: true })
const found = (file: Inode, { attributes: directory }: Inode) => ({ file, attributes: file.attributes, directory })

const change = (inode: Inode, changes?: Attributes.Changes): void => {
  inode.attributes = Attributes.changed(inode.attributes, now(), changes)
}

/** One step with what an inode holds, when the guard lets it. */
const using = <P, A>(inode: Inode, partOf: (inode: Inode) => P, guard: Filesystem.Guard, use: (part: P) => A) =>
  attempt(() => {
    const part = partOf(inode)
    allowed(guard(inode.attributes))
    return use(part)
  })

/** Lets a name stand for an inode, or for none. */
const bind = (directory: Inode, name: string, inode?: Inode): void => {
  const [entries, before] = [entriesOf(directory), entriesOf(directory).get(name)]
  if (inode === undefined) entries.delete(name)
  else entries.set(name, Object.assign(inode, { parent: directory, cookie: before?.cookie ?? inode.cookie }))
  const nlink = directory.attributes.nlink + (inode?.entries ? 1 : 0) - (before?.entries ? 1 : 0)
  change(directory, { size: entries.size, nlink, mtime: "now" })
}

/** What may be replaced or removed: an empty directory by a directory, and anything else by anything else. */
const checkReplaceable = (target: Inode, byDirectory: boolean) =>
  byDirectory ? entriesOf(target).size > 0 && raise("ENOTEMPTY") : target.entries && raise("EISDIR")

const operations = (): Filesystem.Operations<Inode> => {
  const inodes = new Map<string, Inode>()
  let [used, fileid] = [0, Filesystem.FIRST_COOKIE]

  const make = (type: Attributes.FileType, content: Partial<Inode>, set: Attributes.SetAttributes): Inode => {
    if (inodes.size >= CAPACITY.totalFiles) raise("ENOSPC")
    const attributes = Attributes.make(type, ++fileid, now(), { size: Bytestring.byteLength(content.target ?? "") })
    const inode: Inode = { ...content, key: randomBytes(16), attributes, cookie: fileid }
    assign(inode, set)
    inodes.set(hex(inode.key), inode)
    return inode
  }

  const free = (inode: Inode): void => {
    inodes.delete(hex(inode.key))
    used -= inode.attributes.used
    change(inode, { nlink: 0 })
  }

  const assign = (inode: Inode, set: Attributes.SetAttributes): void => {
    if (set.size !== undefined) resize(inode, set.size)
    if (Object.values(set).some((value) => value !== undefined)) change(inode, set)
    inode.verifier = undefined
  }

  /** Gives a file a copy of its data, cut off or filled up: who has read the one from before keeps it as it is. */
  const resize = (inode: Inode, size: number): Buffer => {
    const before = dataOf(inode)
    if (size > MAX_FILE_SIZE) raise("EFBIG")
    if (used + size - before.length > CAPACITY.totalBytes) raise("ENOSPC")
    used += size - before.length
    change(inode, { size, used: size, mtime: "now" })
    return (inode.data = Buffer.concat([before], size))
  }

  type Choose = (set: Attributes.SetAttributes, existing: Inode | undefined) => Inode
  const add = (directory: Inode, name: string, guard: Filesystem.MakeGuard, choose: Choose) =>
    attempt((): Filesystem.Made<Inode> => {
      const [existing, before] = [entriesOf(directory).get(name), directory.attributes]
      const file = choose(allowed(guard(before, existing?.attributes)), existing)
      if (file !== existing) bind(directory, name, file)
      return { file, attributes: file.attributes, directory: since(directory, before) }
    })

  const take = (directory: Inode, name: string, guard: Filesystem.RemoveGuard, asDirectory: boolean) =>
    attempt(() => {
      const [target, before] = [entriesOf(directory).get(name), directory.attributes]
      allowed(guard(before, target?.attributes))
      checkReplaceable(target ?? raise("ENOENT"), asDirectory)
      bind(directory, name)
      free(target!)
      return since(directory, before)
    })

  const root = make("directory", { entries: new Map() }, { mode: 0o777 })

  return {
    properties: {
      ...{ maxFileSize: MAX_FILE_SIZE, linkMax: 1, symlinks: true, caseInsensitive: false, casePreserving: true },
      timeDelta: Attributes.fromMillis(1)
    },
    root,
    resolve: (key) => attempt(() => inodes.get(hex(key)) ?? raise("ESTALE")),
    getattr: (file) => attempt(() => alive(file).attributes),
    setattr: (file, guard) =>
      attempt(() => {
        const before = alive(file).attributes
        assign(file, allowed(guard(before)))
        return since(file, before)
      }),
    lookup: (directory, name, guard) =>
      using(directory, entriesOf, guard, (entries) => found(entries.get(name) ?? raise("ENOENT"), directory)),
    parent: (directory, guard) => using(directory, entriesOf, guard, () => found(directory.parent ?? root, directory)),
    readlink: (file, guard) => using(file, targetOf, guard, (target) => ({ target, attributes: file.attributes })),
    read: (file, offset, count, guard) =>
      using(file, dataOf, guard, (data) => {
        const [part, eof] = [data.subarray(offset, offset + count), offset + count >= data.length]
        return { data: [part], eof, attributes: file.attributes }
      }),
    write: (file, offset, chunks, _stability, guard) =>
      attempt(() => {
        const [data, written, before] = [dataOf(file), Buffer.concat(chunks), file.attributes]
        const set = allowed(guard(before))
        const count = written.length
        if (count > 0) written.copy(resize(file, Math.max(data.length, offset + count)), offset)
        if (count > 0 && set !== undefined) assign(file, set)
        return { count, committed: "fileSync", wcc: since(file, before) }
      }),
    commit: (file, _offset, _count, guard) => using(file, dataOf, guard, () => since(file, file.attributes)),
    create: (directory, name, how, guard) =>
      add(directory, name, guard, ({ atime, mtime, size, ...set }, existing) => {
        const verifier = how._tag === "Exclusive" ? hex(how.verifier) : undefined
        const all = verifier === undefined ? { ...set, atime, mtime, size } : set
        if (!existing) return Object.assign(make("regular", { data: Buffer.alloc(0) }, all), { verifier })
        if (how._tag === "Guarded" || !existing.data) raise("EEXIST")
        if (verifier === undefined) assign(existing, all)
        return verifier === undefined || existing.verifier === verifier ? existing : raise("EEXIST")
      }),
    mkdir: (directory, name, guard) =>
      add(directory, name, guard, (set, it) => (it ? raise("EEXIST") : make("directory", { entries: new Map() }, set))),
    symlink: (directory, name, target, guard) =>
      add(directory, name, guard, (set, it) => (it ? raise("EEXIST") : make("symlink", { target }, set))),
    mknod: () => FilesystemError.fail.ENOTSUP,
    link: () => FilesystemError.fail.ENOTSUP,
    remove: (directory, name, guard) => take(directory, name, guard, false),
    rmdir: (directory, name, guard) => take(directory, name, guard, true),
    rename: (from, name, to, newName, guard) =>
      attempt(() => {
        const [source, target] = [entriesOf(from).get(name), entriesOf(to).get(newName)]
        const before = { from: from.attributes, to: to.attributes }
        allowed(guard({ ...before, source: source?.attributes, target: target?.attributes }))
        if (source === undefined) return raise("ENOENT")
        if (source !== target) {
          for (let above: Inode | undefined = to; above; above = above.parent) if (above === source) raise("EINVAL")
          if (target !== undefined) checkReplaceable(target, source.entries !== undefined)
          bind(from, name)
          bind(to, newName, source)
          if (target !== undefined) free(target)
          change(source)
        }
        return { from: since(from, before.from), to: since(to, before.to) }
      }),
    readdir: (directory, request, guard) =>
      using(directory, entriesOf, guard, (entries) => {
        const all = Array.from(entries, ([name, file]) => {
          return { name, cookie: file.cookie, fileid: file.attributes.fileid, found: found(file, directory) }
        }).sort((one, other) => Number(one.cookie - other.cookie))
        return { ...Filesystem.portionOf(all, request), directory: directory.attributes }
      }),
    statfs: (file) =>
      attempt(() => {
        const [bytes, files] = [CAPACITY.totalBytes - used, CAPACITY.totalFiles - inodes.size]
        alive(file)
        return { ...CAPACITY, freeBytes: bytes, availableBytes: bytes, freeFiles: files, availableFiles: files }
      })
  }
}

export const layer = Layer.sync(Filesystem.Filesystem, operations)
