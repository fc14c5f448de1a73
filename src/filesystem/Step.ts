/**
 * Operations that are plain synchronous functions, or at least know some answers at once.
 *
 * An operation is an effect: it does nothing until it is run, and can be run again. A server runs each once, as soon as it
 * has it, and a fiber for what never waits would cost more than the operation itself. So operations that are made here keep
 * the function that they are made of, and {@link prompt} gives them to who wants that called.
 */

import * as Effect from "effect/Effect"
import type { Operations } from "./Filesystem.ts"
import { fail, type FilesystemError, is } from "./FilesystemError.ts"
import { forward } from "./Forwarding.ts"

type Fails<A> = Effect.Effect<A, FilesystemError>

/** The functions of operations, by these: so who replaces or wraps an operation has one without. */
const calls = new WeakMap<object, (...args: ReadonlyArray<any>) => Fails<unknown>>()

/** An operation that is one synchronous step, which gives its result or its error. */
export const step = <Args extends ReadonlyArray<any>, A extends object>(
  take: (...args: Args) => A | FilesystemError
): ((...args: Args) => Fails<A>) => operation((...args) => ended(take(...args)))

/** An operation that may know its answer at once; where `take` gives none, it does `otherwise`. */
export const known = <Args extends ReadonlyArray<any>, A extends object>(
  take: (...args: Args) => A | FilesystemError | undefined,
  otherwise: (...args: Args) => Fails<A>
): ((...args: Args) => Fails<A>) =>
  operation((...args) => {
    const taken = take(...args)
    return taken === undefined ? otherwise(...args) : ended(taken)
  })

/**
 * `fs` for who runs each operation once and at once: what needs no waiting is done when the operation is called, and the
 * effect is an `Exit`.
 */
export const prompt = (fs: Operations): Operations =>
  forward(
    fs,
    Object.fromEntries(
      Object.entries<unknown>({ ...fs }).flatMap(([name, operation]) => {
        const called = typeof operation === "function" ? calls.get(operation) : undefined
        return called === undefined ? [] : [[name, called]]
      })
    )
  )

const operation = <Args extends ReadonlyArray<any>, A>(called: (...args: Args) => Fails<A>) => {
  const made = (...args: Args): Fails<A> => Effect.suspend(() => called(...args))
  calls.set(made, called as (...args: ReadonlyArray<any>) => Fails<unknown>)
  return made
}

const ended = <A extends object>(result: A | FilesystemError): Fails<A> =>
  is(result) ? fail[result.code] : Effect.succeed(result)
