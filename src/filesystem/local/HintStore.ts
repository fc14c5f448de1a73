/**
 * Hints of one export in a file of SQLite, so that they outlive the server.
 *
 * `node:sqlite` is synchronous. That is affordable here: a look-up takes 7 to 10 µs (a million rows, Node 24 on a busy
 * machine, 15 to 20 µs in the worst of a hundred), and only keys that are not in memory are looked up; writing takes 3 to
 * 6 µs a row in a small file, 10 to 20 among many, and is done in the background, a few milliseconds at a time. Nothing is
 * synced: a hint that is lost costs a search, a wrong one is found out.
 *
 * Several exports and several processes may use one file: rows carry a hash of their root's key.
 */

import { createHash } from "node:crypto"
import { closeSync, mkdirSync, openSync, renameSync, rmSync } from "node:fs"
import { dirname } from "node:path"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { bytesOf, textOf } from "./Tree.ts"

/** Where a file was last; keys and names as text. */
export interface Hint {
  readonly parent: string
  readonly name: string
  /** Milliseconds since 1970. */
  readonly seen: number
}

const SCHEMA =
  "CREATE TABLE hint (root INTEGER NOT NULL, key BLOB NOT NULL, parent BLOB NOT NULL, name BLOB NOT NULL, " +
  "seen INTEGER NOT NULL, PRIMARY KEY (root, key)) WITHOUT ROWID"

/** Rows that one step of a sweep looks at. */
const SWEPT = 1000

/** Results of SQLite; the upper bits of a code are details. */
const [BUSY, LOCKED, CORRUPT, NOTADB] = [5, 6, 11, 26]
const resultOf = (error: unknown): number => ((error as { readonly errcode?: number }).errcode ?? 0) & 0xff
const isBusy = (error: unknown): boolean => resultOf(error) === BUSY || resultOf(error) === LOCKED

/** A file that is not ours. */
class Foreign extends Error {
  readonly errcode = NOTADB
  override readonly message = "it holds something else"
}

interface Opened {
  readonly db: DatabaseSync
  readonly get: StatementSync
  readonly put: StatementSync
  readonly remove: StatementSync
  readonly nextSlice: StatementSync
  readonly sweep: StatementSync
}

export class HintStore {
  private readonly file: string
  private readonly root: number
  private opened: Opened | undefined
  private renewed = false
  /** Where the sweep is, if there is one. */
  private swept: { readonly root: number; readonly key: Uint8Array } | undefined
  /** What an administrator should know, a line each; whoever logs them takes them out. */
  readonly troubles: Array<string> = []

  constructor(file: string, root: Uint8Array) {
    this.file = file
    this.root = createHash("sha256").update(root).digest().readUIntBE(0, 6)
    this.open()
  }

  get(key: string): Hint | undefined {
    const row = this.attempt(({ get }) => get.get(this.root, bytesOf(key)))
    if (row === undefined) return undefined
    const name = textOf(row["name"] as Uint8Array)
    // Whatever happened to the file: no name of it leads out of a directory.
    if (!isName(name)) return undefined
    return { parent: textOf(row["parent"] as Uint8Array), name, seen: row["seen"] as number }
  }

  /**
   * Writes entries, `undefined` for those to remove, in one transaction and takes them out of `pending`, for about `limit`
   * milliseconds. What another process holds up stays where it is.
   */
  write(pending: Map<string, Hint | undefined>, limit: number): void {
    const until = performance.now() + limit
    const written = this.attempt(({ db, put, remove }) => {
      const keys: Array<string> = []
      db.exec("BEGIN IMMEDIATE")
      try {
        for (const [key, hint] of pending) {
          if (hint === undefined) remove.run(this.root, bytesOf(key))
          else put.run(this.root, bytesOf(key), bytesOf(hint.parent), bytesOf(hint.name), hint.seen)
          keys.push(key)
          if (keys.length % 32 === 0 && performance.now() > until) break
        }
        db.exec("COMMIT")
      } finally {
        if (db.isTransaction) db.exec("ROLLBACK")
      }
      return keys
    })
    for (const key of written ?? []) pending.delete(key)
    if (this.opened === undefined) pending.clear()
  }

  /** Begins to look through all rows, also those of roots that nobody serves any more. */
  startSweep(): void {
    this.swept = { root: -1, key: new Uint8Array() }
  }

  get isSweeping(): boolean {
    return this.swept !== undefined && this.opened !== undefined
  }

  /** Removes some of the rows that were last seen before `aged`, of this root before `gone`. */
  sweep(aged: number, gone: number): void {
    const from = this.swept
    if (from === undefined) return
    this.attempt(({ nextSlice, sweep }) => {
      const last = nextSlice.get(from.root, from.key)
      const to = {
        root: (last?.["root"] ?? Number.MAX_SAFE_INTEGER) as number,
        key: (last?.["key"] ?? from.key) as Uint8Array
      }
      sweep.run(from.root, from.key, to.root, to.key, aged, this.root, gone)
      this.swept = last === undefined ? undefined : to
    })
  }

  get isOpen(): boolean {
    return this.opened !== undefined
  }

  close(): void {
    try {
      this.opened?.db.close()
    } catch {
      // What it could not write is lost.
    }
    this.opened = undefined
  }

  private attempt<A>(f: (opened: Opened) => A): A | undefined {
    if (this.opened === undefined) return undefined
    try {
      return f(this.opened)
    } catch (error) {
      if (isBusy(error)) return undefined
      this.fail(error)
      return this.attempt(f)
    }
  }

  private open(): void {
    try {
      this.opened = open(this.file)
    } catch (error) {
      this.fail(error)
    }
  }

  /** A damaged file is begun anew, once; after any other failure hints are only in memory. */
  private fail(error: unknown): void {
    this.close()
    const why = error instanceof Error ? error.message : String(error)
    if ((resultOf(error) === CORRUPT || resultOf(error) === NOTADB) && !this.renewed) {
      this.renewed = true
      try {
        setAside(this.file)
        this.troubles.push(
          `Hints of where files are begin anew: ${this.file} is damaged (${why}) and now ends in .damaged`
        )
        return this.open()
      } catch {
        // It cannot be moved either.
      }
    }
    this.troubles.push(`Hints of where files are do not outlive the server: ${this.file} cannot be used (${why})`)
  }
}

const isName = (name: string): boolean =>
  name.length > 0 && name.length <= 255 && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\0")

const setAside = (file: string): void => {
  renameSync(file, `${file}.damaged`)
  // They belong to the file that was there.
  for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true })
}

const open = (file: string): Opened => {
  const { DatabaseSync } = load()
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // Names of files are nobody else's business; SQLite itself would let everybody read them.
  closeSync(openSync(file, "a", 0o600))
  const db = new DatabaseSync(file)
  try {
    const schema = db.prepare("SELECT sql FROM sqlite_schema").all()
    if (schema.length > 1 || (schema.length === 1 && schema[0]!["sql"] !== SCHEMA)) throw new Foreign()
    db.exec("PRAGMA journal_mode = WAL")
    db.exec("PRAGMA synchronous = OFF")
    if (schema.length === 0) db.exec(SCHEMA)
    return {
      db,
      get: db.prepare("SELECT parent, name, seen FROM hint WHERE root = ? AND key = ?"),
      put: db.prepare("INSERT OR REPLACE INTO hint VALUES (?, ?, ?, ?, ?)"),
      remove: db.prepare("DELETE FROM hint WHERE root = ? AND key = ?"),
      nextSlice: db.prepare(
        `SELECT root, key FROM hint WHERE (root, key) > (?, ?) ORDER BY root, key LIMIT 1 OFFSET ${SWEPT - 1}`
      ),
      sweep: db.prepare(
        "DELETE FROM hint WHERE (root, key) > (?, ?) AND (root, key) <= (?, ?) AND (seen < ? OR root = ? AND seen < ?)"
      )
    }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Loads SQLite, which takes time and memory, and keeps to itself that some versions of Node.js call it experimental. */
const load = (): typeof import("node:sqlite") => {
  const emitWarning = Reflect.get(process, "emitWarning") as (...args: ReadonlyArray<unknown>) => void
  process.emitWarning = (...args: ReadonlyArray<unknown>): void => {
    if (!String(args[0]).startsWith("SQLite is an experimental feature")) Reflect.apply(emitWarning, process, args)
  }
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}
