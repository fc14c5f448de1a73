/**
 * The clients of a server, by their addresses: how many connections each has, and what all of them together may take.
 *
 * When there are as many connections as there may be, a client with fewer of them gets the place of the quietest one of the
 * client with the most. So nobody who opens many can lock others out.
 */

import type { Rate } from "../pool/Rate.ts"
import { Throttle } from "../pool/Throttle.ts"
import type { Account } from "./ByteBudget.ts"
import type { Settled } from "./Limits.ts"

/** Clients without a connection that are remembered, because they have used up what their rate allows. */
const MAX_ABSENT = 4096

/** A connection, as far as it matters here. */
export interface Visit {
  readonly address: string
  /** When something came over it last. */
  readonly heardAt: number
  /** Ends it at once. */
  readonly destroy: () => void
}

export class Client implements Account {
  readonly address: string
  held = 0
  readonly visits = new Set<Visit>()
  /** What holds it back when it asks for more than its rate allows; without a rate there is none. */
  throttle: Throttle | undefined

  constructor(address: string, rate: Rate) {
    this.address = address
    this.throttle = throttleOf(rate)
  }
}

export class Clients {
  private limits: Settled
  private total = 0
  private readonly present = new Map<string, Client>()
  /** Those who left last are last. */
  private readonly absent = new Map<string, Client>()

  constructor(limits: Settled) {
    this.limits = limits
  }

  /** Other limits. Connections that are there stay. */
  change(limits: Settled): void {
    this.limits = limits
    for (const clients of [this.present, this.absent]) {
      for (const client of clients.values()) {
        const { throttle } = client
        if (throttle === undefined) client.throttle = throttleOf(limits.rate)
        else throttle.change(limits.rate)
      }
    }
  }

  /** Makes room for another connection of a client, which may end somebody else's; otherwise says why there is none. */
  makeRoom(address: string): string | undefined {
    const { connections, connectionsPerClient } = this.limits
    const { size } = this.present.get(address)?.visits ?? none
    if (size >= connectionsPerClient) return `it has ${size} already`
    if (this.total < connections) return undefined
    const most = this.largest()
    if (most === undefined || most.visits.size <= size + 1) return `there are ${this.total} already`
    const given = quietest(most)
    this.leave(given)
    given.destroy()
    return undefined
  }

  /** A connection has come. */
  enter(visit: Visit, client: Client): void {
    this.absent.delete(client.address)
    this.present.set(client.address, client)
    client.visits.add(visit)
    this.total++
  }

  /** A connection is gone; it may have been so before. */
  leave(visit: Visit): void {
    const client = this.present.get(visit.address)
    if (client?.visits.delete(visit) !== true) return
    this.total--
    if (client.visits.size > 0) return
    this.present.delete(client.address)
    this.remember(client)
  }

  /** The client with an address, which may have no connection. */
  of(address: string): Client {
    return this.present.get(address) ?? this.absent.get(address) ?? new Client(address, this.limits.rate)
  }

  /** Keeps a client without a connection in mind for as long as its rate holds it back. */
  remember(client: Client): void {
    if (client.throttle === undefined || this.present.has(client.address)) return
    this.absent.delete(client.address)
    this.absent.set(client.address, client)
    if (this.absent.size > MAX_ABSENT) this.absent.delete(this.absent.keys().next().value!)
  }

  /** Forgets those who have nothing to be remembered for. */
  tidy(): void {
    for (const { address, throttle } of this.absent.values()) {
      if (throttle === undefined || throttle.rested) this.absent.delete(address)
    }
  }

  private largest(): Client | undefined {
    let most: Client | undefined
    for (const client of this.present.values()) {
      if (most === undefined || client.visits.size > most.visits.size) most = client
    }
    return most
  }
}

const none: { readonly size: number } = { size: 0 }

const throttleOf = (rate: Rate): Throttle | undefined =>
  rate.callsPerSecond === undefined && rate.bytesPerSecond === undefined ? undefined : new Throttle(rate)

const quietest = (client: Client): Visit => {
  const [first, ...others] = client.visits
  return others.reduce((quietest, visit) => (visit.heardAt < quietest.heardAt ? visit : quietest), first!)
}
