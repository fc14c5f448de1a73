/**
 * What several processes or several runs of a server have to agree on, or to know apart: behind one service, so that it can
 * come from somewhere else.
 */

import { randomBytes } from "node:crypto"
import { linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Bytes of {@link SharedState}'s `handleKey`. */
const KEY_LENGTH = 16

/** The file in a state directory that has the key. */
const KEY_FILE = "handle-key"

/** What a client compares to learn whether data that it has not committed may be lost (RFC 1813, 3.3.7). */
export interface WriteVerifier {
  /** 8 bytes, which no other run has. */
  readonly current: Uint8Array
  /** Makes it another one: data that was written under the one before may be lost, so clients send it again. */
  readonly renew: () => void
}

export class SharedState extends Context.Service<
  SharedState,
  {
    /** What file handles are signed with, 16 bytes. Handles live as long as it does. */
    readonly handleKey: Uint8Array
    readonly writeVerifier: WriteVerifier
  }
>()("effect-nfs/SharedState") {
  /** For this run only. */
  static readonly layer: Layer.Layer<SharedState> = Layer.sync(SharedState, () => make(randomBytes(KEY_LENGTH)))

  /**
   * With a key that is kept in `directory`, which is made when it is missing. Where that is impossible, a warning is logged
   * and the key is for this run only.
   */
  static readonly layerFile = (directory: string): Layer.Layer<SharedState> =>
    Layer.effect(
      SharedState,
      Effect.try({ try: () => keyIn(directory), catch: reason }).pipe(
        Effect.catch((why) =>
          Effect.as(
            Effect.logWarning(`Clients have to mount again after a restart: no handle key in ${directory} (${why})`),
            randomBytes(KEY_LENGTH)
          )
        ),
        Effect.map(make)
      )
    )
}

export const { layer, layerFile } = SharedState

const make = (handleKey: Uint8Array) => SharedState.of({ handleKey, writeVerifier: makeVerifier() })

const makeVerifier = (): WriteVerifier => {
  let current: Uint8Array = randomBytes(8)
  return {
    get current() {
      return current
    },
    renew: () => {
      current = randomBytes(8)
    }
  }
}

/** The key in `directory`, made if there is none. */
const keyIn = (directory: string): Uint8Array => {
  const path = join(directory, KEY_FILE)
  return readKey(path) ?? makeKey(directory, path)
}

const readKey = (path: string): Uint8Array | undefined => {
  try {
    const { mode, uid } = statSync(path)
    // Who knows the key makes handles of any file: it must come from us, and be ours alone.
    if ((mode & 0o077) !== 0 || (process.getuid !== undefined && uid !== process.getuid())) {
      throw new Error(`${KEY_FILE} belongs to others or can be read by them`)
    }
    const key = readFileSync(path)
    if (key.length !== KEY_LENGTH) throw new Error(`${KEY_FILE} is damaged`)
    return key
  } catch (error) {
    if (code(error) === "ENOENT") return undefined
    throw error
  }
}

/** Makes a key that is there as a whole or not at all. When another process is faster, its key is the one. */
const makeKey = (directory: string, path: string): Uint8Array => {
  const key = randomBytes(KEY_LENGTH)
  const draft = `${path}.${randomBytes(6).toString("hex")}`
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(draft, key, { mode: 0o600, flag: "wx", flush: true })
  try {
    linkSync(draft, path)
    return key
  } catch (error) {
    const other = code(error) === "EEXIST" ? readKey(path) : undefined
    if (other === undefined) throw error
    return other
  } finally {
    unlinkSync(draft)
  }
}

const code = (error: unknown): unknown => (error as NodeJS.ErrnoException).code

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))
