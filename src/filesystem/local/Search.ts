/**
 * The one search that all share who ask for files of which nobody knows where they are: pass after pass through the whole
 * tree, for as long as somebody asks.
 *
 * A file is gone when a pass has ended without it that began after the question, and during which no directory changed; a
 * tree that always changes is gone through twice for each question. What was found to be gone stays so for a while.
 */

import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Bytestring from "../../xdr/Bytestring.ts"
import { errors, type FilesystemError } from "../FilesystemError.ts"
import type { Hints } from "./Hints.ts"
import { bytesOf, type Entry, textOf, type Tree } from "./Tree.ts"
import { type Outcome, type Place, walk, wayTo } from "./Walk.ts"

/** Milliseconds that a question waits for its answer: in a small tree everything is found at once. */
const PATIENCE = 100

/** Milliseconds after which a question is dropped that nobody repeats. Clients repeat theirs after 5 to 30 seconds. */
const INTEREST = 90_000

/** Milliseconds until the next pass when the process lacked descriptors or memory. */
const PAUSE = 1000

/** Passes after which a file is gone even if directories changed during each of them. */
const PASSES = 2

/** Questions at a time. */
const MAX_QUESTIONS = 16_384

/** Files that are known to be gone, and for how many milliseconds. */
const MAX_GONE = 16_384
const GONE = 600_000

interface Question {
  readonly key: string
  /** The file's directory on the way to it that has to be found first; or the file itself. */
  missing: string
  /** The last pass that began before the question. */
  readonly pass: number
  /** Passes that have ended since, though some directory changed meanwhile. */
  passes: number
  askedAt: number
  /** Whether it is worth another try to go there; otherwise the file is gone. */
  readonly answer: Deferred.Deferred<boolean>
}

export class Search {
  private readonly tree: Tree
  private readonly hints: Hints
  private readonly clock: Clock.Clock
  private readonly questions = new Map<string, Question>()
  /** The questions that finding a file answers, be it the one that was asked for or a directory on the way. */
  private readonly answers = new Map<string, Set<Question>>()
  /** Until when. */
  private readonly gone = new Map<string, number>()
  private readonly asked = Latch.makeUnsafe(false)
  private pass = 0
  private passStarted: number | undefined
  private cleanedAt = 0
  private hasComplained = false

  static readonly make = (tree: Tree, hints: Hints): Effect.Effect<Search, never, Scope.Scope> =>
    Effect.gen(function* () {
      const search = new Search(tree, hints, yield* Clock.Clock)
      yield* Effect.forkScoped(search.run)
      return search
    })

  private constructor(tree: Tree, hints: Hints, clock: Clock.Clock) {
    this.tree = tree
    this.hints = hints
    this.clock = clock
  }

  isGone(key: string): boolean {
    const until = this.gone.get(key)
    if (until === undefined) return false
    if (until > this.clock.currentTimeMillisUnsafe()) return true
    this.gone.delete(key)
    return false
  }

  /** It has been removed. */
  remove(key: string): void {
    this.gone.delete(key)
    this.gone.set(key, this.clock.currentTimeMillisUnsafe() + GONE)
    if (this.gone.size > MAX_GONE) this.gone.delete(this.gone.keys().next().value!)
    const question = this.questions.get(key)
    if (question !== undefined) this.settle(question, false)
  }

  /** It has been seen. */
  found(key: string): void {
    this.gone.delete(key)
    for (const question of this.answers.get(key) ?? []) this.settle(question, true)
  }

  /**
   * Looks for a file and for `missing`, the lowest directory on the way to it of which that much is known. Gives whether
   * it is worth another try to go there, or else the file is gone; fails with EAGAIN when that takes longer.
   */
  ask(key: string, missing: string): Effect.Effect<boolean, FilesystemError> {
    return Effect.suspend(() => {
      const now = this.clock.currentTimeMillisUnsafe()
      const question = this.questions.get(key) ?? this.newQuestion(key)
      if (question === undefined) return Effect.fail(errors.EAGAIN)
      question.askedAt = now
      this.unlink(question)
      question.missing = missing
      this.link(question)
      this.asked.openUnsafe()
      if (now - (this.passStarted ?? now) >= PATIENCE) return Effect.fail(errors.EAGAIN)
      return Effect.timeoutOrElse(Deferred.await(question.answer), {
        duration: PATIENCE,
        orElse: () => Effect.fail(errors.EAGAIN)
      })
    })
  }

  private newQuestion(key: string): Question | undefined {
    if (this.questions.size >= MAX_QUESTIONS) return undefined
    const question: Question = {
      key,
      missing: key,
      pass: this.pass,
      passes: 0,
      askedAt: 0,
      answer: Deferred.makeUnsafe()
    }
    this.questions.set(key, question)
    return question
  }

  private settle(question: Question, again: boolean): void {
    this.drop(question)
    Deferred.doneUnsafe(question.answer, Effect.succeed(again))
  }

  private drop(question: Question): void {
    this.questions.delete(question.key)
    this.unlink(question)
  }

  private link(question: Question): void {
    for (const key of [question.key, question.missing]) {
      const questions = this.answers.get(key)
      if (questions === undefined) this.answers.set(key, new Set([question]))
      else questions.add(question)
    }
  }

  private unlink(question: Question): void {
    for (const key of [question.key, question.missing]) {
      const questions = this.answers.get(key)
      questions?.delete(question)
      if (questions?.size === 0) this.answers.delete(key)
    }
  }

  private readonly run = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* this.asked.await
      this.asked.closeUnsafe()
      while (this.questions.size > 0) {
        yield* this.goThrough.pipe(
          Effect.catch(() => Effect.sleep(PAUSE)),
          Effect.catchDefect((defect) =>
            Effect.andThen(Effect.logError("a search for files failed", defect), Effect.sleep(PAUSE))
          )
        )
      }
      this.passStarted = undefined
    }
  })

  /** One pass, and what it means for those who asked before it began. */
  private readonly goThrough = Effect.gen({ self: this }, function* () {
    const pass = ++this.pass
    const since = this.hints.now()
    this.passStarted = this.clock.currentTimeMillisUnsafe()
    const outcome = yield* walk({
      tree: this.tree,
      pass: (key, directory, entry) => this.see(key, directory, entry, since),
      goOn: this.goOn
    })
    if (outcome === "stopped") return
    const { changed, refused } = outcome
    if (refused !== undefined) yield* this.complain(refused)
    if (!changed && refused === undefined) this.hints.prune(since)
    for (const question of this.questions.values()) {
      if (question.pass < pass && (++question.passes >= PASSES || !changed)) this.remove(question.key)
    }
  })

  private see(key: string, directory: Place, { directory: isDirectory, name }: Entry, since: number): void {
    this.hints.pass(key, directory.key, textOf(name), isDirectory, since)
    this.gone.delete(key)
    if (!this.answers.has(key)) return
    // Now the whole way has to be known.
    this.hints.put(key, directory.key, textOf(name), since)
    for (const step of wayTo(directory)) this.hints.put(step.key, step.parent, step.name, since)
    this.found(key)
  }

  private readonly goOn = Effect.gen({ self: this }, function* () {
    yield* this.hints.room
    const now = this.clock.currentTimeMillisUnsafe()
    if (now - this.cleanedAt > 1000) {
      this.cleanedAt = now
      for (const question of this.questions.values()) {
        if (now - question.askedAt > INTEREST) this.drop(question)
      }
    }
    return this.questions.size > 0
  })

  /** Says once what cannot be searched. */
  private complain({ error, place }: NonNullable<Outcome["refused"]>): Effect.Effect<void> {
    if (this.hasComplained) return Effect.void
    this.hasComplained = true
    const names = wayTo(place).map(({ name }) => Bytestring.decode(bytesOf(name)))
    return Effect.logWarning(
      `Files are not found again where the server may not look, such as in ${JSON.stringify(`./${names.join("/")}`)} (${error.code})`
    )
  }
}
