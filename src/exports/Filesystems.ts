/**
 * The filesystems of exports, which come as layers: one is built when an export first has its layer, shared by all that have
 * it, and released when no export has it any more.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Filesystem } from "../filesystem/Filesystem.ts"
import type { ExportOptions } from "./Export.ts"
import type { Policy } from "./Policy.ts"

/** A filesystem to export, as a layer. */
export interface LayerOptions extends Policy {
  /** What clients mount: an absolute path, which need not exist anywhere else. */
  readonly path: string
  readonly filesystem: Layer.Layer<Filesystem, any, any>
}

export class Filesystems extends Context.Service<
  Filesystems,
  {
    /**
     * Builds the filesystems of these exports and gives them to `use`. If that succeeds they take the place of those before,
     * of which the ones that are not among them are released once `unused` has completed; otherwise they are released
     * themselves. One call after another.
     */
    readonly replace: <const E extends ReadonlyArray<LayerOptions>, A, E2, R2>(
      exports: E,
      use: (exports: ReadonlyArray<ExportOptions>) => Effect.Effect<A, E2, R2>,
      unused: Effect.Effect<void>
    ) => Effect.Effect<A, E2 | Layer.Error<E[number]["filesystem"]>, R2 | Layer.Services<E[number]["filesystem"]>>
  }
>()("effect-nfs/Filesystems") {
  /** None at first. What is not released before is with the layer. */
  static readonly layer: Layer.Layer<Filesystems> = Layer.effect(
    Filesystems,
    Effect.gen(function* () {
      const memoMap = Layer.CurrentMemoMap.forkOrCreate(yield* Effect.context())
      const all = yield* Effect.scope
      const turn = yield* Semaphore.make(1)
      let current = yield* Scope.fork(all)
      return Filesystems.of({
        replace: (exports, use, unused) =>
          Effect.uninterruptible(
            Effect.gen(function* () {
              // A scope keeps a layer that was built in an earlier one, too.
              const scope = yield* Scope.fork(all)
              // This alone may be given up, whoever calls: a disk that does not answer would hold up the end of the server.
              const used = yield* Effect.interruptible(build(exports, memoMap, scope)).pipe(
                Effect.flatMap(use),
                Effect.onError(() => Scope.close(scope, Exit.void))
              )
              const before = current
              current = scope
              yield* Effect.forkIn(Effect.andThen(unused, Scope.close(before, Exit.void)), all)
              return used
            })
          ).pipe(turn.withPermits(1))
      })
    })
  )
}

const build = <const E extends ReadonlyArray<LayerOptions>>(
  exports: E,
  memoMap: Layer.MemoMap,
  scope: Scope.Scope
): Effect.Effect<
  ReadonlyArray<ExportOptions>,
  Layer.Error<E[number]["filesystem"]>,
  Layer.Services<E[number]["filesystem"]>
> =>
  Effect.forEach(exports, ({ filesystem, ...options }) =>
    Effect.map(Layer.buildWithMemoMap(filesystem, memoMap, scope), (services) => ({
      ...options,
      filesystem: Context.get(services, Filesystem)
    }))
  )
