/**
 * A server as its configuration says, which can be told another one while it serves.
 *
 * ```ts
 * const Server = ConfiguredServer.layer({ exports: [{ path: "/", directory: "./dir" }], stateDir: "./state" })
 * ```
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ExportsError } from "../exports/Exports.ts"
import { SharedState } from "../exports/SharedState.ts"
import type { LocalFilesystemError } from "../filesystem/local/LocalFilesystem.ts"
import { toBytes, toMillis } from "../pool/Units.ts"
import { type PoolSizeInvalid, standardPriorities, WorkerPool } from "../pool/WorkerPool.ts"
import { priorities, type Priority } from "../rpc/RpcProgram.ts"
