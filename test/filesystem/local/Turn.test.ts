import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import { alone, alsoShared, shared, Turn } from "../../../src/filesystem/local/Turn.ts"

/** Runs in a fiber of its own, up to where it waits. */
const begin = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** Somebody who stays inside until told to leave. */
const guest = (log: Array<string>, name: string) =>
  Effect.map(Deferred.make<void>(), (leave) => ({
    leave: Deferred.succeed(leave, undefined),
    stay: Effect.andThen(
      Effect.sync(() => log.push(name)),
      Deferred.await(leave)
    )
  }))

/** Runs after that many operations that do nothing. */
const following = <A>(operations: number, effect: Effect.Effect<A>): Effect.Effect<A> =>
  operations === 0
    ? effect
    : Effect.flatMap(
        Effect.sync(() => {}),
        () => following(operations - 1, effect)
      )

describe("Turn", () => {
  it.effect("many share it, and one who wants to be alone waits for them and lets nobody pass", () =>
    Effect.gen(function* () {
      const turn = new Turn()
      const log: Array<string> = []
      const [a, b, c, d] = [
        yield* guest(log, "a"),
        yield* guest(log, "b"),
        yield* guest(log, "c"),
        yield* guest(log, "d")
      ]
      yield* begin(shared(turn, a.stay))
      yield* begin(shared(turn, b.stay))
      yield* begin(alone(turn, c.stay))
      yield* begin(shared(turn, d.stay))
      assert.deepStrictEqual(log, ["a", "b"])
      yield* a.leave
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["a", "b"])
      yield* b.leave
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["a", "b", "c"])
      yield* c.leave
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["a", "b", "c", "d"])
    })
  )

  it.effect("who shares another turn passes who waits to be alone, not who is", () =>
    Effect.gen(function* () {
      const turn = new Turn()
      const log: Array<string> = []
      const [a, b, c, d] = [
        yield* guest(log, "a"),
        yield* guest(log, "b"),
        yield* guest(log, "c"),
        yield* guest(log, "d")
      ]
      yield* begin(shared(turn, a.stay))
      yield* begin(alone(turn, b.stay))
      yield* begin(alsoShared(turn, c.stay))
      assert.deepStrictEqual(log, ["a", "c"])
      yield* Effect.all([a.leave, c.leave])
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["a", "c", "b"])
      yield* begin(alsoShared(turn, d.stay))
      assert.deepStrictEqual(log, ["a", "c", "b"])
      yield* b.leave
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["a", "c", "b", "d"])
    })
  )

  it.effect("who is interrupted leaves, or waits no more", () =>
    Effect.gen(function* () {
      const turn = new Turn()
      const inside = yield* begin(alone(turn, Effect.never))
      const waiting = yield* begin(alone(turn, Effect.die("it was interrupted")))
      const next = yield* begin(shared(turn, Effect.succeed("next")))
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(inside)
      assert.strictEqual(yield* Fiber.join(next), "next")
      assert.strictEqual(yield* alone(turn, Effect.succeed("free")), "free")
    })
  )

  it.live("whoever's turn comes gets it, whatever happens between two steps", () =>
    Effect.gen(function* () {
      for (let before = 0; before < 24; before++) {
        for (const interrupted of [false, true]) {
          for (let steps = 0; steps < 5; steps++) {
            const turn = new Turn()
            const release = yield* Deferred.make<void>()
            yield* begin(alone(turn, Deferred.await(release)))
            // It yields every so many operations: each time elsewhere on its way.
            const waiting = yield* following(before, alone(turn, Effect.succeed("in"))).pipe(
              Effect.provideService(References.MaxOpsBeforeYield, 16),
              Effect.forkChild
            )
            for (let i = 0; i < steps; i++) yield* Effect.yieldNow
            yield* Deferred.succeed(release, undefined)
            if (interrupted) yield* Fiber.interrupt(waiting)
            else assert.strictEqual(yield* Effect.timeout(Fiber.join(waiting), "2 seconds"), "in")
            const free = Effect.timeout(alone(turn, Effect.succeed("free")), "2 seconds")
            assert.strictEqual(yield* free, "free")
          }
        }
      }
    })
  )

  it.effect("who fails or dies leaves", () =>
    Effect.gen(function* () {
      const turn = new Turn()
      yield* Effect.exit(alone(turn, Effect.fail("no")))
      yield* Effect.exit(shared(turn, Effect.die("no")))
      assert.strictEqual(yield* alone(turn, Effect.succeed("free")), "free")
    })
  )
})
