/** Serves the directory of its first argument as root may, with the state of its second. Says its port. */

import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SharedState } from "../../../src/exports/SharedState.ts"
import * as LocalFilesystem from "../../../src/filesystem/local/LocalFilesystem.ts"
import { WorkerPool } from "../../../src/pool/WorkerPool.ts"
import { NfsServer } from "../../../src/server/NfsServer.ts"

const [, , path = "", state = ""] = process.argv

const program = Effect.gen(function* () {
  const filesystem = LocalFilesystem.layer({ path, stateFile: `${state}/files.sqlite` })
  const services = yield* Layer.build(
    NfsServer.layer({ port: 0, exports: [{ path: "/", squash: "none", filesystem }] }).pipe(
      Layer.provide([WorkerPool.layer(), SharedState.layerFile(state)])
    )
  )
  yield* Console.log(`port=${Context.get(services, NfsServer).address.port}`)
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
