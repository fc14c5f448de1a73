/** One call, as the pool sees it. */

import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { Task } from "../pool/Task.ts"
import type { Throttle } from "../pool/Throttle.ts"
import type { AuthError, Credentials } from "./Auth.ts"
import type { Peer } from "./Peer.ts"
import type { Replay } from "./ReplayCache.ts"
import type { Caller, Procedure, Transport } from "./RpcProgram.ts"

/** Bytes that a call pins besides its data, about. */
const CALL_COST = 1024

export class Request extends Task implements Caller {
  readonly peer: Peer
  readonly xid: number
  readonly procedure: Procedure<any, any>
  readonly args: unknown
  readonly credentials: Credentials
  readonly replay: Replay | undefined
  readonly priority: number
  override readonly timeLimit: number
  /** Bytes that it pins in the pool: with the data that it brings or asks for. */
  override readonly cost: number
  /** Bytes that it pins before that. */
  readonly pinned: number
  /** Its index among its connection's calls in flight. */
  place = 0

  /** `length`: bytes of its message. */
  constructor(
    peer: Peer,
    xid: number,
    procedure: Procedure<any, any>,
    args: unknown,
    credentials: Credentials,
    replay: Replay | undefined,
    length: number
  ) {
    super()
    this.peer = peer
    this.xid = xid
    this.procedure = procedure
    this.args = args
    this.credentials = credentials
    this.replay = replay
    const { cost, priority } = procedure
    const callClass = peer.classOf(typeof priority === "function" ? priority(args) : priority)
    this.priority = callClass.priority
    this.timeLimit = callClass.timeLimit
    this.pinned = CALL_COST + length
    this.cost = cost === undefined ? CALL_COST : CALL_COST + cost(args)
  }

  get lane(): unknown {
    return this.peer.lane
  }

  get uninterruptible(): boolean {
    return !this.procedure.idempotent
  }

  get context(): Context.Context<never> {
    return this.peer.context
  }

  get effect(): Effect.Effect<unknown, AuthError> {
    return this.procedure.handler(this.args, this)
  }

  get transport(): Transport {
    return this.peer.transport
  }

  get address(): string {
    return this.peer.address
  }

  get port(): number {
    return this.peer.port
  }

  charge(throttle: Throttle): void {
    throttle.charge(1, Math.max(this.cost, this.pinned) - CALL_COST)
    this.peer.heed(throttle)
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.peer.finish(this, exit)
  }
}
