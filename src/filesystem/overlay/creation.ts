/** What makes files: CREATE, MKDIR, SYMLINK, MKNOD. New ones are always in the upper filesystem. */

import * as Effect from "effect/Effect"
import type { Attributes, SetAttributes } from "../Attributes.ts"
import type { CreateHow, File, Made, MakeGuard, Operations, Special } from "../Filesystem.ts"
import { fail, type FilesystemError, is } from "../FilesystemError.ts"
import { copyingUp, NeedsUpper, upperOf } from "./copyUp.ts"
import { type Child, type Fails, type Layers, shown, unchanged } from "./Layers.ts"
import { isReserved } from "./names.ts"
import { changing } from "./namespace.ts"
import type { OverlayNode } from "./OverlayNode.ts"

/** Makes something in a directory of the upper filesystem. */
type Make = (upper: Operations, directory: File, guard: MakeGuard) => Fails<Made>

type Attempt<A> = Effect.Effect<A, FilesystemError | NeedsUpper>

export const create = (
  layers: Layers,
  directory: OverlayNode,
  name: string,
  how: CreateHow,
  guard: MakeGuard
): Fails<Made<OverlayNode>> =>
  make(
    layers,
    directory,
    name,
    guard,
    (upper, inside, asked) => upper.create(inside, name, how, asked),
    ({ attributes, file }, set, before) => {
      if (how._tag !== "Unchecked" || attributes.type !== "regular") return fail.EEXIST
      const result = { file, attributes, directory: unchanged(before) }
      return Object.values(set).every((value) => value === undefined)
        ? Effect.succeed(result)
        : Effect.fail(new NeedsUpper(file))
    }
  )

export const mkdir = (
  layers: Layers,
  directory: OverlayNode,
  name: string,
  guard: MakeGuard
): Fails<Made<OverlayNode>> =>
  make(layers, directory, name, guard, (upper, inside, asked) => upper.mkdir(inside, name, asked))

export const symlink = (
  layers: Layers,
  directory: OverlayNode,
  name: string,
  target: string,
  guard: MakeGuard
): Fails<Made<OverlayNode>> =>
  make(layers, directory, name, guard, (upper, inside, asked) => upper.symlink(inside, name, target, asked))

export const mknod = (
  layers: Layers,
  directory: OverlayNode,
  name: string,
  special: Special,
  guard: MakeGuard
): Fails<Made<OverlayNode>> =>
  make(layers, directory, name, guard, (upper, inside, asked) => upper.mknod(inside, name, special, asked))

/** `meet`: what to do about a lower file with the name. */
const make = (
  layers: Layers,
  directory: OverlayNode,
  name: string,
  guard: MakeGuard,
  makeUpper: Make,
  meet: (existing: Child, set: SetAttributes, before: Attributes) => Attempt<Made<OverlayNode>> = () => fail.EEXIST
): Fails<Made<OverlayNode>> =>
  copyingUp(
    layers,
    changing(layers, directory, (before) =>
      Effect.flatMap(layers.child(directory, name), (existing): Attempt<Made<OverlayNode>> => {
        const isBelow = existing !== undefined && existing.file.upper === undefined
        if (isBelow || directory.upper === undefined || isReserved(name)) {
          const set = guard(before, existing?.attributes)
          if (is(set)) return Effect.fail(set)
          if (isReserved(name)) return fail.EINVAL
          return isBelow ? meet(existing, set, before) : Effect.andThen(upperOf(directory), fail.EIO)
        }
        const asked: MakeGuard = (inside, met) =>
          guard(shown(directory, inside), existing && met && shown(existing.file, met))
        return Effect.map(makeUpper(layers.upper, directory.upper, asked), (made) => {
          if (existing !== undefined) {
            return {
              file: existing.file,
              attributes: shown(existing.file, made.attributes),
              directory: unchanged(before)
            }
          }
          const child = layers.made(directory, name, made)
          const patch = { name, fileid: child.file.fileid }
          return { ...child, directory: layers.entriesChanged(directory, before, made.directory, [patch]) }
        })
      })
    )
  )
