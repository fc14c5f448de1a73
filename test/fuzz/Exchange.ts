/** Bytes go to a server, and what comes back is kept: over one connection, or datagram by datagram. */

import { Buffer } from "node:buffer"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import { RecordDecoder } from "../../src/rpc/RecordMarking.ts"

/** How long a server may take for all that one connection asks. */
const PATIENCE = "20 seconds"

/** How a client treats its connection. */
export interface Manners {
  readonly localAddress: string
  /** Replies that it waits for before it ends its side. */
  readonly waitsFor: number
  /** Whether it reads only when it has written everything. */
  readonly readsLate: boolean
  /** After so many pieces it is gone, without a word or with a reset. */
  readonly leavesAfter: { readonly pieces: number; readonly reset: boolean } | undefined
}

export interface Outcome {
  readonly replies: ReadonlyArray<Buffer>
  /**
   * `ended`: all was sent and the server ended after the client; `closed`: the server ended before that, or reset the
   * connection; `left`: the client did; `silent`: the time was up.
   */
  readonly how: "ended" | "closed" | "left" | "silent"
}

/** Sends these pieces over a connection of their own. */
export const stream = (port: number, pieces: ReadonlyArray<Buffer>, manners: Manners): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const replies: Array<Buffer> = []
    const silent: Outcome = { replies, how: "silent" }
    return Effect.map(converse(port, pieces, manners, replies), (how): Outcome => ({ replies, how })).pipe(
      Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.succeed(silent) })
    )
  })

const converse = (port: number, pieces: ReadonlyArray<Buffer>, manners: Manners, replies: Array<Buffer>) =>
  Effect.callback<Outcome["how"]>((resume) => {
    const { leavesAfter, localAddress, readsLate, waitsFor } = manners
    const socket = Net.connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true, noDelay: true })
    let how: Outcome["how"] = "closed"
    let written = false
    const end = (): void => {
      if (how !== "closed" || !written || replies.length < waitsFor) return
      how = "ended"
      socket.end()
    }
    const records = new RecordDecoder(64 * 1024 * 1024, (chunks) => replies.push(Buffer.concat(chunks)))
    socket.on("data", (chunk: Buffer) => {
      records.push(chunk)
      end()
    })
    socket.on("end", () => socket.end())
    socket.on("error", () => {
      if (how === "ended") how = "closed"
    })
    socket.on("close", () => resume(Effect.succeed(how)))
    const write = (index: number): void => {
      if (socket.destroyed) return
      if (index === leavesAfter?.pieces) {
        how = "left"
        if (leavesAfter.reset) socket.resetAndDestroy()
        else socket.destroy()
      } else if (index < pieces.length) {
        socket.write(pieces[index]!, () => setImmediate(write, index + 1))
      } else {
        written = true
        socket.resume()
        end()
      }
    }
    socket.once("connect", () => write(0))
    if (readsLate) socket.pause()
    return Effect.sync(() => socket.destroy())
  })

/** Milliseconds after which a datagram is sent again, and how often it is sent. */
const REPEAT_AFTER = 1000
const ATTEMPTS = 5

export interface Datagrams {
  readonly replies: ReadonlyArray<Buffer>
  /** How many were sent again. */
  readonly repeated: number
  /** `false` when one was not answered for all that, after which no more were sent. */
  readonly isAnswered: boolean
}

/**
 * Sends these datagrams, each when the one before has been answered. Nothing is promised there, so one that is not answered
 * is sent again; those that deserve no answer are not waited for.
 */
export const datagrams = (
  port: number,
  messages: ReadonlyArray<{ readonly message: Buffer; readonly isAnswered: boolean }>
): Effect.Effect<Datagrams> =>
  Effect.callback((resume) => {
    const replies: Array<Buffer> = []
    const socket = Dgram.createSocket("udp4")
    let repeated = 0
    let timer: NodeJS.Timeout | undefined
    const send = (index: number, attempt: number): void => {
      clearTimeout(timer)
      const next = messages[index]
      const isLost = attempt === ATTEMPTS
      if (next === undefined || isLost) {
        const end = (): void => resume(Effect.succeed({ replies, repeated, isAnswered: !isLost }))
        // What should not come may still be on its way.
        timer = setTimeout(() => socket.close(end), 10)
        return
      }
      if (attempt > 0) repeated++
      socket.removeAllListeners("message").on("message", (reply) => {
        replies.push(reply)
        if (next.isAnswered) send(index + 1, 0)
      })
      socket.send(next.message, port, "127.0.0.1", () => {
        if (next.isAnswered) timer = setTimeout(send, REPEAT_AFTER, index, attempt + 1)
        else send(index + 1, 0)
      })
    }
    socket.on("error", () => {})
    socket.bind(0, "127.0.0.1", () => send(0, 0))
  })
