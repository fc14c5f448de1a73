/** Listens for connections, and on the same port for datagrams. */

import { Buffer } from "node:buffer"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The address could not be listened on. */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** Milliseconds without a word from a client before it is asked whether it is still there. */
const KEEP_ALIVE = 60_000

/** Ports that are tried, where any will do, until one is free for datagrams, too. */
const ATTEMPTS = 20

export interface Options {
  readonly host: string
  /** 0 picks one that is free. */
  readonly port: number
  /** Whether to listen for datagrams. */
  readonly datagrams: boolean
  /** Chunks of the socket's data are good only until the listener for them returns. */
  readonly onConnection: (socket: Net.Socket) => void
}

export interface Listener {
  readonly server: Net.Server
  /** For datagrams. */
  readonly socket: Dgram.Socket | undefined
}

/** Listens as long as the surrounding scope lives. */
export const listen = (options: Options): Effect.Effect<Listener, ListenError, Scope.Scope> =>
  Effect.acquireRelease(open(options), ({ server, socket }) =>
    Effect.sync(() => {
      server.close()
      socket?.close()
    })
  )

const open = (options: Options): Effect.Effect<Listener, ListenError> =>
  Effect.gen(function* () {
    const server = yield* listenTcp(options)
    if (!options.datagrams) return { server, socket: undefined }
    const { address, port } = server.address() as Net.AddressInfo
    const socket = yield* Effect.onError(bindUdp(address, port), () => Effect.sync(() => server.close()))
    return { server, socket }
  }).pipe(Effect.retry({ times: ATTEMPTS, while: ({ cause }) => options.port === 0 && codeOf(cause) === "EADDRINUSE" }))

const listenTcp = ({ host, onConnection, port }: Options) =>
  Effect.callback<Net.Server, ListenError>((resume) => {
    // Half-open: a client that has said all it has to say still gets its answers.
    // Kept alive: a client that vanished without a word is noticed in the end.
    const server = Net.createServer(
      { noDelay: true, allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE },
      (socket) => onConnection(thrifty(socket))
    )
    server.once("error", (cause) => resume(failure(cause, host, `port ${port}`)))
    server.listen({ host, port }, () => {
      server.removeAllListeners("error")
      resume(Effect.succeed(server))
    })
  })

/** Where the data of all connections arrives. */
let arrivals: Buffer | undefined
const ARRIVALS_LENGTH = 128 * 1024

/**
 * The same connection with one memory for all that it receives. Left alone, Node.js takes 64 KiB of new memory for each chunk,
 * and with large WRITEs its engine does little else than to collect it. Node.js has an option for that (`onread`), but only for
 * sockets that are not accepted: so there is a new one for this one's handle.
 *
 * The memory is that of all connections, since from the moment that the system is asked for data until it is looked at, nothing
 * comes between. (On Windows, the system is given the memory long before there are data.)
 */
const thrifty = (accepted: Net.Socket): Net.Socket => {
  const held = accepted as unknown as { _handle: unknown }
  const handle = held._handle
  if (process.platform === "win32" || typeof (handle as Handle | null)?.useUserBuffer !== "function") return accepted
  held._handle = null
  const socket: Net.Socket = new Net.Socket({
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: (arrivals ??= Buffer.allocUnsafeSlow(ARRIVALS_LENGTH)),
      callback: (length, buffer) => {
        socket.emit("data", buffer.subarray(0, length))
        return true
      }
    }
  } as Net.SocketConstructorOpts)
  // What is left of the other counts as a connection of the server's until it ends, too.
  socket.once("close", () => accepted.destroy())
  return socket
}

interface Handle {
  readonly useUserBuffer?: unknown
}

const bindUdp = (address: string, port: number) =>
  Effect.callback<Dgram.Socket, ListenError>((resume) => {
    const socket = Dgram.createSocket(Net.isIPv6(address) ? "udp6" : "udp4")
    socket.once("error", (cause) => {
      socket.close()
      resume(failure(cause, address, `UDP port ${port}`))
    })
    socket.bind({ address, port }, () => {
      socket.removeAllListeners("error")
      resume(Effect.succeed(socket))
    })
  })

const failure = (cause: NodeJS.ErrnoException, host: string, port: string): Effect.Effect<never, ListenError> =>
  Effect.fail(new ListenError({ cause, message: explain(cause, host, port) }))

const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException).code

const explain = (cause: NodeJS.ErrnoException, host: string, port: string): string => {
  const where = `${port} of ${host}`
  switch (cause.code) {
    case "EADDRINUSE":
      return `${where} is in use`
    case "EACCES":
      return `no permission to listen on ${where}`
    case "EADDRNOTAVAIL":
      return `${host} is not an address of this machine`
    case "ENOTFOUND":
      return `the host ${host} is not known`
    default:
      return `cannot listen on ${where}: ${cause.message}`
  }
}
