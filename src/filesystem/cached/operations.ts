/** The operations of a filesystem that remembers: those that may be answered from memory, and those that others learn from. */

import * as Effect from "effect/Effect"
import type { Attributes, Entry, File, Found, Guard, Operations } from "../Filesystem.ts"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import { known } from "../Step.ts"
import { type Cache, type Moment, PARENT } from "./Cache.ts"
import type { CachedFile } from "./CachedFile.ts"
import * as mutations from "./mutations.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

export const operations = (fs: Operations, cache: Cache): Operations<CachedFile> => ({
  properties: fs.properties,
  root: cache.root,
  resolve: known(
    (key) => cache.find(key),
    (key) => reading(cache, fs.resolve(key), (file, moment) => cache.adopt(file, moment))
  ),
  getattr: known(
    (file) => cache.attributes(file),
    (file) =>
      reading(cache, fs.getattr(file.below), (attributes, moment) => {
        cache.learn(file, attributes, moment)
        return attributes
      })
  ),
  lookup: known(
    (directory, name, guard) => remembered(cache, directory, name, guard),
    (directory, name, guard) =>
      follow(cache, directory, name, guard, (guard) => fs.lookup(directory.below, name, guard))
  ),
  parent: known(
    (directory, guard) => remembered(cache, directory, PARENT, guard),
    (directory, guard) => follow(cache, directory, PARENT, guard, (guard) => fs.parent(directory.below, guard))
  ),
  readlink: (file, guard) => withAttributes(cache, file, fs.readlink(file.below, guard)),
  read: (file, offset, count, guard, allocate) =>
    withAttributes(cache, file, fs.read(file.below, offset, count, guard, allocate)),
  readdir: (directory, request, guard) =>
    Effect.suspend(() => {
      const moment = cache.now()
      const enough = (fileid: bigint): boolean =>
        cache.known(fileid, moment) !== undefined || request.known?.(fileid) === true
      return Effect.map(fs.readdir(directory.below, { ...request, known: enough }, guard), (listing) => ({
        ...listing,
        // The attributes of the directory may be those of when the listing was begun, long ago.
        entries: listing.entries.map((entry) => listed(cache, entry, request.attributes, moment))
      }))
    }),
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

/** Where a name leads, if that is known. That there is no such name is as good an answer as any. */
const remembered = (
  cache: Cache,
  directory: CachedFile,
  name: string,
  guard: Guard
): Found<CachedFile> | FilesystemError | undefined => {
  const found = cache.lookup(directory, name)
  if (found === undefined) return undefined
  const refused = guard(found.attributes)
  if (refused !== undefined) return refused
  const { attributes, file } = found
  return file === undefined ? errors.ENOENT : { file, attributes: file.attributes!, directory: attributes }
}

/** Finds out below where a name leads. */
const follow = (
  cache: Cache,
  directory: CachedFile,
  name: string,
  guard: Guard,
  find: (guard: Guard) => Fails<Found>
): Fails<Found<CachedFile>> =>
  Effect.suspend(() => {
    const moment = cache.now()
    let seen: Attributes | undefined
    const watched: Guard = (before) => {
      const refused = guard(before)
      if (refused === undefined) seen = before
      return refused
    }
    return Effect.matchEffect(find(watched), {
      onFailure: (error) => {
        if (error.code === "ENOENT" && seen !== undefined) cache.learnName(directory, name, seen, undefined, moment)
        return Effect.fail(error)
      },
      onSuccess: ({ attributes, directory: attributesOf, file: below }) => {
        const file = learned(cache, below, attributes, moment)
        cache.learnName(directory, name, attributesOf, file, moment)
        return Effect.succeed({ file, attributes, directory: attributesOf })
      }
    })
  })

/** A file that was found with its attributes. */
const learned = (cache: Cache, below: File, attributes: Attributes, moment: Moment): CachedFile => {
  const file = cache.adopt(below, moment)
  cache.learn(file, attributes, moment)
  return file
}

/** An entry with what the filesystem below has said, or did not need to, since that was known when the listing began. */
const listed = (
  cache: Cache,
  { cookie, fileid, found, name }: Entry,
  withAttributes: boolean,
  began: Moment
): Entry<CachedFile> => {
  if (!withAttributes) return { cookie, fileid, name }
  if (found === undefined) return { cookie, fileid, name, found: cache.known(fileid, began) }
  const { attributes, file } = found
  return { cookie, fileid, name, found: { file: learned(cache, file, attributes, began), attributes } }
}
