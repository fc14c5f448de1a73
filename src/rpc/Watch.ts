/**
 * Watches a connection for a client that has stopped: nothing comes and nothing is asked for, or a record that was begun does
 * not go on, or replies are not read.
 *
 * It looks now and then, for all connections with one timer. Time counts only while the client could have gone on.
 */

import type { Settled } from "./Limits.ts"

/** Bytes that must move in a second for a client not to run out of time. */
const LEAST_SPEED = 4096

/** A connection as it is now. Counters only grow. */
export interface Observed {
  /** When something came last. */
  readonly heardAt: number
  /** Whether the socket is read. */
  readonly listening: boolean
  /** Whether calls wait or are in progress. */
  readonly busy: boolean
  /** Whether a record has begun that is not complete. */
  readonly receiving: boolean
  /** Records that are complete. */
  readonly records: number
  /** Bytes of records that came. */
  readonly received: number
  /** Bytes of replies that are not sent. */
  readonly unsent: number
  /** Bytes of replies whose writes have ended. */
  readonly sent: number
  /** Bytes that the write in progress has left. */
  readonly writing: number
}

export class Watch {
  private last: Observed
  /** Milliseconds that the client may still take for the record that it has begun, for its replies, and for nothing at all. */
  private forRecord = Infinity
  private forReplies = Infinity
  private idle = 0

  constructor(now: Observed) {
    this.last = now
  }

  /** What is wrong after so many milliseconds more. */
  look(now: Observed, passed: number, { idleTimeout, stallTimeout }: Settled): "idle" | "stalled" | undefined {
    const { last } = this
    this.last = now
    const quiet = now.listening && now.heardAt === last.heardAt && !now.busy && !now.receiving && now.unsent === 0
    this.idle = quiet ? this.idle + passed : 0
    if (!now.receiving || now.records !== last.records) {
      this.forRecord = stallTimeout
    } else if (now.listening && last.listening) {
      this.forRecord = left(this.forRecord, passed, now.received - last.received, stallTimeout)
    }
    if (now.unsent === 0 || last.unsent === 0) {
      this.forReplies = stallTimeout
    } else {
      const moved = now.sent > last.sent ? now.sent - last.sent : last.writing - now.writing
      this.forReplies = left(this.forReplies, passed, moved, stallTimeout)
    }
    if (this.forRecord <= 0 || this.forReplies <= 0) return "stalled"
    return this.idle >= idleTimeout ? "idle" : undefined
  }
}

/** What is left of a time limit after a time in which so many bytes moved. */
const left = (before: number, passed: number, moved: number, limit: number): number =>
  Math.min(limit, before - passed + (Math.max(0, moved) / LEAST_SPEED) * 1000)
