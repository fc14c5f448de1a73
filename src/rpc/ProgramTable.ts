/** The programs of a server, and what it answers to calls of others (RFC 5531, 9: `accept_stat`). */

import type { AcceptedReply, CallHeader } from "./RpcMessage.ts"
import type { Procedure, RpcProgram } from "./RpcProgram.ts"

export interface ProgramTable {
  /** The procedure that is called, or why there is none. */
  readonly find: (call: CallHeader) => Procedure<any, any> | AcceptedReply
}

/** Several versions of a program are several entries. */
export const make = (programs: ReadonlyArray<RpcProgram>): ProgramTable => {
  const versions = new Map<number, Map<number, RpcProgram>>()
  for (const program of programs) {
    const known = versions.get(program.program) ?? new Map<number, RpcProgram>()
    versions.set(program.program, known.set(program.version, program))
  }
  return {
    find: (call) => {
      const known = versions.get(call.program)
      if (known === undefined) return PROG_UNAVAIL
      const program = known.get(call.version)
      if (program === undefined) {
        return { stat: "PROG_MISMATCH", low: Math.min(...known.keys()), high: Math.max(...known.keys()) }
      }
      return program.procedures[call.procedure] ?? PROC_UNAVAIL
    }
  }
}

const PROG_UNAVAIL: AcceptedReply = { stat: "PROG_UNAVAIL" }
const PROC_UNAVAIL: AcceptedReply = { stat: "PROC_UNAVAIL" }
