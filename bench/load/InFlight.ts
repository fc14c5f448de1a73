/**
 * The calls that wait for their answers: which slot of the closed loop made each, and when.
 *
 * A slot is one of connections x depth places, each of which has one call under way at any time. Calls are found by the
 * low bits of their xid in a ring with room for several times the slots; an xid whose place is still taken by a slow call
 * is left out.
 */

import { randomInt } from "node:crypto"

/** Never used twice while this process lives: a server would take the second call for a repetition of the first. */
let lastXid = randomInt(0x1_0000_0000)

const FREE = -1

export class InFlight {
  private readonly mask: number
  private readonly slots: Int32Array
  private readonly xids: Uint32Array
  private readonly starts: Float64Array
  private waiting = 0

  constructor(slots: number) {
    const size = 2 ** Math.ceil(Math.log2(slots * 8))
    this.mask = size - 1
    this.slots = new Int32Array(size).fill(FREE)
    this.xids = new Uint32Array(size)
    this.starts = new Float64Array(size)
  }

  get size(): number {
    return this.waiting
  }

  /** A call of `slot` starts at `now`; gives its xid. */
  begin(slot: number, now: number): number {
    let place: number
    do {
      lastXid = (lastXid + 1) >>> 0
      place = lastXid & this.mask
    } while (this.slots[place] !== FREE)
    this.slots[place] = slot
    this.xids[place] = lastXid
    this.starts[place] = now
    this.waiting++
    return lastXid
  }

  /** The slot that called with this xid; negative when none did. */
  slotOf(xid: number): number {
    const place = xid & this.mask
    return this.xids[place] === xid ? this.slots[place]! : FREE
  }

  /** The call is answered; gives when it had started. */
  end(xid: number): number {
    const place = xid & this.mask
    this.slots[place] = FREE
    this.waiting--
    return this.starts[place]!
  }

  /** When the oldest call that still waits started. */
  oldest(): number {
    let oldest = Infinity
    for (let place = 0; place <= this.mask; place++) {
      if (this.slots[place] !== FREE) oldest = Math.min(oldest, this.starts[place]!)
    }
    return oldest
  }
}
