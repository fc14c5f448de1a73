/**
 * A filesystem as simple as can be: a map of paths. It is slow and keeps nothing but what is evident, so that it can say
 * what a real one must do.
 */

import { Buffer } from "node:buffer"
import type { FileType } from "../../../src/filesystem/Attributes.ts"
import type { Code } from "../../../src/filesystem/FilesystemError.ts"

export interface Inode {
  readonly type: FileType
  mode: number
  content: Buffer
  readonly target: string
  /** Of EXCLUSIVE, until attributes are set. */
  verifier: number | undefined
}

/** What an operation answers: an inode, nothing in particular, or an error. */
export type Answer = Inode | "done" | Code

export class Model {
  /** The root is "". */
  readonly paths = new Map<string, Inode>()
  readonly root = make("directory", 0o777)

  constructor() {
    this.paths.set("", this.root)
  }

  pathsOf(inode: Inode): ReadonlyArray<string> {
    return Array.from(this.paths).flatMap(([path, other]) => (other === inode ? [path] : []))
  }

  childrenOf(path: string): ReadonlyArray<string> {
    return Array.from(this.paths.keys()).filter((other) => other !== "" && parentOf(other) === path)
  }

  nlink(inode: Inode): number {
    const paths = this.pathsOf(inode)
    if (inode.type !== "directory") return paths.length
    return 2 + this.childrenOf(paths[0]!).filter((path) => this.paths.get(path)!.type === "directory").length
  }

  lookup(directory: Inode, name: string): Answer {
    return this.inside(directory, (path) => this.paths.get(`${path}/${name}`) ?? "ENOENT")
  }

  make(directory: Inode, name: string, type: FileType, mode: number, target = ""): Answer {
    return this.inside(directory, (path) => {
      if (this.paths.has(`${path}/${name}`)) return "EEXIST"
      const inode = make(type, mode, target)
      this.paths.set(`${path}/${name}`, inode)
      return inode
    })
  }

  create(directory: Inode, name: string, how: "Unchecked" | "Guarded" | number, size: number | undefined): Answer {
    return this.inside(directory, (path) => {
      const existing = this.paths.get(`${path}/${name}`)
      if (existing === undefined) {
        const inode = make("regular", 0o600)
        this.paths.set(`${path}/${name}`, inode)
        if (typeof how === "number") inode.verifier = how
        else if (size !== undefined) inode.content = resized(inode.content, size)
        return inode
      }
      if (existing.type !== "regular" || how === "Guarded") return "EEXIST"
      if (typeof how === "number") return existing.verifier === how ? existing : "EEXIST"
      existing.mode = 0o600
      existing.verifier = undefined
      if (size !== undefined) existing.content = resized(existing.content, size)
      return existing
    })
  }

  remove(directory: Inode, name: string): Answer {
    return this.inside(directory, (path) => {
      const target = this.paths.get(`${path}/${name}`)
      if (target === undefined) return "ENOENT"
      if (target.type === "directory") return "EISDIR"
      this.paths.delete(`${path}/${name}`)
      return "done"
    })
  }

  rmdir(directory: Inode, name: string): Answer {
    return this.inside(directory, (path) => {
      const target = this.paths.get(`${path}/${name}`)
      if (target === undefined) return "ENOENT"
      if (target.type !== "directory") return "ENOTDIR"
      if (this.childrenOf(`${path}/${name}`).length > 0) return "ENOTEMPTY"
      this.paths.delete(`${path}/${name}`)
      return "done"
    })
  }

  rename(from: Inode, name: string, to: Inode, newName: string): Answer {
    return this.inside(from, (fromPath) =>
      this.inside(to, (toPath) => {
        const [oldPath, newPath] = [`${fromPath}/${name}`, `${toPath}/${newName}`]
        const [source, target] = [this.paths.get(oldPath), this.paths.get(newPath)]
        if (source === undefined) return "ENOENT"
        if (source === target) return "done"
        if (source.type === "directory") {
          if (`${newPath}/`.startsWith(`${oldPath}/`)) return "EINVAL"
          if (target !== undefined && target.type !== "directory") return "ENOTDIR"
          if (target !== undefined && this.childrenOf(newPath).length > 0) return "ENOTEMPTY"
        } else if (target?.type === "directory") {
          return "EISDIR"
        }
        this.paths.delete(newPath)
        for (const [path, inode] of Array.from(this.paths)) {
          if (!`${path}/`.startsWith(`${oldPath}/`)) continue
          this.paths.delete(path)
          this.paths.set(newPath + path.slice(oldPath.length), inode)
        }
        return "done"
      })
    )
  }

  link(file: Inode, directory: Inode, name: string): Answer {
    return this.inside(directory, (path) => {
      if (this.gone(file)) return "ESTALE"
      if (file.type === "directory") return "EPERM"
      if (this.paths.has(`${path}/${name}`)) return "EEXIST"
      this.paths.set(`${path}/${name}`, file)
      return "done"
    })
  }

  write(file: Inode, offset: number, data: Buffer): Answer {
    return this.regular(file, () => {
      if (data.length === 0) return "done"
      if (file.content.length < offset + data.length) file.content = resized(file.content, offset + data.length)
      data.copy(file.content, offset)
      return "done"
    })
  }

  truncate(file: Inode, size: number): Answer {
    return this.regular(file, () => {
      file.content = resized(file.content, size)
      file.verifier = undefined
      return "done"
    })
  }

  chmod(file: Inode, mode: number): Answer {
    if (this.gone(file)) return "ESTALE"
    file.mode = mode
    file.verifier = undefined
    return "done"
  }

  private gone(inode: Inode): boolean {
    return this.pathsOf(inode).length === 0
  }

  private inside(directory: Inode, then: (path: string) => Answer): Answer {
    const [path] = this.pathsOf(directory)
    if (path === undefined) return "ESTALE"
    return directory.type === "directory" ? then(path) : "ENOTDIR"
  }

  private regular(file: Inode, then: () => Answer): Answer {
    if (this.gone(file)) return "ESTALE"
    return file.type === "regular" ? then() : file.type === "directory" ? "EISDIR" : "EINVAL"
  }
}

const make = (type: FileType, mode: number, target = ""): Inode => ({
  type,
  mode,
  content: Buffer.alloc(0),
  target,
  verifier: undefined
})

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

const resized = (content: Buffer, size: number): Buffer =>
  size <= content.length
    ? Buffer.from(content.subarray(0, size))
    : Buffer.concat([content, Buffer.alloc(size - content.length)])
