/** How clients that are told no ports find them: through the rpcbind of this machine, a portmapper of our own, or not. */

import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { WorkerPool } from "../pool/WorkerPool.ts"
import { PMAP_PORT } from "../programs/portmap/PortmapCalls.ts"
import * as Portmapper from "../programs/portmap/Portmapper.ts"
import * as Registration from "../programs/portmap/Registration.ts"
import * as Service from "../programs/portmap/Service.ts"
import { RpcCodec } from "../rpc/RpcCodec.ts"
import * as RpcServer from "../rpc/RpcServer.ts"

/** What to try: `on` fails where `auto` goes without. */
export type Mode = "auto" | "on" | "off"

/** Who tells clients the ports. */
export type Portmap =
  /** The rpcbind of this machine. */
  | { readonly _tag: "Rpcbind" }
  /** A portmapper of our own, on the server's address. */
  | { readonly _tag: "Own"; readonly port: number }
  | { readonly _tag: "None" }

/** There is no portmapper, and cannot be one. */
export class PortmapError extends Data.TaggedError("PortmapError")<{ readonly message: string }> {}

/** Where portmappers are looked for. Tests have their own, because the machine's is everybody's. */
export const PortmapPort = Context.Reference<number>("effect-nfs/PortmapPort", { defaultValue: () => PMAP_PORT })

/** Makes the services of the server at `host` known, as long as the surrounding scope lives. */
export const announce = (
  mode: Mode,
  host: string,
  services: ReadonlyArray<Service.Service>
): Effect.Effect<Portmap, PortmapError, WorkerPool | Scope.Scope> => {
  if (mode === "off") return Effect.succeed({ _tag: "None" })
  return Effect.flatMap(PortmapPort, (port) =>
    Registration.register(services, port).pipe(
      Effect.as<Portmap>({ _tag: "Rpcbind" }),
      Effect.catchTag("NoRpcbind", () => serve(host, port, services))
    )
  ).pipe(
    Effect.catch(({ message }): Effect.Effect<Portmap, PortmapError> =>
      mode === "on"
        ? Effect.fail(new PortmapError({ message }))
        : Effect.as(Effect.logInfo(`no portmapper, so clients have to name the port: ${message}`), { _tag: "None" })
    )
  )
}

/** Calls of the portmapper carry no data. */
const codec = RpcCodec.layer({ maxPayload: 0 })

const serve = (host: string, port: number, services: ReadonlyArray<Service.Service>) => {
  const own = Service.of({ host, port }, { tcp: Portmapper.versions, udp: Portmapper.versions })
  const programs = Portmapper.make([...own, ...services])
  return RpcServer.make({ host, port, programs, datagramPrograms: programs, shutdownTimeout: "1 second" }).pipe(
    Effect.as<Portmap>({ _tag: "Own", port }),
    Effect.provide(codec)
  )
}
