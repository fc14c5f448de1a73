/** What follows and changes names: LOOKUP, REMOVE, RMDIR, RENAME, LINK, READDIR. */

import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes } from "../Attributes.ts"
import type { Entry, Found, Guard, Listing, ListRequest, RemoveGuard, RenameSituation, Wcc } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import type { Add } from "../local/Listings.ts"
import { alone } from "../local/Turn.ts"
import { portion } from "../tree/listing.ts"
import type { PathNode } from "./PathNode.ts"
import { type Child, type Fails, unchanged, type Volume } from "./Volume.ts"

/** A directory with its attributes. */
export const knowing = <A>(volume: Volume, directory: PathNode, body: (attributes: Attributes) => Fails<A>): Fails<A> =>
  Effect.flatMap(volume.attributes(directory), (attributes) =>
    attributes.type === "directory" ? body(attributes) : fail.ENOTDIR
  )

const following = <A>(
  volume: Volume,
  directory: PathNode,
  guard: Guard,
  body: (attributes: Attributes) => Fails<A>
): Fails<A> =>
  volume.tree.looking(
    directory,
    knowing(volume, directory, (attributes) => {
      const refused = guard(attributes)
      return refused === undefined ? body(attributes) : Effect.fail(refused)
    })
  )

export const lookup = (volume: Volume, directory: PathNode, name: string, guard: Guard): Fails<Found<PathNode>> =>
  following(volume, directory, guard, (attributes) =>
    Effect.flatMap(volume.child(directory, name), (child) =>
      child === undefined ? fail.ENOENT : Effect.succeed({ ...child, directory: attributes })
    )
  )

export const parent = (volume: Volume, directory: PathNode, guard: Guard): Fails<Found<PathNode>> =>
  following(volume, directory, guard, (attributes) => {
    const file = directory.places[0]?.directory ?? directory
    return Effect.map(volume.attributes(file), (above) => ({ file, attributes: above, directory: attributes }))
  })

export const remove = (volume: Volume, directory: PathNode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  takeOut(volume, directory, name, guard, ({ attributes }, path) =>
    attributes.type === "directory" ? fail.EISDIR : volume.backend.unlink(path)
  )

export const rmdir = (volume: Volume, directory: PathNode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  takeOut(volume, directory, name, guard, ({ attributes }, path) =>
    attributes.type === "directory"
      ? Effect.andThen(assertEmpty(volume, path), volume.backend.rmdir(path))
      : fail.ENOTDIR
  )

const assertEmpty = ({ backend }: Volume, path: string): Fails<void> =>
  Effect.flatMap(backend.list(path), (names) => (names.length > 0 ? fail.ENOTEMPTY : Effect.void))

const takeOut = (
  volume: Volume,
  directory: PathNode,
  name: string,
  guard: RemoveGuard,
  act: (target: Child, path: string) => Fails<void>
): Fails<Wcc> =>
  volume.tree.changing(
    directory,
    knowing(volume, directory, (before) =>
      volume.withChild(directory, name, (target) => {
        const refused = guard(before, target?.attributes)
        if (refused !== undefined) return Effect.fail(refused)
        if (target === undefined) return fail.ENOENT
        return act(target, volume.at(directory, name)).pipe(
          Effect.andThen(unnamed(volume, directory, name, target)),
          Effect.andThen(volume.entriesChanged(directory, before, [{ name, fileid: undefined }]))
        )
      })
    )
  )

/** A file has lost a name: it is gone, or has one link less. */
const unnamed = (volume: Volume, directory: PathNode, name: string, { attributes, file }: Child): Fails<void> =>
  Effect.suspend(() => {
    volume.tree.leave(directory, name)
    return file.gone ? Effect.void : Effect.asVoid(volume.changed(file, attributes, false))
  })

export const link = (
  volume: Volume,
  file: PathNode,
  directory: PathNode,
  name: string,
  guard: Guard<[directory: Attributes, file: Attributes]>
): Fails<{ readonly attributes: Attributes; readonly directory: Wcc }> =>
  volume.tree.changing(
    directory,
    knowing(volume, directory, (before) =>
      // A directory is not waited for: it may be one above.
      file.type === "directory"
        ? fail.EPERM
        : alone(
            file.turn,
            Effect.gen(function* () {
              const attributes = yield* volume.attributes(file)
              const refused = guard(before, attributes)
              if (refused !== undefined) return yield* Effect.fail(refused)
              // Not looked for by `child`: that could be this very file, which we have to ourselves.
              if (!volume.holds(name)) return yield* fail.EINVAL
              yield* volume.backend.link(volume.pathOf(file), volume.at(directory, name))
              volume.tree.enter(file, directory, name)
              const { after } = yield* volume.changed(file, attributes, false)
              const wcc = yield* volume.entriesChanged(directory, before, [{ name, fileid: file.fileid }])
              return { attributes: after, directory: wcc }
            })
          )
    )
  )

export const rename = (
  volume: Volume,
  from: PathNode,
  name: string,
  to: PathNode,
  newName: string,
  guard: Guard<[situation: RenameSituation]>
): Fails<{ readonly from: Wcc; readonly to: Wcc }> =>
  volume.tree.reordering(
    knowing(volume, from, (beforeFrom) =>
      knowing(volume, to, (beforeTo) =>
        Effect.gen(function* () {
          const source = yield* volume.child(from, name)
          const target = yield* volume.child(to, newName)
          const refused = guard({
            from: beforeFrom,
            source: source?.attributes,
            to: beforeTo,
            target: target?.attributes
          })
          if (refused !== undefined) return yield* Effect.fail(refused)
          if (source === undefined) return yield* fail.ENOENT
          // Two names of one file: POSIX has rename do nothing.
          if (source.file === target?.file) return { from: unchanged(beforeFrom), to: unchanged(beforeTo) }
          yield* assertMovable(volume, source, to, newName, target)
          yield* volume.backend.rename(volume.at(from, name), source.attributes.type, volume.at(to, newName))
          if (target !== undefined) yield* unnamed(volume, to, newName, target)
          volume.tree.move(from, name, to, newName)
          yield* volume.changed(source.file, source.attributes, false)
          const left = { name, fileid: undefined }
          const entered = { name: newName, fileid: source.file.fileid }
          if (from === to) {
            const wcc = yield* volume.entriesChanged(from, beforeFrom, [left, entered])
            return { from: wcc, to: wcc }
          }
          return {
            from: yield* volume.entriesChanged(from, beforeFrom, [left]),
            to: yield* volume.entriesChanged(to, beforeTo, [entered])
          }
        })
      )
    )
  )

const assertMovable = (
  volume: Volume,
  source: Child,
  to: PathNode,
  newName: string,
  target: Child | undefined
): Fails<void> => {
  const isDirectory = source.attributes.type === "directory"
  if (isDirectory && isWithin(to, source.file)) return fail.EINVAL
  if (target === undefined) return volume.holds(newName) ? Effect.void : fail.EINVAL
  if (target.attributes.type !== "directory") return isDirectory ? fail.ENOTDIR : Effect.void
  return isDirectory ? assertEmpty(volume, volume.at(to, newName)) : fail.EISDIR
}

/** Whether `directory` is `ancestor` or below it. */
const isWithin = (directory: PathNode, ancestor: PathNode): boolean => {
  for (let at: PathNode | undefined = directory; at !== undefined; at = at.places[0]?.directory) {
    if (at === ancestor) return true
  }
  return false
}

export const readdir = (
  volume: Volume,
  directory: PathNode,
  request: ListRequest,
  guard: Guard
): Fails<Listing<PathNode>> =>
  following(volume, directory, guard, (attributes) =>
    Effect.flatMap(
      volume.listings.listing(directory.fileid.toString(), attributes.change, load(volume, directory)),
      (snapshot) =>
        portion(snapshot, request, attributes, (name) => complete(volume, directory, name, request.attributes))
    )
  )

/** Names that are taken over before others get their turn. */
const STEP = 1000

const load = (volume: Volume, directory: PathNode) =>
  Effect.fnUntraced(function* (add: Add): Effect.fn.Return<void, FilesystemError> {
    if (directory.gone) return yield* fail.ESTALE
    const names = yield* volume.backend.list(volume.pathOf(directory))
    for (const [i, name] of names.entries()) {
      const bytes = Bytestring.encode(name)
      add(bytes, 0, bytes.length, 0n)
      if (i % STEP === STEP - 1) yield* Effect.yieldNow
    }
  })

/** An entry with what was asked for. */
const complete = (
  volume: Volume,
  directory: PathNode,
  name: string,
  withAttributes: boolean
): Fails<Pick<Entry<PathNode>, "fileid" | "found"> | undefined> => {
  // Only who knows all names of a file has to look whose name this is.
  if (!withAttributes && !volume.backend.hardLinks) {
    return Effect.sync(() => ({ fileid: volume.tree.named(directory, name).fileid }))
  }
  return Effect.match(volume.child(directory, name), {
    onFailure: () => undefined,
    onSuccess: (found) => found && { fileid: found.file.fileid, found: withAttributes ? found : undefined }
  })
}
