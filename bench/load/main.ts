/** The load generator's process: does one job after the other for the bench that started it. */

import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { measure } from "./measure.ts"
import { operations, type Prepared } from "./operations.ts"
import type { Endpoint, Job, Outcome } from "./protocol.ts"
import * as Workspace from "./Workspace.ts"

/** What was prepared lives as long as this process: a server is measured many times. */
const scope = Scope.makeUnsafe()
const workspaces = new Map<string, Workspace.Workspace>()
const prepared = new Map<string, Prepared>()

const workspaceOf = Effect.fnUntraced(function* (endpoint: Endpoint) {
  const key = keyOf(endpoint)
  const known = workspaces.get(key)
  if (known !== undefined) return known
  const workspace = yield* Scope.provide(Workspace.make(endpoint), scope)
  workspaces.set(key, workspace)
  return workspace
})

const preparedFor = Effect.fnUntraced(function* ({ connections, depth, endpoint, operation }: Job) {
  const slots = connections * depth
  const key = `${keyOf(endpoint)} ${operation} ${slots}`
  const known = prepared.get(key)
  if (known !== undefined) return known
  const made = yield* operations[operation](yield* workspaceOf(endpoint), slots)
  prepared.set(key, made)
  return made
})

const keyOf = ({ pid, port }: Endpoint): string => `${pid} ${port}`

const perform = (job: Job) => Effect.flatMap(preparedFor(job), (made) => measure(job, made))

const answer = (job: Job): Effect.Effect<void> =>
  perform(job).pipe(
    Effect.match({
      onSuccess: (measurement): Outcome => ({ _tag: "Measured", measurement }),
      onFailure: ({ message }): Outcome => ({ _tag: "Failed", message })
    }),
    Effect.map((outcome) => void process.send?.(outcome))
  )

process.on("message", (job) => {
  // Only the bench sends messages, and these are jobs.
  Effect.runFork(answer(job as Job))
})
// The bench is gone, however it ended.
process.on("disconnect", () => process.exit())
