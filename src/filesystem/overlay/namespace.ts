/** What follows names, and takes them away: LOOKUP, REMOVE, RMDIR, LINK. */

import * as Effect from "effect/Effect"
import type { Attributes } from "../Attributes.ts"
import type { File, Found, Guard, RemoveGuard, Wcc } from "../Filesystem.ts"
import { fail, type FilesystemError } from "../FilesystemError.ts"
import { alone } from "../local/Turn.ts"
import { copyingUp, type NeedsUpper, upperOf } from "./copyUp.ts"
import { namesAbove, visibleNames } from "./entries.ts"
import { allow, type Fails, type Layers, shown } from "./Layers.ts"
import { isReserved, ORIGIN, whiteoutOf } from "./names.ts"
import type { OverlayNode } from "./OverlayNode.ts"

type Attempt<A> = Effect.Effect<A, FilesystemError | NeedsUpper>

/** A directory with its attributes. */
export const knowing = <A, E>(
  layers: Layers,
  directory: OverlayNode,
  body: (attributes: Attributes) => Effect.Effect<A, E>
): Effect.Effect<A, E | FilesystemError> =>
  Effect.flatMap(layers.attributes(directory), (attributes): Effect.Effect<A, E | FilesystemError> =>
    directory.type === "directory" ? body(attributes) : fail.ENOTDIR
  )

export const following = <A>(
  layers: Layers,
  directory: OverlayNode,
  guard: Guard,
  body: (attributes: Attributes) => Fails<A>
): Fails<A> =>
  layers.tree.looking(
    directory,
    knowing(layers, directory, (attributes) => {
      const refused = guard(attributes)
      return refused === undefined ? body(attributes) : Effect.fail(refused)
    })
  )

export const changing = <A>(
  layers: Layers,
  directory: OverlayNode,
  body: (attributes: Attributes) => Attempt<A>
): Attempt<A> => layers.tree.changing(directory, knowing(layers, directory, body))

export const lookup = (layers: Layers, directory: OverlayNode, name: string, guard: Guard): Fails<Found<OverlayNode>> =>
  following(layers, directory, guard, (attributes) =>
    Effect.flatMap(layers.child(directory, name), (child) =>
      child === undefined ? fail.ENOENT : Effect.succeed({ ...child, directory: attributes })
    )
  )

export const parent = (layers: Layers, directory: OverlayNode, guard: Guard): Fails<Found<OverlayNode>> =>
  following(layers, directory, guard, (attributes) => {
    const file = directory.places[0]?.directory ?? directory
    return Effect.map(layers.attributes(file), (above) => ({ file, attributes: above, directory: attributes }))
  })

/** Lets a name of the lower filesystem not be there; changes nothing while the upper one has the name. */
export const hide = (layers: Layers, directory: File, name: string): Fails<Wcc> =>
  Effect.map(
    layers.upper.create(directory, whiteoutOf(name), { _tag: "Unchecked" }, () => ({ mode: 0o600 })),
    (made) => made.directory
  )

export const remove = (layers: Layers, directory: OverlayNode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  copyingUp(
    layers,
    changing(layers, directory, (before) =>
      Effect.gen(function* () {
        const target = yield* layers.child(directory, name)
        const needsHiding = yield* layers.needsHiding(directory, name)
        if (target?.file.upper === undefined || needsHiding) {
          const refused = guard(before, target?.attributes)
          if (refused !== undefined) return yield* Effect.fail(refused)
          if (target === undefined) return yield* fail.ENOENT
          if (target.file.type === "directory") return yield* fail.EISDIR
        }
        const upper = yield* upperOf(directory)
        let wcc = needsHiding ? yield* hide(layers, upper, name) : undefined
        if (target.file.upper !== undefined) {
          wcc = yield* layers.upper.remove(upper, name, (inside, met) =>
            guard(wcc === undefined ? shown(directory, inside) : before, met && shown(target.file, met))
          )
        }
        layers.tree.leave(directory, name)
        return layers.entriesChanged(directory, before, wcc!, [{ name, fileid: undefined }])
      })
    )
  )

export const rmdir = (layers: Layers, directory: OverlayNode, name: string, guard: RemoveGuard): Fails<Wcc> =>
  copyingUp(
    layers,
    changing(layers, directory, (before) =>
      Effect.flatMap(layers.child(directory, name), (target): Attempt<Wcc> => {
        const refuse = (attributes: Attributes | undefined) => {
          const refused = guard(before, attributes)
          return refused === undefined ? Effect.void : Effect.fail(refused)
        }
        if (target === undefined) return Effect.andThen(refuse(undefined), fail.ENOENT)
        const { file } = target
        if (file.type !== "directory") return Effect.andThen(refuse(target.attributes), fail.ENOTDIR)
        return alone(
          file.turn,
          Effect.gen(function* () {
            yield* Effect.flatMap(layers.attributes(file), refuse)
            yield* assertEmpty(layers, file)
            const upper = yield* upperOf(directory)
            let wcc = (yield* layers.needsHiding(directory, name)) ? yield* hide(layers, upper, name) : undefined
            if (file.upper !== undefined) {
              yield* clear(layers, file.upper)
              wcc = yield* layers.upper.rmdir(upper, name, allow)
            }
            layers.tree.leave(directory, name)
            return layers.entriesChanged(directory, before, wcc!, [{ name, fileid: undefined }])
          })
        )
      })
    )
  )

export const assertEmpty = (layers: Layers, directory: OverlayNode): Fails<void> =>
  Effect.flatMap(visibleNames(layers, directory), (names) => (names.length > 0 ? fail.ENOTEMPTY : Effect.void))

/**
 * Removes what is hidden in an upper directory where nothing else is, and whose name is hidden: first what says which lower
 * directory belongs to it, so that none does when the names in that are not hidden any more.
 */
export const clear = (layers: Layers, directory: File): Fails<void> =>
  Effect.flatMap(namesAbove(layers, directory), (names) =>
    Effect.forEach(
      names.filter(isReserved).toSorted((a, b) => Number(b === ORIGIN) - Number(a === ORIGIN)),
      (name) => layers.upper.remove(directory, name, allow),
      { discard: true }
    )
  )

export const link = (
  layers: Layers,
  file: OverlayNode,
  directory: OverlayNode,
  name: string,
  guard: Guard<[directory: Attributes, file: Attributes]>
): Fails<{ readonly attributes: Attributes; readonly directory: Wcc }> =>
  copyingUp(
    layers,
    changing(layers, directory, (before) =>
      Effect.gen(function* () {
        const attributes = yield* layers.attributes(file)
        if (file.type === "directory") return yield* fail.EPERM
        const existing = yield* layers.child(directory, name)
        const isBelow = existing !== undefined && existing.file.upper === undefined
        if (isBelow || isReserved(name) || directory.upper === undefined || file.upper === undefined) {
          const refused = guard(before, attributes)
          if (refused !== undefined) return yield* Effect.fail(refused)
          if (existing !== undefined) return yield* fail.EEXIST
          if (isReserved(name)) return yield* fail.EINVAL
        }
        const [upper, above] = [yield* upperOf(directory), yield* upperOf(file)]
        const linked = yield* layers.upper.link(above, upper, name, (inside, met) =>
          guard(shown(directory, inside), shown(file, met))
        )
        layers.link(file, directory, name)
        return {
          attributes: shown(file, linked.attributes),
          directory: layers.entriesChanged(directory, before, linked.directory, [{ name, fileid: file.fileid }])
        }
      })
    )
  )
