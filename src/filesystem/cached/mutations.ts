/**
 * The operations that change something. Each is known by its guard, which is asked about everything that is going to change in
 * the same step as it does:
 *
 * | operation | changes | leaves known |
 * |---|---|---|
 * | setattr, write | the file | the file |
 * | create, mkdir, symlink, mknod | the directory, what CREATE meets | the directory, the file |
 * | remove, rmdir | the directory, what loses its name | the directory |
 * | rename | both directories, what is renamed, what it replaces | both directories |
 * | link | the directory, the file | the directory, the file |
 *
 * Names in a changed directory are no longer those that were looked up in it, since its attributes are not. None are remembered
 * here: attributes that were read after a name was made may be younger than what it leads to by now.
 */

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Attributes } from "../Attributes.ts"
import type { File, Made, MakeGuard, Operations, RemoveGuard, Wcc } from "../Filesystem.ts"
import type { FilesystemError } from "../FilesystemError.ts"
import type { Cache, Moment } from "./Cache.ts"
import type { CachedFile } from "./CachedFile.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

type Mutations = "setattr" | "write" | "create" | "mkdir" | "symlink" | "mknod" | "remove" | "rmdir" | "rename" | "link"

export const operations = (fs: Operations, cache: Cache): Pick<Operations<CachedFile>, Mutations> => {
  const make = (
    directory: CachedFile,
    guard: MakeGuard,
    run: (guard: MakeGuard) => Fails<Made>
  ): Fails<Made<CachedFile>> =>
    changing(
      cache,
      (change) => run((before, existing) => guard(change.of(before), existing && change.of(existing))),
      ({ attributes, directory: wcc, file }, change) => {
        const made = change.adopt(file)
        change.leaves(made, attributes)
        change.leaves(directory, wcc.after)
        return { file: made, attributes, directory: wcc }
      }
    )

  const takeOut = (directory: CachedFile, guard: RemoveGuard, run: (guard: RemoveGuard) => Fails<Wcc>): Fails<Wcc> =>
    changing(
      cache,
      (change) => run((before, target) => guard(change.of(before), target && change.of(target, true))),
      (wcc, change) => {
        change.leaves(directory, wcc.after)
        return wcc
      }
    )

  return {
    setattr: (file, guard) =>
      changing(
        cache,
        (change) => fs.setattr(file.below, (before) => guard(change.of(before))),
        (wcc, change) => {
          change.leaves(file, wcc.after)
          return wcc
        }
      ),
    write: (file, offset, data, stability, guard) =>
      changing(
        cache,
        (change) => fs.write(file.below, offset, data, stability, (before) => guard(change.of(before))),
        (written, change) => {
          change.leaves(file, written.wcc.after)
          return written
        }
      ),
    create: (directory, name, how, guard) =>
      make(directory, guard, (guard) => fs.create(directory.below, name, how, guard)),
    mkdir: (directory, name, guard) => make(directory, guard, (guard) => fs.mkdir(directory.below, name, guard)),
    symlink: (directory, name, target, guard) =>
      make(directory, guard, (guard) => fs.symlink(directory.below, name, target, guard)),
    mknod: (directory, name, special, guard) =>
      make(directory, guard, (guard) => fs.mknod(directory.below, name, special, guard)),
    remove: (directory, name, guard) => takeOut(directory, guard, (guard) => fs.remove(directory.below, name, guard)),
    rmdir: (directory, name, guard) => takeOut(directory, guard, (guard) => fs.rmdir(directory.below, name, guard)),
    rename: (from, name, to, newName, guard) =>
      changing(
        cache,
        (change) =>
          fs.rename(from.below, name, to.below, newName, (situation) => {
            const { from, source, target, to } = situation
            for (const attributes of [from, to, source]) if (attributes !== undefined) change.of(attributes)
            if (target !== undefined) change.of(target, true)
            return guard(situation)
          }),
        (wccs, change) => {
          change.leaves(from, wccs.from.after)
          change.leaves(to, wccs.to.after)
          return wccs
        }
      ),
    link: (file, directory, name, guard) =>
      changing(
        cache,
        (change) =>
          fs.link(file.below, directory.below, name, (before, linked) => guard(change.of(before), change.of(linked))),
        (result, change) => {
          change.leaves(file, result.attributes)
          change.leaves(directory, result.directory.after)
          return result
        }
      )
  }
}

/** A change on its way through the filesystem below. */
class Change {
  private readonly cache: Cache
  private readonly began: Moment
  /** When each of its files began to change. */
  private readonly files = new Map<bigint, Moment>()
  private readonly removed = new Set<bigint>()

  constructor(cache: Cache) {
    this.cache = cache
    this.began = cache.now()
  }

  /** What has these attributes is going to change, or to lose a name, if that is allowed. */
  of(attributes: Attributes, removal = false): Attributes {
    const { fileid } = attributes
    if (removal) this.removed.add(fileid)
    if (!this.files.has(fileid)) {
      this.files.set(fileid, this.cache.now())
      this.cache.begin(fileid)
    }
    return attributes
  }

  /** A file that it made or met. */
  adopt(below: File): CachedFile {
    return this.cache.adopt(below, this.began)
  }

  leaves(file: CachedFile, attributes: Attributes): void {
    const began = this.files.get(attributes.fileid)
    this.cache.learn(file, attributes, began ?? this.began, began === undefined ? 0 : 1)
  }

  end(): void {
    for (const fileid of this.files.keys()) this.cache.end(fileid, this.removed.has(fileid))
  }
}

/**
 * Makes a change; `done` gives the answer and tells how it left its files. It is not interrupted: what a filesystem has begun
 * may go on without its caller, and what would be read meanwhile must not be remembered.
 */
const changing = <A, B>(
  cache: Cache,
  make: (change: Change) => Fails<A>,
  done: (result: A, change: Change) => B
): Fails<B> =>
  Effect.uninterruptible(
    Effect.suspend(() => {
      const change = new Change(cache)
      return Effect.flatMap(Effect.exit(make(change)), (exit) => {
        const answer = Exit.map(exit, (result) => done(result, change))
        change.end()
        return answer
      })
    })
  )
