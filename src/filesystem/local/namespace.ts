/** What follows and changes names: LOOKUP, READLINK, REMOVE, RMDIR, LINK. */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Bytestring from "../../xdr/Bytestring.ts"
import type { Attributes } from "../Attributes.ts"
import type { Found, Guard, RemoveGuard, Wcc } from "../Filesystem.ts"
import { errors, fail } from "../FilesystemError.ts"
import { mutation } from "./durability.ts"
import { at, call, type Fails, here, O_PATH, open } from "./Fs.ts"
import type { Inode } from "./Inode.ts"
import { alsoShared } from "./Turn.ts"
import { changing, child, following, type Volume, withChild } from "./Volume.ts"
import { changed, entriesChanged } from "./wcc.ts"

export const lookup = (volume: Volume, file: Inode, name: string, guard: Guard): Fails<Found<Inode>> =>
  following(volume, file, (directory, attributes) => {
    const refused = guard(attributes)
    if (refused !== undefined) return Effect.fail(refused)
    return Effect.flatMap(child(volume, directory, name), (inode) =>
      inode === undefined ? fail.ENOENT : found(volume, inode, attributes)
    )
  })

/** `directory`: the attributes of what it was found in, from before. */
const found = ({ inodes }: Volume, file: Inode, directory: Attributes): Fails<Found<Inode>> =>
  inodes.use(file, (inode) =>
    Effect.map(inodes.attributes(inode), (attributes) => ({ file: inode, attributes, directory }))
  )

export const parent = (volume: Volume, file: Inode, guard: Guard): Fails<Found<Inode>> =>
  following(volume, file, (directory, attributes) => {
    const refused = guard(attributes)
    if (refused !== undefined) return Effect.fail(refused)
    const { inodes } = volume
    if (directory === inodes.root) return Effect.succeed({ file: directory, attributes, directory: attributes })
    const path = `${here(directory.fd)}/..`
    return Effect.flatMap(inodes.adopt(open(directory, path, O_PATH | fs.constants.O_DIRECTORY)), (inode) =>
      found(volume, inode, attributes)
    )
  })

export const readlink = (
  volume: Volume,
  file: Inode,
  guard: Guard
): Fails<{ readonly target: string; readonly attributes: Attributes }> =>
  volume.inodes.use(file, (inode) =>
    Effect.flatMap(volume.inodes.attributes(inode), (attributes) => {
      if (inode.type !== "symlink") return fail.EINVAL
      const refused = guard(attributes)
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.map(
        volume.locate(inode, (link) => volume.syscalls.readlink(link)),
        (target) => ({ target: Bytestring.decode(target), attributes })
      )
    })
  )

export const remove = (volume: Volume, file: Inode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  takeOut(volume, file, name, guard, (directory, { type }) =>
    type === "directory" ? fail.EISDIR : call(directory, (done) => fs.unlink(at(directory.fd, name), done))
  )

export const rmdir = (volume: Volume, file: Inode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  takeOut(volume, file, name, guard, (directory, { type }) =>
    type === "directory" ? call(directory, (done) => fs.rmdir(at(directory.fd, name), done)) : fail.ENOTDIR
  )

const takeOut = (
  volume: Volume,
  file: Inode,
  name: string,
  guard: RemoveGuard,
  act: (directory: Inode, target: Attributes) => Fails<void>
): Fails<Wcc> =>
  mutation(
    volume,
    changing(volume, file, (directory, before) =>
      withChild(volume, directory, name, (target, attributes) => {
        const refused = guard(before, attributes)
        if (refused !== undefined) return Effect.fail(refused)
        if (target === undefined) return fail.ENOENT
        return act(directory, attributes!).pipe(
          Effect.andThen(gone(volume, target)),
          Effect.andThen(entriesChanged(volume, directory, before, [{ name, fileid: undefined }])),
          Effect.map((directoryWcc) => ({ result: directoryWcc, files: [directory] }))
        )
      })
    )
  )

/** A file has lost a name; was it the last, its descriptors are closed, so that its space is free. */
export const gone = ({ inodes }: Volume, target: Inode): Effect.Effect<void> =>
  Effect.suspend(() => {
    target.changed()
    return inodes.attributes(target)
  }).pipe(
    Effect.catchIf(
      (error) => error === errors.ESTALE,
      () => Effect.sync(() => inodes.forget(target))
    ),
    // Whose attributes cannot be had now may have another name.
    Effect.ignore
  )

export const link = (
  volume: Volume,
  file: Inode,
  into: Inode,
  name: string,
  guard: Guard<[directory: Attributes, file: Attributes]>
): Fails<{ readonly attributes: Attributes; readonly directory: Wcc }> =>
  mutation(
    volume,
    changing(volume, into, (directory, before) =>
      volume.inodes.use(file, (inode) =>
        alsoShared(
          inode.attributes,
          Effect.gen(function* () {
            const attributes = yield* volume.inodes.attributes(inode)
            if (inode.type === "directory") return yield* fail.EPERM
            const refused = guard(before, attributes)
            if (refused !== undefined) return yield* Effect.fail(refused)
            yield* volume.locate(inode, (located) =>
              volume.syscalls.link(located, directory.fd, Bytestring.encode(name))
            )
            volume.inodes.note(inode, directory, name)
            const { after } = yield* changed(volume, inode, attributes)
            const wcc = yield* entriesChanged(volume, directory, before, [{ name, fileid: inode.fileid }])
            return { result: { attributes: after, directory: wcc }, files: [directory] }
          })
        )
      )
    )
  )
