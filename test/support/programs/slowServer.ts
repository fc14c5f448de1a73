/** Serves a filesystem in memory whose writes keep nothing, and wait until SIGUSR2 comes. Says its port. */

import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SharedState } from "../../../src/exports/SharedState.ts"
import { Filesystem } from "../../../src/filesystem/Filesystem.ts"
import { forward } from "../../../src/filesystem/Forwarding.ts"
import * as MemoryFilesystem from "../../../src/filesystem/memory/MemoryFilesystem.ts"
import { WorkerPool } from "../../../src/pool/WorkerPool.ts"
import { NfsServer } from "../../../src/server/NfsServer.ts"

const opened = Deferred.makeUnsafe<void>()

const filesystem = Layer.effect(
  Filesystem,
  Effect.map(MemoryFilesystem.make(), (memory) =>
    forward(memory, {
      write: (file, offset, _, stability, guard) =>
        Effect.andThen(Deferred.await(opened), memory.write(file, offset, [], stability, guard))
    })
  )
)

const program = Effect.gen(function* () {
  const services = yield* Layer.build(
    NfsServer.layer({ port: 0, exports: [{ path: "/", squash: "none", filesystem }] }).pipe(
      Layer.provide([WorkerPool.layerConfig(), SharedState.layer])
    )
  )
  yield* Console.log(`port=${Context.get(services, NfsServer).address.port}`)
  process.on("SIGUSR2", () => Deferred.doneUnsafe(opened, Effect.void))
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
