/** The operations of a filesystem that remembers: those that may be answered from memory, and those that others learn from. */

import * as Effect from "effect/Effect"
import type { Attributes, Entry, Found, Guard, Operations } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import type { Cache, Moment } from "./Cache.ts"
import type { CachedFile } from "./CachedFile.ts"
import * as mutations from "./mutations.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

export const operations = (fs: Operations, cache: Cache): Operations<CachedFile> => ({
  properties: fs.properties,
  root: cache.root,
  resolve: (key) => cache.find(key) ?? reading(cache, fs.resolve(key), (file, moment) => cache.adopt(file, moment)),
  getattr: (file) =>
    Effect.suspend(
      () =>
        cache.attributes(file) ??
        reading(cache, fs.getattr(file.below), (attributes, moment) => {
          cache.learn(file, attributes, moment)
          return attributes
        })
    ),
  lookup: (directory, name, guard) =>
    Effect.suspend(() => {
      const known = cache.lookup(directory, name)
      if (known === undefined) return follow(fs, cache, directory, name, guard)
      const refused = guard(known.attributes)
      if (refused !== undefined) return Effect.fail(refused)
      const { attributes, file } = known
      return file === undefined
        ? fail.ENOENT
        : Effect.succeed({ file, attributes: file.attributes!, directory: attributes })
    }),
  parent: (directory, guard) =>
    reading(cache, fs.parent(directory.below, guard), (found, moment) => {
      cache.learn(directory, found.directory, moment)
      return adopted(cache, found, moment)
    }),
  readlink: (file, guard) => withAttributes(cache, file, fs.readlink(file.below, guard)),
  read: (file, offset, count, guard) => withAttributes(cache, file, fs.read(file.below, offset, count, guard)),
  readdir: (directory, request, guard) =>
    reading(cache, fs.readdir(directory.below, request, guard), (listing, moment) => ({
      ...listing,
      // The attributes of the directory may be those of when the listing was begun, long ago.
      entries: listing.entries.map((entry) => listed(cache, entry, moment))
    })),
  statfs: (file) => fs.statfs(file.below),
  commit: (file, offset, count, guard) =>
    reading(cache, fs.commit(file.below, offset, count, guard), (wcc, moment) => {
      cache.learn(file, wcc.after, moment)
      return wcc
    }),
  ...mutations.operations(fs, cache)
})

/** What is read below, and since when: `learn` gives the answer. */
const reading = <A, B>(cache: Cache, read: Fails<A>, learn: (result: A, moment: Moment) => B): Fails<B> =>
  Effect.suspend(() => {
    const moment = cache.now()
    return Effect.map(read, (result) => learn(result, moment))
  })

const withAttributes = <A extends { readonly attributes: Attributes }>(
  cache: Cache,
  file: CachedFile,
  read: Fails<A>
): Fails<A> =>
  reading(cache, read, (result, moment) => {
    cache.learn(file, result.attributes, moment)
    return result
  })

/** Follows a name below. That there is none is as good an answer as any. */
const follow = (
  fs: Operations,
  cache: Cache,
  directory: CachedFile,
  name: string,
  guard: Guard
): Fails<Found<CachedFile>> => {
  const moment = cache.now()
  let seen: Attributes | undefined
  const watched: Guard = (before) => {
    const refused = guard(before)
    if (refused === undefined) seen = before
    return refused
  }
  return Effect.matchEffect(fs.lookup(directory.below, name, watched), {
    onFailure: (error) => {
      if (error.code === "ENOENT" && seen !== undefined) cache.learnName(directory, name, seen, undefined, moment)
      return Effect.fail(error)
    },
    onSuccess: (below) => {
      const found = adopted(cache, below, moment)
      cache.learnName(directory, name, found.directory, found.file, moment)
      return Effect.succeed(found)
    }
  })
}

const adopted = (cache: Cache, found: Found, moment: Moment): Found<CachedFile> => ({
  ...found,
  file: learned(cache, found, moment)
})

/** A file that was found with its attributes. */
const learned = (
  cache: Cache,
  { attributes, file }: Pick<Found, "file" | "attributes">,
  moment: Moment
): CachedFile => {
  const known = cache.adopt(file, moment)
  cache.learn(known, attributes, moment)
  return known
}

const listed = (cache: Cache, entry: Entry, moment: Moment): Entry<CachedFile> => {
  const { cookie, fileid, found, name } = entry
  if (found === undefined) return { cookie, fileid, name }
  return { cookie, fileid, name, found: { file: learned(cache, found, moment), attributes: found.attributes } }
}
