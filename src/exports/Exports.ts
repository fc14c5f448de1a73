/**
 * What is served, under which names and on what terms: the {@link ExportTable} that holds now, and how another takes its
 * place while requests run.
 */

import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ExportOptions } from "./Export.ts"
import * as ExportTable from "./ExportTable.ts"
import { FileHandles } from "./FileHandle.ts"
import { Filesystems, type LayerOptions } from "./Filesystems.ts"
import { SharedState } from "./SharedState.ts"

export type { Export, ExportOptions } from "./Export.ts"
export type { ExportTable, Located } from "./ExportTable.ts"
export type { LayerOptions } from "./Filesystems.ts"
export type { ClientRule, Policy, Terms } from "./Policy.ts"

/** Exports that contradict each other or themselves. */
export class ExportsError extends Data.TaggedError("ExportsError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `export ${this.path}: ${this.reason}`
  }
}

export class Exports extends Context.Service<
  Exports,
  {
    /** The exports of this moment. A request takes them once, when it begins, and keeps to them. */
    readonly current: ExportTable.ExportTable
    /**
     * Serves these instead, from the next request on, or changes nothing when something is wrong with one. Handles stay good
     * as long as there is an export with their path or fsid; those of the others are STALE. Requests that have begun still
     * use what was served before: wait for `WorkerPool.quiesce` before its filesystems are released.
     */
    readonly replace: (exports: ReadonlyArray<ExportOptions>) => Effect.Effect<void, ExportsError>
  }
>()("effect-nfs/Exports") {
  /** Exports of filesystems that exist already. */
  static readonly make = Effect.fnUntraced(function* (exports: ReadonlyArray<ExportOptions>) {
    const { handleKey } = yield* SharedState
    const handles = new FileHandles(handleKey)
    const tableOf = (exports: ReadonlyArray<ExportOptions>, before?: ExportTable.ExportTable) =>
      Effect.fromResult(ExportTable.make(exports, handles, before)).pipe(
        Effect.mapError((objection) => new ExportsError(objection))
      )
    let current = yield* tableOf(exports)
    return Exports.of({
      get current() {
        return current
      },
      replace: (exports) =>
        Effect.map(tableOf(exports, current), (table) => {
          // Whoever is held back there goes on by the new rate, and where there is none, at once.
          for (const { id, throttle } of current.all) throttle?.change(table.byId(id)?.rate ?? {})
          current = table
        })
    })
  })

  /**
   * Exports of filesystems that are built with the layer and released with it. Exports with the same layer share one
   * filesystem.
   */
  static readonly layer = <const E extends ReadonlyArray<LayerOptions>>(
    exports: E
  ): Layer.Layer<
    Exports | Filesystems,
    ExportsError | Layer.Error<E[number]["filesystem"]>,
    SharedState | Layer.Services<E[number]["filesystem"]>
  > =>
    Layer.effect(
      Exports,
      Effect.flatMap(Filesystems, ({ replace }) => replace(exports, Exports.make, Effect.void))
    ).pipe(Layer.provideMerge(Filesystems.layer))
}
