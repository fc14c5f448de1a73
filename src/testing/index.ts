/**
 * `effect-nfs/testing`: what tests of filesystems and of protocols need, for vitest with `@effect/vitest` (which an app has
 * to install for itself).
 *
 * It is public API: functions and options change as the package's version says. A minor release may check more of what the
 * contract always demanded; the changelog names each new check.
 */

export {
  type Capability,
  type ConformanceOptions,
  type Expected,
  filesystemConformance,
  readOnlyConformance,
  Symlink,
  symlink,
  type Tree
} from "./filesystemConformance.ts"
export { arbitraryOf, asDecoded, bytes, text } from "./arbitraryOf.ts"
