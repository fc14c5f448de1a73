/**
 * Tells the rpcbind of this machine about our services, for as long as a scope lives (RFC 1833, section 2.2).
 *
 * What an earlier server has left there, ours or another's, is replaced; what a server that still answers has registered
 * is not, or its clients could not find it any more.
 */

import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as DatagramClient from "../../rpc/DatagramClient.ts"
import * as RpcClient from "../../rpc/RpcClient.ts"
import { nullProcedure, type Procedure } from "../../rpc/RpcProgram.ts"
import { DUMP, PROGRAM, type Rpcb, SET, UNSET } from "./RpcbindCalls.ts"
import type { Service } from "./Service.ts"
import * as UniversalAddress from "./UniversalAddress.ts"

/** Nothing answers on the portmapper's port. */
export class NoRpcbind extends Data.TaggedError("NoRpcbind")<{ readonly message: string }> {}

/** rpcbind is there, and does not do what it is asked to. */
export class RegistrationRefused extends Data.TaggedError("RegistrationRefused")<{ readonly message: string }> {}

/** How long rpcbind may take to answer a call; it is on this machine. */
const PATIENCE = "1 second"

/** How long a server may take to show that it is still there. */
const SIGN_OF_LIFE = "500 millis"

/** How long all of a registration may take, and its end. */
const LIMIT = "5 seconds"
const END_LIMIT = "2 seconds"

/** The version that is spoken with rpcbind: the first that has all transports. All that exist have version 4, too. */
const VERSION = 4

/** Registers services with the rpcbind that listens on `port` of 127.0.0.1, until the surrounding scope ends. */
export const register = (
  services: ReadonlyArray<Service>,
  port: number
): Effect.Effect<void, NoRpcbind | RegistrationRefused, Scope.Scope> =>
  Effect.acquireRelease(
    enter(services, port).pipe(
      Effect.scoped,
      Effect.timeoutOrElse({
        duration: LIMIT,
        orElse: () => Effect.fail(new RegistrationRefused({ message: "rpcbind takes too long to answer" }))
      })
    ),
    () => unregister(services, port),
    { interruptible: true }
  )

const enter = Effect.fnUntraced(function* (services: ReadonlyArray<Service>, port: number) {
  const rpcbind = yield* connect(port)
  const known = yield* rpcbind(DUMP, undefined)
  const rivals = known.filter((entry) => services.some((service) => concerns(entry, service) && !is(entry, service)))
  for (const rival of rivals) {
    if (yield* answers(rival)) return yield* new RegistrationRefused({ message: taken(rival) })
  }
  const replace = Effect.fnUntraced(function* (service: Service) {
    yield* rpcbind(UNSET, { ...entryOf(service), addr: "" })
    if (yield* rpcbind(SET, entryOf(service))) return
    return yield* new RegistrationRefused({ message: refused(service) })
  })
  yield* Effect.forEach(services, replace, { discard: true }).pipe(Effect.onError(() => unregister(services, port)))
})

/** Takes back what was registered, unless another server has taken its place; gives up soon. */
const unregister = (services: ReadonlyArray<Service>, port: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const rpcbind = yield* connect(port)
    const known = yield* rpcbind(DUMP, undefined)
    const ours = services.filter((service) => known.some((entry) => is(entry, service)))
    yield* Effect.forEach(ours, (service) => rpcbind(UNSET, entryOf(service)), { discard: true })
  }).pipe(
    Effect.scoped,
    Effect.timeout(END_LIMIT),
    Effect.catch((error) => Effect.logDebug(`what is registered with rpcbind was left there: ${error.message}`))
  )

type Rpcbind = <A, B>(
  call: Pick<Procedure<A, B>, "args" | "result"> & { readonly number: number },
  args: A
) => Effect.Effect<B, NoRpcbind | RegistrationRefused>

/** Over TCP or else UDP, and from a privileged port where we may: what root has registered, only root replaces. */
const connect = (port: number): Effect.Effect<Rpcbind, NoRpcbind, Scope.Scope> => {
  const silent = ({ message }: Error) => new NoRpcbind({ message: `no rpcbind answers on port ${port} (${message})` })
  const unclear = () => new RegistrationRefused({ message: foreign(port) })
  return RpcClient.make({ port, privileged: true }).pipe(
    Effect.timeout(PATIENCE),
    Effect.catch(() => DatagramClient.make({ port, privileged: true })),
    Effect.mapError(silent),
    Effect.map(
      ({ call }): Rpcbind =>
        (procedure, args) =>
          call({ program: PROGRAM, version: VERSION }, procedure.number, procedure, args).pipe(
            Effect.timeout(PATIENCE),
            Effect.mapError((error) =>
              error._tag === "RpcRefused" || error._tag === "XdrError" ? unclear() : silent(error)
            )
          )
    )
  )
}

/** Whether somebody is where an entry says. */
const answers = ({ addr, netid, prog, vers }: Rpcb): Effect.Effect<boolean> => {
  const address = UniversalAddress.parse(addr)
  if (address === undefined) return Effect.succeed(false)
  const host = UniversalAddress.isWildcard(address.host) ? (netid.endsWith("6") ? "::1" : "127.0.0.1") : address.host
  const make = netid.startsWith("tcp") ? RpcClient.make : DatagramClient.make
  return make({ host, port: address.port }).pipe(
    Effect.flatMap(({ call }) => call({ program: prog, version: vers }, 0, nullProcedure, undefined)),
    Effect.as(true),
    Effect.scoped,
    Effect.timeout(SIGN_OF_LIFE),
    Effect.catch(({ _tag }) => Effect.succeed(_tag === "RpcRefused"))
  )
}

const entryOf = (service: Service): Rpcb => ({
  prog: service.program,
  vers: service.version,
  netid: service.netid,
  addr: UniversalAddress.format(service),
  owner: ""
})

const concerns = ({ netid, prog, vers }: Rpcb, service: Service): boolean =>
  netid === service.netid && prog === service.program && vers === service.version

const is = (entry: Rpcb, service: Service): boolean =>
  concerns(entry, service) && entry.addr === UniversalAddress.format(service)

const taken = ({ addr, prog }: Rpcb): string =>
  `another server is registered for program ${prog}, on port ${UniversalAddress.parse(addr)?.port}, and it answers`

const refused = ({ netid, program, version }: Service): string =>
  `rpcbind does not let this user register program ${program}, version ${version}, for ${netid}`

const foreign = (port: number): string =>
  `what listens on port ${port} does not understand version ${VERSION} of rpcbind`
