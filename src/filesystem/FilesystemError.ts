/**
 * The one error of every filesystem: a POSIX code. `NOENT` on a lookup is an everyday answer, so these are plain tagged
 * values, made once for each code and without stack traces.
 */

import * as Effect from "effect/Effect"

/** What each code means here. */
export const meanings = {
  EPERM: "the caller is not the owner",
  ENOENT: "no such file or directory",
  EIO: "a hard error of the device below",
  ENXIO: "no such device",
  EACCES: "permission denied",
  EEXIST: "the name exists already",
  EXDEV: "a link or rename across filesystems",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "a directory where something else is wanted",
  EINVAL: "an argument that makes no sense",
  EFBIG: "beyond the largest file",
  ENOSPC: "no space left",
  EROFS: "the filesystem is read-only",
  EMLINK: "too many hard links",
  ENAMETOOLONG: "a name of more than 255 bytes",
  ENOTEMPTY: "the directory is not empty",
  EDQUOT: "the quota is exhausted",
  ESTALE: "the file is gone, or was never here",
  EBADHANDLE: "not a handle that this server gave out",
  ENOTSUP: "the filesystem cannot do this",
  ENOTSYNC: "the file is not as the caller expects it (SETATTR's ctime guard)",
  EAGAIN: "not now: ask again in a while"
} as const

export type Code = keyof typeof meanings

export interface FilesystemError {
  readonly _tag: "FilesystemError"
  readonly code: Code
}

const table = <A>(f: (code: Code) => A): { readonly [K in Code]: A } =>
  Object.fromEntries((Object.keys(meanings) as Array<Code>).map((code) => [code, f(code)])) as { [K in Code]: A }

/** The error of each code. */
export const errors: { readonly [K in Code]: FilesystemError } = table((code) => ({ _tag: "FilesystemError", code }))

/** The failing effect of each code. */
export const fail: { readonly [K in Code]: Effect.Effect<never, FilesystemError> } = table((code) =>
  Effect.fail(errors[code])
)

/** Whether a guard's verdict (or anything else) is a {@link FilesystemError}. */
export const is = (u: unknown): u is FilesystemError =>
  typeof u === "object" && u !== null && (u as FilesystemError)._tag === "FilesystemError"

/** Ends the function that {@link attempt} runs. */
export const raise = (code: Code): never => {
  throw errors[code]
}

/** What a guard allows; {@link raise}s its refusal. */
export const allowed = <A>(verdict: A | FilesystemError): A => {
  if (is(verdict)) throw verdict
  return verdict
}

/** Runs a synchronous function, which may {@link raise}, as one step: for filesystems whose operations are such functions. */
export const attempt = <A>(run: () => A): Effect.Effect<A, FilesystemError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (is(error)) return fail[error.code]
      throw error
    }
  })
